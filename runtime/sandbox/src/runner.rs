//! `sluice runner`: confines itself, then compiles or runs one component, then ends.
//!
//! The broker starts it with an empty environment, the socket as standard input and the compiled component as standard
//! output. Nothing that a stranger wrote is read before the last wall stands.

use std::process::ExitCode;

use domain::Failure;
use domain::protocol::{End, FrameError, FromRunner, Start, ToRunner};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use wasmtime::Engine;

use crate::link::{Broken, Link};
use crate::{compile, confine, engine, guest};

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

fn told(end: Result<(), RunnerError>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
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
            ToRunner::Run(start) => Ok(run(&self.link, &self.engine, &self.runtime, start)?),
            other => Err(Broken::Order(format!("{other:?} is not a job")).into()),
        }
    }

    fn escaped(&self, escape: impl FnOnce()) -> Result<(), RunnerError> {
        let failed = |error: String| RunnerError::Prepare(error);
        let ToRunner::Run(start) = self.link.receive().map_err(Broken::from)?.message else {
            return Err(failed("only a run is escaped from".into()));
        };
        confine::limit_run(start.memory_bytes, start.cpu_seconds)
            .map_err(|error| failed(error.to_string()))?;
        let component = guest::load_last_code(&self.engine);
        let _component = component.map_err(|failure| failed(failure.to_string()))?;
        escape();
        Ok(())
    }
}

fn run(link: &Link, engine: &Engine, runtime: &Runtime, start: Start) -> Result<(), Broken> {
    if let Err(error) = confine::limit_run(start.memory_bytes, start.cpu_seconds) {
        let failure = Failure::bug(format!("the runner cannot limit itself: {error}"));
        return Ok(link.send(&FromRunner::End(End::Failed(failure)), &[])?);
    }
    let end = match runtime.block_on(guest::run(link, engine, start)) {
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
