//! Bearer tokens: signed JWTs, so that old clients can read their claims, whose sha256 is also kept
//! in the state, so that they can be revoked.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use domain::Digest;
use jiff::{Span, Timestamp, ToSpan as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use warehouse::{Token, User};

/// Long enough that whoever claimed a server can work with it, and short enough that a forgotten
/// token dies.
const HOURS_VALID: i64 = 365 * 24;

/// The token is not one that this server signed, or its time is over.
#[derive(Debug, Error)]
#[error("invalid or expired token")]
pub(crate) struct InvalidToken;

/// What a token says about whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user's id.
    pub(crate) sub: Uuid,
    /// The user's address.
    pub(crate) email: String,
    /// The user's role when it was issued; the state's word counts.
    pub(crate) role: String,
    /// `pat`: a personal access token.
    pub(crate) typ: String,
    /// The token's id.
    pub(crate) jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub(crate) iat: i64,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: i64,
}

/// Signs and checks tokens.
pub(crate) struct TokenKeys {
    signing: EncodingKey,
    checking: DecodingKey,
}

impl TokenKeys {
    /// Reads the key from its file, which only the owner can read, or makes one.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => hex::decode(text.trim())
                .ok()
                .filter(|key| key.len() >= 32)
                .map(|key| Self::from_bytes(&key))
                .ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "it does not hold a key")
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(file),
            Err(error) => Err(error),
        }
    }

    fn create(file: &Path) -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::from)?;
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        out.write_all(hex::encode(key).as_bytes())?;
        out.sync_all()?;
        Ok(Self::from_bytes(&key))
    }

    fn from_bytes(key: &[u8]) -> Self {
        Self {
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
        }
    }

    /// Issues a token for a user: its text, which is shown once, and what is kept of it.
    pub(crate) fn issue(
        &self,
        user: &User,
        now: Timestamp,
    ) -> Result<(String, Token), jsonwebtoken::errors::Error> {
        let valid: Span = HOURS_VALID.hours();
        let claims = Claims {
            sub: user.id,
            email: user.email.clone(),
            role: user.role.clone(),
            typ: "pat".into(),
            jti: Uuid::now_v7(),
            iat: now.as_second(),
            exp: now
                .saturating_add(valid)
                .map_or(i64::MAX, Timestamp::as_second),
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)?;
        let token = Token {
            id: claims.jti,
            user: user.id,
            hash: Digest::of(text.as_bytes()),
            created_at: now,
            revoked_at: None,
        };
        Ok((text, token))
    }

    /// The claims of a token that this server signed and whose time is not over.
    pub(crate) fn check(&self, text: &str) -> Result<Claims, InvalidToken> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        jsonwebtoken::decode::<Claims>(text, &self.checking, &rules)
            .map(|token| token.claims)
            .map_err(|_| InvalidToken)
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKeys(…)")
    }
}

/// Letters and digits that are not taken for each other when read aloud or copied by hand.
const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// A new one-time code, `XXXX-XXXX-XXXX`: 60 random bits.
pub(crate) fn new_code() -> io::Result<String> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let mut code = String::with_capacity(14);
    for (place, byte) in random.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        let letter = CODE_ALPHABET.get(usize::from(byte & 31)).copied();
        code.push(letter.map_or('-', char::from));
    }
    Ok(code)
}

/// What is kept and compared of a code: people may type it without hyphens and in small letters.
pub(crate) fn code_hash(code: &str) -> Digest {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    Digest::of(plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn user() -> User {
        User {
            id: Uuid::now_v7(),
            email: "a@b.org".into(),
            role: "admin".into(),
            created_at: Timestamp::now(),
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let (text, token) = TokenKeys::open(&file)
            .unwrap()
            .issue(&user(), Timestamp::now())
            .unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let claims = TokenKeys::open(&file).unwrap().check(&text).unwrap();
        assert_eq!((claims.jti, claims.typ.as_str()), (token.id, "pat"));
        assert_eq!(token.hash, Digest::of(text.as_bytes()));
    }

    #[test]
    fn a_key_file_without_a_key_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "short").unwrap();
        assert!(TokenKeys::open(&file).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"short");
    }

    #[test]
    fn tokens_of_another_key_altered_ones_and_old_ones_are_refused() {
        let keys = TokenKeys::from_bytes(&[1; 32]);
        let (text, _) = keys.issue(&user(), Timestamp::now()).unwrap();
        assert!(keys.check(&text).is_ok());
        assert!(TokenKeys::from_bytes(&[2; 32]).check(&text).is_err());
        let altered = text.replacen('.', ".e30", 1);
        assert!(keys.check(&altered).is_err());
        let long_ago = Timestamp::now() - (HOURS_VALID + 1).hours();
        let (old, _) = keys.issue(&user(), long_ago).unwrap();
        assert!(keys.check(&old).is_err());
    }

    #[test]
    fn a_token_that_names_no_signature_is_refused() {
        let keys = TokenKeys::from_bytes(&[1; 32]);
        let (text, _) = keys.issue(&user(), Timestamp::now()).unwrap();
        let claims = text.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
        assert!(keys.check(&unsigned).is_err());
    }

    #[test]
    fn a_code_may_be_typed_sloppily() {
        let code = new_code().unwrap();
        assert_eq!(code.len(), 14);
        assert_ne!(code, new_code().unwrap());
        let sloppy = code.replace('-', " ").to_lowercase();
        assert_eq!(code_hash(&code), code_hash(&sloppy));
    }
}
