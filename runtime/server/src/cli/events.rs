//! Reads server-sent events as they arrive, cut anywhere.

use super::output::{CliError, CliResult};

/// Longer than any event of the server; a longer line comes from something else.
const MAX_LINE: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; `message` where it has none.
    pub(crate) name: String,
    /// Its data, lines joined.
    pub(crate) data: String,
}

/// Takes the pieces of a stream and gives the events that are complete.
#[derive(Debug, Default)]
pub(crate) struct EventParser {
    line: Vec<u8>,
    after_return: bool,
    name: String,
    data: Vec<String>,
}

impl EventParser {
    /// The events that this piece completes.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> CliResult<Vec<Event>> {
        let mut events = Vec::new();
        for &byte in piece {
            let ends_line = match byte {
                // The second half of a line end that was taken already.
                b'\n' if self.after_return => false,
                b'\n' | b'\r' => true,
                _ => {
                    self.line.push(byte);
                    false
                }
            };
            self.after_return = byte == b'\r';
            if ends_line {
                let line = std::mem::take(&mut self.line);
                events.extend(self.take_line(&String::from_utf8_lossy(&line)));
            } else if self.line.len() > MAX_LINE {
                return Err(CliError::new("the server sent an event that is too long"));
            }
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let (name, data) = (
                std::mem::take(&mut self.name),
                std::mem::take(&mut self.data),
            );
            return (!data.is_empty()).then(|| Event {
                name: if name.is_empty() {
                    "message".into()
                } else {
                    name
                },
                data: data.join("\n"),
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push(value.to_owned()),
            // Comments, which keep the connection alive, and fields that the server does not use.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\n\nevent: state\ndata: {\"a\":\ndata: 1}\n\r\ndata:x\r\n\r\n:\n\nevent: lost\n\n";

    fn expected() -> Vec<Event> {
        let event = |name: &str, data: &str| Event {
            name: name.into(),
            data: data.into(),
        };
        vec![event("state", "{\"a\":\n1}"), event("message", "x")]
    }

    #[test]
    fn a_stream_is_read_the_same_however_it_is_cut() {
        for size in 1..STREAM.len() {
            let mut parser = EventParser::default();
            let mut events = Vec::new();
            for piece in STREAM.as_bytes().chunks(size) {
                events.extend(parser.feed(piece).unwrap());
            }
            assert_eq!(events, expected(), "in pieces of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut parser = EventParser::default();
        let piece = vec![b'x'; MAX_LINE / 2 + 1];
        assert!(parser.feed(&piece).is_ok());
        assert!(parser.feed(&piece).is_err());
    }
}
