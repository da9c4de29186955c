//! What the rows of a table look like, column by column, and what in it deserves a second look. The
//! keys are those that clients know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A column with more values than this is no set of categories.
pub const MOST_CATEGORIES: u64 = 50;
/// Missing values, in percent, from which on it is said.
const MISSING: f64 = 5.0;
const HIGH_MISSING: f64 = 30.0;
/// Share of one value, in percent, from which on a column is lopsided.
const IMBALANCE: f64 = 60.0;
const ZEROS: f64 = 50.0;

/// What kind of values a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TypeCategory {
    /// True and false.
    Boolean,
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Numbers of all kinds.
    Numeric,
    /// Text, and whatever is shown as text.
    String,
    /// Structures and lists: only counted.
    Nested,
}

impl TypeCategory {
    /// Of a type as SQL names it, such as `DECIMAL(18,2)`.
    pub fn of(data_type: &str) -> Self {
        let name = data_type.to_ascii_uppercase();
        if name.ends_with(']') || name.starts_with("STRUCT") || name.starts_with("MAP") {
            return Self::Nested;
        }
        match name.split('(').next().unwrap_or_default().trim() {
            "BOOLEAN" => Self::Boolean,
            "DATE" => Self::Date,
            "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT"
            | "USMALLINT" | "UINTEGER" | "UBIGINT" | "UHUGEINT" | "FLOAT" | "DOUBLE"
            | "DECIMAL" => Self::Numeric,
            other if other.starts_with("TIMESTAMP") => Self::Timestamp,
            _ => Self::String,
        }
    }
}

/// A profile of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The table's name.
    pub table_id: String,
    /// What it holds.
    pub description: String,
    /// The columns that name a row, where an admin registered them.
    pub primary_key: Vec<String>,
    /// Rows.
    pub row_count: u64,
    /// Columns, those that were left out too.
    pub column_count: usize,
    /// Millions of bytes of its files.
    pub file_size_mb: f64,
    /// Values that are there, in percent of all.
    pub avg_completeness: f64,
    /// Values that are missing.
    pub missing_cells: u64,
    /// The same in percent of all.
    pub missing_cells_pct: f64,
    /// Rows whose key another row has too; absent without a key, or where there are too many rows to tell.
    pub duplicate_rows: Option<u64>,
    /// Columns of each category.
    pub variable_types: BTreeMap<TypeCategory, usize>,
    /// Of the first column with days or moments.
    pub date_range: Option<DateRange>,
    /// What deserves a second look.
    pub alerts: Vec<Alert>,
    /// Whether only some rows were read: never so far.
    pub sampled: bool,
    /// When the rows were published.
    pub last_sync: String,
    /// Always empty: nothing says how tables hang together.
    pub related_tables: Vec<String>,
    /// Definitions of metrics over this table.
    pub used_by_metrics: Vec<UsedBy>,
    /// The columns in order, at most so many as can be kept.
    pub columns: Vec<ColumnProfile>,
    /// Columns beyond that.
    pub columns_left_out: usize,
    /// A few rows, with values as text.
    pub sample_rows: Vec<BTreeMap<String, Option<String>>>,
    /// Which published version it is of.
    pub version: String,
}

/// A definition of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedBy {
    /// Its name.
    pub name: String,
    /// Its id.
    pub file: String,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    #[serde(rename = "type")]
    pub data_type: String,
    /// What kind of values.
    pub type_category: TypeCategory,
    /// Values that are there, in percent.
    pub completeness_pct: f64,
    /// Values that are missing.
    pub null_count: u64,
    /// Different values.
    pub unique_count: u64,
    /// The same in percent of those that are there.
    pub unique_pct: f64,
    /// Whether `unique_count` is an estimate, within some percent.
    pub unique_is_estimate: bool,
    /// A few values as text.
    pub sample_values: Vec<String>,
    /// Whether it is part of the key.
    pub is_primary_key: bool,
    /// The kinds of its alerts.
    pub alerts: Vec<String>,
    /// Of numbers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub numeric_stats: Option<NumericStats>,
    /// Of text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub string_stats: Option<StringStats>,
    /// Of days and moments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_stats: Option<DateStats>,
    /// Of true and false.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boolean_stats: Option<BooleanStats>,
}

/// Of numbers. What is neither infinite nor no number counts; quantiles are estimates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NumericStats {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    pub median: Option<f64>,
    pub stddev: Option<f64>,
    pub p5: Option<f64>,
    pub p25: Option<f64>,
    pub p75: Option<f64>,
    pub p95: Option<f64>,
    pub zeros: u64,
    pub zeros_pct: f64,
    pub negative: u64,
    pub negative_pct: f64,
    pub histogram: Histogram,
}

/// Bins of equal width: one more edge than counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    pub bins: Vec<f64>,
    pub counts: Vec<u64>,
}

/// Of text; lengths in characters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StringStats {
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub avg_length: Option<f64>,
    /// The most frequent first; only of categories.
    pub top_values: Vec<TopValue>,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopValue {
    pub value: String,
    pub count: u64,
    pub pct: f64,
}

/// Of days and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DateStats {
    pub earliest: Option<String>,
    pub latest: Option<String>,
    pub span_days: i64,
    /// Rows by quarter, such as `2026-Q1`; empty where there are too many of them.
    pub histogram: BTreeMap<String, u64>,
}

/// Of true and false.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BooleanStats {
    pub true_count: u64,
    pub false_count: u64,
    pub true_pct: f64,
}

