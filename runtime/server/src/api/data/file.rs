//! A file as an answer: whole, or the part that is asked for, under a tag of its content. The file is open before
//! anything is said about it, so a publish in between changes nothing of what is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};

use crate::error::{ApiError, ApiResult};

/// What is read in one go. Larger ones are no faster, and a download holds two of them.
const PIECE: u64 = 512 << 10;
/// One piece is read while another is sent.
const AHEAD: usize = 2;

/// An open file and the tag of its content.
pub(crate) struct Opened {
    file: Arc<File>,
    size: u64,
    tag: String,
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From the first byte to before the last.
    Span(u64, u64),
    Nowhere,
}

impl Opened {
    /// Opens a file, whose md5 may be known. Blocks.
    pub(crate) fn open(path: &Path, md5: Option<&str>) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        // Another program wrote it: what it would be under the same name again has another time.
        let made_up = || {
            format!(
                "{:x}-{:x}-{:x}",
                about.ino(),
                about.mtime_nsec(),
                about.mtime()
            )
        };
        Ok(Self {
            size: about.len(),
            tag: format!("\"{}\"", md5.map_or_else(made_up, str::to_owned)),
            file: Arc::new(file),
        })
    }

    /// The answer to a request with these headers.
    pub(crate) fn answer(self, asked: &HeaderMap) -> ApiResult<Response> {
        if asked.contains_key(IF_MATCH) && !lists(asked, &IF_MATCH, &self.tag) {
            return Ok(StatusCode::PRECONDITION_FAILED.into_response());
        }
        let mut response = match lists(asked, &IF_NONE_MATCH, &self.tag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.part(asked)?,
        };
        let tag = HeaderValue::from_str(&self.tag).map_err(ApiError::internal)?;
        let headers = response.headers_mut();
        headers.insert(ETAG, tag);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(response)
    }

    fn part(&self, asked: &HeaderMap) -> ApiResult<Response> {
        let (status, from, to) = match wanted(asked, &self.tag, self.size) {
            Part::Whole => (StatusCode::OK, 0, self.size),
            Part::Span(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
            Part::Nowhere => {
                let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                let said = format!("bytes */{}", self.size);
                let said = HeaderValue::from_str(&said).map_err(ApiError::internal)?;
                response.headers_mut().insert(CONTENT_RANGE, said);
                return Ok(response);
            }
        };
        let mut response = (status, self.body(from, to)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, (to - from).into());
        if status == StatusCode::PARTIAL_CONTENT {
            let said = format!("bytes {from}-{}/{}", to - 1, self.size);
            let said = HeaderValue::from_str(&said).map_err(ApiError::internal)?;
            headers.insert(CONTENT_RANGE, said);
        }
        Ok(response)
    }

    /// The bytes of a span, read off the asynchronous threads as the client takes them.
    fn body(&self, from: u64, to: u64) -> Body {
        let file = Arc::clone(&self.file);
        let starts = (from..to).step_by(usize::try_from(PIECE).unwrap_or(usize::MAX));
        let pieces = stream::iter(starts).map(move |at| {
            let file = Arc::clone(&file);
            let length = PIECE.min(to - at);
            async move {
                let read = tokio::task::spawn_blocking(move || read(&file, at, length));
                read.await
                    .unwrap_or_else(|error| Err(io::Error::other(error)))
            }
        });
        Body::from_stream(pieces.buffered(AHEAD))
    }
}

/// Exactly so many bytes; fewer would be another file than was promised.
fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let offset = at + bytes.len() as u64;
        let read = rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    bytes.truncate(length);
    Ok(bytes.into())
}

/// Whether a header lists a tag, or any.
fn lists(asked: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let values = asked
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    // For this comparison a weak tag is as good.
    tags.any(|listed| listed == "*" || listed.trim_start_matches("W/") == tag)
}

/// What is asked for. Several spans at once are answered by the whole, as they may be.
fn wanted(asked: &HeaderMap, tag: &str, size: u64) -> Part {
    let text = |name| {
        asked
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    // A span of another file is no use: whoever resumes gets the new one from its start.
    if text(IF_RANGE).is_some_and(|known| known != tag) {
        return Part::Whole;
    }
    let Some(span) = text(RANGE).and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((from, to)) = span.split_once('-').filter(|_| !span.contains(',')) else {
        return Part::Whole;
    };
    let span = match (from.trim().parse::<u64>(), to.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, size.min(to.saturating_add(1))),
        (Ok(from), Err(_)) if to.trim().is_empty() => (from, size),
        (Err(_), Ok(last)) if from.trim().is_empty() => (size.saturating_sub(last), size),
        _ => return Part::Whole,
    };
    match span.0 < span.1 {
        true => Part::Span(span.0, span.1),
        false => Part::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        let part = |range| wanted(&asking(&[(&RANGE, range)]), "\"a\"", 10);
        assert_eq!(part("bytes=0-3"), Part::Span(0, 4));
        assert_eq!(part("bytes=4-"), Part::Span(4, 10));
        assert_eq!(part("bytes=-3"), Part::Span(7, 10));
        assert_eq!(part("bytes=-99"), Part::Span(0, 10));
        assert_eq!(part("bytes=9-99999999999999999999"), Part::Whole);
        assert_eq!(part("bytes=9-18446744073709551615"), Part::Span(9, 10));
        assert_eq!(part("bytes=10-"), Part::Nowhere);
        assert_eq!(part("bytes=-0"), Part::Nowhere);
        for odd in [
            "bytes=3-1",
            "bytes=0-1,3-4",
            "bytes=-",
            "lines=1-2",
            "bytes=a-b",
        ] {
            assert_eq!(part(odd), Part::Whole, "{odd}");
        }
    }

    #[test]
    fn a_span_of_a_file_that_is_another_by_now_is_not_given() {
        let part = |tag| {
            wanted(
                &asking(&[(&RANGE, "bytes=4-"), (&IF_RANGE, tag)]),
                "\"a\"",
                10,
            )
        };
        assert_eq!(part("\"a\""), Part::Span(4, 10));
        assert_eq!(part("\"b\""), Part::Whole);
        assert_eq!(part("W/\"a\""), Part::Whole);
        assert_eq!(part("Mon, 23 Nov 2026 21:00:00 GMT"), Part::Whole);
    }

    #[test]
    fn tags_are_found_in_lists() {
        let has = |list| lists(&asking(&[(&IF_NONE_MATCH, list)]), &IF_NONE_MATCH, "\"a\"");
        assert!(has("\"a\"") && has("\"b\", \"a\"") && has("*") && has("W/\"a\""));
        assert!(!has("\"b\"") && !has("a") && !has(""));
    }
}
