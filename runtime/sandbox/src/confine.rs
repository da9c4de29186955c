//! What the process gives up before it touches a component. Each wall is real without the others, and a kernel that
//! lacks one is reported to the broker, never passed over.

use std::fmt::Display;

use domain::wall::{MissingWall, Wall};
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

mod descriptors;
mod filter;
mod namespaces;
mod rlimits;

pub(crate) use rlimits::limit_run;

/// The newest Landlock whose restrictions are known here.
const LANDLOCK: ABI = ABI::V6;

/// Everything up to Landlock, for this thread and all that it starts later. Names the walls that this kernel lacks.
pub(crate) fn process() -> Vec<MissingWall> {
    let mut walls = Walls::default();
    // First: whoever changes its user namespace loses the death signal, and may be dumped again.
    namespaces::leave(&mut walls);
    walls.build(
        Wall::DeathSignal,
        set_parent_process_death_signal(Some(Signal::KILL)),
    );
    walls.build(
        Wall::NotDumpable,
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
    );
    walls.build(Wall::Descriptors, descriptors::close_others());
    rlimits::limit_process(&mut walls);
    walls.build(Wall::Capabilities, drop_capabilities());
    walls.build(Wall::NoNewPrivileges, set_no_new_privs(true));
    landlock(&mut walls);
    walls.0
}

/// The last wall: only the system calls that a running guest needs, on all threads.
pub(crate) fn system_calls() -> Vec<MissingWall> {
    let mut walls = Walls::default();
    rlimits::forbid_processes(&mut walls);
    walls.build(Wall::SystemCalls, filter::allow_only_what_is_needed());
    walls.0
}

/// From now on nothing that was written can be executed. For after the component is loaded.
pub(crate) fn no_new_code() -> Result<(), String> {
    filter::forbid_new_code().map_err(|error| error.to_string())
}

/// The walls that could not be built.
#[derive(Debug, Default)]
pub(crate) struct Walls(Vec<MissingWall>);

impl Walls {
    fn build(&mut self, wall: Wall, built: Result<(), impl Display>) {
        if let Err(error) = built {
            self.lacks(wall, error.to_string());
        }
    }

    fn lacks(&mut self, wall: Wall, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.push(MissingWall { wall, reason });
    }
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets)
}

/// Handles everything and allows nothing: no file, no TCP, no signal and no abstract socket beyond this process.
fn landlock(walls: &mut Walls) {
    let restrict = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .restrict_self()
    };
    match restrict() {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => {}
            RulesetStatus::PartiallyEnforced => {
                walls.lacks(Wall::Landlock, "this kernel knows a part of it only");
            }
            RulesetStatus::NotEnforced => {
                walls.lacks(Wall::Landlock, "this kernel does not have it");
            }
        },
        Err(error) => walls.lacks(Wall::Landlock, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
