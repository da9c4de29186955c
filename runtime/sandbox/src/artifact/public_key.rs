//! The forms in which publishers hand over the public half of an ed25519 key. Strict: what is not
//! exactly one key is no key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ArtifactError;

/// More than a key and a comment have.
const MAX_TEXT: usize = 8 << 10;

/// What the binary form of OpenSSH puts before the 32 bytes: the length of the name, the name, the
/// length of the key.
const OPENSSH: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

/// What SubjectPublicKeyInfo in DER puts before the 32 bytes: a sequence of the algorithm 1.3.101.112
/// and a bit string.
const SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Reads a public key as 64 hexadecimal digits, in a line of OpenSSH, or in PEM; a comment may follow
/// the first two. Gives the 64 digits.
pub fn parse_public_key(text: &str) -> Result<String, ArtifactError> {
    let text = text.trim();
    let key = match text.split_whitespace().next() {
        _ if text.len() > MAX_TEXT => None,
        Some("ssh-ed25519") => openssh(text),
        Some(_) if text.starts_with(BEGIN) => pem(text),
        Some(word) if text.lines().count() == 1 => digits(word),
        _ => None,
    };
    let key = key.ok_or_else(|| {
        ArtifactError::Key(
            "this is not one ed25519 public key: give 64 hexadecimal digits, a line `ssh-ed25519 AAAA…`, or PEM that begins with `-----BEGIN PUBLIC KEY-----`".into(),
        )
    })?;
    Ok(hex::encode(key))
}

fn digits(word: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(word, &mut key).ok()?;
    Some(key)
}

fn openssh(text: &str) -> Option<[u8; 32]> {
    if text.lines().count() != 1 {
        return None;
    }
    after(OPENSSH, text.split_whitespace().nth(1)?)
}

fn pem(text: &str) -> Option<[u8; 32]> {
    let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: String = body.split_ascii_whitespace().collect();
    after(SPKI, &body)
}

/// The key behind the one head that it can have.
fn after(head: &[u8], encoded: &str) -> Option<[u8; 32]> {
    let bytes = STANDARD.decode(encoded).ok()?;
    bytes.strip_prefix(head)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::SigningKey;

    const HEX: &str = "ce6acfd41e57e8a2a9cf4a3a9f96b0b6b2b2fd6cb9a9b3e8c1c7f2f0a1b2c3d4";

    fn encoded(head: &[u8], key: &str) -> String {
        STANDARD.encode([head, &hex::decode(key).unwrap()].concat())
    }

    #[test]
    fn a_key_is_the_same_in_every_form() {
        let ssh = format!("ssh-ed25519 {} ada@example\n", encoded(OPENSSH, HEX));
        let pem = format!("{BEGIN}\n{}\n{END}\n", encoded(SPKI, HEX));
        let digits = format!("{} a comment\n", HEX.to_uppercase());
        for text in [HEX, &digits, &ssh, &pem, &pem.replace('\n', "\r\n")] {
            assert_eq!(parse_public_key(text).unwrap(), HEX, "{text}");
        }
    }

    #[test]
    fn a_key_that_openssh_and_openssl_wrote_is_read() {
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGW6I2EcyYyCE1fYjEipNukW+f2+nc9409NLNDd5S51p me@host";
        assert_eq!(parse_public_key(ssh).unwrap().len(), 64);
        // The test vector of RFC 8410.
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
        assert_eq!(
            parse_public_key(pem).unwrap(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
    }

    #[test]
    fn what_is_not_one_ed25519_key_is_refused() {
        let ssh = format!("ssh-ed25519 {}", encoded(OPENSSH, HEX));
        let long = format!("{HEX}{HEX}");
        for text in [
            "",
            "abc",
            "ssh-ed25519",
            "ssh-ed25519 !!!",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAB3NzaC1yc2E=",
            &format!("{ssh}\n{ssh}"),
            &format!("{HEX}\n{HEX}"),
            &format!("ssh-ed25519 {}", encoded(SPKI, HEX)),
            &format!("ssh-ed25519 {}", encoded(OPENSSH, &long)),
            &format!("{BEGIN}\n{}\n{END}", encoded(OPENSSH, HEX)),
            &format!("{BEGIN}\n{}", encoded(SPKI, HEX)),
            &format!("{HEX} {}", "x".repeat(MAX_TEXT)),
            &SigningKey::generate().to_pem(),
        ] {
            assert!(parse_public_key(text).is_err(), "{text}");
        }
    }
}
