//! `sluice runner`: confines itself, then compiles or runs one component, then ends.
//!
//! The broker starts it with an empty environment, the socket as standard input and the compiled component as standard
//! output. Nothing that a stranger wrote is read before the last wall stands.

use std::io::Write as _;
use std::process::ExitCode;

use domain::Failure;
use domain::protocol::{End, FrameError, FromRunner, Start, ToRunner};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::link::{Broken, Link};
use crate::{compile, confine, engine, guest, rehearsal};

mod warm;

/// Why the process could not do its work. Goes to standard error, which the broker keeps.
#[derive(Debug, Error)]
enum RunnerError {
    #[error("cannot prepare: {0}")]
    Prepare(String),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The whole of `sluice runner`. Ends with success once the broker has an answer, whatever that is.
pub fn runner_main() -> ExitCode {
    told(Runner::confined().and_then(|runner| runner.serve()))
}

/// A runner that takes its job and loads its component, and then does this instead: what somebody could do who got out
/// of wasmtime. For the test of the walls; nothing else calls it.
#[doc(hidden)]
pub fn escaped_main(escape: impl FnOnce()) -> ExitCode {
    told(Runner::confined().and_then(|runner| runner.escaped(escape)))
}

/// A runner that takes its job and loads its component, and then instantiates it and calls `check` so many times; it
/// prints how long each took, in nanoseconds. For the bench; nothing else calls it.
#[doc(hidden)]
pub fn rehearsing_main(times: u32) -> ExitCode {
    told(Runner::confined().and_then(|runner| runner.rehearsed(times)))
}

fn told(end: Result<(), RunnerError>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where this fails too.
            drop(writeln!(std::io::stderr(), "runner: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A process behind its walls, before it has a job.
struct Runner {
    engine: Engine,
    runtime: Runtime,
    link: Link,
}

impl Runner {
    /// Confines this process and says so.
    fn confined() -> Result<Self, RunnerError> {
        let mut missing = confine::process();
        let prepare = |error: &dyn std::fmt::Display| RunnerError::Prepare(error.to_string());
        let engine = engine::engine().map_err(|error| prepare(&error))?;
        engine::start_ticker(&engine).map_err(|error| prepare(&error))?;
        // One thread and a clock: all that WASI's timers need, and all that works behind the last wall.
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| prepare(&error))?;
        let link = Link::inherited().map_err(|error| prepare(&error))?;
        missing.extend(confine::system_calls());
        link.send(&FromRunner::Ready { missing }, &[])
            .map_err(Broken::from)?;
        Ok(Self {
            engine,
            runtime,
            link,
        })
    }

    fn serve(&self) -> Result<(), RunnerError> {
        match self.link.receive().map_err(Broken::from)?.message {
            ToRunner::Compile => Ok(compile::serve(&self.link, &self.engine)?),
            ToRunner::Run(start) => Ok(warm::serve(self, start)?),
            other => Err(Broken::Order(format!("{other:?} is not a job")).into()),
        }
    }

    fn escaped(&self, escape: impl FnOnce()) -> Result<(), RunnerError> {
        let (_start, _component) = self.loaded()?;
        escape();
        Ok(())
    }

    fn rehearsed(&self, times: u32) -> Result<(), RunnerError> {
        let (start, component) = self.loaded()?;
        let rehearsal = rehearsal::times(&self.link, &component, &start, times);
        let taken = self.runtime.block_on(rehearsal);
        let taken = taken.map_err(|error| RunnerError::Prepare(format!("{error:#}")))?;
        let mut lines = String::new();
        for time in taken {
            lines.push_str(&format!("{}\n", time.as_nanos()));
        }
        let printed = std::io::stderr().write_all(lines.as_bytes());
        printed.map_err(|error| RunnerError::Prepare(error.to_string()))
    }

    /// Goes as far as a run does before its component is instantiated.
    fn loaded(&self) -> Result<(Start, Component), RunnerError> {
        let failed = |error: &dyn std::fmt::Display| RunnerError::Prepare(error.to_string());
        let ToRunner::Run(start) = self.link.receive().map_err(Broken::from)?.message else {
            return Err(failed(&"only a run has a component"));
        };
        let limited = confine::limit_run(start.memory_bytes, start.cpu_seconds);
        limited.map_err(|error| failed(&error))?;
        let component = guest::load_last_code(&self.engine).map_err(|error| failed(&error))?;
        Ok((start, component))
    }
}

/// Tells the broker how the component ended.
pub(crate) fn conclude(link: &Link, ended: Result<End, guest::Stopped>) -> Result<(), Broken> {
    let end = match ended {
        Ok(end) => end,
        Err(guest::Stopped::Failed(failure)) => End::Failed(failure),
        Err(guest::Stopped::Broken(broken)) => return Err(broken),
    };
    match link.send(&FromRunner::End(end), &[]) {
        Err(FrameError::TooLarge { .. }) => {
            let failure = Failure::limit("the connector lists more tables than can be told");
            Ok(link.send(&FromRunner::End(End::Failed(failure)), &[])?)
        }
        sent => Ok(sent?),
    }
}
