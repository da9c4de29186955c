//! Where a component is tried: compiled once, and run against recordings in places of its own.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use broker::tape::{Player, Recording, Tape};
use broker::{Broker, BrokerConfig};
use domain::ports::{
    Component, Cursors, Ended, Extracts as _, Job, NoCredentials, Observer, Outcome,
};
use domain::run::{Counts, EgressRow, Level, Progress};
use domain::sql_ident::quote_ident;
use domain::{
    Cancel, Capabilities, Digest, Failure, Limits, Manifest, Operation, RunId, SourceName,
    TableName,
};
use sandbox::artifact;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use warehouse::{QueryOptions, QueryResult, Scope, Warehouse};

use crate::cli::output::{CliError, CliResult};

/// The most rows of a table that are compared.
const MOST_ROWS: usize = 1_000_000;

/// Reads a recording's file.
pub(crate) fn read_recording(path: &Path) -> CliResult<Recording> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| CliError::new(format!("`{shown}` cannot be read: {error}")))?;
    Recording::parse(&bytes).map_err(|error| CliError::new(format!("`{shown}`: {error}")))
}

/// A component, compiled, and what runs it.
pub(crate) struct Workshop {
    pub(crate) manifest: Manifest,
    component: Component,
    broker: Arc<Broker>,
    /// What is never given, whatever is asked for.
    most: Limits,
    // After the broker, which works on it. A server has its own.
    _runtime: Option<Runtime>,
    folder: TempDir,
}

impl Workshop {
    /// Inspects and compiles a component, which need not be signed.
    pub(crate) fn open(file: &Path) -> CliResult<Self> {
        let shown = file.display();
        let bytes = std::fs::read(file)
            .map_err(|error| CliError::new(format!("`{shown}` cannot be read: {error}")))?;
        let found = artifact::inspect(&bytes)
            .map_err(|error| CliError::new(format!("`{shown}`: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| CliError::advised(&error))?;
        let broker = Broker::new(BrokerConfig {
            runner_exe: std::env::current_exe().map_err(|error| CliError::advised(&error))?,
            handle: runtime.handle().clone(),
            max_runs: 1,
            user_agent: "sluice".into(),
            extra_ca: None,
            requests_per_second: domain::Limits::MAXIMUM.requests_per_second,
            requests_at_once: domain::Limits::MAXIMUM.requests_at_once,
            // The author's own component on the author's own machine.
            required_walls: Vec::new(),
        })
        .map_err(|error| CliError::advised(&error))?;
        let folder = tempfile::tempdir().map_err(|error| CliError::advised(&error))?;
        let compiled = broker
            .compile(&bytes)
            .map_err(|failure| CliError::new(format!("`{shown}` does not compile: {failure}")))?;
        let path = folder.path().join("component.cwasm");
        std::fs::write(&path, &compiled).map_err(|error| CliError::advised(&error))?;
        Ok(Self {
            component: Component {
                compiled: path,
                compiled_digest: Digest::of(&compiled),
                wit: found.manifest.wit.clone(),
            },
            manifest: found.manifest,
            broker: Arc::new(broker),
            most: Limits::MAXIMUM,
            _runtime: Some(runtime),
            folder,
        })
    }

    /// Around a version that a server has compiled, on the server's own broker, with what is thrown away below `folder`.
    pub(crate) fn within(
        broker: Arc<Broker>,
        manifest: Manifest,
        component: Component,
        most: Limits,
        folder: &Path,
    ) -> CliResult<Self> {
        Ok(Self {
            manifest,
            component,
            broker,
            most,
            _runtime: None,
            folder: TempDir::new_in(folder).map_err(|error| CliError::advised(&error))?,
        })
    }

    /// What the component gets with these settings when an admin grants all that it asks for.
    pub(crate) fn capabilities(&self, settings: &Value) -> Result<Capabilities, String> {
        let asked = ingest::plan(&self.manifest, settings).map_err(|error| error.to_string())?;
        let mut given = asked.effective(&asked);
        given.limits = given.limits.at_most(self.most);
        Ok(given)
    }

    /// A data folder with nothing in it.
    pub(crate) fn place(&self) -> CliResult<Place> {
        let folder =
            TempDir::new_in(self.folder.path()).map_err(|error| CliError::advised(&error))?;
        let warehouse =
            Warehouse::open(folder.path()).map_err(|error| CliError::advised(&error))?;
        let rebuilt = warehouse.orchestrator.rebuild();
        rebuilt.map_err(|error| CliError::advised(&error))?;
        let source = SourceName::parse("trial").map_err(|error| CliError::advised(&error))?;
        Ok(Place {
            warehouse,
            source,
            _folder: folder,
        })
    }
}

/// One run to try.
pub(crate) struct Trial {
    pub(crate) operation: Operation,
    pub(crate) settings: Value,
    pub(crate) capabilities: Capabilities,
    pub(crate) tables: Vec<TableName>,
    /// The cursors at its start; those of the place where there are none.
    pub(crate) cursors: Option<Cursors>,
    pub(crate) player: Player,
    pub(crate) cancel: Cancel,
}

/// How a trial ended.
pub(crate) struct Ran {
    pub(crate) counts: Counts,
    pub(crate) result: Result<Outcome, Ended>,
    pub(crate) asked: Vec<String>,
    pub(crate) missing: Vec<String>,
    pub(crate) attempts: u32,
    pub(crate) log: Vec<String>,
}

impl Ran {
    /// Why it brought nothing, in a line.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.result {
            Ok(_) => None,
            Err(Ended::Cancelled) => Some("it was cancelled".into()),
            Err(Ended::Failed(failure)) => Some(format!("it failed: {failure}")),
        }
    }
}

/// A data folder of a trial.
pub(crate) struct Place {
    warehouse: Warehouse,
    source: SourceName,
    // After the warehouse, which has it open.
    _folder: TempDir,
}

impl Place {
    /// Runs a trial to its end.
    pub(crate) fn run(&self, workshop: &Workshop, trial: Trial) -> CliResult<Ran> {
        let run = RunId::generate();
        let failed = |failure: Failure| CliError::new(failure.to_string());
        let extracts = &self.warehouse.extracts;
        let stage = match trial.operation {
            Operation::Sync => {
                let mut stage = extracts.stage(&self.source, run).map_err(failed)?;
                stage.follow(&workshop.manifest.tables);
                Some(stage)
            }
            _ => None,
        };
        let observer = Arc::new(Lines::default());
        let cursors = match trial.cursors {
            Some(cursors) => cursors,
            None => self.cursors()?,
        };
        let job = Job {
            run,
            source: self.source.clone(),
            operation: trial.operation,
            tables: trial.tables,
            settings: trial.settings,
            capabilities: trial.capabilities,
            credentials: Default::default(),
            keeper: Arc::new(NoCredentials),
            component: workshop.component.clone(),
            cursors,
            stage,
            observer: observer.clone(),
            cancel: trial.cancel,
        };
        let player = trial.player;
        let tape = Tape::Replay(player.clone());
        let (counts, result) = workshop.broker.execute_with(job, &tape);
        extracts.rebuild(&self.source).map_err(failed)?;
        Ok(Ran {
            counts,
            result,
            asked: player.asked(),
            missing: player.missing(),
            attempts: player.attempts(),
            log: observer.take(),
        })
    }

