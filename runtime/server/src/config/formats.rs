//! The formats that the schema names and JSON Schema does not know. Editors pass over them.

use std::net::SocketAddr;

use domain::Zone;
use tracing_subscriber::EnvFilter;

use super::values::{self, Domain, Email, Origin, ProviderName, WebAddress};

/// Holds a text against a format. The error completes the sentence "it must be …".
pub(super) fn check(format: &str, text: &str) -> Result<(), &'static str> {
    match format {
        "socket-address" => {
            let rule = "an address and a port, such as `127.0.0.1:8000` or `[::]:8000`";
            text.parse::<SocketAddr>().map(drop).map_err(|_| rule)
        }
        "web-address" => match values::web_address(text) {
            Some(_) => Ok(()),
            None => Err("an address of the web, such as `https://sluice.example.com`"),
        },
        "log-filter" if is_filter(text) => Ok(()),
        "log-filter" => Err("levels, such as `info` or `info,ingest=debug`"),
        "header-value" if text.bytes().all(|b| (b' '..=b'~').contains(&b)) => Ok(()),
        "header-value" => Err("what a header may hold: letters, digits and signs of ASCII"),
        "email-address" => parse::<Email>(text),
        "domain" => parse::<Domain>(text),
        "origin" => parse::<Origin>(text),
        "variable-prefix" if is_prefix(text) => Ok(()),
        "variable-prefix" => Err(
            "upper-case letters, digits and underscores that end with `_` and hold `CREDENTIAL`, so that no other variable begins so",
        ),
        "time-zone" => match Zone::parse(text) {
            Ok(_) => Ok(()),
            Err(_) => Err("the name of a time zone, such as `Europe/Prague` or `UTC`"),
        },
        "provider-name" => parse::<ProviderName>(text),
        "secure-web-address" => parse::<WebAddress>(text),
        _ => Ok(()),
    }
}

/// Whether no variable begins so that was not meant for credentials.
fn is_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(plain) && text.contains("CREDENTIAL") && text.ends_with('_')
}

/// Whether every part of a filter is a level, or says whose level it is. A word alone would be taken
/// as the name of a part, so that a slip such as `inof` would silence everything else.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_plain = |part: &str| {
        let part = part.trim().to_ascii_lowercase();
        part.contains(['=', '[']) || LEVELS.contains(&part.as_str())
    };
    // The parser cuts between bytes, and panics at letters that are several; no part has such a name.
    text.is_ascii() && text.split(',').all(is_plain) && EnvFilter::try_new(text).is_ok()
}

fn parse<T: TryFrom<String, Error = &'static str>>(text: &str) -> Result<(), &'static str> {
    T::try_from(text.to_owned()).map(drop)
}

/// Whether a format is checked here, or is a size of numbers that the bounds tell as well.
#[cfg(test)]
pub(super) fn is_known(format: &str) -> bool {
    const KNOWN: [&str; 11] = [
        "time-zone",
        "variable-prefix",
        "socket-address",
        "web-address",
        "log-filter",
        "header-value",
        "email-address",
        "domain",
        "origin",
        "provider-name",
        "secure-web-address",
    ];
    KNOWN.contains(&format) || format.starts_with("uint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_level_does_not_silence_the_log() {
        for (text, fits) in [("INFO", true), ("inof", false), ("info,ingest", false)] {
            assert_eq!(is_filter(text), fits, "{text}");
        }
    }

    #[test]
    fn letters_that_no_part_is_named_by_are_refused() {
        for text in [
            " \u{1ee6f}=2\u{2d6f}`",
            "\u{e9}=info",
            "info,\u{1f600}=debug",
        ] {
            assert!(!is_filter(text), "{text}");
        }
    }

    #[test]
    fn each_format_takes_what_fits_and_says_what_would() {
        for (format, good, bad) in [
            ("socket-address", "[::]:0", "localhost:1"),
            ("web-address", "http://x/y", "ftp://x"),
            ("log-filter", "info,server=debug", "info,=,="),
            ("header-value", "Sluice/1 (x)", "a\r\nb"),
            ("time-zone", "Europe/Prague", "Middle/Earth"),
            ("email-address", "a@b.c", "a"),
            ("domain", "b.c", "a@b.c"),
            ("origin", "https://b.c", "*"),
            ("variable-prefix", "SLUICE_CREDENTIAL_", "SLUICE_"),
            ("provider-name", "google", "Google!"),
            ("secure-web-address", "https://b.c", "http://b.c"),
        ] {
            assert!(is_known(format));
            assert_eq!(check(format, good), Ok(()), "{format}");
            assert!(check(format, bad).is_err(), "{format}");
        }
    }
}
