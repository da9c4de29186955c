//! Writes down publishes that the register has not heard of: those of servers before there was one,
//! and of a server that died between a publish and its record.

use domain::SyncReport;
use jiff::Timestamp;
use warehouse::{StateError, Warehouse};

/// Brings the register up to what is published.
pub(super) fn catch_up(warehouse: &Warehouse) -> Result<(), StateError> {
    let catalog = warehouse.orchestrator.catalog();
    for source in warehouse.state.sources()? {
        warehouse.state.record_sync(&SyncReport {
            tables: catalog.published(&source.name),
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
