//! What a folder holds, and of which server.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::workspace::{Workspace, replace};

/// A table as the manifest names it, and as it was last received.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub(super) hash: String,
    #[serde(default)]
    pub(crate) rows: Option<u64>,
    #[serde(default)]
    pub(super) size_bytes: Option<u64>,
    #[serde(default, skip_serializing)]
    pub(super) query_mode: Option<String>,
}

/// What this folder holds, and of which server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) server: String,
    pub(crate) tables: BTreeMap<String, Entry>,
    #[serde(default)]
    pub(crate) last_sync: String,
}

impl State {
    /// What a sync left here; nothing where there was none.
    pub(crate) fn held(workspace: &Workspace) -> Result<Option<Self>, Error> {
        let path = workspace.state();
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::Said(format!(
                "{} cannot be read: {error}. Delete it; the next sync downloads all anew.",
                path.display()
            ))
        })
    }

    /// Of this server: tables of two servers in one folder would take each other's place.
    pub(super) fn read(workspace: &Workspace, server: &str) -> Result<Self, Error> {
        let Some(state) = Self::held(workspace)? else {
            return Ok(Self {
                server: server.to_owned(),
                ..Self::default()
            });
        };
        if state.server != server {
            let text = format!(
                "this folder holds tables of {}, not of {server}. Use another folder (DA_LOCAL_DIR), or delete {}",
                state.server,
                workspace.root.join("server").display()
            );
            return Err(Error::Said(text));
        }
        Ok(state)
    }

    pub(super) fn write(&self, workspace: &Workspace) -> Result<(), Error> {
        replace(
            &workspace.state(),
            format!("{:#}\n", json!(self)).as_bytes(),
        )
    }
}
