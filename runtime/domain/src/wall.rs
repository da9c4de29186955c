//! The walls around a runner: what it gives up before it touches a component, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of them. Each holds without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// It ends with its broker.
    DeathSignal,
    /// Nobody of its own user reads its memory.
    NotDumpable,
    /// It has its standard descriptors and no other.
    Descriptors,
    /// Memory, processor time, files, descriptors and processes have a most.
    Limits,
    /// It has no capability.
    Capabilities,
    /// It never gains one.
    NoNewPrivileges,
    /// No file, no TCP, no signal to others.
    Landlock,
    /// Only the system calls that a running guest needs.
    SystemCalls,
    /// It is nobody in a user namespace of its own.
    UserNamespace,
    /// It is alone in a network without interfaces.
    NetworkNamespace,
}

impl Wall {
    /// All of them, in the order in which they are built.
    pub const ALL: [Self; 10] = [
        Self::UserNamespace,
        Self::NetworkNamespace,
        Self::DeathSignal,
        Self::NotDumpable,
        Self::Descriptors,
        Self::Limits,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::SystemCalls,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeathSignal => "death-signal",
            Self::NotDumpable => "not-dumpable",
            Self::Descriptors => "descriptors",
            Self::Limits => "limits",
            Self::Capabilities => "capabilities",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Landlock => "landlock",
            Self::SystemCalls => "system-calls",
            Self::UserNamespace => "user-namespace",
            Self::NetworkNamespace => "network-namespace",
        }
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wall that could not be built, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingWall {
    /// Which.
    pub wall: Wall,
    /// Why.
    pub reason: String,
}

impl fmt::Display for MissingWall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.wall, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_has_one_name_for_people_and_for_machines() {
        for wall in Wall::ALL {
            let json = serde_json::to_value(wall).unwrap();
            assert_eq!(json, wall.as_str());
        }
    }
}
