//! The process that is killed: several threads write, and each write is acknowledged on a line once
//! it is committed.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use domain::access::Scopes;
use domain::run::{Counts, Level, LogLine};
use domain::{
    Digest, Operation, PublishedTable, QueryMode, Run, RunId, RunState, SourceName, SyncReport,
    TableName, Token, TokenKind, User,
};
use jiff::Timestamp;
use uuid::Uuid;
use warehouse::{AuditEntry, Paths, State, StateError};

/// Lines of one batch: all of them are there or none.
pub(crate) const BATCH: usize = 3;

/// One or several writes, acknowledged.
type Work = fn(&State) -> Result<(), StateError>;

/// Writes until it is killed; returns only when a write fails.
pub(crate) fn write(folder: &Path) -> ExitCode {
    let paths = Paths::new(folder).unwrap();
    paths.create().unwrap();
    println!("opening");
    let state = State::open(&paths).unwrap();
    println!("ready");
    let works: [Work; 5] = [accounts, runs, syncs, audits, checkpoints];
    std::thread::scope(|scope| {
        for work in works {
            let state = &state;
            scope.spawn(move || {
                while work(state).is_ok() {}
                // Whoever waits for a kill sees that something went wrong instead.
                std::process::exit(1);
            });
        }
    });
    ExitCode::FAILURE
}

/// A user and a token of theirs in one transaction, which also uses up a code.
fn accounts(state: &State) -> Result<(), StateError> {
    let user = User::new(&format!("{}@example.com", Uuid::now_v7()), "");
    let now = Timestamp::now();
    let token = Token {
        id: Uuid::now_v7(),
        user: user.id,
        kind: TokenKind::Personal,
        name: "first".to_owned(),
        hash: Digest::of(user.email.as_bytes()),
        scopes: Scopes::All,
        created_at: now,
        expires_at: now,
        last_used_at: None,
        last_used_from: None,
        revoked_at: None,
    };
    let code = Digest::of(b"code");
    state.set_bootstrap_code(&code)?;
    assert!(state.claim_bootstrap(Some(&code), &user, &token, &AuditEntry::new("server.claim"))?);
    println!("user {}", user.id);
    Ok(())
}

fn runs(state: &State) -> Result<(), StateError> {
    let run = Run {
        id: RunId::generate(),
        source: SourceName::parse("shop").unwrap(),
        version: Digest::of(b"version"),
        operation: Operation::Sync,
        state: RunState::Running,
        queued_at: Timestamp::now(),
        started_at: None,
        finished_at: None,
        counts: Counts::default(),
        failure: None,
    };
    state.save_run(&run)?;
    println!("run {}", run.id);
    for _ in 0..2 {
        let line = LogLine {
            at: Timestamp::now(),
            level: Level::Info,
            message: "x".repeat(200),
        };
        state.append_log(run.id, &vec![line; BATCH])?;
        println!("log {}", run.id);
    }
    // A run is replaced as a whole: it must never be gone in between.
    state.save_run(&Run {
        state: RunState::Succeeded,
        ..run
    })
}

/// A publish that is told in three tables of the state at once. Later ones have more rows.
fn syncs(state: &State) -> Result<(), StateError> {
    let now = Timestamp::now();
    let rows = u64::try_from(now.as_microsecond()).unwrap();
    let table = PublishedTable {
        name: TableName::parse("orders").unwrap(),
        description: String::new(),
        rows,
        size_bytes: 1,
        columns: 1,
        types: Vec::new(),
        hash: None,
        query_mode: QueryMode::Local,
        published_at: now,
    };
    state.record_sync(&SyncReport {
        run: None,
        source: SourceName::parse("shop").unwrap(),
        connector: "files".to_owned(),
        at: now,
        duration_ms: 1,
        asked: Vec::new(),
        failure: None,
        tables: vec![table],
    })?;
    println!("sync {rows}");
    Ok(())
}

fn audits(state: &State) -> Result<(), StateError> {
    let resource = Uuid::now_v7().to_string();
    let entry = AuditEntry {
        resource: Some(resource.clone()),
        ..AuditEntry::new("source.create")
    };
    state.audit(&entry)?;
    println!("audit {resource}");
    Ok(())
}

/// One after the other, so that many kills fall into one; with gaps, since the others would get no
/// turn at the writer else.
fn checkpoints(state: &State) -> Result<(), StateError> {
    std::thread::sleep(Duration::from_millis(2));
    state.checkpoint()
}
