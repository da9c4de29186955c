//! Surgery on components, to make what no honest author would: sections are found, changed, put back.

use serde_json::Value;

/// The custom section that holds a connector's manifest.
const MANIFEST: &str = "sluice:manifest";

/// A copy of an unsigned component with another manifest.
#[track_caller]
pub fn with_manifest(component: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut change = Some(change);
    map_sections(component, |name, content| {
        if name != MANIFEST {
            return content.to_vec();
        }
        let mut manifest = serde_json::from_slice(content).expect("the manifest is JSON");
        change.take().expect("there is one manifest")(&mut manifest);
        manifest.to_string().into_bytes()
    })
}

/// A connector file of any component, with the manifest of another.
#[track_caller]
pub fn with_manifest_of(component: &[u8], other: &[u8]) -> Vec<u8> {
    let mut manifest = None;
    map_sections(other, |name, content| {
        if name == MANIFEST {
            manifest = Some(content.to_vec());
        }
        content.to_vec()
    });
    let content = manifest.expect("there is a manifest");
    let mut section = Vec::new();
    put_number(&mut section, MANIFEST.len());
    section.extend(MANIFEST.as_bytes());
    section.extend(content);
    let mut out = component.to_vec();
    out.push(0);
    put_number(&mut out, section.len());
    out.extend(section);
    out
}

/// A copy of a component whose custom sections were changed; everything else stays as it is.
fn map_sections(component: &[u8], mut change: impl FnMut(&str, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let (header, mut rest) = component.split_at(8);
    let mut out = header.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = number(after);
        let (section, next) = after.split_at(length);
        rest = next;
        out.push(id);
        if id == 0 {
            let (length, named) = number(section);
            let (name, content) = named.split_at(length);
            let new = change(std::str::from_utf8(name).expect("a name"), content);
            let head = section.len() - content.len();
            put_number(&mut out, head + new.len());
            out.extend(&section[..head]);
            out.extend(new);
        } else {
            put_number(&mut out, length);
            out.extend(section);
        }
    }
    out
}

/// A number as the binary format writes it, seven bits a byte, and what follows.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let last = bytes.iter().position(|b| b & 0x80 == 0).expect("an end");
    let (digits, rest) = bytes.split_at(last + 1);
    let digits = digits.iter().rev();
    let value = digits.fold(0, |value, b| (value << 7) | usize::from(b & 0x7f));
    (value, rest)
}

fn put_number(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}
