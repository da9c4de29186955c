//! Frames: two lengths, a head in JSON, a payload of plain bytes.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{MAX_HEAD, MAX_PAYLOAD};

/// Why a frame could not be read or written.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The other side closed the socket between two frames.
    #[error("the other side closed the socket")]
    Closed,
    /// The socket broke.
    #[error("the socket broke")]
    Io(#[source] io::Error),
    /// A length is over its limit.
    #[error("a frame of {head} + {payload} bytes is over the limit")]
    TooLarge {
        /// Bytes of the head.
        head: usize,
        /// Bytes of the payload.
        payload: usize,
    },
    /// The head is not a message of the protocol.
    #[error("a frame's head is not a message of the protocol")]
    Malformed(#[source] serde_json::Error),
}

/// A message and its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame<M> {
    /// The message.
    pub message: M,
    /// Bytes that belong to it; often empty.
    pub payload: Vec<u8>,
}

/// Writes one frame.
pub fn write_frame(
    writer: &mut impl Write,
    message: &impl Serialize,
    payload: &[u8],
) -> Result<(), FrameError> {
    let mut bytes = vec![0; 8];
    serde_json::to_writer(&mut bytes, message).map_err(FrameError::Malformed)?;
    let head = bytes.len() - 8;
    let (Ok(head_length), Ok(payload_length)) = (u32::try_from(head), u32::try_from(payload.len()))
    else {
        return Err(FrameError::TooLarge {
            head,
            payload: payload.len(),
        });
    };
    if head > MAX_HEAD || payload.len() > MAX_PAYLOAD {
        return Err(FrameError::TooLarge {
            head,
            payload: payload.len(),
        });
    }
    bytes[..4].copy_from_slice(&head_length.to_le_bytes());
    bytes[4..8].copy_from_slice(&payload_length.to_le_bytes());
    writer.write_all(&bytes).map_err(FrameError::Io)?;
    writer.write_all(payload).map_err(FrameError::Io)
}

/// Reads one frame.
pub fn read_frame<M: DeserializeOwned>(reader: &mut impl Read) -> Result<Frame<M>, FrameError> {
    let mut lengths = [0; 8];
    match reader.read(&mut lengths) {
        Ok(0) => return Err(FrameError::Closed),
        Ok(count) => reader
            .read_exact(&mut lengths[count..])
            .map_err(FrameError::Io)?,
        Err(error) => return Err(FrameError::Io(error)),
    }
    let [a, b, c, d, e, f, g, h] = lengths;
    let head = u32::from_le_bytes([a, b, c, d]) as usize;
    let payload_length = u32::from_le_bytes([e, f, g, h]) as usize;
    if head > MAX_HEAD || payload_length > MAX_PAYLOAD {
        return Err(FrameError::TooLarge {
            head,
            payload: payload_length,
        });
    }
    let message = read_bytes(reader, head)?;
    let payload = read_bytes(reader, payload_length)?;
    Ok(Frame {
        message: serde_json::from_slice(&message).map_err(FrameError::Malformed)?,
        payload,
    })
}

fn read_bytes(reader: &mut impl Read, length: usize) -> Result<Vec<u8>, FrameError> {
    // Grows with what arrives, so that a length alone reserves nothing.
    let mut bytes = Vec::new();
    let read = reader
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(FrameError::Io)?;
    if read < length {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Call, FromRunner};
    use super::*;

    #[test]
    fn a_frame_survives_the_socket() {
        let message = FromRunner::Call(Call::SetCursor {
            table: "orders".into(),
        });
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &message, b"\x00\xff").unwrap();
        let frame: Frame<FromRunner> = read_frame(&mut bytes.as_slice()).unwrap();
        assert_eq!(
            frame,
            Frame {
                message,
                payload: b"\x00\xff".to_vec()
            }
        );
    }

    #[test]
    fn lengths_over_the_limit_are_refused_before_anything_is_read() {
        let bytes = [u32::MAX.to_le_bytes(), 0u32.to_le_bytes()].concat();
        let error = read_frame::<FromRunner>(&mut bytes.as_slice()).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn garbage_and_cut_frames_are_errors() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &FromRunner::Ready { missing: vec![] }, &[]).unwrap();
        for cut in 1..bytes.len() {
            assert!(
                read_frame::<FromRunner>(&mut &bytes[..cut]).is_err(),
                "{cut}"
            );
        }
        assert!(matches!(
            read_frame::<FromRunner>(&mut [].as_slice()),
            Err(FrameError::Closed)
        ));
        let junk = [3u32.to_le_bytes(), 0u32.to_le_bytes()]
            .concat()
            .into_iter()
            .chain(*b"{]}")
            .collect::<Vec<u8>>();
        assert!(matches!(
            read_frame::<FromRunner>(&mut junk.as_slice()),
            Err(FrameError::Malformed(_))
        ));
    }
}
