//! zstd, in memory-safe Rust: a body is one frame after the other, as `zstd` and `cat` leave them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::StreamingDecoder;

/// The bytes by which a frame begins.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Undoes the compression of all frames.
pub(super) enum Frames<R: BufRead> {
    /// Between two frames.
    Between(R),
    /// Within one.
    Within(Box<StreamingDecoder<R, FrameDecoder>>),
    /// At the end, or after an error.
    Over,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(input: R) -> Self {
        Self::Between(input)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Over) {
                Self::Over => return Ok(0),
                Self::Between(mut input) => {
                    if input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = StreamingDecoder::new(input);
                    let decoder = decoder.map_err(|error| io::Error::other(error.to_string()))?;
                    *self = Self::Within(Box::new(decoder));
                }
                Self::Within(mut decoder) => match decoder.read(room)? {
                    0 if !room.is_empty() => *self = Self::Between(decoder.into_inner()),
                    count => {
                        *self = Self::Within(decoder);
                        return Ok(count);
                    }
                },
            }
        }
    }
}
