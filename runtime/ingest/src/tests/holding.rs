//! A source that is being changed starts no run, and one that runs is not changed.

use domain::SourceName;

use super::{Outcome, set_up};
use crate::IngestError;

#[test]
fn a_source_that_is_held_starts_no_run_and_one_that_runs_is_not_held() {
    let t = set_up();
    let shop = SourceName::parse("shop").unwrap();
    let hold = t.ingest.hold(&shop).unwrap();
    assert!(matches!(t.start(), Err(IngestError::Moving(_))));
    assert!(matches!(t.ingest.hold(&shop), Err(IngestError::Moving(_))));
    drop(hold);
    let run = t.start().unwrap();
    let refused = t.ingest.hold(&shop);
    assert!(matches!(refused, Err(IngestError::AlreadyRunning { .. })));
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.last(&run);
    t.ingest.hold(&shop).unwrap();
}
