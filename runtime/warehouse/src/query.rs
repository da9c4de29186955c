//! SQL from people: checked by its syntax tree, then run in an instance where only the granted tables
//! exist.
//!
//! Two walls stand behind each other. The gate refuses whatever is not one SELECT over granted
//! tables, before anything is prepared. The generation that runs it has no other table, reads no
//! other file, loads nothing, and cannot be reconfigured.

mod error;
mod export;
mod gate;
mod generation;
mod generations;
mod predicate;
mod restricted;
mod scope;
mod value;
pub(crate) mod watch;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use domain::Cancel;
use domain::restriction::{Extent, Restriction};
use domain::sql_ident::quote_ident;
use duckdb::Connection;
use serde_json::Value;

use crate::catalog::CatalogTable;
use crate::extract::Pins;
use crate::hybrid::Landing;
use crate::orchestrator::Orchestrator;
use crate::paths::Paths;
use error::{is_of_values, untold};
use export::Fault;
use gate::Gate;
use generation::{Generation, Needs, ViewMaker};
use generations::Generations;
pub(crate) use watch::{Stopped, Watch};

pub use error::QueryError;
pub use export::{Cut, Exported, Format};
pub use predicate::Rejection;
pub use restricted::Unfit;
pub use scope::Scope;

/// How much a query may take.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// The most rows to return.
    pub limit: usize,
    /// The longest time to work.
    pub timeout: Duration,
    /// The most bytes of values to return, roughly as JSON.
    pub max_bytes: usize,
    /// Set when whoever asked goes away.
    pub cancel: Cancel,
    /// Results of other engines, which this query can read beside its scope.
    pub landing: Option<Arc<Landing>>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            limit: 1_000,
            timeout: Duration::from_secs(60),
            max_bytes: 64 << 20,
            cancel: Cancel::new(),
            landing: None,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryResult {
    /// The columns' names in order.
    pub columns: Vec<String>,
    /// A list of values a row, in the columns' order.
    pub rows: Vec<Vec<Value>>,
    /// How many rows are returned.
    pub row_count: usize,
    /// Whether a limit cut the answer.
    pub truncated: bool,
}

/// Answers queries. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct QueryEngine {
    gate: Gate,
    generations: Generations,
    /// The data folder, which must not appear in messages.
    hidden: String,
}

impl QueryEngine {
    pub(crate) fn new(
        paths: &Paths,
        orchestrator: Arc<Orchestrator>,
        pins: Arc<Pins>,
        mask_key: String,
    ) -> Result<Self, QueryError> {
        let gate = Gate::new().map_err(|error| QueryError::Engine {
            reason: error.to_string(),
        })?;
        Ok(Self {
            gate,
            generations: Generations::new(paths.scratch(), orchestrator, pins, mask_key),
            hidden: paths.root().to_string_lossy().into_owned(),
        })
    }

    /// Answers a query over the tables of a scope. Blocks.
    ///
    /// # Errors
    /// [`QueryError`]; all but `Engine` are the asker's to mend.
    pub fn query(
        &self,
        scope: &Scope,
        sql: &str,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        self.answer(scope, sql, options, |connection| {
            Ok(run(connection, sql, options)?)
        })
    }

    /// Answers a query by writing its rows in a format, in the memory of a few batches. Blocks. What fails before the
    /// first rows are there fails before anything is written.
    ///
    /// # Errors
    /// As [`QueryEngine::query`]; `Cancelled` when `out` takes no more.
    pub fn export(
        &self,
        scope: &Scope,
        sql: &str,
        format: Format,
        options: &QueryOptions,
        out: &mut (dyn Write + Send),
    ) -> Result<Exported, QueryError> {
        self.answer(scope, sql, options, |connection| {
            export::run(connection, sql, format, options, out)
        })
    }

    /// The SQL for rows of one table for which a predicate holds, made anew from its syntax tree.
    ///
    /// # Errors
    /// [`Rejection`], which says by which rule the predicate is refused.
    pub fn filtered(
        &self,
        table: &str,
        columns: &[&str],
        predicate: &str,
    ) -> Result<String, Rejection> {
        predicate::filtered(&self.gate, table, columns, predicate)
    }

    /// Judges a text without the tables that it names, which need not be there yet.
    ///
    /// # Errors
    /// [`QueryError::Refused`]: it is not one SELECT.
    pub fn judge_text(&self, sql: &str) -> Result<(), QueryError> {
        self.gate.check(sql, |_| true)
    }

