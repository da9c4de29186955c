//! What is looked at after a kill: everything that was ever acknowledged, and that nothing is half.

use std::collections::BTreeSet;

use domain::RunId;
use uuid::Uuid;
use warehouse::{AuditFilter, State};

use crate::writer::BATCH;

/// Longer than any log or page that is asked for here.
const ALL: u32 = 1_000_000;

/// What one folder's processes acknowledged over all their lives.
#[derive(Default)]
pub(crate) struct Survivor {
    users: BTreeSet<Uuid>,
    runs: BTreeSet<RunId>,
    audits: BTreeSet<String>,
    /// Rows of the last sync.
    synced: u64,
    /// Users that were looked at closely after an earlier kill.
    known: BTreeSet<Uuid>,
}

impl Survivor {
    /// Compares what the process left with its acknowledgements; returns how many.
    pub(crate) fn examine(&mut self, state: &State, lines: &[String]) -> u32 {
        let mut logged = Vec::new();
        for line in lines {
            match line.split_once(' ') {
                Some(("user", id)) => drop(self.users.insert(id.parse().unwrap())),
                Some(("run", id)) => drop(self.runs.insert(run_id(id))),
                Some(("log", id)) => logged.push(run_id(id)),
                Some(("sync", rows)) => self.synced = rows.parse().unwrap(),
                Some(("audit", resource)) => drop(self.audits.insert(resource.to_owned())),
                _ => assert_eq!(line, "ready"),
            }
        }
        assert_eq!(state.check().unwrap().problems, [""; 0]);
        self.examine_users(state);
        self.examine_runs(state, &logged);
        self.examine_audit(state);
        self.examine_syncs(state);
        u32::try_from(lines.len()).unwrap()
    }

    fn examine_users(&mut self, state: &State) {
        let there: BTreeSet<_> = state.users().unwrap().iter().map(|user| user.id).collect();
        assert!(there.is_superset(&self.users), "a user is gone");
        for user in &there - &self.known {
            let tokens = state.tokens_of(user).unwrap().len();
            assert_eq!(
                tokens, 1,
                "a user came without the token of the same transaction"
            );
        }
        self.known = there;
    }

    fn examine_runs(&self, state: &State, logged: &[RunId]) {
        let there: BTreeSet<_> = state
            .runs(None, ALL)
            .unwrap()
            .iter()
            .map(|run| run.id)
            .collect();
        assert!(there.is_superset(&self.runs), "a run is gone");
        let last: BTreeSet<_> = logged.iter().collect();
        for run in last {
            let acknowledged = logged.iter().filter(|id| *id == run).count() * BATCH;
            let lines = state.log(*run, ALL).unwrap().len();
            assert!(lines >= acknowledged, "{lines} of {acknowledged} lines");
            assert_eq!(lines % BATCH, 0, "a batch is there in part");
        }
    }

    fn examine_syncs(&self, state: &State) {
        let rows = state.sync_states().unwrap().first().map(|sync| sync.rows);
        let history = state.sync_history("orders").unwrap();
        let told = history.first().map(|event| event.rows);
        assert_eq!(rows, told, "a sync is there in part");
        assert!(rows.unwrap_or(0) >= self.synced, "a sync is gone");
    }

    fn examine_audit(&self, state: &State) {
        let mut there = BTreeSet::new();
        let mut after = 0;
        loop {
            let page = state
                .audit_page(&AuditFilter::default(), after, 1_000)
                .unwrap();
            let Some(last) = page.last() else { break };
            after = last.seq;
            there.extend(page.into_iter().filter_map(|entry| entry.resource));
        }
        assert!(there.is_superset(&self.audits), "an audit entry is gone");
    }
}

fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}
