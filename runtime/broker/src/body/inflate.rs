//! Undoes gzip in steps that are small enough that a bomb is noticed before it has grown.

use std::io::Write;

use bytes::Bytes;
use domain::Failure;
use flate2::write::MultiGzDecoder;

/// Bytes of input at a time. Deflate grows at most 1032-fold, so a step makes about a MiB.
pub(super) const STEP: usize = 1 << 10;
/// Bytes of output that are worth handing on.
const FULL: usize = 64 << 10;

/// A gzip stream that is pushed in and taken out. Members that follow each other are one body.
pub(super) struct Inflate {
    decoder: MultiGzDecoder<Vec<u8>>,
    begun: bool,
}

impl Default for Inflate {
    fn default() -> Self {
        Self {
            decoder: MultiGzDecoder::new(Vec::new()),
            begun: false,
        }
    }
}

impl Inflate {
    /// Takes a step of input; returns what came out of it and others before, perhaps nothing yet.
    pub(super) fn push(&mut self, part: &[u8]) -> Result<Bytes, Failure> {
        self.begun |= !part.is_empty();
        self.decoder
            .write_all(part)
            .map_err(|error| malformed(&error))?;
        Ok(if self.decoder.get_ref().len() >= FULL {
            self.take()
        } else {
            Bytes::new()
        })
    }

    /// The rest, at the end of the input.
    pub(super) fn finish(&mut self) -> Result<Bytes, Failure> {
        // An answer to HEAD names a coding and has no body.
        if self.begun {
            self.decoder
                .try_finish()
                .map_err(|error| malformed(&error))?;
        }
        Ok(self.take())
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(self.decoder.get_mut()).into()
    }
}

fn malformed(error: &std::io::Error) -> Failure {
    Failure::upstream(format!(
        "the body is not valid gzip, although its headers say so: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(input: &[u8], step: usize) -> Result<Vec<u8>, Failure> {
        let mut inflate = Inflate::default();
        let mut out = Vec::new();
        for part in input.chunks(step) {
            out.extend(inflate.push(part)?);
        }
        out.extend(inflate.finish()?);
        Ok(out)
    }

    #[test]
    fn a_body_comes_out_as_it_went_in_at_every_step_and_in_several_members() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let input = [gzip(&text[..300_000]), gzip(&text[300_000..])].concat();
        for step in [1, 7, STEP] {
            assert!(inflated(&input, step).unwrap() == text, "{step}");
        }
        assert_eq!(inflated(b"", STEP).unwrap(), b"");
    }

    #[test]
    fn a_body_that_is_cut_or_altered_is_an_error() {
        let input = gzip(&b"some rows ".repeat(1000));
        for cut in 1..input.len() {
            assert!(inflated(&input[..cut], STEP).is_err(), "{cut}");
        }
        let mut altered = input.clone();
        let checksum = altered.len() - 8;
        altered[checksum] ^= 1;
        assert!(inflated(&altered, STEP).is_err());
        assert!(inflated(&[input.as_slice(), b"junk"].concat(), STEP).is_err());
    }

    #[test]
    fn a_bomb_gives_no_more_than_about_a_mebibyte_a_step() {
        let input = gzip(&vec![0; 64 << 20]);
        let mut inflate = Inflate::default();
        for part in input.chunks(STEP) {
            assert!(inflate.push(part).unwrap().len() <= 2 << 20);
        }
    }
}