    /// The cursors that the last publish left.
    pub(crate) fn cursors(&self) -> CliResult<Cursors> {
        let cursors = self.warehouse.extracts.cursors(&self.source);
        cursors.map_err(|failure| CliError::new(failure.to_string()))
    }

    /// The tables that are published, each with its columns as name and type.
    pub(crate) fn schema(&self) -> Vec<(String, Vec<(String, String)>)> {
        let catalog = self.warehouse.orchestrator.catalog();
        let tables = catalog.tables.iter().map(|table| {
            let columns = table.columns.iter();
            let columns = columns.map(|column| (column.name.clone(), column.data_type.clone()));
            (table.name.as_str().to_owned(), columns.collect())
        });
        let mut tables: Vec<_> = tables.collect();
        tables.sort();
        tables
    }

    /// The rows of a table.
    pub(crate) fn rows(&self, table: &str) -> CliResult<QueryResult> {
        let options = QueryOptions {
            limit: MOST_ROWS,
            ..QueryOptions::default()
        };
        let sql = format!("SELECT * FROM {}", quote_ident(table));
        let result = self.warehouse.queries.query(&Scope::All, &sql, &options);
        let result = result.map_err(|error| CliError::advised(&error))?;
        match result.truncated {
            // What is cut cannot be told to be equal.
            true => Err(CliError::new(format!(
                "the table `{table}` is too large to be compared whole: use a recording of fewer rows"
            ))),
            false => Ok(result),
        }
    }

    /// Every table with its rows as text, in an order that says nothing.
    pub(crate) fn contents(&self) -> CliResult<Vec<(String, Vec<String>)>> {
        let tables = self.schema().into_iter();
        let contents = tables.map(|(table, _)| {
            let result = self.rows(&table)?;
            let line = |row: Vec<Value>| {
                let fields = result.columns.iter().cloned().zip(row);
                Value::Object(fields.collect()).to_string()
            };
            let mut rows: Vec<String> = result.rows.iter().cloned().map(line).collect();
            rows.sort();
            Ok((table, rows))
        });
        contents.collect()
    }
}

/// Keeps what a run logs.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Lines {
    fn started(&self) {}

    fn log(&self, level: Level, message: &str) {
        let line = format!("{}: {message}", level.as_str());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn progress(&self, _: &Progress) {}

    fn egress(&self, _: &EgressRow) {}
}
