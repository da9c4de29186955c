//! Ctrl-C ends the demo at any moment without leaving a server or a folder behind.

use std::path::PathBuf;
use std::process::Command;

use tokio::signal::unix::{SignalKind, signal};

use crate::stage::Failed;

/// From now on, Ctrl-C or a request to end kills the server of this id, removes the folder and ends the program: well
/// if `serving`, since that is how `--serve` is meant to end, else as interrupted.
pub fn on_interrupt(server: u32, folder: PathBuf, serving: bool) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("signals cannot be heard: {error}"))?;
    std::thread::spawn(move || {
        runtime.block_on(interrupted());
        let _ = Command::new("kill").arg(server.to_string()).status();
        let _ = std::fs::remove_dir_all(&folder);
        println!("\nStopped; {} is gone.", folder.display());
        std::process::exit(if serving { 0 } else { 130 });
    });
    Ok(())
}

async fn interrupted() {
    let heard = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = heard else {
        // Without handlers the signals end the program by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
