//! Random publishes against a table in memory: after each, a reader sees what the model holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A row: its key, its partition, its value, whether it is deleted.
type Row = (u8, Option<u8>, u8, bool);

#[derive(Debug, Clone)]
enum Step {
    /// A run that publishes each of these in turn.
    Write {
        mode: WriteMode,
        split: bool,
        publishes: Vec<Vec<Row>>,
    },
    /// An admin asks for all rows anew.
    Anew,
    /// Small files are put together.
    Compact,
}

fn row() -> impl Strategy<Value = Row> {
    (
        0..8_u8,
        prop::option::of(0..3_u8),
        any::<u8>(),
        prop::bool::weighted(0.2),
    )
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![
        2 => Just(WriteMode::Append),
        1 => Just(WriteMode::Replace),
        4 => Just(WriteMode::Merge),
    ];
    let publishes = prop::collection::vec(prop::collection::vec(row(), 1..9), 1..3);
    prop_oneof![
        8 => (mode, any::<bool>(), publishes)
            .prop_map(|(mode, split, publishes)| Step::Write { mode, split, publishes }),
        1 => Just(Step::Anew),
        1 => Just(Step::Compact),
    ]
}

/// The rows of the table in any order.
#[derive(Debug, Default)]
struct Model {
    rows: Vec<Row>,
    anew: bool,
    published: bool,
}

impl Model {
    fn apply(&mut self, mode: WriteMode, first: bool, rows: &[Row]) {
        let anew = first && std::mem::take(&mut self.anew);
        if anew || (first && mode == WriteMode::Replace) {
            self.rows.clear();
        }
        if mode != WriteMode::Merge {
            return self.rows.extend(rows);
        }
        let newest: BTreeMap<u8, Row> = rows.iter().map(|row| (row.0, *row)).collect();
        self.rows.retain(|row| !newest.contains_key(&row.0));
        self.rows.extend(newest.into_values().filter(|row| !row.3));
    }

    fn lines(&self) -> Vec<String> {
        let line = |(id, part, value, gone): &Row| {
            let part = part.map_or("-".to_owned(), |part| part.to_string());
            format!("{id} {part} {value} {gone}")
        };
        let mut lines: Vec<_> = self.rows.iter().map(line).collect();
        lines.sort();
        lines
    }
}

fn run(
    warehouse: &Warehouse,
    model: &mut Model,
    mode: WriteMode,
    split: bool,
    publishes: &[Vec<Row>],
) {
    let spec = TableSpec {
        mode,
        ..merged(split.then_some("part"))
    };
    let mut stage = warehouse
        .extracts
        .stage(&source("shop"), RunId::generate())
        .unwrap();
    stage.follow(&rules(json!({"*": {"tombstone": "gone"}})));
    stage.open_table(&spec).unwrap();
    for (number, rows) in publishes.iter().enumerate() {
        let records = rows.iter().map(
            |(id, part, value, gone)| json!({"id": id, "part": part, "v": value, "gone": gone}),
        );
        let records = Value::from_iter(records).to_string();
        stage.append_json(&table("t"), records.as_bytes()).unwrap();
        stage.publish(&Cursors::new()).unwrap();
        model.apply(mode, number == 0, rows);
        model.published = true;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_published_is_what_a_table_in_memory_holds(steps in prop::collection::vec(step(), 1..7)) {
        let (_folder, warehouse) = open();
        let mut model = Model::default();
        for step in steps {
            match &step {
                Step::Write { mode, split, publishes } => run(&warehouse, &mut model, *mode, *split, publishes),
                Step::Anew => {
                    warehouse.extracts.bring_anew(&source("shop"), &[]).unwrap();
                    model.anew = model.published;
                }
                Step::Compact => {
                    if let Some(compaction) = warehouse.extracts.compact(&source("shop"), &[]).unwrap() {
                        compaction.publish(&[]).unwrap();
                    }
                }
            }
            if model.published {
                let found = rows(&warehouse, "id, coalesce(part::VARCHAR, '-'), v, gone");
                prop_assert_eq!(found, model.lines(), "after {:?}", step);
            }
        }
    }
}