    fn answer<T>(
        &self,
        scope: &Scope,
        sql: &str,
        options: &QueryOptions,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, QueryError> {
        let Admitted {
            generation,
            connection,
            is_part,
        } = self.admit(scope, sql, options.landing.as_deref())?;
        let watch = Watch::start(connection.interrupt_handle(), options);
        let result = work(&connection);
        let stopped = watch.stop();
        if let Err(fault) = &result
            && (stopped.is_some() || !is_of_values(fault))
        {
            self.generations.forget(&generation);
        }
        match (stopped, result) {
            (Some(Stopped::Timeout), Err(_)) => Err(QueryError::Timeout {
                seconds: options.timeout.as_secs(),
            }),
            (Some(Stopped::Cancelled), Err(_)) => Err(QueryError::Cancelled),
            (_, Err(fault)) => Err(fault.told(|error| self.failed(error, &generation, is_part))),
            (None, Ok(result)) => {
                generation.give_back(connection);
                Ok(result)
            }
            (Some(_), Ok(result)) => Ok(result),
        }
    }

    fn failed(&self, error: &duckdb::Error, generation: &Generation, is_part: bool) -> QueryError {
        let message = self.clean(error, generation.hidden());
        // Where a database is, and what its server says of the connection, is for admins.
        let lost = message.starts_with("IO Error") && !message.contains("statement timeout");
        if generation.is_attached() && lost {
            tracing::warn!(message, "a remote database went away during a query");
            self.generations.doubt(generation);
            return QueryError::Unreachable;
        }
        QueryError::Sql {
            message: if is_part { untold(message) } else { message },
        }
    }

    /// A connection in which the tables of a query that has passed the gate are there.
    fn admit(
        &self,
        scope: &Scope,
        sql: &str,
        landing: Option<&Landing>,
    ) -> Result<Admitted, QueryError> {
        // A catalog that is replaced meanwhile has its files removed at worst; the next one has them.
        let mut attempts = 3;
        loop {
            let (scope, catalog) = self.generations.sight(scope, landing);
            let named = RefCell::new(BTreeMap::new());
            self.gate.check(sql, |name| {
                let table = catalog.table(name).filter(|_| scope.extent(name).is_some());
                let table = table.map(|table| (table.name.folded(), Arc::clone(table)));
                let is_granted = table.is_some();
                named.borrow_mut().extend(table);
                is_granted
            })?;
            let named = named.into_inner();
            let needs = Needs::of(named.values(), landing.is_some());
            let generation = match landing {
                None => self.generations.current(&scope, needs)?,
                Some(_) => self.generations.once(scope, needs, &catalog)?,
            };
            let named: BTreeSet<String> = named.into_keys().collect();
            // It may be of a newer catalog than the one that was asked which tables there are.
            let connected = match named.iter().all(|name| generation.has(name)) {
                true => generation.connect(&named, &self.maker()),
                false if attempts > 0 => {
                    attempts -= 1;
                    continue;
                }
                false => Err(QueryError::Engine {
                    reason: "the tables change too fast; ask again".to_owned(),
                }),
            };
            match connected {
                Ok(connection) => {
                    return Ok(Admitted {
                        is_part: generation.is_part(&named),
                        generation,
                        connection,
                    });
                }
                Err(_) if attempts > 0 && !self.generations.is_newest(&generation) => attempts -= 1,
                Err(error) => {
                    self.generations.forget(&generation);
                    return Err(error);
                }
            }
        }
    }

    fn maker(&self) -> ViewMaker<'_> {
        ViewMaker {
            gate: &self.gate,
            key: self.generations.key(),
        }
    }

    /// Says whether a table can be seen under a restriction as it is now. Blocks.
    ///
    /// # Errors
    /// [`Unfit`], which says what to mend.
    pub fn judge(&self, table: &CatalogTable, restriction: &Restriction) -> Result<(), Unfit> {
        let extent = Extent::Part([Arc::new(restriction.clone())].into());
        self.maker().select(table, &extent, "SELECT 1")?;
        let scope = Scope::only([(table.name.folded(), extent)]);
        // DuckDB knows the types.
        let sql = format!("SELECT * FROM {} LIMIT 0", quote_ident(table.name.as_str()));
        let seen = self.query(&scope, &sql, &QueryOptions::default());
        seen.map(|_| ()).map_err(|_| {
            let columns = table.columns.iter().take(100);
            let columns = columns.map(|column| format!("{} {}", column.name, column.data_type));
            Unfit::Types(columns.collect::<Vec<_>>().join(", "))
        })
    }

    /// How many generations were built since the start.
    pub fn generations_built(&self) -> u64 {
        self.generations.builds()
    }

    /// What DuckDB said, without the paths of the host.
    fn clean(&self, error: &duckdb::Error, hidden: &[String]) -> String {
        let text = match error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
            duckdb::Error::InvalidParameterCount(..) => {
                "parameters such as `?` have no value here".to_owned()
            }
            other => other.to_string(),
        };
        let hidden = hidden.iter().filter(|text| !text.is_empty());
        hidden.fold(text.replace(&self.hidden, "…"), |text, hidden| {
            text.replace(hidden.as_str(), "…")
        })
    }
}

/// A query that has passed the gate.
struct Admitted {
    generation: Arc<Generation>,
    connection: Connection,
    /// Whether it names a table of which a part is left out.
    is_part: bool,
}

/// Runs what the gate has let pass, reading no more than is asked for.
fn run(connection: &Connection, sql: &str, options: &QueryOptions) -> duckdb::Result<QueryResult> {
    let mut statement = connection.prepare(sql)?;
    let schema = statement.stream_arrow([])?.get_schema();
    let mut result = QueryResult {
        columns: schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect(),
        ..QueryResult::default()
    };
    let mut bytes = 0;
    // By steps and not by the iterator, which panics where a step fails.
    while let Some(batch) = statement.step()? {
        let decimals = |column| value::is_decimal(&statement, column);
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .enumerate()
            .map(|(at, array)| value::Reader::new(array, decimals(at)))
            .collect();
        for row in 0..arrow::array::Array::len(&batch) {
            if result.rows.len() >= options.limit || bytes > options.max_bytes {
                result.truncated = true;
                break;
            }
            let values: Vec<Value> = columns.iter().map(|column| column.value(row)).collect();
            bytes += values.iter().map(value::size).sum::<usize>();
            result.rows.push(values);
        }
        if result.truncated {
            break;
        }
    }
    result.row_count = result.rows.len();
    Ok(result)
}

#[cfg(test)]
mod tests;
