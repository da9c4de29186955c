//! When to try again, and after how long: done by the host, so that every connector has it.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};

use super::Timing;
use super::attempt::Miss;

/// Attempts in all.
const MOST: u32 = 4;

/// What was tried so far.
#[derive(Debug)]
pub(super) struct Tries {
    made: u32,
    most: u32,
    backoff: Duration,
    longest_wait: Duration,
}

impl Tries {
    /// For a request of this method: one that may be sent twice without harm, or just once.
    pub(super) fn new(method: &Method, timing: &Timing) -> Self {
        let idempotent = matches!(
            *method,
            Method::GET | Method::HEAD | Method::PUT | Method::DELETE
        );
        Self::of(idempotent, timing)
    }

    /// For a request that may be sent again, or must not be.
    pub(super) fn of(again: bool, timing: &Timing) -> Self {
        Self {
            made: 0,
            most: if again { MOST } else { 1 },
            backoff: timing.backoff,
            longest_wait: timing.longest_wait,
        }
    }

    /// How long to wait before the next attempt; nothing where this was the last.
    pub(super) fn wait_after(&mut self, outcome: Result<&Response, &Miss>) -> Option<Duration> {
        match outcome {
            Ok(response) => self.wait(
                is_passing(response.status()),
                response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| retry_after(value, SystemTime::now())),
            ),
            Err(miss) => self.wait(miss.again, None),
        }
    }

    fn wait(&mut self, again: bool, asked: Option<Duration>) -> Option<Duration> {
        self.made += 1;
        if !again || self.made >= self.most {
            return None;
        }
        let doubled = self.backoff.saturating_mul(1 << (self.made - 1));
        // Half of it by chance, so that runs that failed together do not come back together.
        let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        let own = doubled.mul_f64(0.5 + chance / 2.0);
        let wait = asked.map_or(own, |asked| asked.max(own));
        // Whoever wants a longer pause gets it from the scheduler, not from a run that holds a place.
        (wait <= self.longest_wait).then_some(wait)
    }
}

/// Whether the service may answer better a moment later.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error()
            && !matches!(
                status,
                StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED
            ))
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    // A date that has passed asks for no wait.
    Some(
        SystemTime::from(date)
            .duration_since(now)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(method: &Method) -> Tries {
        Tries::new(method, &Timing::default())
    }

    #[test]
    fn waits_double_with_jitter_and_end() {
        let mut tries = tries(&Method::GET);
        for most in [500, 1000, 2000] {
            let wait = tries.wait(true, None).unwrap().as_millis();
            assert!((most / 2..=most).contains(&wait), "{wait} of {most}");
        }
        assert_eq!(tries.wait(true, None), None);
    }

    #[test]
    fn what_must_not_be_sent_twice_is_not() {
        for method in [Method::POST, Method::PATCH] {
            assert_eq!(tries(&method).wait(true, None), None, "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert!(tries(&method).wait(true, None).is_some(), "{method}");
        }
        assert_eq!(tries(&Method::GET).wait(false, None), None);
    }

    #[test]
    fn the_service_may_ask_for_a_longer_wait_within_bounds() {
        let asked = |seconds| tries(&Method::GET).wait(true, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(121), None);
        assert!(asked(0).unwrap() >= Duration::from_millis(250));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        for junk in [
            "-1",
            "soon",
            "99999999999999999999999999",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "1.5",
        ] {
            assert_eq!(read(junk), None, "{junk}");
        }
    }

    #[test]
    fn only_statuses_that_pass_are_tried_again() {
        for (status, passing) in [
            (200, false),
            (404, false),
            (408, false),
            (429, true),
            (500, true),
            (501, false),
            (503, true),
            (599, true),
        ] {
            assert_eq!(
                is_passing(StatusCode::from_u16(status).unwrap()),
                passing,
                "{status}"
            );
        }
    }
}
