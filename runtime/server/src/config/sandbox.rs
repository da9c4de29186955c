//! Which walls must stand around a connector before it runs.

use domain::wall::Wall;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the server insists on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sandbox {
    /// The walls without which no connector runs; `all` stands for every one.
    #[schemars(length(max = 32))]
    pub(crate) require: Vec<Required>,
}

/// A wall, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Required {
    /// Every wall that there is.
    All,
    /// It ends with the server.
    DeathSignal,
    /// Its memory cannot be read.
    NotDumpable,
    /// It inherits no open file.
    Descriptors,
    /// Memory, time and processes have a most.
    Limits,
    /// It has no privilege.
    Capabilities,
    /// It gains none.
    NoNewPrivileges,
    /// No file, no connection.
    Landlock,
    /// Only the system calls that it needs.
    SystemCalls,
    /// It is nobody.
    UserNamespace,
    /// It has no network.
    NetworkNamespace,
}

impl Default for Sandbox {
    fn default() -> Self {
        // Namespaces are refused in most containers, and what they hold back the others do as well.
        let require = vec![
            Required::DeathSignal,
            Required::NotDumpable,
            Required::Descriptors,
            Required::Limits,
            Required::Capabilities,
            Required::NoNewPrivileges,
            Required::Landlock,
            Required::SystemCalls,
        ];
        Self { require }
    }
}

impl Sandbox {
    /// The walls that are required.
    pub(crate) fn walls(&self) -> Vec<Wall> {
        let mut walls: Vec<_> = self.require.iter().flat_map(|one| one.walls()).collect();
        walls.sort_unstable();
        walls.dedup();
        walls
    }
}

impl Required {
    fn walls(self) -> Vec<Wall> {
        vec![match self {
            Self::All => return Wall::ALL.to_vec(),
            Self::DeathSignal => Wall::DeathSignal,
            Self::NotDumpable => Wall::NotDumpable,
            Self::Descriptors => Wall::Descriptors,
            Self::Limits => Wall::Limits,
            Self::Capabilities => Wall::Capabilities,
            Self::NoNewPrivileges => Wall::NoNewPrivileges,
            Self::Landlock => Wall::Landlock,
            Self::SystemCalls => Wall::SystemCalls,
            Self::UserNamespace => Wall::UserNamespace,
            Self::NetworkNamespace => Wall::NetworkNamespace,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wall_can_be_required_by_its_name() {
        for wall in Wall::ALL {
            let required: Required = serde_json::from_value(wall.as_str().into()).unwrap();
            assert_eq!(required.walls(), [wall]);
        }
        assert_eq!(Required::All.walls(), Wall::ALL);
    }

    #[test]
    fn without_a_word_all_is_required_that_containers_have_too() {
        let walls = Sandbox::default().walls();
        assert_eq!(walls.len(), Wall::ALL.len() - 2);
        assert!(walls.contains(&Wall::Landlock) && walls.contains(&Wall::SystemCalls));
    }
}
