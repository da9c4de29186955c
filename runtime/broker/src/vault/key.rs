//! The master key: from the environment, or from a file that the first start creates for its owner
//! alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use domain::Secret;
use thiserror::Error;

const KEY_BYTES: usize = 32;
/// More than any form of a key with its line end.
const MAX_TEXT: u64 = 256;

/// Why there is no master key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The environment variable holds something else.
    #[error(
        "SLUICE_MASTER_KEY is not a key: give 64 hexadecimal digits, or 32 bytes in base64, as from `openssl rand -hex 32`"
    )]
    Environment,
    /// The file holds something else.
    #[error(
        "the key file {path} does not hold a key: restore it from a backup, since without it no stored credential can be read"
    )]
    File {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the file.
    #[error("the key file {path} can be read by others (mode {mode:o}): `chmod 600` it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read or created.
    #[error("the key file {path} cannot be read or created")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// The key before is still there.
    #[error(
        "the last change of the master key was not finished: {path} is still there; start the server, which finishes it"
    )]
    Unfinished {
        /// The key before.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a master key")]
    Random(#[source] getrandom::Error),
}

/// Where a master key came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrigin {
    /// From the environment variable.
    Environment,
    /// From the file, which was there.
    File,
    /// From the file, which was created just now: tell the operator to keep a copy.
    Created,
}

/// 32 bytes that seal every credential.
pub struct MasterKey(Box<[u8; KEY_BYTES]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        // Best effort without unsafe code, as for every secret.
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl MasterKey {
    /// Reads 64 hexadecimal digits, or 32 bytes in base64 of either alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let decoded = hex::decode(text).ok().or_else(|| {
            [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD]
                .iter()
                .find_map(|engine| engine.decode(text).ok())
        })?;
        let decoded = Secret::new(decoded);
        Some(Self(Box::new(decoded.expose().try_into().ok()?)))
    }

    /// The value of `SLUICE_MASTER_KEY` where it is given, else the content of the file, which is
    /// created with mode 0600 where it is missing.
    pub fn from_env_or_file(
        environment: Option<&str>,
        path: &Path,
    ) -> Result<(Self, KeyOrigin), KeyError> {
        if let Some(text) = environment {
            let key = Self::parse(text).ok_or(KeyError::Environment)?;
            return Ok((key, KeyOrigin::Environment));
        }
        let created = match create(path)? {
            Created::New => KeyOrigin::Created,
            Created::WasThere => KeyOrigin::File,
        };
        Ok((read_file(path)?, created))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

/// The key in a file that nobody else can read.
pub(super) fn read_file(path: &Path) -> Result<MasterKey, KeyError> {
    let broken = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(broken)?;
    let mode = file.metadata().map_err(broken)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut text).map_err(broken)?;
    let text = Secret::new(text);
    std::str::from_utf8(text.expose())
        .ok()
        .and_then(MasterKey::parse)
        .ok_or_else(|| KeyError::File {
            path: path.to_owned(),
        })
}

enum Created {
    New,
    WasThere,
}

/// Writes a whole key beside the file and links it into place: a crash leaves no half key, and of two
/// servers that start at once one wins and both use its key.
fn create(path: &Path) -> Result<Created, KeyError> {
    if path.exists() {
        return Ok(Created::WasThere);
    }
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    write_new(&draft)?;
    let outcome = match fs::hard_link(&draft, path) {
        Ok(()) => Ok(Created::New),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::WasThere),
        Err(error) => Err(error),
    };
    let removed = fs::remove_file(&draft);
    let broken = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let created = outcome.map_err(broken)?;
    removed.map_err(broken)?;
    sync_folder(path)?;
    Ok(created)
}

/// Waits until the names in the folder of this file are on the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), KeyError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| KeyError::Io {
            path: path.to_owned(),
            source,
        })
}

/// Writes a new key to a file that is not there yet, and waits until it is on the disk.
pub(super) fn write_new(path: &Path) -> Result<(), KeyError> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    let text = Secret::new(format!("{}\n", hex::encode(bytes)));
    bytes.fill(0);
    write_draft(path, text.expose()).map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })
}

fn write_draft(draft: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_read_in_hex_and_in_both_base64_alphabets() {
        let bytes = [0xfb; 32];
        for text in [
            hex::encode(bytes),
            format!("{}\n", hex::encode_upper(bytes)),
            STANDARD.encode(bytes),
            URL_SAFE.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap().bytes(), &bytes, "{text}");
        }
        for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            assert!(MasterKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_created_for_its_owner_alone_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (first, origin) = MasterKey::from_env_or_file(None, &path).unwrap();
        assert_eq!(origin, KeyOrigin::Created);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (second, origin) = MasterKey::from_env_or_file(None, &path).unwrap();
        assert_eq!(origin, KeyOrigin::File);
        assert_eq!(first.bytes(), second.bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_environment_comes_first_and_creates_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let (_, origin) = MasterKey::from_env_or_file(Some(&"ab".repeat(32)), &path).unwrap();
        assert_eq!(origin, KeyOrigin::Environment);
        assert!(!path.exists());
        let error = MasterKey::from_env_or_file(Some("canary"), &path).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("canary"));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        fs::write(&path, "ab".repeat(32)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = MasterKey::from_env_or_file(None, &path).unwrap_err();
        assert!(
            matches!(error, KeyError::Exposed { mode: 0o644, .. }),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(MasterKey::from_env_or_file(None, &path).is_ok());
        fs::write(&path, "half a k").unwrap();
        let error = MasterKey::from_env_or_file(None, &path).unwrap_err();
        assert!(matches!(error, KeyError::File { .. }), "{error}");
    }
}
