//! Attaching: within a time, and without a word of the credential left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use domain::sql_ident::quote_ident;
use domain::{Secret, SourceName};
use duckdb::Connection;

use super::address;
use super::plan::{Plan, Request, plan};
use super::{Key, Setup};
use crate::catalog::CatalogColumn;
use crate::extract::AttachRow;
use crate::open;

/// To resolve a name, load an extension and read a list of tables, beside connecting.
const GRACE: Duration = Duration::from_secs(20);
/// A message that is longer tells nobody more.
const MOST_TEXT: usize = 500;

/// A database that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    pub(crate) source: SourceName,
    pub(crate) row: AttachRow,
}

impl Target {
    pub(crate) fn key(&self) -> Key {
        (self.source.clone(), self.row.alias.clone())
    }
}

/// An instance with databases, which is not locked yet.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) connection: Connection,
    /// What each database is called within the instance.
    aliases: BTreeMap<Key, String>,
    /// Folders that must stay readable behind the lock.
    pub(crate) folders: Vec<PathBuf>,
    /// What must not be seen in any message.
    pub(crate) hidden: Vec<String>,
}

impl Attached {
    /// An instance without any.
    pub(crate) fn none(connection: Connection) -> Self {
        Self {
            connection,
            aliases: BTreeMap::new(),
            folders: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// What each database is called within the instance.
    pub(crate) fn names(&self) -> BTreeMap<Key, String> {
        self.aliases.clone()
    }
}

/// The query that reads all rows of a table of an attached database.
pub(crate) fn rows_of(alias: &str, name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(quote_ident).collect();
    format!("SELECT * FROM {alias}.{}", parts.join("."))
}

/// What each table's columns are, or why it has none.
pub(super) type Columns = BTreeMap<String, Result<Vec<CatalogColumn>, String>>;

/// Opens an instance with these databases; or says which could not be attached, and why.
pub(super) fn open(
    setup: &Arc<Setup>,
    targets: &BTreeSet<Target>,
    connection: Connection,
) -> Result<Attached, (Key, String)> {
    let mut attached = Attached::none(connection);
    for (number, target) in targets.iter().enumerate() {
        let alias = format!("remote_{number}");
        let (setup, target) = (Arc::clone(setup), target.clone());
        let (key, connection) = (target.key(), attached.connection);
        let limit = setup.policy.connect_timeout + GRACE;
        let name = alias.clone();
        let work = move || {
            let plan = prepare(&setup, &target, &name)?;
            carry_out(&setup, &plan, &name, &connection)?;
            Ok((plan, connection))
        };
        let (plan, connection) = within(limit, work).map_err(|reason| (key.clone(), reason))?;
        attached.connection = connection;
        attached.folders.extend(plan.folders);
        attached.hidden.extend(plan.hidden);
        attached.aliases.insert(key, alias);
    }
    Ok(attached)
}

/// Looks at a database: whether it can be attached, and what its tables look like.
pub(super) fn probe(
    setup: &Arc<Setup>,
    target: &Target,
    names: &BTreeSet<String>,
) -> Result<Columns, String> {
    let connection = open::in_memory("256MB", 1).map_err(|error| error.to_string())?;
    let attached = open(setup, &BTreeSet::from([target.clone()]), connection);
    let attached = attached.map_err(|(_, reason)| reason)?;
    let limit = setup.policy.statement_timeout + GRACE;
    let names = names.clone();
    within(limit, move || {
        let locked = open::lock(&attached.connection, &[], &attached.folders);
        locked.map_err(|error| clean(&error, &attached.hidden))?;
        let columns = names.into_iter().map(|name| {
            let columns = describe(&attached, &name);
            (name, columns)
        });
        Ok(columns.collect())
    })
}

/// What a database is entered with, where its extract names something.
pub(super) fn credential(setup: &Setup, target: &Target) -> Result<Option<Secret>, String> {
    let name = &target.row.token_env;
    match name.is_empty() {
        true => Ok(None),
        false => (setup.lookup)(&target.source, name).map(Some),
    }
}

fn prepare(setup: &Setup, target: &Target, alias: &str) -> Result<Plan, String> {
    let credential = credential(setup, target)?;
    plan(&Request {
        policy: &setup.policy,
        row: &target.row,
        alias,
        credential: credential.as_ref(),
        resolve: address::system,
    })
}

fn carry_out(
    setup: &Setup,
    plan: &Plan,
    alias: &str,
    connection: &Connection,
) -> Result<(), String> {
    let run = |sql: &str| {
        let done = connection.execute_batch(sql);
        done.map_err(|error| clean(&error, &plan.hidden))
    };
    let folder = setup.extensions.use_in(connection);
    folder.map_err(|error| clean(&error, &plan.hidden))?;
    for extension in &plan.extensions {
        let verified = setup.extensions.verify(extension);
        verified.map_err(|error| error.to_string())?;
        run(&format!("LOAD {extension}"))?;
    }
    if let Some(secret) = &plan.secret {
        // What DuckDB says of this statement may quote it.
        let made = connection.execute_batch(secret);
        made.map_err(|_| "the extension does not take the credential".to_owned())?;
    }
    let attached = run(&plan.attach);
    if plan.secret.is_some() {
        run(&format!("DROP SECRET {alias}_secret"))?;
    }
    attached
}

fn describe(attached: &Attached, name: &str) -> Result<Vec<CatalogColumn>, String> {
    let alias = attached.aliases.values().next().map_or("", String::as_str);
    let columns = open::describe(&attached.connection, &rows_of(alias, name));
    let columns = columns.map_err(|error| clean(&error, &attached.hidden))?;
    let columns = columns.into_iter();
    Ok(columns
        .map(|(name, data_type)| CatalogColumn { name, data_type })
        .collect())
}

/// What DuckDB said, in one line and without what must not be seen.
pub(crate) fn clean(error: &duckdb::Error, hidden: &[String]) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let mut text: String = text.chars().take(MOST_TEXT).collect();
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "…");
    }
    text
}

/// Does work that may hang: after the time it is left to itself.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    let thread = std::thread::Builder::new().name("attach".into());
    // Nobody listens any more where it took too long.
    let spawned = thread.spawn(move || drop(send.send(work())));
    spawned.map_err(|error| format!("no thread can be started: {error}"))?;
    match receive.recv_timeout(limit) {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "it did not answer within {} seconds",
            limit.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err("attaching it failed".to_owned()),
    }
}
