//! Many rows in few statements: DuckDB plans each INSERT anew, which takes longer than the row.

use duckdb::types::Value;
use duckdb::{Connection, params_from_iter};

use super::StateError;

/// Rows of one statement.
const AT_ONCE: usize = 32;

/// Inserts rows in their order. `head` ends before `VALUES`, `row` is one row with its parameters, such as `(?, ?)`.
pub(super) fn insert_many<const N: usize>(
    connection: &Connection,
    head: &str,
    row: &str,
    rows: impl IntoIterator<Item = [Value; N]>,
) -> Result<(), StateError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let values: Vec<Value> = rows.by_ref().take(AT_ONCE).flatten().collect();
        let places = vec![row; values.len() / N].join(", ");
        let mut statement = connection.prepare_cached(&format!("{head} VALUES {places}"))?;
        statement.execute(params_from_iter(values))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_statements_keep_their_order() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE SEQUENCE n; CREATE TABLE t (number BIGINT DEFAULT nextval('n'), a INTEGER, b VARCHAR)")
            .unwrap();
        let rows = (0..AT_ONCE as i32 * 2 + 5).map(|a| [Value::Int(a), Value::Text(a.to_string())]);
        insert_many(&connection, "INSERT INTO t (a, b)", "(?, ?)", rows).unwrap();
        let sql =
            "SELECT count(*), count(*) FILTER (WHERE number = a + 1 AND b = a::VARCHAR) FROM t";
        let counts: (i64, i64) = connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(counts, (AT_ONCE as i64 * 2 + 5, AT_ONCE as i64 * 2 + 5));
        insert_many(
            &connection,
            "INSERT INTO t (a, b)",
            "(?, ?)",
            Vec::<[Value; 2]>::new(),
        )
        .unwrap();
    }
}
