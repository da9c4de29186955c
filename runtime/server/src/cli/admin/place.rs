//! Where the state is reached: through the server that serves it, or in the data folder itself.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use warehouse::{
    AuditReport, CheckReport, DirLock, Manifest, Paths, State, StateError, lock_data_dir,
};

use crate::auth::token::{TokenKeys, token_key_file};
use crate::cli::client::Client;
use crate::cli::output::{CliError, CliResult};
use crate::control::break_glass::{Admitted, BreakGlass, break_glass};
use crate::control::operations::{self, AuditQuery, BackupRequest};
use crate::control::routes::{NotedHead, Rotated};
use crate::control::socket::{Address, Operator};
use crate::credentials::{CredentialStore, Keys};

/// A state within reach.
#[derive(Debug)]
pub(super) enum Place {
    /// A server has it open, and answers at its socket.
    Serving { client: Client, _address: Address },
    /// No server has; none can start meanwhile.
    Stopped { paths: Paths, _lock: DirLock },
}

impl Place {
    pub(super) fn find(data_dir: &Path) -> CliResult<Self> {
        let paths = Paths::new(data_dir).map_err(|error| CliError::advised(&error))?;
        if !paths.state_dir().is_dir() {
            let folder = paths.root().display();
            return Err(CliError::new(format!("there is no state in `{folder}`"))
                .hint("name the server's data folder with --data-dir or SLUICE_DATA_DIR"));
        }
        let socket = paths.admin_socket();
        let address = Address::of(&socket).map_err(|error| CliError::advised(&error))?;
        match UnixStream::connect(&address.path) {
            Ok(_) => Ok(Self::Serving {
                client: Client::local(&address.path)?,
                _address: address,
            }),
            // None was there, or a dead server left it.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                let lock = lock_data_dir(&paths).map_err(|error| CliError::advised(&error))?;
                Ok(Self::Stopped { paths, _lock: lock })
            }
            Err(error) => Err(CliError::new(format!(
                "the socket `{}` cannot be used: {error}",
                socket.display()
            ))
            .hint("run this as the server's user, or as root")),
        }
    }

    pub(super) async fn back_up(&self, request: &BackupRequest) -> CliResult<Manifest> {
        match self {
            Self::Serving { client, .. } => {
                let request = serde_json::to_value(request).unwrap_or_default();
                read(client.post("/backup", &request).await?)
            }
            Self::Stopped { paths, .. } => {
                let key = paths.state_dir().join("master.key");
                let state = open(paths)?;
                operations::back_up(&state, paths, &key, request, Operator::this())
                    .map_err(|error| CliError::advised(&error))
            }
        }
    }

    pub(super) async fn check(&self) -> CliResult<CheckReport> {
        match self {
            Self::Serving { client, .. } => read(client.get("/check").await?),
            // Not opened, since that would bring its schema up to date.
            Self::Stopped { paths, .. } => State::check_file(&paths.system_db()).map_err(failed),
        }
    }

    pub(super) async fn verify_audit(&self, noted: NotedHead) -> CliResult<AuditReport> {
        match self {
            Self::Serving { client, .. } => {
                read(client.get(&query("/audit/verify", &noted)).await?)
            }
            Self::Stopped { paths, .. } => {
                let report = open(paths)?.verify_audit(noted.head.as_ref());
                report.map_err(failed)
            }
        }
    }

    pub(super) async fn break_glass(&self, request: &BreakGlass) -> CliResult<Admitted> {
        match self {
            Self::Serving { client, .. } => {
                let request = serde_json::to_value(request).unwrap_or_default();
                read(client.post("/break-glass", &request).await?)
            }
            Self::Stopped { paths, .. } => {
                break_glass(&open(paths)?, "", request, Operator::this())
                    .map_err(|error| CliError::advised(&error))
            }
        }
    }

    pub(super) async fn rotate_token_key(&self) -> CliResult<()> {
        match self {
            Self::Serving { client, .. } => {
                client.post("/rotate-token-key", &Value::Null).await?;
                Ok(())
            }
            Self::Stopped { paths, .. } => {
                let keys = TokenKeys::open(&token_key_file(paths));
                keys.and_then(|keys| keys.rotate())
                    .map_err(|error| CliError::advised(&error))?;
                let entry = operations::rotated(Operator::this());
                open(paths)?.audit(&entry).map_err(failed)
            }
        }
    }

    pub(super) async fn rotate_key(&self, file: Option<PathBuf>) -> CliResult<Rotated> {
        match self {
            Self::Serving { client, .. } => read(client.post("/rotate-key", &Value::Null).await?),
            Self::Stopped { paths, .. } => {
                let file = file.unwrap_or_else(|| paths.state_dir().join("master.key"));
                let keys = Keys::of(file);
                if !keys.file().exists() {
                    let file = keys.file().display();
                    return Err(CliError::new(format!("there is no key file `{file}`"))
                        .hint("name it with --key-file, or start the server and try again"));
                }
                let state = Arc::new(open(paths)?);
                let opened = CredentialStore::open(state, keys, String::new());
                let entry = operations::key_rotated(Operator::this());
                opened
                    .and_then(|(store, _)| store.rotate(&entry))
                    .map(|credentials| Rotated { credentials })
                    .map_err(|error| CliError::advised(&error))
            }
        }
    }

    /// All entries of an export, page by page.
    pub(super) async fn export_audit(
        &self,
        mut wanted: AuditQuery,
        print: impl Fn(&Value),
    ) -> CliResult<()> {
        let state = match self {
            Self::Serving { .. } => None,
            Self::Stopped { paths, .. } => Some(open(paths)?),
        };
        loop {
            let page: Vec<Value> = match (self, &state) {
                (Self::Serving { client, .. }, _) => {
                    read(client.get(&query("/audit/entries", &wanted)).await?)?
                }
                (_, Some(state)) => {
                    let page = operations::audit_page(state, &wanted).map_err(failed)?;
                    read(serde_json::to_value(page).unwrap_or_default())?
                }
                _ => return Ok(()),
            };
            let Some(last) = page.last() else {
                return Ok(());
            };
            wanted.after = last["seq"].as_u64().unwrap_or(u64::MAX);
            page.iter().for_each(&print);
        }
    }
}

fn open(paths: &Paths) -> CliResult<State> {
    State::open(paths).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: StateError) -> CliError {
    CliError::advised(&error)
}

fn read<T: DeserializeOwned>(answer: Value) -> CliResult<T> {
    serde_json::from_value(answer).map_err(|error| {
        CliError::new(format!("the server's answer cannot be read: {error}"))
            .hint("use the `sluice` of the same version as the server")
    })
}

/// A path with the fields of a flat value that are not null behind it.
fn query<T: Serialize>(path: &str, fields: &T) -> String {
    let fields = serde_json::to_value(fields).unwrap_or_default();
    let mut text = url::form_urlencoded::Serializer::for_suffix(format!("{path}?"), path.len() + 1);
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(value) => drop(text.append_pair(name, value)),
            value => drop(text.append_pair(name, &value.to_string())),
        }
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_what_is_given_and_nothing_that_could_end_it() {
        let wanted = AuditQuery {
            after: 7,
            since: Some("2026-01-02T03:04:05+00:00".parse().unwrap()),
            until: None,
        };
        assert_eq!(
            query("/audit/entries", &wanted),
            "/audit/entries?after=7&since=2026-01-02T03%3A04%3A05Z"
        );
    }
}
