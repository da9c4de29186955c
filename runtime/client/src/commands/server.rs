//! What is done at the server's own machine. The predecessor's client called docker and kamal from wherever it ran; a client
//! that can restart a server is a way into it, so this one only says what to type there.

use crate::args::ServerCommand;
use crate::error::Error;

/// Says what does it.
pub(super) fn run(command: &ServerCommand) -> Result<(), Error> {
    let there = match command {
        ServerCommand::Status => "systemctl status sluice, and sluice doctor",
        ServerCommand::Logs { .. } => "journalctl -u sluice",
        ServerCommand::Restart { .. } => "systemctl restart sluice",
        ServerCommand::Deploy { .. } => {
            "put the new binary in place, then systemctl restart sluice"
        }
        ServerCommand::Rollback => {
            "put the binary from before in place, then systemctl restart sluice"
        }
        ServerCommand::Backup { .. } => "sluice admin backup",
    };
    Err(Error::Said(format!(
        "this is done at the server's own machine: {there}. From here, `da status` and `da diagnose` look at it."
    )))
}
