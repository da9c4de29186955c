//! A bound on the memory of the whole server.
//!
//! DuckDB holds its tables and hashes within each instance's limit, but not the value that one call of a function makes:
//! `range(1000000000)` in a SELECT is 8 GB at once. With a bound of the operating system that one allocation fails, which ends
//! that query with an error; without one, the kernel would kill the server.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::sysinfo;

/// Below this a server does not even start its instances.
const LEAST: u64 = 1 << 30;

/// Bounds this process, and says by how many bytes; children that set bounds of their own lower it further.
pub(super) fn bound(configured_mb: Option<u64>) -> Option<u64> {
    let bytes = match configured_mb {
        Some(megabytes) => megabytes.saturating_mul(1 << 20),
        // The rest is for runners, caches of files and whatever else lives here.
        None => available() / 4 * 3,
    };
    let maximum = getrlimit(Resource::Data).maximum;
    let bytes = maximum
        .map_or(bytes, |maximum| bytes.min(maximum))
        .max(LEAST);
    let limit = Rlimit {
        current: Some(bytes),
        maximum,
    };
    match setrlimit(Resource::Data, limit) {
        Ok(()) => Some(bytes),
        Err(error) => {
            tracing::warn!(%error, "the memory of the server is not bounded: a single query can take all of it");
            None
        }
    }
}

/// The memory of the machine, or of the container if that is less.
fn available() -> u64 {
    let info = sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    machine.min(group.unwrap_or(u64::MAX))
}
