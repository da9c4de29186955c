//! Credentials at rest: sealed with a key that never enters the state store, each to its own slot, so
//! that whoever can write to the store can neither read a value nor move it to a slot of another host.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use domain::Secret;
use thiserror::Error;

pub mod key;
pub mod rotate;

pub use key::{KeyError, KeyOrigin, MasterKey};

/// The form of what `seal` returns: this byte, a nonce, the ciphertext with its tag.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Why a credential could not be sealed or opened.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// Encryption failed, which only a value beyond all sizes can cause.
    #[error("the credential is too large to be sealed")]
    TooLarge,
    /// The value has another form than this program writes.
    #[error(
        "the sealed credential `{context}` is malformed or was written by a newer version; enter it again"
    )]
    Malformed {
        /// Which credential it is.
        context: String,
    },
    /// It was sealed with another key or for another slot, or was altered.
    #[error(
        "the sealed credential `{context}` cannot be opened: the master key is another one, or the value was altered or moved; restore the key or enter the credential again"
    )]
    Refused {
        /// Which credential it is.
        context: String,
    },
}

/// Seals and opens credentials with one master key.
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// A vault that uses this key.
    pub fn new(key: &MasterKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&(*key.bytes()).into()),
        }
    }

    /// Seals a value for one context, such as `source/slot`; only the same context opens it.
    pub fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let payload = Payload {
            msg: secret.expose(),
            aad: &associated(context),
        };
        let ciphertext = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| VaultError::TooLarge)?;
        Ok([&[VERSION], nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what `seal` returned for the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let malformed = || VaultError::Malformed {
            context: context.to_owned(),
        };
        let (version, rest) = sealed.split_first().ok_or_else(malformed)?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(malformed)?;
        if *version != VERSION {
            return Err(malformed());
        }
        let payload = Payload {
            msg: ciphertext,
            aad: &associated(context),
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Secret::new)
            .map_err(|_| VaultError::Refused {
                context: context.to_owned(),
            })
    }
}

/// The version is bound too, so that no later form can be passed off as this one.
fn associated(context: &str) -> Vec<u8> {
    [&[VERSION], context.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn vault(key: &str) -> Vault {
        Vault::new(&MasterKey::parse(key).unwrap())
    }

    #[test]
    fn what_was_sealed_opens_in_its_own_context_only() {
        let vault = vault(KEY);
        let secret = Secret::new("canary-7f3a");
        let sealed = vault.seal("shop/api-key", &secret).unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"canary"));
        assert_eq!(vault.open("shop/api-key", &sealed).unwrap(), secret);
        for context in ["shop/other", "evil/api-key", "shop/api-ke", ""] {
            let error = vault.open(context, &sealed).unwrap_err();
            assert!(matches!(error, VaultError::Refused { .. }), "{context}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let vault = vault(KEY);
        let secret = Secret::new("x");
        assert_ne!(
            vault.seal("a", &secret).unwrap(),
            vault.seal("a", &secret).unwrap()
        );
    }

    #[test]
    fn every_altered_or_cut_value_is_refused() {
        let vault = vault(KEY);
        let sealed = vault.seal("a/b", &Secret::new("value")).unwrap();
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(vault.open("a/b", &altered).is_err(), "byte {position}");
            assert!(
                vault.open("a/b", &sealed[..position]).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn another_key_does_not_open_it_and_the_error_names_the_credential_only() {
        let sealed = vault(KEY).seal("shop/key", &Secret::new("canary")).unwrap();
        let other = KEY.replace("00", "ff");
        let error = vault(&other).open("shop/key", &sealed).unwrap_err();
        assert!(error.to_string().contains("shop/key"), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