/// From when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateRange {
    pub earliest: String,
    pub latest: String,
    pub span_days: i64,
}

/// Something that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Where.
    pub column: String,
    /// What: `constant`, `unique`, `missing`, `high_missing`, `imbalance`, `zeros`, `high_cardinality`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub message: String,
}

/// A part in percent, to two digits; nothing of nothing is 0.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    // Counts of rows stay far below 2^53.
    let share = part as f64 / whole as f64 * 100.0;
    (share * 100.0).round() / 100.0
}

impl ColumnProfile {
    /// What in a column of so many rows deserves a second look.
    pub fn find_alerts(&self, rows: u64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut say = |kind: &str, message: String| {
            alerts.push(Alert {
                column: self.name.clone(),
                kind: kind.to_owned(),
                message,
            });
        };
        let present = rows.saturating_sub(self.null_count);
        let missing = percent(self.null_count, rows);
        if rows > 1 && self.unique_count == 1 && self.null_count == 0 {
            say("constant", "all rows have the same value".to_owned());
        }
        let exact = !self.unique_is_estimate;
        if present > 1 && exact && self.unique_count == present && self.null_count == 0 {
            say("unique", "every row has a value of its own".to_owned());
        }
        if missing >= HIGH_MISSING {
            say(
                "high_missing",
                format!("{missing} % of the values are missing"),
            );
        } else if missing >= MISSING {
            say("missing", format!("{missing} % of the values are missing"));
        }
        let text = self.string_stats.as_ref();
        let top = text.and_then(|text| text.top_values.first());
        if let Some(top) = top.filter(|top| self.unique_count > 1 && top.pct >= IMBALANCE) {
            let (value, pct) = (&top.value, top.pct);
            say(
                "imbalance",
                format!("`{value}` is the value of {pct} % of the rows"),
            );
        }
        if let Some(numbers) = self.numeric_stats.as_ref().filter(|n| n.zeros_pct >= ZEROS) {
            say(
                "zeros",
                format!("{} % of the values are 0", numbers.zeros_pct),
            );
        }
        let is_text = self.type_category == TypeCategory::String;
        if is_text && self.unique_count > MOST_CATEGORIES && self.unique_count < present {
            let count = self.unique_count;
            say("high_cardinality", format!("{count} different values"));
        }
        alerts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(category: TypeCategory, nulls: u64, unique: u64) -> ColumnProfile {
        ColumnProfile {
            name: "c".to_owned(),
            data_type: String::new(),
            type_category: category,
            completeness_pct: 0.0,
            null_count: nulls,
            unique_count: unique,
            unique_pct: 0.0,
            unique_is_estimate: false,
            sample_values: Vec::new(),
            is_primary_key: false,
            alerts: Vec::new(),
            numeric_stats: None,
            string_stats: None,
            date_stats: None,
            boolean_stats: None,
        }
    }

    fn kinds(column: &ColumnProfile, rows: u64) -> Vec<String> {
        let alerts = column.find_alerts(rows).into_iter();
        alerts.map(|alert| alert.kind).collect()
    }

    #[test]
    fn types_have_their_category() {
        for (name, category) in [
            ("BIGINT", TypeCategory::Numeric),
            ("DECIMAL(18,2)", TypeCategory::Numeric),
            ("TIMESTAMP WITH TIME ZONE", TypeCategory::Timestamp),
            ("DATE", TypeCategory::Date),
            ("BOOLEAN", TypeCategory::Boolean),
            ("VARCHAR", TypeCategory::String),
            ("BLOB", TypeCategory::String),
            ("STRUCT(a BIGINT)", TypeCategory::Nested),
            ("BIGINT[]", TypeCategory::Nested),
            ("DECIMAL(18,2)[]", TypeCategory::Nested),
        ] {
            assert_eq!(TypeCategory::of(name), category, "{name}");
        }
    }

    #[test]
    fn each_alert_has_its_threshold() {
        let text = TypeCategory::String;
        assert_eq!(kinds(&column(text, 0, 1), 10), ["constant"]);
        assert_eq!(kinds(&column(text, 0, 10), 10), ["unique"]);
        assert_eq!(kinds(&column(text, 1, 5), 21), [""; 0]);
        assert_eq!(kinds(&column(text, 1, 5), 20), ["missing"]);
        assert_eq!(kinds(&column(text, 6, 5), 20), ["high_missing"]);
        assert_eq!(kinds(&column(text, 0, 51), 1000), ["high_cardinality"]);
        assert_eq!(kinds(&column(text, 0, 50), 1000), [""; 0]);
        let mut lopsided = column(text, 0, 2);
        let top = TopValue {
            value: "a".to_owned(),
            count: 6,
            pct: 60.0,
        };
        lopsided.string_stats = Some(StringStats {
            top_values: vec![top],
            ..StringStats::default()
        });
        assert_eq!(kinds(&lopsided, 10), ["imbalance"]);
        let mut numbers = column(TypeCategory::Numeric, 0, 3);
        numbers.numeric_stats = Some(NumericStats {
            zeros_pct: 50.0,
            ..NumericStats::default()
        });
        assert_eq!(kinds(&numbers, 10), ["zeros"]);
        let mut estimate = column(text, 0, 10);
        estimate.unique_is_estimate = true;
        assert_eq!(kinds(&estimate, 10), [""; 0]);
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!(percent(0, 0), 0.0);
        assert_eq!(percent(1, 3), 33.33);
        assert_eq!(percent(3, 3), 100.0);
    }
}
