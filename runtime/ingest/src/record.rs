//! What stays of a sync after its run: up-to-date views, and how it went for each table.

use domain::ports::{Ended, Observer as _};
use domain::run::Level;
use domain::{SourceName, SyncReport, TableName};
use jiff::Timestamp;

use crate::Ports;
use crate::live::Live;
use crate::run::Prepared;

/// What a run was to do.
pub(crate) struct About {
    source: SourceName,
    connector: String,
    tables: Vec<TableName>,
}

impl About {
    pub(crate) fn of(prepared: &Prepared, tables: &[TableName]) -> Self {
        Self {
            source: prepared.source.name.clone(),
            connector: prepared.source.connector.to_string(),
            tables: tables.to_vec(),
        }
    }

    /// Brings the views up to date and writes down how the sync went. What goes wrong here does not
    /// fail the run: its rows are published.
    pub(crate) fn record(self, ports: &Ports, live: &Live, ended: Option<&Ended>) {
        let run = live.run();
        if !run.operation.writes() {
            return;
        }
        let published = ports.extracts.rebuild(&self.source);
        let tables = match published {
            Ok(tables) => tables,
            Err(failure) => {
                let text = format!(
                    "the rows are published, but the master views are not up to date: {failure}"
                );
                return live.log(Level::Error, &text);
            }
        };
        let at = Timestamp::now();
        let took = at.duration_since(run.started_at.unwrap_or(at)).as_millis();
        let report = SyncReport {
            run: Some(run.id),
            source: self.source,
            connector: self.connector,
            at,
            duration_ms: u64::try_from(took).unwrap_or_default(),
            asked: self.tables,
            failure: match ended {
                Some(Ended::Failed(failure)) => Some(failure.to_string()),
                Some(Ended::Cancelled) | None => None,
            },
            tables,
        };
        if let Err(failure) = ports.store.record_sync(&report) {
            let text = format!("how the sync went could not be written down: {failure}");
            live.log(Level::Error, &text);
        }
    }
}
