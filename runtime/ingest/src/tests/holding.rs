//! A source that is being changed begins no run, and one that runs is not changed.

use domain::{Operation, RunState, SourceName};

use super::{Outcome, set_up};
use crate::IngestError;

#[test]
fn a_run_waits_as_long_as_its_source_is_held_and_one_that_runs_is_not_held() {
    let t = set_up();
    let shop = SourceName::parse("shop").unwrap();
    let hold = t.ingest.hold(&shop).unwrap();
    let run = t.start().unwrap();
    assert!(matches!(t.ingest.hold(&shop), Err(IngestError::Moving(_))));
    let idle = t.ingest.start_idle(&shop, Operation::Check, vec![]);
    assert!(matches!(idle, Err(IngestError::Moving(_))));
    assert_eq!(t.state_of(&run), RunState::Queued);
    // It begins in here: nobody has to look again.
    drop(hold);
    t.until_running(&run);
    let refused = t.ingest.hold(&shop);
    assert!(matches!(refused, Err(IngestError::AlreadyRunning { .. })));
    t.end.send(Ok(Outcome::Checked)).unwrap();
    t.last(&run);
    t.ingest.hold(&shop).unwrap();
}
