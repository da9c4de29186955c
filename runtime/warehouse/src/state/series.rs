//! How runs went: a few points each, kept as one text, since nobody asks for a point alone.

use domain::RunId;
use domain::series::Point;
use duckdb::params;

use super::row::{collect, from_json, json};
use super::{State, StateError};

impl State {
    /// Keeps how a run went, in the place of what was kept before.
    ///
    /// # Errors
    /// [`StateError::Storage`].
    pub fn save_series(&self, run: RunId, points: &[Point]) -> Result<(), StateError> {
        let points = json(&points)?;
        let run = run.to_string();
        self.write(|connection| {
            connection.execute("DELETE FROM run_series WHERE run = ?", params![run])?;
            let sql = "INSERT INTO run_series (run, points) VALUES (?, ?)";
            connection.execute(sql, params![run, points])?;
            Ok(())
        })
    }

    /// How a run went; nothing where that was not kept.
    ///
    /// # Errors
    /// [`StateError::Storage`], [`StateError::Malformed`].
    pub fn series(&self, run: RunId) -> Result<Vec<Point>, StateError> {
        let sql = "SELECT points FROM run_series WHERE run = ?";
        let found = self.read(|connection| {
            collect(connection, sql, &[&run.to_string()], |row| {
                from_json(&row.get::<_, String>(0)?)
            })
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::state;
    use domain::run::Counts;

    #[test]
    fn a_series_is_kept_once_and_another_run_has_its_own() {
        let (_folder, state) = state();
        let (run, other) = (RunId::generate(), RunId::generate());
        let point = |milliseconds| Point {
            milliseconds,
            counts: Counts {
                rows: milliseconds * 2,
                ..Counts::default()
            },
        };
        state.save_series(run, &[point(1)]).unwrap();
        state.save_series(run, &[point(1), point(2)]).unwrap();
        assert_eq!(state.series(run).unwrap(), [point(1), point(2)]);
        assert_eq!(state.series(other).unwrap(), []);
    }
}
