//! That a merge costs what it touches, and not what there is.

use std::time::Instant;

use serde_json::{Value, json};

use super::Stage;
use crate::Scale;
use crate::report::{Aim, Row, number};
use crate::samples::Samples;

/// Changed rows in three of sixty partitions, and as many all over them, which rewrites everything.
pub fn bench(stage: &Stage, scale: Scale) -> Vec<Row> {
    let (all, changed) = (scale.of(5_000_000, 200_000), scale.of(10_000, 1_000));
    let kinds = [("touched", 3), ("rewritten", 60)];
    for (name, months) in kinds {
        let settings =
            json!({"work": "merge", "table": name, "of": all, "rows": changed, "months": months});
        stage.add_workload(name, &settings);
        ran(stage, name);
        let counted = stage.app.rows(&format!("SELECT count(*) FROM {name}"));
        assert_eq!(
            counted[0][0],
            json!(all),
            "the first run brings all of them"
        );
    }
    let mut measured = [const { Vec::new() }; 2];
    for turn in 0..scale.of(5, 1) {
        for ((name, _), samples) in kinds.iter().zip(&mut measured) {
            samples.push(ran(stage, name));
        }
        println!("merge: turn {}", turn + 1);
    }
    verify(stage, all, changed);
    let [touched, rewritten] = measured.map(Samples::from);
    let (changed, all) = (number(changed as f64), number(all as f64));
    vec![Row {
        work: format!(
            "merge of {changed} changed rows into {all} in 60 monthly partitions, 3 of them touched; peer: all of them touched"
        ),
        ours: touched,
        peer: Some(rewritten),
        unit: "s",
        aim: Aim::AtMostTimesPeer(0.1),
    }]
}

fn ran(stage: &Stage, source: &str) -> f64 {
    let began = Instant::now();
    let run = stage.app.run(source);
    assert_eq!(run["state"], "succeeded", "{run}");
    began.elapsed().as_secs_f64()
}

/// Nothing was lost or doubled, and what was changed has changed.
fn verify(stage: &Stage, all: u64, changed: u64) {
    for name in ["touched", "rewritten"] {
        let query = format!(
            "SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM {name} WHERE generation > 0) FROM {name}"
        );
        let row: Value = stage.app.rows(&query)[0].clone();
        assert_eq!(row, json!([all, all, changed]), "{name}");
    }
}
