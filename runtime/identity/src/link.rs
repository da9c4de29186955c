//! One-time links: a random secret that is sent, and its hash that is kept, bound to what the link
//! is for, so that one for signing in cannot set a password.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Digest;
use jiff::SignedDuration;

/// What a link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To set the first password.
    SetUp,
    /// To set another password.
    Reset,
    /// To sign in once.
    SignIn,
}

impl Purpose {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SetUp => "setup",
            Self::Reset => "reset",
            Self::SignIn => "sign-in",
        }
    }

    /// How long such a link lives, unless the configuration says otherwise.
    pub fn lifetime(self) -> SignedDuration {
        match self {
            Self::SetUp => SignedDuration::from_hours(7 * 24),
            Self::Reset => SignedDuration::from_hours(1),
            Self::SignIn => SignedDuration::from_mins(15),
        }
    }
}

/// A new secret of 256 random bits, as text that fits into a URL.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_secret() -> Result<String, std::io::Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(std::io::Error::from)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// What is kept of a secret.
pub fn hash(purpose: Purpose, secret: &str) -> Digest {
    Digest::of(format!("{}\n{secret}", purpose.as_str()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_new_and_its_hash_is_for_one_purpose() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), 43);
        assert_ne!(secret, new_secret().unwrap());
        let hashes = [Purpose::SetUp, Purpose::Reset, Purpose::SignIn].map(|p| hash(p, &secret));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
        assert_eq!(hash(Purpose::Reset, &secret), hashes[1]);
    }
}
