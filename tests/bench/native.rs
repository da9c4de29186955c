//! What a component of the workload does, without a component: the same code, the same warehouse, no walls.

use std::time::Instant;

use domain::ports::{Cursors, Extracts as _};
use domain::table::{TableSpec, WriteMode};
use domain::{RunId, SourceName, TableName};
use warehouse::Warehouse;
use workload::{ORDERS_AT_ONCE, batch};

/// Publishes orders into a data folder, and prints how many seconds it took.
pub fn publish(work: &str, rows: &str, folder: &str) {
    let rows: u64 = rows.parse().expect("a number of rows");
    let warehouse = Warehouse::open(folder).expect("the folder takes a warehouse");
    warehouse.orchestrator.rebuild().expect("it can be built");
    let source = SourceName::parse("native").expect("a name");
    let spec = TableSpec {
        name: TableName::parse("orders").expect("a name"),
        description: String::new(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        mode: WriteMode::Replace,
        partition_by: None,
    };
    let began = Instant::now();
    let stage = warehouse.extracts.stage(&source, RunId::generate());
    let mut stage = stage.expect("a stage");
    stage.open_table(&spec).expect("it opens");
    for from in (0..rows).step_by(ORDERS_AT_ONCE as usize) {
        let to = rows.min(from + ORDERS_AT_ONCE);
        let appended = match work {
            "records" => {
                let records = batch::order_records(from, to).expect("orders are JSON");
                stage.append_json(&spec.name, &records)
            }
            _ => {
                let stream = batch::order_stream(from, to).expect("orders are Arrow");
                stage.append_arrow(&spec.name, &stream)
            }
        };
        assert_eq!(appended.expect("rows are taken"), to - from);
    }
    stage.publish(&Cursors::new()).expect("it publishes");
    warehouse.extracts.rebuild(&source).expect("it rebuilds");
    println!("{}", began.elapsed().as_secs_f64());
}
