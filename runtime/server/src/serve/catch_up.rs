//! Writes down publishes that the register has not heard of: those of servers before there was one,
//! and of a server that died between a publish and its record.

use std::collections::HashMap;

use domain::SyncReport;
use jiff::Timestamp;
use warehouse::{StateError, Warehouse};

/// Brings the register up to what is published.
pub(super) fn catch_up(warehouse: &Warehouse) -> Result<(), StateError> {
    let catalog = warehouse.orchestrator.catalog();
    // Read at once: a start must not ask for each table.
    let states = warehouse.state.sync_states()?.into_iter();
    let known: HashMap<_, _> = states.map(|state| (state.table, state.last_sync)).collect();
    for source in warehouse.state.sources()? {
        let mut tables = catalog.published(&source.name);
        tables.retain(|table| known.get(&table.name.folded()) != Some(&table.published_at));
        if tables.is_empty() {
            continue;
        }
        warehouse.state.record_sync(&SyncReport {
            run: None,
            tables,
            connector: source.connector.to_string(),
            source: source.name,
            at: Timestamp::now(),
            duration_ms: 0,
            asked: Vec::new(),
            failure: None,
        })?;
    }
    Ok(())
}
