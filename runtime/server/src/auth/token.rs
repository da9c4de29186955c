//! Bearer tokens: signed JWTs, so that old clients can read their claims, whose sha256 is also kept
//! in the state, so that they can be revoked.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use domain::access::Scopes;
use domain::{Digest, Token, TokenKind, User};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use warehouse::Paths;

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
    /// `session`, `pat` or `desktop`.
    pub(crate) typ: String,
    /// The token's id.
    pub(crate) jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub(crate) iat: i64,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: i64,
}

/// What is to be issued.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) name: &'a str,
    pub(crate) scopes: Scopes,
    pub(crate) valid: SignedDuration,
}

/// One key, and the name under which tokens say that it signed them.
struct Key {
    id: String,
    signing: EncodingKey,
    checking: DecodingKey,
}

impl Key {
    fn from_bytes(key: &[u8]) -> Self {
        let mut id = Digest::of(key).to_string();
        id.truncate(8);
        Self {
            id,
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
        }
    }
}

/// The key that signs, and the one before, which still checks.
struct Ring {
    current: Key,
    previous: Option<Key>,
}

/// Signs and checks tokens.
pub(crate) struct TokenKeys {
    file: PathBuf,
    ring: RwLock<Ring>,
    /// Counts the states of the ring, from 1.
    version: AtomicU64,
}

/// Where the key of the tokens lies.
pub(crate) fn token_key_file(paths: &Paths) -> PathBuf {
    paths.state_dir().join(".jwt_secret")
}

impl TokenKeys {
    /// Reads the keys from their files, which only the owner can read, or makes the first.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        Ok(Self {
            ring: RwLock::new(read_ring(file)?),
            file: file.to_owned(),
            version: AtomicU64::new(1),
        })
    }

    /// Signs with a new key from now on. Tokens that the last key signed stay good, those of the key
    /// before end.
    pub(crate) fn rotate(&self) -> io::Result<()> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        std::fs::rename(&self.file, previous_file(&self.file))?;
        // Whatever happens next: no token counts as checked by the keys that were.
        self.version.fetch_add(1, Ordering::Release);
        *ring = read_ring(&self.file)?;
        Ok(())
    }

    /// Which state of the keys this is. Another one may find other tokens good.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Issues a token for a user: its text, which is shown once, and what is kept of it.
    pub(crate) fn issue(
        &self,
        user: &User,
        role: &str,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<(String, Token), jsonwebtoken::errors::Error> {
        let expires_at = now.saturating_add(wanted.valid).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            sub: user.id,
            email: user.email.clone(),
            role: role.to_owned(),
            typ: wanted.kind.as_str().to_owned(),
            jti: Uuid::now_v7(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
        };
        let text = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(ring.current.id.clone());
            jsonwebtoken::encode(&header, &claims, &ring.current.signing)?
        };
        let token = Token {
            id: claims.jti,
            user: user.id,
            kind: wanted.kind,
            name: wanted.name.to_owned(),
            hash: Digest::of(text.as_bytes()),
            scopes: wanted.scopes.clone(),
            created_at: now,
            expires_at,
            last_used_at: None,
            last_used_from: None,
            revoked_at: None,
        };
        Ok((text, token))
    }

    /// The claims of a token that this server signed and whose time is not over.
    pub(crate) fn check(&self, text: &str) -> Result<Claims, InvalidToken> {
        let header = jsonwebtoken::decode_header(text).map_err(|_| InvalidToken)?;
        let named = |key: &&Key| header.kid.as_deref() == Some(key.id.as_str());
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        // Tokens of the first release name no key.
        let key = ring.previous.iter().find(named).unwrap_or(&ring.current);
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        jsonwebtoken::decode::<Claims>(text, &key.checking, &rules)
            .map(|token| token.claims)
            .map_err(|_| InvalidToken)
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKeys(…)")
    }
}

fn read_ring(file: &Path) -> io::Result<Ring> {
    let current = match read_key(file)? {
        Some(key) => key,
        None => create_key(file)?,
    };
    let previous = read_key(&previous_file(file))?;
    Ok(Ring {
        current: Key::from_bytes(&current),
        previous: previous.map(|key| Key::from_bytes(&key)),
    })
}

fn previous_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".previous");
    name.into()
}

fn read_key(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let key = hex::decode(text.trim()).ok().filter(|key| key.len() >= 32);
    key.map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not hold a key"))
}

fn create_key(file: &Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(io::Error::from)?;
    // Under its name only when it is whole: whoever is killed here must be able to start again.
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    out.write_all(hex::encode(&key).as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&draft, file)?;
    Ok(key)
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

    fn issue(keys: &TokenKeys, now: Timestamp) -> (String, Token) {
        let wanted = Wanted {
            kind: TokenKind::Personal,
            name: "test",
            scopes: Scopes::All,
            valid: SignedDuration::from_hours(24),
        };
        let user = User::new("a@b.org", "");
        keys.issue(&user, "user", &wanted, now).unwrap()
    }

    fn keys(byte: u8) -> TokenKeys {
        let current = Key::from_bytes(&[byte; 32]);
        TokenKeys {
            file: PathBuf::new(),
            ring: RwLock::new(Ring {
                current,
                previous: None,
            }),
            version: AtomicU64::new(1),
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let (text, token) = issue(&TokenKeys::open(&file).unwrap(), Timestamp::now());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let claims = TokenKeys::open(&file).unwrap().check(&text).unwrap();
        assert_eq!((claims.jti, claims.typ.as_str()), (token.id, "pat"));
        assert_eq!(token.hash, Digest::of(text.as_bytes()));
    }

    #[test]
    fn after_a_rotation_the_tokens_of_the_last_key_stay_good_and_after_two_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let keys = TokenKeys::open(&file).unwrap();
        let (first, _) = issue(&keys, Timestamp::now());
        keys.rotate().unwrap();
        let (second, _) = issue(&keys, Timestamp::now());
        assert!(keys.check(&first).is_ok() && keys.check(&second).is_ok());
        let reopened = TokenKeys::open(&file).unwrap();
        assert!(reopened.check(&first).is_ok() && reopened.check(&second).is_ok());
        keys.rotate().unwrap();
        assert!(keys.check(&first).is_err() && keys.check(&second).is_ok());
    }

    #[test]
    fn half_a_key_of_a_server_that_was_killed_while_it_wrote_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.new"), "ha").unwrap();
        let keys = TokenKeys::open(&folder.path().join("key")).unwrap();
        keys.rotate().unwrap();
        assert!(!folder.path().join("key.new").exists());
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
        let own = keys(1);
        let (text, _) = issue(&own, Timestamp::now());
        assert!(own.check(&text).is_ok());
        assert!(keys(2).check(&text).is_err());
        let altered = text.replacen('.', ".e30", 1);
        assert!(own.check(&altered).is_err());
        let long_ago = Timestamp::now() - SignedDuration::from_hours(25);
        let (old, _) = issue(&own, long_ago);
        assert!(own.check(&old).is_err());
    }

    #[test]
    fn a_token_that_names_no_signature_is_refused() {
        let own = keys(1);
        let (text, _) = issue(&own, Timestamp::now());
        let claims = text.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
        assert!(own.check(&unsigned).is_err());
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
