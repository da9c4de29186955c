//! What a server and its runners use, from /proc.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second for everyone who asks, on every architecture.
const TICKS: f64 = 100.0;

/// Seconds of processor time of a process and of those of its children that have ended.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name may hold anything but ends with the last bracket; the state follows as field 3.
    let (_, fields) = stat.rsplit_once(')').expect("a stat line");
    let fields = fields.split_whitespace().skip(11).take(4);
    fields
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// Watches how much memory a process and its children hold at once, until it is asked.
#[derive(Debug)]
pub struct Watch {
    done: Arc<AtomicBool>,
    peak: JoinHandle<u64>,
}

impl Watch {
    /// Starts to watch.
    pub fn start(pid: u32) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let over = done.clone();
        let peak = std::thread::spawn(move || {
            let mut peak = 0;
            while !over.load(Ordering::Relaxed) {
                let together = children(pid).into_iter().chain([pid]).map(resident).sum();
                peak = peak.max(together);
                std::thread::sleep(Duration::from_millis(10));
            }
            peak
        });
        Self { done, peak }
    }

    /// The most that was held at once, in megabytes.
    pub fn megabytes(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        self.peak.join().expect("the watch goes on") as f64 / 1e6
    }
}

/// Bytes of memory that a process holds.
pub fn resident(pid: u32) -> u64 {
    field(pid, "VmRSS:")
}

/// Those of them that no file stands behind, so that no other process shares them.
pub fn own_bytes(pid: u32) -> u64 {
    field(pid, "RssAnon:")
}

fn field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// The processes whose parent this is; not every kernel lists them by their parent.
fn children(pid: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = all
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| parent(*id) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
