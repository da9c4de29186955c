//! Where an answer sends a request: a new request, which brings nothing of the first but its method
//! and, to the same origin, its body.

use bytes::Bytes;
use domain::Failure;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::headers::of_the_host;

/// The most redirects of one request.
pub(super) const MOST: usize = 10;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// The next request, where the answer is a redirect.
pub(super) fn next(hop: &Hop, response: &Response) -> Result<Option<Hop>, Failure> {
    let location = response.headers().get(LOCATION);
    match location {
        Some(location) => follow(hop, response.status(), location.as_bytes()),
        None => Ok(None),
    }
}

fn follow(hop: &Hop, status: StatusCode, location: &[u8]) -> Result<Option<Hop>, Failure> {
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => hop.method != Method::POST,
        StatusCode::SEE_OTHER => matches!(hop.method, Method::GET | Method::HEAD),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let host = hop.url.host_str().unwrap_or_default();
    let mut url = std::str::from_utf8(location)
        .ok()
        .and_then(|location| hop.url.join(location).ok())
        .ok_or_else(|| {
            Failure::upstream(format!("`{host}` redirects to something that is not a URL"))
        })?;
    url.set_fragment(None);
    let body = hop.body.clone().filter(|_| keeps_method);
    if body.is_some() && url.origin() != hop.url.origin() {
        return Err(Failure::limit(format!(
            "`{host}` redirects a request with a body to `{}`: a body is not sent on to another origin",
            url.origin().ascii_serialization()
        )));
    }
    Ok(Some(Hop {
        method: if keeps_method {
            hop.method.clone()
        } else {
            Method::GET
        },
        url,
        headers: of_the_host(),
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(method: Method, status: u16, location: &str) -> Result<Option<Hop>, Failure> {
        let hop = Hop {
            url: Url::parse("https://a.org/x?y#z").unwrap(),
            headers: HeaderMap::from_iter([(reqwest::header::ACCEPT, "x".parse().unwrap())]),
            body: (method == Method::POST).then(|| Bytes::from_static(b"body")),
            method,
        };
        follow(
            &hop,
            StatusCode::from_u16(status).unwrap(),
            location.as_bytes(),
        )
    }

    #[test]
    fn the_method_follows_the_rules_of_http() {
        for (method, status, expected, body) in [
            (Method::GET, 301, Method::GET, false),
            (Method::HEAD, 303, Method::HEAD, false),
            (Method::POST, 301, Method::GET, false),
            (Method::POST, 302, Method::GET, false),
            (Method::POST, 303, Method::GET, false),
            (Method::DELETE, 303, Method::GET, false),
            (Method::POST, 307, Method::POST, true),
            (Method::POST, 308, Method::POST, true),
            (Method::PUT, 302, Method::PUT, false),
        ] {
            let next = followed(method.clone(), status, "/next").unwrap().unwrap();
            assert_eq!(
                (next.method, next.body.is_some()),
                (expected, body),
                "{method} {status}"
            );
            assert_eq!(next.url.as_str(), "https://a.org/next");
            assert_eq!(next.headers, of_the_host(), "no header follows");
        }
    }

    #[test]
    fn a_body_does_not_follow_to_another_origin() {
        for location in ["https://b.org/", "http://a.org/", "https://a.org:444/"] {
            let failure = followed(Method::POST, 307, location).unwrap_err();
            assert_eq!(failure.kind, domain::FailureKind::Limit, "{location}");
            assert!(followed(Method::GET, 307, location).unwrap().is_some());
        }
    }

    #[test]
    fn what_is_not_a_redirect_is_an_answer() {
        for status in [200, 201, 300, 304, 305, 404] {
            assert!(
                followed(Method::GET, status, "/next").unwrap().is_none(),
                "{status}"
            );
        }
        assert!(followed(Method::GET, 302, "https://[::").is_err());
    }
}
