//! How a run went, in a few points for a plot: the longer it takes, the further they lie apart.

use serde::{Deserialize, Serialize};

use crate::run::Counts;

/// The most points of a series.
pub const MOST_POINTS: usize = 120;

/// What a run had counted at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Point {
    /// Milliseconds since it began.
    pub milliseconds: u64,
    /// What it had counted.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The points of a run that goes on. Their number is bounded: when they are too many, every second one goes, and only
/// every second new one is kept from then on. The newest is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    kept: Vec<Point>,
    newest: Option<Point>,
    /// How many were added.
    added: u64,
    /// One of so many is kept.
    every: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            newest: None,
            added: 0,
            every: 1,
        }
    }
}

impl Series {
    /// Adds what is counted now. Time never runs backwards in a series, whatever a clock says.
    pub fn add(&mut self, mut point: Point) {
        if let Some(before) = self.newest {
            point.milliseconds = point.milliseconds.max(before.milliseconds);
        }
        self.newest = Some(point);
        if self.added.is_multiple_of(self.every) {
            if self.kept.len() + 1 >= MOST_POINTS {
                self.thin();
            }
            if self.added.is_multiple_of(self.every) {
                self.kept.push(point);
            }
        }
        self.added += 1;
    }

    /// The points in their order, the first and the newest among them.
    pub fn points(&self) -> Vec<Point> {
        let newest = self.newest.filter(|point| self.kept.last() != Some(point));
        self.kept.iter().copied().chain(newest).collect()
    }

    fn thin(&mut self) {
        let mut number = 0_usize;
        self.kept.retain(|_| {
            number += 1;
            number % 2 == 1
        });
        self.every *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(milliseconds: u64, rows: u64) -> Point {
        Point {
            milliseconds,
            counts: Counts {
                rows,
                ..Counts::default()
            },
        }
    }

    proptest! {
        #[test]
        fn a_series_is_bounded_and_in_order_and_its_ends_are_exact(
            steps in prop::collection::vec((0_u64..5_000, 0_u64..1_000), 1..2_000),
        ) {
            let (mut series, mut added) = (Series::default(), Vec::new());
            let mut now = (0, 0);
            for (time, rows) in steps {
                now = (now.0 + time, now.1 + rows);
                let next = point(now.0, now.1);
                series.add(next);
                added.push(next);
                let points = series.points();
                prop_assert!(points.len() <= MOST_POINTS);
                prop_assert!(points.is_sorted_by_key(|point| (point.milliseconds, point.counts.rows)));
                prop_assert_eq!(points.first(), added.first());
                prop_assert_eq!(points.last(), added.last());
                // Once it was thinned, it is never thinner than half.
                prop_assert!(points.len() >= added.len().min(MOST_POINTS / 2 - 1));
            }
        }

        #[test]
        fn points_lie_evenly_however_many_there_were(count in 1_u64..20_000) {
            let mut series = Series::default();
            (0..count).for_each(|second| series.add(point(second * 1_000, second)));
            let points = series.points();
            let (_, even) = points.split_last().unwrap();
            let gaps: std::collections::BTreeSet<_> =
                even.windows(2).map(|pair| pair[1].milliseconds - pair[0].milliseconds).collect();
            prop_assert!(gaps.len() <= 1, "{gaps:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_turn_a_series_round() {
        let mut series = Series::default();
        series.add(point(5_000, 1));
        series.add(point(1_000, 2));
        assert_eq!(series.points(), [point(5_000, 1), point(5_000, 2)]);
    }
}
