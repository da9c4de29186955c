//! What an operator may do to the state; the same whether a server serves it or none does.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use warehouse::{
    AuditEntry, AuditFilter, AuditRecord, BackupError, Manifest, Paths, State, StateError,
};

use super::socket::Operator;

/// Entries of one page of an export.
const PAGE: u32 = 1000;

/// Where a backup goes and what goes along.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BackupRequest {
    pub(crate) to: PathBuf,
    pub(crate) with_master_key: bool,
}

/// Which part of the audit log comes next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct AuditQuery {
    /// The last entry that was read.
    #[serde(default)]
    pub(crate) after: u64,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// Takes a backup and notes who did.
pub(crate) fn back_up(
    state: &State,
    paths: &Paths,
    master_key: &Path,
    request: &BackupRequest,
    operator: Operator,
) -> Result<Manifest, BackupError> {
    let key = request.with_master_key.then_some(master_key);
    let manifest = state.backup(paths, &request.to, key)?;
    let params = json!({"with_master_key": request.with_master_key});
    let entry = AuditEntry {
        resource: Some(request.to.display().to_string()),
        ..entry("state.backup", operator, params)
    };
    state.audit(&entry)?;
    Ok(manifest)
}

/// Something that an operator did at the machine itself, where nobody signs in: the user id of the
/// operating system says who.
pub(crate) fn entry(
    action: &'static str,
    operator: Operator,
    mut params: serde_json::Value,
) -> AuditEntry {
    params["operator_uid"] = operator.uid.into();
    AuditEntry {
        params,
        result: Some("ok".to_owned()),
        ..AuditEntry::new(action)
    }
}

/// What the audit says about a new key of the tokens.
pub(crate) fn rotated(operator: Operator) -> AuditEntry {
    entry("token_key.rotate", operator, json!({}))
}

/// What the audit says about a new master key.
pub(crate) fn key_rotated(operator: Operator) -> AuditEntry {
    entry("master_key.rotate", operator, json!({}))
}

/// The next entries of an export; none at its end.
pub(crate) fn audit_page(
    state: &State,
    query: &AuditQuery,
) -> Result<Vec<AuditRecord>, StateError> {
    let filter = AuditFilter {
        since: query.since,
        until: query.until,
        ..AuditFilter::default()
    };
    state.audit_page(&filter, query.after, PAGE)
}
