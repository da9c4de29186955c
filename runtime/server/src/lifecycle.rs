//! How a source moves between the versions of its connector: up, where its grant allows it or an admin
//! grants more; and back, with the cursors that it had.
//!
//! A move holds the source, so that no run is under way, and is one transaction of the state. Only a
//! rollback touches two files: it is written down before it begins, and ended at the next start where
//! the server died in between.

use std::collections::BTreeMap;

use domain::{Capabilities, Digest, Failure, Move, MoveKind, Pin, Source, SourceName, Version};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use warehouse::{AuditEntry, StateError, Upgrade, Warehouse};

use crate::api::sources::{find, find_version, on};
use crate::app::App;
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// What a source may do, and what a version asks for.
pub(crate) struct Standing {
    /// The version that asks: the one that waits, or else the one that the source is at.
    pub(crate) version: Version,
    /// Whether the source is at another version as long as this one is not granted.
    pub(crate) waiting: bool,
    pub(crate) granted: Capabilities,
    pub(crate) requested: Capabilities,
}

impl Standing {
    pub(crate) fn of(app: &App, source: &Source) -> ApiResult<Self> {
        let waiting = app.state().waiting_move(&source.name)?;
        let waiting = waiting.filter(|planned| planned.kind == MoveKind::Upgrade);
        let asked = waiting.as_ref().map_or(source.version, |w| w.version);
        let version = known(app, &asked)?;
        let requested = ingest::plan(&version.manifest, &source.settings)?;
        Ok(Self {
            version,
            waiting: waiting.is_some(),
            granted: source.granted.clone(),
            requested,
        })
    }

    /// What is asked for and was not granted, a line each.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.requested.beyond(&self.granted)
    }
}

/// Who moves a source.
pub(crate) enum Mover<'a> {
    /// An admin.
    Admin(&'a By),
    /// The host, as an admin decided, after a comparison in which the versions agreed.
    Host {
        decided_by: Option<Uuid>,
        comparison: Uuid,
    },
}

impl Mover<'_> {
    fn user(&self) -> Option<Uuid> {
        match self {
            Self::Admin(by) => Some(by.user),
            Self::Host { decided_by, .. } => *decided_by,
        }
    }

    fn moving(&self, source: &Source, to: &Version) -> AuditEntry {
        let mut what = json!({"from": source.version, "to": to.digest});
        match self {
            Self::Admin(by) => by.entry_with("source.upgrade", on(&source.name), what),
            Self::Host {
                decided_by,
                comparison,
            } => {
                what["comparison"] = json!(comparison);
                AuditEntry {
                    user: *decided_by,
                    resource: Some(on(&source.name)),
                    params: what,
                    result: Some("ok".into()),
                    ..AuditEntry::new("source.upgrade")
                }
            }
        }
    }
}

/// How a move ended.
pub(crate) enum Moved {
    /// The source is at the version.
    Now(Digest),
    /// It stays where it is until this is granted.
    Waits(Digest, Vec<String>),
}

/// Moves a source to a version, by default the newest that is trusted; it waits where that asks for
/// more than was granted.
pub(crate) fn upgrade(
    app: &App,
    by: &By,
    name: &SourceName,
    to: Option<Digest>,
) -> ApiResult<Moved> {
    let _kept = app.components.keep();
    let source = find(app, name)?;
    let version = find_version(app, &source.connector, to)?;
    if version.digest == source.version {
        return Err(ApiError::conflict(
            "version-pinned",
            format!(
                "Source `{}` is at version {} already",
                source.name,
                version.digest.short()
            ),
        ));
    }
    let requested = ingest::plan(&version.manifest, &source.settings)?;
    let missing = requested.beyond(&source.granted);
    if missing.is_empty() {
        return change(app, &Mover::Admin(by), &source, &version, None);
    }
    trusted(&version)?;
    let planned = planned(by, &source, version.digest, MoveKind::Upgrade);
    let what = json!({"from": source.version, "to": version.digest, "missing": missing});
    let entry = by.entry_with("source.upgrade", on(&source.name), what);
    app.state().insert_move(&planned, &with(entry, "waiting"))?;
    Ok(Moved::Waits(version.digest, missing))
}

/// Grants a source what its version asks for, or what the admin says, and lets go the upgrade that
/// waited for it.
pub(crate) fn grant(
    app: &App,
    by: &By,
    name: &SourceName,
    grant: Option<Capabilities>,
) -> ApiResult<Moved> {
    let _kept = app.components.keep();
    let source = find(app, name)?;
    let standing = Standing::of(app, &source)?;
    let granted = grant.unwrap_or_else(|| source.granted.and(&standing.requested));
    let granted = ingest::check_grant(&standing.requested, granted)?;
    if standing.waiting {
        let more = (&granted, granting(by, &source, &granted));
        return change(
            app,
            &Mover::Admin(by),
            &source,
            &standing.version,
            Some(more),
        );
    }
    let entry = granting(by, &source, &granted);
    app.state().set_granted(&source.name, &granted, &entry)?;
    Ok(Moved::Now(source.version))
}

/// Refuses what an upgrade waits for: the source stays where it is.
pub(crate) fn refuse(app: &App, by: &By, name: &SourceName) -> ApiResult<()> {
    let source = find(app, name)?;
    let entry = by.entry("source.upgrade", on(&source.name));
    Ok(app
        .state()
        .delete_move(&source.name, MoveKind::Upgrade, &with(entry, "refused"))?)
}

