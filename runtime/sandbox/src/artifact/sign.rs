//! ed25519 signatures in the WebAssembly signature section, in the format of `wasmsign2`.

use wasmsign2::{KeyPair, Module, PublicKey, SecretKey, SignatureData};

use super::{ArtifactError, sections};

/// The secret half of a publisher's key.
#[derive(Clone)]
pub struct SigningKey(SecretKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A new one, from the operating system's random numbers.
    pub fn generate() -> Self {
        Self(KeyPair::generate().sk)
    }

    /// Reads a key file: PEM as `to_pem` writes it, OpenSSH without a passphrase, or DER.
    pub fn parse(file: &[u8]) -> Result<Self, ArtifactError> {
        let key = SecretKey::from_any(file).map_err(|_| {
            ArtifactError::Key(
                "this is not an ed25519 secret key: make one with `sluice connector keygen`".into(),
            )
        })?;
        Ok(Self(key))
    }

    /// The key file's content. Whoever has it can sign in the publisher's name.
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }

    /// The public half as 64 hexadecimal digits, which admins trust.
    pub fn public_hex(&self) -> String {
        hex::encode(self.0.sk.public_key().as_ref())
    }
}

/// Puts a publisher's signature into a connector file, in the place of one that is there. Equal input gives equal
/// bytes.
pub fn sign(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, ArtifactError> {
    sections::scan(bytes)?;
    let encode = |error: wasmsign2::WSError| ArtifactError::Encode(error.to_string());
    let module = Module::deserialize(&mut &*bytes).map_err(encode)?;
    let public = public_key(&key.public_hex())?;
    let signed = key.0.sign(module, public.key_id()).map_err(encode)?;
    let mut out = Vec::with_capacity(bytes.len() + 256);
    signed.serialize(&mut out).map_err(encode)?;
    // Lengths are written in their shortest form, and hashed as they stand: proves that both agree.
    verify(&out, &[("self", key.public_hex())])?;
    Ok(out)
}

/// Whose signature a connector file bears, of the publishers that are trusted, each as name and public key in
/// hexadecimal digits.
pub fn verify<N, K>(bytes: &[u8], publishers: &[(N, K)]) -> Result<String, ArtifactError>
where
    N: AsRef<str>,
    K: AsRef<str>,
{
    let found = sections::scan(bytes)?;
    let range = found.signature.ok_or(ArtifactError::Unsigned)?;
    let damaged = |_| ArtifactError::Malformed {
        offset: range.start as u64,
        reason: "its signature cannot be read".into(),
    };
    let payload = bytes.get(range.clone()).unwrap_or_default();
    let signature = SignatureData::deserialize(payload).map_err(damaged)?;
    // The format also knows signatures over the first sections only, which would let a file be cut short.
    if signature
        .signed_hashes_set
        .iter()
        .any(|set| set.hashes.len() != 1)
    {
        return Err(ArtifactError::PartlySigned);
    }
    let mut named = None;
    for (name, public_hex) in publishers {
        let key = public_key(public_hex.as_ref())?;
        if key.verify(&mut &*bytes, None).is_ok() {
            return Ok(name.as_ref().to_owned());
        }
        let sets = signature.signed_hashes_set.iter();
        let mut signatures = sets.flat_map(|set| &set.signatures);
        if signatures.any(|signature| signature.key_id.as_ref() == key.key_id()) {
            named = Some(name.as_ref().to_owned());
        }
    }
    Err(match named {
        Some(publisher) => ArtifactError::Tampered { publisher },
        None => ArtifactError::UnknownKey,
    })
}

fn public_key(public_hex: &str) -> Result<PublicKey, ArtifactError> {
    /// What `wasmsign2` puts before the 32 bytes of an ed25519 public key.
    const ED25519: u8 = 1;
    let wrong = || ArtifactError::Key("a publisher's public key has 64 hexadecimal digits".into());
    let mut bytes = [ED25519; 33];
    let (_, key) = bytes.split_at_mut(1);
    hex::decode_to_slice(public_hex.trim(), key).map_err(|_| wrong())?;
    let key = PublicKey::from_bytes(&bytes).map_err(|_| wrong())?;
    Ok(key.attach_default_key_id())
}
