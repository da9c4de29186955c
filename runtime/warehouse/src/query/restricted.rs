//! The view of a table of which a principal sees a part: rows that a grant's condition lets through, values that no
//! mask hides.
//!
//! What a query asks must never be computed over a row that is left out: a cast that fails, or does not, would tell
//! what stands there. So the rows come through a LIMIT, below which DuckDB moves no condition of the query.

use std::collections::BTreeSet;

use domain::restriction::{Constant, Extent, Mask, Restriction};
use domain::sql_ident::{quote_ident, quote_text};
use thiserror::Error;

use super::gate::Gate;
use super::predicate::{self, Rejection};
use crate::catalog::CatalogTable;

/// More rows than any table has.
const ALL: i64 = i64::MAX;

/// Why a table cannot be seen under a restriction. Then it is not seen at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// The condition is none, or not one on this table.
    #[error("row_filter: {0}")]
    Filter(#[from] Rejection),
    /// A column is masked that is not there: it may go by another name by now.
    #[error("column_masks: the table has no column `{0}`")]
    Column(String),
    /// Its columns are not known.
    #[error("the columns of the table are not known yet; run its source, or `sluice rebuild`")]
    NoColumns,
    /// DuckDB cannot compute it over this table's types.
    #[error("it cannot be computed over the table; its columns are: {0}")]
    Types(String),
}

/// Makes the SQL of views.
pub(super) struct Restricted<'a> {
    pub(super) gate: &'a Gate,
    pub(super) table: &'a CatalogTable,
    /// Of hashes.
    pub(super) key: &'a str,
}

/// One restriction, its condition as SQL.
struct Part<'a> {
    condition: Option<String>,
    restriction: &'a Restriction,
}

impl Restricted<'_> {
    /// The rows of a table as an extent lets them be seen, from the query for all of its rows.
    pub(super) fn select(&self, extent: &Extent, rows: &str) -> Result<String, Unfit> {
        let Extent::Part(restrictions) = extent else {
            return Ok(rows.to_owned());
        };
        let parts = restrictions.iter().map(|one| self.part(one));
        let parts = parts.collect::<Result<Vec<_>, Unfit>>()?;
        let columns = self.table.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| self.column(extent, &column.name, &parts))
            .collect();
        let columns = columns.join(", ");
        let table = quote_ident(self.table.name.as_str());
        let select = format!("SELECT {columns} FROM ({rows}) AS {table}");
        let conditions = parts.iter().map(|part| part.condition.as_deref());
        // None in one of them lets all rows through.
        let conditions: Option<BTreeSet<&str>> = conditions.collect();
        Ok(match conditions {
            None => select,
            Some(conditions) => {
                let any = any(conditions);
                format!("SELECT * FROM ({select} WHERE {any}) LIMIT {ALL}")
            }
        })
    }

    fn part<'a>(&self, restriction: &'a Restriction) -> Result<Part<'a>, Unfit> {
        let columns: Vec<&str> = self.table.columns.iter().map(|c| c.name.as_str()).collect();
        if columns.is_empty() {
            return Err(Unfit::NoColumns);
        }
        let mut masked = restriction.column_masks.keys();
        let missing = masked.find(|name| !columns.iter().any(|c| c.eq_ignore_ascii_case(name)));
        if let Some(missing) = missing {
            return Err(Unfit::Column(missing.chars().take(64).collect()));
        }
        let filter = restriction.row_filter.as_deref();
        let table = self.table.name.as_str();
        let condition =
            filter.map(|filter| predicate::condition_of(self.gate, table, &columns, filter));
        Ok(Part {
            condition: condition.transpose()?,
            restriction,
        })
    }

    /// A column as it is seen: plain where a grant that lets the row through does not mask it, else under the mask of
    /// the first that does.
    fn column(&self, extent: &Extent, name: &str, parts: &[Part<'_>]) -> String {
        let quoted = quote_ident(name);
        let is_text = extent.is_text(name);
        let typed = |sql: String| match is_text {
            true => format!("CAST({sql} AS VARCHAR)"),
            false => sql,
        };
        let (masked, plain): (Vec<_>, Vec<_>) = parts
            .iter()
            .partition(|part| part.restriction.mask(name).is_some());
        if masked.is_empty() {
            return quoted;
        }
        let holds = |part: &Part<'_>| part.condition.clone().unwrap_or_else(|| "TRUE".to_owned());
        let mut sql = String::from("CASE");
        if !plain.is_empty() {
            let any = any(plain.iter().map(|part| holds(part)));
            sql += &format!(" WHEN {any} THEN {}", typed(quoted.clone()));
        }
        for part in masked {
            let (holds, mask) = (holds(part), part.restriction.mask(name));
            let mask = mask.map_or_else(|| quoted.clone(), |mask| self.masked(&quoted, mask));
            sql += &format!(" WHEN ({holds}) THEN {}", typed(mask));
        }
        // Never reached, since such a row is left out; it gives a masked column its type.
        let never = typed(format!("CASE WHEN FALSE THEN {quoted} END"));
        format!("{sql} ELSE {never} END AS {quoted}")
    }

    fn masked(&self, column: &str, mask: &Mask) -> String {
        match mask {
            Mask::Null => "NULL".to_owned(),
            Mask::Hash => {
                let key = quote_text(self.key);
                format!("sha256({key} || CAST({column} AS VARCHAR))")
            }
            Mask::Constant(Constant::Text(text)) => quote_text(text),
            Mask::Constant(Constant::Integer(number)) => format!("({number})"),
            Mask::Constant(Constant::Bool(is)) => is.to_string().to_uppercase(),
        }
    }
}

fn any(conditions: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let each = conditions.into_iter();
    let each: Vec<String> = each.map(|one| format!("({})", one.as_ref())).collect();
    format!("({})", each.join(" OR "))
}
