//! Asks a runner which walls it cannot build here, without giving it anything to do.

use std::path::Path;
use std::time::Duration;

use domain::Failure;
use domain::protocol::{FromRunner, read_frame};
use domain::wall::MissingWall;

use crate::runner::Runner;

/// How long a runner may take to confine itself; it takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The walls that runners of this executable lack on this machine.
pub fn missing_walls(runner_exe: &Path) -> Result<Vec<MissingWall>, Failure> {
    let complain = |line: &str| tracing::debug!(line, "the runner that was asked complains");
    let runner = Runner::start(runner_exe, None, complain)?;
    let mut socket = runner.socket();
    let silent = |reason: String| {
        Failure::bug(format!(
            "the runner `{}` does not say that it is confined: {reason}",
            runner_exe.display()
        ))
    };
    let patient = socket.set_read_timeout(Some(PATIENCE));
    patient.map_err(|error| silent(error.to_string()))?;
    let frame = read_frame(&mut socket).map_err(|error| silent(error.to_string()))?;
    match frame.message {
        FromRunner::Ready { missing } => Ok(missing),
        _ => Err(silent("it says something else".into())),
    }
}
