//! Profiles of tables: counted by DuckDB over the table's files, in an instance that reads nothing
//! else, with bounded memory, one at a time.

mod columns;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::profile::{ColumnProfile, DateRange, Profile, TypeCategory, percent};
use domain::sql_ident::{quote_ident, quote_text};
use domain::{Digest, QueryMode};
use duckdb::Connection;
use thiserror::Error;

use crate::catalog::CatalogTable;
use crate::extract::{Pins, view};
use crate::open;
use crate::paths::Paths;
use crate::query::QueryOptions;
use crate::query::watch::Watch;

const MEMORY: &str = "512MB";
const THREADS: usize = 2;
/// A wider table's other columns are left out: a profile is kept as one document.
const MOST_COLUMNS: usize = 300;
/// With more rows than this, different values are estimated, and double keys are not looked for.
const MOST_EXACT: u64 = 1_000_000;
/// Rows that are shown, and how much of each value.
const SAMPLE: usize = 5;
const SHOWN: usize = 200;
/// The name of the table in the instance, whatever it is called outside.
const TABLE: &str = "profiled";

/// Why there is no profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The rows lie in a remote database.
    #[error("table `{0}` lies in a remote database; only tables with files are profiled")]
    Remote(String),
    /// It took too long, or was stopped.
    #[error("the profile of `{table}` was stopped after {seconds} seconds")]
    Stopped {
        /// The table.
        table: String,
        /// The limit.
        seconds: u64,
    },
    /// DuckDB could not compute it.
    #[error("the profile of `{table}` failed: {reason}")]
    Engine {
        /// The table.
        table: String,
        /// What DuckDB said.
        reason: String,
    },
}

/// Makes profiles.
#[derive(Debug)]
pub struct Profiler {
    scratch: PathBuf,
    pins: Arc<Pins>,
    /// One at a time, so that their memory is bounded together.
    turn: Mutex<()>,
}

/// What is profiled, and how it is read.
struct Reading<'a> {
    connection: &'a Connection,
    rows: u64,
    key: &'a [String],
}

impl Profiler {
    pub(crate) fn new(paths: &Paths, pins: Arc<Pins>) -> Self {
        Self {
            scratch: paths.scratch(),
            pins,
            turn: Mutex::default(),
        }
    }

    /// Which published version of a table a profile is of: the same for the same rows.
    pub fn version(table: &CatalogTable) -> String {
        let mut text = String::new();
        for file in &table.files {
            let content = file.sha256.map(|digest| digest.to_string());
            let place = || format!("{} {}", file.path.display(), file.size_bytes);
            text.push_str(&content.unwrap_or_else(place));
            text.push('\n');
        }
        Digest::of(text.as_bytes()).to_string()
    }

    /// Profiles a table whose rows are named by the columns of `key`, if any. Blocks, also until others are done.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn profile(
        &self,
        table: &CatalogTable,
        key: &[String],
        options: &QueryOptions,
    ) -> Result<Profile, ProfileError> {
        if table.query_mode == QueryMode::Remote {
            return Err(ProfileError::Remote(table.name.to_string()));
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let files: Vec<PathBuf> = table.files.iter().map(|file| file.path.clone()).collect();
        let _pin = self.pins.pin(files.clone());
        let failed = |error: &duckdb::Error| ProfileError::Engine {
            table: table.name.to_string(),
            reason: error.to_string(),
        };
        let connection = self.open(&files).map_err(|error| failed(&error))?;
        let watch = Watch::start(connection.interrupt_handle(), options);
        let profile = whole(&connection, table, key);
        match (watch.stop(), profile) {
            (_, Ok(profile)) => Ok(profile),
            (Some(_), Err(_)) => Err(ProfileError::Stopped {
                table: table.name.to_string(),
                seconds: options.timeout.as_secs(),
            }),
            (None, Err(error)) => Err(failed(&error)),
        }
    }

    /// An instance with the table and nothing else.
    fn open(&self, files: &[PathBuf]) -> duckdb::Result<Connection> {
        let connection = open::in_memory(MEMORY, THREADS)?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        connection.execute_batch(&view(TABLE, &paths))?;
        let scratch = quote_text(&self.scratch.to_string_lossy());
        connection.execute_batch(&format!("SET temp_directory = {scratch}"))?;
        open::lock(&connection, files, &[])?;
        Ok(connection)
    }
}

