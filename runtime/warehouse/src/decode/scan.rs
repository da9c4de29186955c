//! What a JSON document holds, seen from its quotes and brackets alone: how many records there are, and what stands at
//! other places. That is all a connector waits for; whether everything between is JSON, decoding finds out behind it.

use std::borrow::Cow;

use domain::format::Appended;
use memchr::memchr2;

use super::pointer::{MAX_VALUE, copied, is_apart, paths};

/// Most names and values end before it pays to look at many bytes at once.
const SHORT: usize = 16;
/// Decoding goes no deeper either.
const MAX_DEPTH: usize = 128;

/// The records of a document and the values of its other paths. `None` where quotes and brackets do not tell, for
/// whatever reason: then decoding does.
pub(super) fn survey(document: &[u8], records: &str, values: &[String]) -> Option<Appended> {
    let paths = paths(records, values).ok()?;
    // One walk does not see a value that lies in another.
    let (records, values) = paths.split_last().filter(|_| is_apart(&paths))?;
    let mut found = Found {
        rows: None,
        values: vec![None; values.len()],
    };
    let mut scan = Scan {
        text: document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document),
        at: 0,
    };
    let mut targets = vec![Target {
        place: None,
        rest: records,
    }];
    targets.extend(values.iter().enumerate().map(|(index, path)| Target {
        place: Some(index),
        rest: path,
    }));
    scan.walk(targets, &mut found, 0)?;
    // Nothing may stand behind the document.
    scan.peek().is_none().then_some(())?;
    Some(Appended {
        rows: found.rows?,
        values: found.values,
    })
}

/// A path as far as it has not been gone.
#[derive(Clone, Copy)]
struct Target<'p> {
    /// Of a value; none of the records.
    place: Option<usize>,
    rest: &'p [Cow<'p, str>],
}

struct Found {
    rows: Option<u64>,
    values: Vec<Option<String>>,
}

/// A document and a place in it. All that moves it gives `None` where something else stands there.
struct Scan<'d> {
    text: &'d [u8],
    at: usize,
}

impl<'d> Scan<'d> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return Some(byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Whether another item follows the one that was read, in what ends with `end`; passes the sign that says so.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let sign = self.peek()?;
        self.at += 1;
        match sign {
            b',' => Some(true),
            sign if sign == end => Some(false),
            _ => None,
        }
    }

    /// Whether something is in the array or object that begins here; passes its bracket, and both where it is empty.
    fn enter(&mut self, begin: u8, end: u8) -> Option<bool> {
        self.take(begin)?;
        let is_empty = self.peek()? == end;
        self.at += usize::from(is_empty);
        Some(!is_empty)
    }

    /// A text, without its quotes and as it stands.
    fn text(&mut self) -> Option<&'d [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
            let (near, far) = rest.split_at_checked(SHORT).unwrap_or((rest, &[]));
            let end = near.iter().position(ends);
            let end = end.or_else(|| memchr2(b'"', b'\\', far).map(|at| SHORT + at))?;
            self.at += end;
            if rest.get(end) == Some(&b'"') {
                self.at += 1;
                return self.text.get(start..self.at - 1);
            }
            self.at += 2;
        }
    }

    /// Any value.
    fn value(&mut self) -> Option<&'d [u8]> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => drop(self.text()?),
            b'{' | b'[' => self.nested()?,
            _ => {
                let rest = self.text.get(start..)?;
                let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte);
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        let value = self.text.get(start..self.at)?;
        (!value.is_empty()).then_some(value)
    }

    /// An array or object, whose brackets are only counted.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match *self.text.get(self.at)? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The records of an array, or a single one.
    fn records(&mut self) -> Option<u64> {
        let mut rows = 0;
        match self.peek()? {
            b'{' => {
                self.nested()?;
                rows = 1;
            }
            b'[' => {
                let mut more = self.enter(b'[', b']')?;
                while more {
                    (self.peek()? == b'{').then_some(())?;
                    self.nested()?;
                    rows += 1;
                    more = self.goes_on(b']')?;
                }
            }
            _ => (self.value()? == b"null").then_some(())?,
        }
        Some(rows)
    }

    /// Reads a value, and what the paths that lead to it or into it ask for.
    fn walk(&mut self, targets: Vec<Target<'_>>, found: &mut Found, depth: usize) -> Option<()> {
        if let Some(here) = targets.iter().find(|target| target.rest.is_empty()) {
            match here.place {
                None => found.rows = Some(self.records()?),
                Some(place) => {
                    let text = copied(self.value()?).filter(|text| text.len() <= MAX_VALUE)?;
                    *found.values.get_mut(place)? = Some(text);
                }
            }
            return Some(());
        }
        match self.peek()? {
            _ if depth >= MAX_DEPTH => None,
            b'{' if !targets.is_empty() => self.members(targets, found, depth),
            b'[' if !targets.is_empty() => self.items(targets, found, depth),
            _ => self.value().map(drop),
        }
    }

    fn members(
        &mut self,
        mut targets: Vec<Target<'_>>,
        found: &mut Found,
        depth: usize,
    ) -> Option<()> {
        let mut more = self.enter(b'{', b'}')?;
        while more {
            let name = self.text()?;
            self.take(b':')?;
            let name = match name.contains(&b'\\') {
                true => copied_name(name)?,
                false => Cow::Borrowed(std::str::from_utf8(name).ok()?),
            };
            let led = split_off(&mut targets, |step| step == name);
            self.walk(led, found, depth + 1)?;
            more = self.goes_on(b'}')?;
        }
        Some(())
    }

    fn items(
        &mut self,
        mut targets: Vec<Target<'_>>,
        found: &mut Found,
        depth: usize,
    ) -> Option<()> {
        let mut more = self.enter(b'[', b']')?;
        let mut at = 0_usize;
        while more {
            let led = match targets.is_empty() {
                true => Vec::new(),
                false => split_off(&mut targets, |step| step == at.to_string()),
            };
            self.walk(led, found, depth + 1)?;
            more = self.goes_on(b']')?;
            at += 1;
        }
        Some(())
    }
}

/// Takes out the paths that go on like this, each without that step: a name that comes back does not count.
fn split_off<'p>(targets: &mut Vec<Target<'p>>, leads: impl Fn(&str) -> bool) -> Vec<Target<'p>> {
    let mut led = Vec::new();
    targets.retain(|target| match target.rest.split_first() {
        Some((step, rest)) if leads(step) => {
            led.push(Target { rest, ..*target });
            false
        }
        _ => true,
    });
    led
}

/// A name with escapes.
fn copied_name(name: &[u8]) -> Option<Cow<'_, str>> {
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice(&quoted).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests;
