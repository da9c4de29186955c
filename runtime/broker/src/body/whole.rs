//! A small body as a whole, for the host's own eyes.

use domain::Failure;
use reqwest::Response;

use super::inflate::{Inflate, STEP};
use super::{Coding, words};

/// The body of an answer, at most so many bytes of it after its coding was undone.
pub(crate) async fn read(
    response: &mut Response,
    coding: Coding,
    most: usize,
) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let mut inflate = (coding == Coding::Gzip).then(Inflate::default);
    let grow = |body: &mut Vec<u8>, bytes: &[u8]| {
        body.extend_from_slice(bytes);
        match body.len() > most {
            true => Err(Failure::limit(format!(
                "the answer has more than {most} bytes"
            ))),
            false => Ok(()),
        }
    };
    let broke = |error: &reqwest::Error| {
        Failure::upstream(format!("the connection broke: {}", words(error)))
    };
    while let Some(bytes) = response.chunk().await.map_err(|error| broke(&error))? {
        match &mut inflate {
            None => grow(&mut body, &bytes)?,
            Some(inflate) => {
                for part in bytes.chunks(STEP) {
                    grow(&mut body, &inflate.push(part)?)?;
                }
            }
        }
    }
    if let Some(inflate) = &mut inflate {
        grow(&mut body, &inflate.finish()?)?;
    }
    Ok(body)
}
