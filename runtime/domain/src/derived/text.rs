//! The texts of a derivation and of answers: pointers, points in time, addresses.

use jiff::Timestamp;
use serde_json::Value;

/// The most characters of a text in a manifest.
const MOST_TEXT: usize = 512;

pub(super) fn limited(field: &str, text: &str) -> Result<(), String> {
    match text.len() > MOST_TEXT || text.chars().any(char::is_control) {
        true => Err(format!(
            "`{field}` is too long or holds a control character"
        )),
        false => Ok(()),
    }
}

/// RFC 6901; the whole document is no credential.
pub(super) fn pointer(pointer: &str) -> Result<(), String> {
    limited("present", pointer)?;
    match pointer.starts_with('/') {
        true => Ok(()),
        false => Err(format!(
            "`{}` is not a JSON pointer such as /credentials/token",
            pointer.escape_debug()
        )),
    }
}

/// The last step of a pointer, as it names a member.
pub(super) fn last_step(pointer: &str) -> String {
    let step = pointer.rsplit('/').next().unwrap_or_default();
    step.replace("~1", "/").replace("~0", "~")
}

/// A number, or a text of one.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// A point in time as services write it.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = seconds(value) {
        return Timestamp::from_second(seconds).ok();
    }
    let text = value.as_str()?.trim();
    // Some leave the colon out of the offset.
    text.parse()
        .ok()
        .or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok())
}
