//! Which server, and as whom: the environment, then the files in `~/.config/da`, which only their owner reads.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::error::{Error, io};

/// Where the client keeps what it must remember.
#[derive(Debug)]
pub(crate) struct Config {
    folder: PathBuf,
    /// What `--server` said.
    server: Option<String>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Config {
    pub(crate) fn new(server: Option<String>) -> Self {
        let home = || PathBuf::from(variable("HOME").unwrap_or_else(|| ".".into()));
        let folder = variable("DA_CONFIG_DIR").map(PathBuf::from);
        Self {
            folder: folder.unwrap_or_else(|| home().join(".config/da")),
            server,
        }
    }

    /// The server's address without a slash at its end: the option, DA_SERVER, the file.
    pub(crate) fn server(&self) -> String {
        let named = self.server.clone().or_else(|| variable("DA_SERVER"));
        let server = named.or_else(|| self.saved_server());
        let server = server.unwrap_or_else(|| "http://localhost:8000".into());
        server.trim_end_matches('/').to_owned()
    }

    /// Whether a server was ever named.
    pub(crate) fn has_server(&self) -> bool {
        let named = self.server.is_some() || variable("DA_SERVER").is_some();
        named || self.saved_server().is_some()
    }

    /// What was kept under this name.
    pub(crate) fn cached(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }

    /// Keeps what can be found out again.
    pub(crate) fn cache(&self, name: &str, text: &str) -> Result<(), Error> {
        self.write(&self.folder.join(name), text)
    }

    fn saved_server(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("config.yaml")).ok()?;
        let server = text.lines().find_map(|line| line.strip_prefix("server:"))?;
        Some(server.trim().trim_matches(['"', '\'']).to_owned()).filter(|s| !s.is_empty())
    }

    /// DA_TOKEN before the file: what a machine is told beats what was left on it.
    pub(crate) fn token(&self) -> Option<String> {
        variable("DA_TOKEN").or_else(|| {
            let text = fs::read_to_string(self.folder.join("token.json")).ok()?;
            let saved: Value = serde_json::from_str(&text).ok()?;
            saved["access_token"].as_str().map(str::to_owned)
        })
    }

    pub(crate) fn save_server(&self, server: &str) -> Result<(), Error> {
        let path = self.folder.join("config.yaml");
        let old = fs::read_to_string(&path).unwrap_or_default();
        let kept = old.lines().filter(|line| !line.starts_with("server:"));
        let mut lines: Vec<&str> = kept.collect();
        let server = format!("server: {}", server.trim_end_matches('/'));
        lines.push(&server);
        self.write(&path, &format!("{}\n", lines.join("\n")))
    }

    pub(crate) fn save_token(&self, token: &str, email: &str, role: &str) -> Result<(), Error> {
        let saved = json!({"access_token": token, "email": email, "role": role});
        self.write(&self.folder.join("token.json"), &format!("{saved:#}\n"))
    }

    pub(crate) fn forget_token(&self) -> Result<(), Error> {
        let path = self.folder.join("token.json");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("cannot delete", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Never readable by others, not for a moment: the new file is renamed over the old.
    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let wrong = || io("cannot write", path);
        let mut folder = fs::DirBuilder::new();
        folder
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(wrong())?;
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(wrong())?;
        fs::rename(&fresh, path).map_err(wrong())
    }
}

/// What a token says of its owner. It is not verified: that is for the server.
pub(crate) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.trim().split('.');
    let (_, body, _) = (parts.next()?, parts.next()?, parts.next()?);
    let body = BASE64_URL_SAFE_NO_PAD
        .decode(body.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            folder: folder.path().join("da"),
            server: None,
        };
        config
            .save_token("a.b.c", "ada@example.com", "user")
            .unwrap();
        config.save_server("http://a/").unwrap();
        config.save_server("http://b/").unwrap();
        assert_eq!(config.saved_server().as_deref(), Some("http://b"));
        for name in ["token.json", "config.yaml"] {
            let data = fs::metadata(config.folder.join(name)).unwrap();
            assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_token_that_is_no_jwt_has_no_claims() {
        assert!(claims("opaque").is_none());
        assert!(claims("a.!!.c").is_none());
        assert_eq!(claims("x.eyJlbWFpbCI6ImEifQ.y").unwrap()["email"], "a");
    }
}
