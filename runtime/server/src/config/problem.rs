//! What is wrong with a configuration: all of it, each with its place.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// A line and a column of the file, from 1.
    Line(usize, usize),
    /// A variable of the environment that wins over the file.
    Variable(&'static str),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) at: At,
    /// What is wrong and what it must be. It never quotes a secret.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(at: At, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

/// Everything that is wrong with a configuration; printed, a line for each, as compilers do.
#[derive(Debug)]
pub(crate) struct Problems {
    /// The file, unless there is none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(file: Option<&Path>, mut list: Vec<Problem>) -> Self {
        list.sort();
        list.dedup();
        Self {
            file: file.map(Path::to_owned),
            list,
        }
    }
}

impl Display for Problems {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or(Path::new("configuration"));
        for (index, problem) in self.list.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            match problem.at {
                At::Line(line, column) => write!(f, "{gap}{}:{line}:{column}: ", file.display())?,
                At::Variable(name) => write!(f, "{gap}environment: {name}: ")?,
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file is not there or not readable.
    #[error("the configuration `{path}` cannot be read: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It was read, and this is wrong with it.
    #[error("the configuration cannot be used:\n{0}")]
    Wrong(Problems),
}
