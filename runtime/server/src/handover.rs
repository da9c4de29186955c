//! Handing a token to a program on the user's own machine, through the browser (RFC 8252 with RFC 7636): the page gives a code to
//! the program's port on the loopback, and the program exchanges it, with the secret that only it knows, for a token.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::{ApiError, ApiResult};
use crate::oidc::Flows;

/// From the click to the exchange there is no person in between.
const LIFETIME: Duration = Duration::from_secs(60);
/// SHA-256 in Base64.
const CHALLENGE: usize = 43;
const MOST_STATE: usize = 128;
const MOST_NAME: usize = 64;
/// Below it are services of the system, and no program of a user listens there.
const FIRST_PORT: u16 = 1024;

/// What a program asks for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Asked {
    /// Where it listens on the loopback.
    pub(crate) port: u16,
    /// By which it knows its own answer again.
    pub(crate) state: String,
    /// The hash of the secret that it keeps.
    pub(crate) challenge: String,
    /// What it calls itself.
    pub(crate) name: String,
}

impl Asked {
    /// Whether the request makes sense; everything in it was written by whoever made the link.
    pub(crate) fn checked(self) -> ApiResult<Self> {
        let url_safe = |text: &str| {
            let mut bytes = text.bytes();
            bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let fits = self.port >= FIRST_PORT
            && (16..=MOST_STATE).contains(&self.state.len())
            && url_safe(&self.state)
            && self.challenge.len() == CHALLENGE
            && url_safe(&self.challenge)
            && (1..=MOST_NAME).contains(&self.name.len())
            && self.name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        match fits {
            true => Ok(self),
            false => Err(ApiError::bad_request(
                "login-invalid",
                "This is no login of a program that this server knows; start again with `da login`",
            )),
        }
    }

    /// Where the browser takes the code: this machine, and no other, whatever was asked for.
    pub(crate) fn place(&self, code: &str) -> String {
        format!(
            "http://127.0.0.1:{}/?code={code}&state={}",
            self.port, self.state
        )
    }
}

/// What a code is good for.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) user: Uuid,
    /// What the program calls itself.
    pub(crate) name: String,
    challenge: String,
    at: Instant,
}

/// Codes that wait for their program.
#[derive(Debug, Default)]
pub(crate) struct Handover(Flows<Allowed>);

impl Handover {
    /// A code for what a user has allowed.
    pub(crate) fn allow(&self, user: Uuid, asked: &Asked, now: Instant) -> ApiResult<String> {
        let allowed = Allowed {
            user,
            name: asked.name.clone(),
            challenge: asked.challenge.clone(),
            at: now,
        };
        self.0.keep(allowed, now).map_err(ApiError::internal)
    }

    /// What a code is good for, once, and for the program that asked for it alone. Who shows a wrong secret ends the code.
    pub(crate) fn redeem(&self, code: &str, verifier: &str, now: Instant) -> Option<Allowed> {
        let allowed = self.0.take(code, now)?;
        let shown = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let is_young = now.saturating_duration_since(allowed.at) < LIFETIME;
        (is_young && shown == allowed.challenge).then_some(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verifier and challenge of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const EXAMPLE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn asked() -> Asked {
        Asked {
            port: 40_000,
            state: "0123456789abcdef".into(),
            challenge: EXAMPLE.into(),
            name: "da on laptop".into(),
        }
    }

    #[test]
    fn a_code_is_good_once_for_a_minute_and_for_whoever_asked() {
        let (handover, now, user) = (Handover::default(), Instant::now(), Uuid::new_v4());
        let code = || handover.allow(user, &asked(), now).unwrap();
        let first = code();
        assert_eq!(handover.redeem(&first, VERIFIER, now).unwrap().user, user);
        assert!(handover.redeem(&first, VERIFIER, now).is_none(), "twice");
        let stolen = code();
        assert!(handover.redeem(&stolen, "guessed", now).is_none());
        assert!(
            handover.redeem(&stolen, VERIFIER, now).is_none(),
            "it ended"
        );
        assert!(handover.redeem(&code(), VERIFIER, now + LIFETIME).is_none());
        assert!(handover.redeem("made up", VERIFIER, now).is_none());
    }

    #[test]
    fn a_link_can_lead_nowhere_but_to_a_port_of_this_machine() {
        let place = asked().checked().unwrap().place("c0de");
        assert_eq!(
            place,
            "http://127.0.0.1:40000/?code=c0de&state=0123456789abcdef"
        );
        let wrong: [fn(&mut Asked); 8] = [
            |a| a.port = 80,
            |a| a.state = "short".into(),
            |a| a.state = "0123456789abcdef&code=x".into(),
            |a| a.state = "x".repeat(129),
            |a| a.challenge = "x".into(),
            |a| a.challenge = format!("{}=", &EXAMPLE[1..]),
            |a| a.name = String::new(),
            |a| a.name = "a\u{202e}b".into(),
        ];
        for change in wrong {
            let mut asked = asked();
            change(&mut asked);
            assert!(asked.clone().checked().is_err(), "{asked:?}");
        }
    }
}
