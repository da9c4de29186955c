//! Limits that the kernel keeps for the process, so that what wasmtime misses still has an end.

use domain::Limits;
use domain::wall::Wall;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};

use super::Walls;

/// Memory until the limits of the run are known, and for compiling: the largest component wants about 2 GiB.
const MEMORY: u64 = 4 << 30;

/// What the process itself needs beside the guest's memory: the compiled component twice while it is loaded, frames,
/// stacks.
const OWN_MEMORY: u64 = 512 << 20;

/// Processor time for compiling; the largest component takes two minutes on a slow core.
const COMPILE_SECONDS: u64 = 900;

/// Standard descriptors and their duplicates.
const DESCRIPTORS: u64 = 16;

/// How far a runner stands back behind the server where both want a processor: a tenth of its share, by the kernel's
/// weights. A guest that spins must not delay the API, and one that waits for a page loses nothing.
const NICE: i32 = 10;

pub(super) fn limit_process(walls: &mut Walls) {
    // A limit of processor time can only fall, so the hard one stays open until the job is known.
    let time = Rlimit {
        current: Some(COMPILE_SECONDS),
        maximum: Some(Limits::MAXIMUM.cpu_seconds),
    };
    for (what, resource, limit) in [
        ("core files", Resource::Core, exactly(0)),
        ("the size of files", Resource::Fsize, exactly(0)),
        ("descriptors", Resource::Nofile, exactly(DESCRIPTORS)),
        ("memory", Resource::Data, exactly(MEMORY)),
        ("processor time", Resource::Cpu, time),
    ] {
        build(walls, what, setrlimit(resource, limit));
    }
    build(walls, "priority", setpriority_process(None, NICE));
}

/// No process or thread after those that are there. Does nothing for root, who has the last wall only.
pub(super) fn forbid_processes(walls: &mut Walls) {
    build(walls, "processes", setrlimit(Resource::Nproc, exactly(0)));
}

fn build(walls: &mut Walls, what: &str, built: rustix::io::Result<()>) {
    if let Err(error) = built {
        walls.lacks(Wall::Limits, format!("of {what}: {error}"));
    }
}

/// The limits of a run: the guest's memory with what the process needs beside it, and processor time.
pub(crate) fn limit_run(memory_bytes: u64, cpu_seconds: u64) -> rustix::io::Result<()> {
    let memory = memory_bytes.saturating_add(OWN_MEMORY).min(MEMORY);
    let time = cpu_seconds.clamp(1, Limits::MAXIMUM.cpu_seconds);
    setrlimit(Resource::Data, exactly(memory))?;
    setrlimit(Resource::Cpu, exactly(time))
}

fn exactly(limit: u64) -> Rlimit {
    Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    }
}