fn whole(connection: &Connection, table: &CatalogTable, key: &[String]) -> duckdb::Result<Profile> {
    let sql = format!("SELECT count(*) FROM {TABLE}");
    let rows = connection.query_row(&sql, [], |row| row.get::<_, u64>(0))?;
    let reading = Reading {
        connection,
        rows,
        key,
    };
    let shown = table.columns.get(..MOST_COLUMNS).unwrap_or(&table.columns);
    let columns = shown
        .iter()
        .map(|column| columns::profile(&reading, column));
    let columns = columns.collect::<duckdb::Result<Vec<ColumnProfile>>>()?;
    let missing = columns.iter().map(|column| column.null_count).sum();
    let cells = rows * columns.len() as u64;
    let mut variable_types = BTreeMap::new();
    for column in &columns {
        *variable_types.entry(column.type_category).or_insert(0) += 1;
    }
    Ok(Profile {
        table_id: table.name.to_string(),
        description: table.description.clone(),
        primary_key: key.to_vec(),
        row_count: rows,
        column_count: table.columns.len(),
        file_size_mb: (table.size_bytes as f64 / 1e4).round() / 100.0,
        avg_completeness: percent(cells - missing, cells),
        missing_cells: missing,
        missing_cells_pct: percent(missing, cells),
        duplicate_rows: reading.duplicates(&columns)?,
        variable_types,
        date_range: range(&columns),
        alerts: columns.iter().flat_map(|c| c.find_alerts(rows)).collect(),
        sampled: false,
        last_sync: table.extracted_at.to_string(),
        related_tables: Vec::new(),
        used_by_metrics: Vec::new(),
        columns_left_out: table.columns.len() - columns.len(),
        sample_rows: reading.sample(&columns)?,
        columns,
        version: Profiler::version(table),
    })
}

/// Of the first column with days or moments.
fn range(columns: &[ColumnProfile]) -> Option<DateRange> {
    let stats = columns
        .iter()
        .find_map(|column| column.date_stats.as_ref())?;
    Some(DateRange {
        earliest: stats.earliest.clone()?,
        latest: stats.latest.clone()?,
        span_days: stats.span_days,
    })
}

impl Reading<'_> {
    /// Rows beyond the first with the same key.
    fn duplicates(&self, columns: &[ColumnProfile]) -> duckdb::Result<Option<u64>> {
        let known = |name: &String| columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
        if self.key.is_empty() || self.rows > MOST_EXACT || !self.key.iter().all(known) {
            return Ok(None);
        }
        let key: Vec<String> = self.key.iter().map(|name| quote_ident(name)).collect();
        let sql = format!("SELECT count(DISTINCT ({})) FROM {TABLE}", key.join(", "));
        // One column in brackets is that column, of which nulls would not count.
        let sql = sql.replace("(DISTINCT (", "(DISTINCT row(");
        let distinct = self
            .connection
            .query_row(&sql, [], |row| row.get::<_, u64>(0))?;
        Ok(Some(self.rows.saturating_sub(distinct)))
    }

    /// The first rows, as text.
    fn sample(
        &self,
        columns: &[ColumnProfile],
    ) -> duckdb::Result<Vec<BTreeMap<String, Option<String>>>> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let shown: Vec<String> = columns.iter().map(|c| read::text(&c.name)).collect();
        let sql = format!("SELECT {} FROM {TABLE} LIMIT {SAMPLE}", shown.join(", "));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut sample = Vec::new();
        while let Some(row) = rows.next()? {
            let values = columns.iter().enumerate();
            let values = values.map(|(at, column)| Ok((column.name.clone(), row.get(at)?)));
            sample.push(values.collect::<duckdb::Result<_>>()?);
        }
        Ok(sample)
    }

    /// What differs is counted exactly as long as that is cheap.
    fn is_exact(&self, category: TypeCategory) -> bool {
        self.rows <= MOST_EXACT || category == TypeCategory::Boolean
    }
}

#[cfg(test)]
mod tests;
