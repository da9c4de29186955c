//! One column of a profile: first what one pass over it counts, then what its kind of values adds.

use std::collections::BTreeMap;

use domain::profile::{
    BooleanStats, ColumnProfile, DateStats, Histogram, MOST_CATEGORIES, NumericStats, StringStats,
    TopValue, TypeCategory, percent,
};
use domain::sql_ident::quote_ident;

use super::{Reading, SAMPLE, TABLE, read};
use crate::catalog::CatalogColumn;

/// Bars of a histogram of numbers.
const BINS: u64 = 15;
const TOP: usize = 10;
/// Quarters that are counted one by one: a hundred years.
const MOST_QUARTERS: i64 = 400;
/// Beyond this, sums of squares are no numbers any more, and DuckDB gives up.
const SQUARABLE: f64 = 1e140;
/// Rows in which a few different values are looked for.
const LOOKED_AT: usize = 1_000;

/// Profiles a column.
pub(super) fn profile(
    reading: &Reading<'_>,
    column: &CatalogColumn,
) -> duckdb::Result<ColumnProfile> {
    let category = TypeCategory::of(&column.data_type);
    let (present, unique) = reading.counts(&column.name, category)?;
    let mut profile = ColumnProfile {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        type_category: category,
        completeness_pct: percent(present, reading.rows),
        null_count: reading.rows - present,
        unique_count: unique,
        unique_pct: percent(unique, present),
        unique_is_estimate: !reading.is_exact(category),
        sample_values: reading.samples(&column.name)?,
        is_primary_key: reading
            .key
            .iter()
            .any(|key| key.eq_ignore_ascii_case(&column.name)),
        alerts: Vec::new(),
        numeric_stats: None,
        string_stats: None,
        date_stats: None,
        boolean_stats: None,
    };
    match category {
        TypeCategory::Numeric => profile.numeric_stats = Some(reading.numbers(&column.name)?),
        TypeCategory::String => profile.string_stats = Some(reading.strings(&column.name, unique)?),
        TypeCategory::Date | TypeCategory::Timestamp => {
            profile.date_stats = Some(reading.dates(&column.name)?);
        }
        TypeCategory::Boolean => profile.boolean_stats = Some(reading.booleans(&column.name)?),
        TypeCategory::Nested => {}
    }
    let alerts = profile.find_alerts(reading.rows).into_iter();
    profile.alerts = alerts.map(|alert| alert.kind).collect();
    Ok(profile)
}

