//! Tables of Keboola Storage, whole or merged by what was imported since the last run.
//!
//! Storage exports a table into a file of slices on a cloud's storage, and lends what it takes to fetch them. Neither the
//! slices nor what is lent enter the sandbox: the host signs the requests, and decodes what comes.

mod api;
mod choice;
mod export;
mod plan;
mod position;
mod settings;
mod slices;
mod types;

use std::collections::VecDeque;

use connector_sdk::{
    Connector, Failure, Table, TableInfo, WriteMode, checkpoint, cursor, export, log,
};

use api::{Api, Job};
use plan::Plan;
use position::{Next, Position};
pub use settings::Settings;
use settings::TableSettings;
use slices::Fetch;

/// Exports that Storage works on at once: it has a queue for them, and most of their time is waiting.
const AHEAD: usize = 4;

/// The connector.
#[derive(Debug)]
pub struct Keboola {
    settings: Settings,
    api: Api,
}

export!(Keboola);

impl Connector for Keboola {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        settings.validate()?;
        let api = Api::new(settings.stack());
        Ok(Self { settings, api })
    }

    fn check(&self) -> Result<(), Failure> {
        self.api.verify()?;
        for bucket in &self.settings.buckets {
            let found = self.api.bucket(bucket);
            found.map_err(|failure| failure.at(format!("bucket `{bucket}`")))?;
        }
        for table in &self.settings.tables {
            self.plan(table)
                .map_err(|failure| failure.at(place(table)))?;
        }
        Ok(())
    }

    fn discover(&self) -> Result<Vec<TableInfo>, Failure> {
        let found = self.everything()?;
        let infos = found.iter().map(|(table, stored)| {
            let plan = Plan::of(table, stored)?;
            Ok(TableInfo::from(&plan.spec(WriteMode::Replace)))
        });
        infos.collect()
    }

    fn sync(&self, names: &[String]) -> Result<(), Failure> {
        let chosen = self.chosen(names)?;
        let (mut rest, mut ahead) = (chosen.iter(), VecDeque::new());
        let mut failed = Vec::new();
        loop {
            let room = AHEAD.saturating_sub(ahead.len());
            ahead.extend(
                rest.by_ref()
                    .take(room)
                    .map(|table| (table, self.begin(table))),
            );
            let Some((table, begun)) = ahead.pop_front() else {
                return told(failed);
            };
            match begun.and_then(|begun| self.finish(begun)) {
                Ok(()) => {}
                Err(Broken::Before(failure)) => {
                    let failure = failure.at(place(table));
                    log::warn(&format!("{failure}; going on with the next table"));
                    failed.push(failure);
                }
                Err(Broken::Final(failure)) => return Err(failure.at(place(table))),
            }
        }
    }
}

/// How the run ends after these failures: as one that may pass by itself, if there is any.
fn told(failed: Vec<Failure>) -> Result<(), Failure> {
    let count = failed.len();
    let passing = |failure: &Failure| matches!(failure, Failure::Upstream(_));
    let at = failed.iter().position(passing).unwrap_or(0);
    match failed.into_iter().nth(at) {
        None => Ok(()),
        Some(failure) if count == 1 => Err(failure),
        Some(failure) => Err(failure.at(format!("{count} tables were not brought"))),
    }
}

/// Why a table was not brought.
enum Broken {
    /// Nothing of it was written: other tables can be brought all the same.
    Before(Failure),
    /// The run is of no use any more, or the next table would meet the same.
    Final(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Config(_) | Failure::Upstream(_) => Self::Before(failure),
            _ => Self::Final(failure),
        }
    }
}

/// An export that was started.
struct Begun {
    plan: Plan,
    mode: WriteMode,
    job: Job,
}

impl Keboola {
    fn plan(&self, table: &TableSettings) -> Result<Plan, Failure> {
        let mut stored = self.api.table(&table.id)?;
        // What is known of an alias's columns stands at the table that it is one of.
        if let Some(source) = stored.source_table.take().filter(|_| stored.is_alias)
            && stored.column_metadata.is_empty()
        {
            stored.column_metadata = self.api.table(&source.id)?.column_metadata;
        }
        Plan::of(table, &stored)
    }

    /// Starts the export of a table; nothing where none is needed.
    fn begin(&self, table: &TableSettings) -> Result<Option<Begun>, Broken> {
        let plan = self.plan(table)?;
        let next = plan.next();
        let mode = match &next {
            Next::Nothing => {
                log::info(&format!("{}: nothing was imported since", plan.name));
                return Ok(None);
            }
            Next::Whole(why) => {
                log::info(&format!("{}: brought whole, since {why}", plan.name));
                WriteMode::Replace
            }
            Next::Since(_) => WriteMode::Merge,
        };
        let form = export::form(&plan.shape, &next);
        let job = self.api.export(&table.id, &form)?;
        Ok(Some(Begun { plan, mode, job }))
    }

    /// Waits for an export and publishes its rows.
    fn finish(&self, begun: Option<Begun>) -> Result<(), Broken> {
        let Some(Begun { plan, mode, job }) = begun else {
            return Ok(());
        };
        let file = export::file_of(&self.api, job, &plan.name, self.settings.job_minutes)?;
        let endpoint = self.settings.file_endpoint.as_deref();
        let mut fetch = Fetch::new(&self.api, endpoint, file)?;
        let slices = fetch.slices()?;
        let rows = {
            let open = Table::open(&plan.spec(mode)).map_err(Broken::Final)?;
            let columns = &plan.shape.columns;
            fetch
                .append(slices.as_deref(), &open, &plan.name, columns)
                .map_err(Broken::Final)?
        };
        log::info(&format!("{}: {rows} rows", plan.name));
        let position = plan.now.as_ref().filter(|_| plan.incremental);
        if position.is_some() || cursor::get(&plan.name).is_some() {
            let position = position.map(Position::to_cursor).unwrap_or_default();
            cursor::set(&plan.name, &position).map_err(Broken::Final)?;
        }
        checkpoint().map_err(Broken::Final)
    }
}

fn place(table: &TableSettings) -> String {
    format!("table `{}` ({})", table.name(), table.id)
}

#[cfg(test)]
mod tests;
