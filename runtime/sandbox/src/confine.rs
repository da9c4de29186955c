//! What the process gives up before it touches a component. Each wall is real without the others, and a kernel that
//! lacks one is reported to the broker, never passed over.

use std::fmt::Display;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

mod descriptors;
mod filter;
mod rlimits;

pub(crate) use rlimits::limit_run;

/// The newest Landlock whose restrictions are known here.
const LANDLOCK: ABI = ABI::V6;

/// Everything up to Landlock, for this thread and all that it starts later. Names the walls that this kernel lacks.
pub(crate) fn process() -> Vec<String> {
    let mut walls = Walls::default();
    walls.build(
        "death-signal",
        set_parent_process_death_signal(Some(Signal::KILL)),
    );
    walls.build(
        "not-dumpable",
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
    );
    walls.build("descriptors", descriptors::close_others());
    rlimits::limit_process(&mut walls);
    walls.build("capabilities", drop_capabilities());
    walls.build("no-new-privileges", set_no_new_privs(true));
    landlock(&mut walls);
    walls.0
}

/// The last wall: only the system calls that a running guest needs, on all threads.
pub(crate) fn system_calls() -> Vec<String> {
    let mut walls = Walls::default();
    rlimits::forbid_processes(&mut walls);
    walls.build("system-calls", filter::allow_only_what_is_needed());
    walls.0
}

/// From now on nothing that was written can be executed. For after the component is loaded.
pub(crate) fn no_new_code() -> Result<(), String> {
    filter::forbid_new_code().map_err(|error| error.to_string())
}

/// The walls that could not be built.
#[derive(Debug, Default)]
pub(crate) struct Walls(Vec<String>);

impl Walls {
    fn build(&mut self, name: &str, built: Result<(), impl Display>) {
        if let Err(error) = built {
            self.0.push(format!("{name}: {error}"));
        }
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
            RulesetStatus::PartiallyEnforced => walls
                .0
                .push("landlock: this kernel knows a part of it only".into()),
            RulesetStatus::NotEnforced => walls
                .0
                .push("landlock: this kernel does not have it".into()),
        },
        Err(error) => walls.build("landlock", Err::<(), landlock::RulesetError>(error)),
    }
}

#[cfg(test)]
mod tests;