impl Reading<'_> {
    /// Values that are there, and different ones.
    fn counts(&self, name: &str, category: TypeCategory) -> duckdb::Result<(u64, u64)> {
        let column = quote_ident(name);
        let unique = match (category, self.is_exact(category)) {
            // Nobody compares whole structures, and it would take long.
            (TypeCategory::Nested, _) => "0".to_owned(),
            (_, true) => format!("count(DISTINCT {column})"),
            (_, false) => format!("approx_count_distinct({column})"),
        };
        let sql = format!("SELECT count({column}), {unique} FROM {TABLE}");
        let counts = |row: &duckdb::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?));
        let (present, unique) = self.connection.query_row(&sql, [], counts)?;
        Ok((present, unique.min(present)))
    }

    fn samples(&self, name: &str) -> duckdb::Result<Vec<String>> {
        let (column, text) = (quote_ident(name), read::text(name));
        let sql = format!(
            "SELECT DISTINCT {text} AS value FROM (SELECT {column} FROM {TABLE} WHERE {column} IS NOT NULL LIMIT {LOOKED_AT}) ORDER BY value LIMIT {SAMPLE}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let values = statement.query_map([], |row| row.get(0))?;
        values.collect()
    }

    fn numbers(&self, name: &str) -> duckdb::Result<NumericStats> {
        let number = read::number(name);
        let sql = format!(
            "SELECT min(n), max(n), avg(small), stddev_samp(small), approx_quantile(n, [0.05, 0.25, 0.5, 0.75, 0.95]), count_if(n = 0), count_if(n < 0), count(n), count(small)
             FROM (SELECT n, CASE WHEN abs(n) < {SQUARABLE:e} THEN n END AS small FROM (SELECT {number} AS n FROM {TABLE}))"
        );
        let mut stats = NumericStats::default();
        let present = self.connection.query_row(&sql, [], |row| {
            (stats.min, stats.max) = (row.get(0)?, row.get(1)?);
            (stats.mean, stats.stddev) = (row.get(2)?, row.get(3)?);
            let quantiles = floats(&row.get::<_, duckdb::types::Value>(4)?);
            let mut quantiles = quantiles.into_iter();
            stats.p5 = quantiles.next();
            stats.p25 = quantiles.next();
            stats.median = quantiles.next();
            stats.p75 = quantiles.next();
            stats.p95 = quantiles.next();
            (stats.zeros, stats.negative) = (row.get(5)?, row.get(6)?);
            let (present, small) = (row.get::<_, u64>(7)?, row.get::<_, u64>(8)?);
            if small < present {
                (stats.mean, stats.stddev) = (None, None);
            }
            Ok(present)
        })?;
        stats.zeros_pct = percent(stats.zeros, present);
        stats.negative_pct = percent(stats.negative, present);
        if let (Some(min), Some(max)) = (stats.min, stats.max) {
            stats.histogram = self.histogram(&number, min, max)?;
        }
        Ok(stats)
    }

    fn histogram(&self, number: &str, min: f64, max: f64) -> duckdb::Result<Histogram> {
        let width = (max - min) / BINS as f64;
        // All values are the same, or so far apart that no width can be told.
        let bins = if width > 0.0 && width.is_finite() {
            BINS
        } else {
            1
        };
        let edges = (0..bins).map(|at| min + width * at as f64);
        let mut histogram = Histogram {
            bins: edges.chain([max]).collect(),
            counts: vec![0; usize::try_from(bins).unwrap_or(1)],
        };
        let sql = match bins {
            1 => format!("SELECT 0::UBIGINT, count({number}) FROM {TABLE}"),
            bins => format!(
                "SELECT least(floor((n - {min:e}) / {width:e}), {}.0)::UBIGINT, count(*) FROM (SELECT {number} AS n FROM {TABLE}) WHERE n IS NOT NULL GROUP BY 1",
                bins - 1
            ),
        };
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let at = usize::try_from(row.get::<_, u64>(0)?).unwrap_or_default();
            if let Some(count) = histogram.counts.get_mut(at) {
                *count = row.get(1)?;
            }
        }
        Ok(histogram)
    }

    fn strings(&self, name: &str, unique: u64) -> duckdb::Result<StringStats> {
        let column = quote_ident(name);
        let sql = format!(
            "SELECT min(l), max(l), avg(l) FROM (SELECT length({column}::VARCHAR) AS l FROM {TABLE})"
        );
        let mut stats = self.connection.query_row(&sql, [], |row| {
            Ok(StringStats {
                min_length: row.get(0)?,
                max_length: row.get(1)?,
                avg_length: row.get(2)?,
                top_values: Vec::new(),
            })
        })?;
        if unique > 0 && unique <= MOST_CATEGORIES {
            stats.top_values = self.top(name)?;
        }
        Ok(stats)
    }

    fn top(&self, name: &str) -> duckdb::Result<Vec<TopValue>> {
        let (column, text) = (quote_ident(name), read::text(name));
        let sql = format!(
            "SELECT {text} AS value, count(*) AS n FROM {TABLE} WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY n DESC, value LIMIT {TOP}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let values = statement.query_map([], |row| {
            let count = row.get(1)?;
            Ok(TopValue {
                value: row.get(0)?,
                count,
                pct: percent(count, self.rows),
            })
        })?;
        values.collect()
    }

    fn dates(&self, name: &str) -> duckdb::Result<DateStats> {
        let column = quote_ident(name);
        let finite = format!("(SELECT {column} AS d FROM {TABLE} WHERE isfinite({column}))");
        let sql = format!(
            "SELECT min(d)::VARCHAR, max(d)::VARCHAR, coalesce(date_diff('day', min(d), max(d)), 0), coalesce(date_diff('quarter', min(d), max(d)), 0) FROM {finite}"
        );
        let mut stats = DateStats::default();
        let quarters = self.connection.query_row(&sql, [], |row| {
            (stats.earliest, stats.latest) = (row.get(0)?, row.get(1)?);
            stats.span_days = row.get(2)?;
            row.get::<_, i64>(3)
        })?;
        if quarters <= MOST_QUARTERS {
            let sql =
                format!("SELECT year(d) || '-Q' || quarter(d), count(*) FROM {finite} GROUP BY 1");
            let mut statement = self.connection.prepare(&sql)?;
            let counts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            stats.histogram = counts.collect::<duckdb::Result<BTreeMap<String, u64>>>()?;
        }
        Ok(stats)
    }

    fn booleans(&self, name: &str) -> duckdb::Result<BooleanStats> {
        let column = quote_ident(name);
        let sql = format!("SELECT count_if({column}), count_if(NOT {column}) FROM {TABLE}");
        self.connection.query_row(&sql, [], |row| {
            let (true_count, false_count) = (row.get(0)?, row.get(1)?);
            Ok(BooleanStats {
                true_count,
                false_count,
                true_pct: percent(true_count, true_count + false_count),
            })
        })
    }
}

fn floats(value: &duckdb::types::Value) -> Vec<f64> {
    use duckdb::types::Value;
    let (Value::List(values) | Value::Array(values)) = value else {
        return Vec::new();
    };
    let float = |value: &Value| match value {
        Value::Double(float) => Some(*float),
        _ => None,
    };
    values.iter().filter_map(float).collect()
}
