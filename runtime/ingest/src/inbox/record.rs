//! A delivery as it lies on the disk: a length, a checksum, a head in JSON, the body.
//!
//! What is read back was written by this program, but perhaps not to its end, and perhaps by a disk that
//! forgot some of it. So every length is checked before it is believed.

use std::io::{self, Read};

use domain::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most bytes of a record: a body, and room for its head.
pub(super) const MOST_BYTES: usize = 6 << 20;

/// The bytes before a record: its length and its checksum.
pub(super) const FRAME: usize = 8;

/// What is kept of a delivery beside its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its place in the order in which deliveries arrived.
    pub sequence: u64,
    /// Names it within its source.
    pub id: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The headers that the component may see.
    pub headers: Vec<(String, String)>,
    /// The dead letter that it is another attempt of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
    /// Why it was set aside; only of dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A delivery as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// What is kept of it.
    pub(crate) head: Head,
    /// What was sent.
    pub(crate) body: Vec<u8>,
}

impl Record {
    /// The bytes of its frame.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let head = serde_json::to_vec(&self.head)?;
        let too_large = || io::Error::new(io::ErrorKind::InvalidInput, "a delivery is too large");
        let length = 4 + head.len() + self.body.len();
        if length > MOST_BYTES {
            return Err(too_large());
        }
        let head_length = u32::try_from(head.len()).map_err(|_| too_large())?;
        let payload = [&head_length.to_le_bytes()[..], &head, &self.body].concat();
        let length = u32::try_from(length).map_err(|_| too_large())?;
        let check = crc32fast::hash(&payload);
        Ok([&length.to_le_bytes()[..], &check.to_le_bytes(), &payload].concat())
    }

    /// Reads one frame; nothing at the end, and an error of [`io::ErrorKind::InvalidData`] or
    /// `UnexpectedEof` for what is no whole record.
    pub(super) fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let mut frame = Vec::new();
        reader.take(FRAME as u64).read_to_end(&mut frame)?;
        if frame.is_empty() {
            return Ok(None);
        }
        let (Some(length), Some(check)) = (number(&frame, 0), number(&frame, 4)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if length as usize > MOST_BYTES {
            return Err(damaged("a length is beyond all bounds"));
        }
        let mut payload = Vec::new();
        reader.take(length.into()).read_to_end(&mut payload)?;
        if payload.len() < length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if crc32fast::hash(&payload) != check {
            return Err(damaged("a checksum does not fit"));
        }
        Self::decode(&payload).map(Some)
    }

    fn decode(payload: &[u8]) -> io::Result<Self> {
        let length = number(payload, 0).ok_or_else(|| damaged("a head is missing"))?;
        let rest = payload.get(4..).unwrap_or_default();
        let Some((head, body)) = rest.split_at_checked(length as usize) else {
            return Err(damaged("a head is cut"));
        };
        let head = serde_json::from_slice(head).map_err(|_| damaged("a head cannot be read"))?;
        Ok(Self {
            head,
            body: body.to_vec(),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let head = Head {
            sequence: 7,
            id: "a".into(),
            at: Timestamp::UNIX_EPOCH,
            headers: vec![("x-event".into(), "paid".into())],
            again: None,
            failure: None,
        };
        Record {
            head,
            body: b"{\"a\":1}".to_vec(),
        }
    }

    #[test]
    fn a_record_survives_the_disk() {
        let bytes = record().encode().unwrap();
        let mut reader = bytes.as_slice();
        assert_eq!(Record::read(&mut reader).unwrap(), Some(record()));
        assert_eq!(Record::read(&mut reader).unwrap(), None);
    }

    #[test]
    fn what_was_cut_or_altered_anywhere_is_no_record() {
        let bytes = record().encode().unwrap();
        for cut in 1..bytes.len() {
            assert!(Record::read(&mut &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(
                Record::read(&mut altered.as_slice()).is_err(),
                "altered at {at}"
            );
        }
    }
}