/// Moves a source now; with `granted` it may do that from then on, with the entry that says so.
pub(crate) fn change(
    app: &App,
    mover: &Mover<'_>,
    source: &Source,
    to: &Version,
    granted: Option<(&Capabilities, AuditEntry)>,
) -> ApiResult<Moved> {
    trusted(to)?;
    let _hold = app.ingest.hold(&source.name)?;
    let mark = app.warehouse.extracts.mark(&source.name)?;
    let (granted, granting) = granted.unzip();
    let moved = mover.moving(source, to);
    let entries: Vec<_> = granting.into_iter().chain([moved]).collect();
    let upgrade = Upgrade {
        source,
        to: to.digest,
        granted,
        mark: &mark,
        by: mover.user(),
    };
    match app.state().upgrade_source(&upgrade, &entries) {
        Ok(()) => Ok(Moved::Now(to.digest)),
        // It was there when this began.
        Err(StateError::NotFound { .. }) => Err(ApiError::conflict(
            "source-moved",
            format!(
                "Source `{}` was moved by somebody else meanwhile; look at it again",
                source.name
            ),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Where a rollback led, and by how many rows tables became shorter.
pub(crate) struct RolledBack {
    pub(crate) version: Digest,
    pub(crate) rows_removed: BTreeMap<String, u64>,
}

/// Brings a source back to the version that it left last, with the cursors that it had then.
pub(crate) fn rollback(app: &App, by: &By, name: &SourceName) -> ApiResult<RolledBack> {
    let _kept = app.components.keep();
    let name = find(app, name)?.name;
    let _hold = app.ingest.hold(&name)?;
    let source = find(app, &name)?;
    let Some(pin) = app.state().pins(&name)?.into_iter().next() else {
        return Err(ApiError::conflict(
            "nothing-to-roll-back",
            format!("Source `{name}` has left no version to which it could go back"),
        ));
    };
    trusted(&known(app, &pin.version)?)?;
    let planned = planned(by, &source, pin.version, MoveKind::Rollback);
    let what = json!({"from": source.version, "to": pin.version});
    let entry = |result| {
        with(
            by.entry_with("source.rollback", on(&name), what.clone()),
            result,
        )
    };
    app.state().insert_move(&planned, &entry("begun"))?;
    match end_rollback(&app.warehouse, &name, &pin, entry("ok")) {
        Ok(rows_removed) => Ok(RolledBack {
            version: pin.version,
            rows_removed,
        }),
        Err(failure) => {
            app.state()
                .delete_move(&name, MoveKind::Rollback, &entry("failed"))?;
            Err(failure.into())
        }
    }
}

/// The cursors first: rows and cursors stay together whatever happens next.
fn end_rollback(
    warehouse: &Warehouse,
    name: &SourceName,
    pin: &Pin,
    entry: AuditEntry,
) -> Result<BTreeMap<String, u64>, Failure> {
    let rows_removed = warehouse.extracts.return_to(name, &pin.mark)?;
    let mut entry = entry;
    if let Value::Object(what) = &mut entry.params {
        what.insert("rows_removed".into(), json!(rows_removed));
    }
    warehouse.state.finish_rollback(name, pin, &entry)?;
    Ok(rows_removed)
}

/// Ends the rollbacks in which the last server died. What cannot be ended is in the log, and tried again
/// at the next start.
pub(crate) fn recover(warehouse: &Warehouse) -> Result<(), StateError> {
    let begun = warehouse.state.moves()?.into_iter();
    for planned in begun.filter(|planned| planned.kind == MoveKind::Rollback) {
        let name = &planned.source;
        let pins = warehouse.state.pins(name)?;
        let Some(pin) = pins.into_iter().find(|pin| pin.version == planned.version) else {
            tracing::error!(source = %name, "a rollback of `{name}` leads to a version that it never left");
            continue;
        };
        let entry = AuditEntry {
            user: planned.asked_by,
            resource: Some(on(name)),
            params: json!({"to": pin.version, "ended": "at the start of the server"}),
            result: Some("ok".into()),
            ..AuditEntry::new("source.rollback")
        };
        match end_rollback(warehouse, name, &pin, entry) {
            Ok(_) => {
                tracing::warn!(source = %name, "the rollback of `{name}` that was cut off is done");
            }
            Err(failure) => {
                tracing::error!(source = %name, %failure, "the rollback of `{name}` that was cut off cannot be ended");
            }
        }
    }
    Ok(())
}

fn planned(by: &By, source: &Source, version: Digest, kind: MoveKind) -> Move {
    Move {
        source: source.name.clone(),
        version,
        kind,
        asked_at: Timestamp::now(),
        asked_by: Some(by.user),
    }
}

fn granting(by: &By, source: &Source, granted: &Capabilities) -> AuditEntry {
    let more = granted.beyond(&source.granted);
    let what = json!({"granted": granted, "more": more});
    by.entry_with("source.grant", on(&source.name), what)
}

fn with(entry: AuditEntry, result: &str) -> AuditEntry {
    AuditEntry {
        result: Some(result.to_owned()),
        ..entry
    }
}

fn known(app: &App, digest: &Digest) -> ApiResult<Version> {
    let version = app.state().version(digest)?;
    version.ok_or_else(|| ingest::IngestError::UnknownVersion(*digest).into())
}

fn trusted(version: &Version) -> ApiResult<()> {
    match version.trusted {
        true => Ok(()),
        false => Err(ingest::IngestError::NotTrusted {
            connector: version.manifest.name.to_string(),
            digest: version.digest,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests;
