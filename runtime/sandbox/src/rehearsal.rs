//! What the bench measures that no run does: instances of one component again and again, and a component without walls.

use std::fmt::Display;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use domain::Failure;
use domain::protocol::{FromRunner, Start, ToRunner};
use thiserror::Error;
use tokio::runtime::Builder;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::link::Link;
use crate::stdio::Lines;
use crate::{engine, guest, load, runner};

/// Why the bench cannot go on.
#[derive(Debug, Error)]
#[error("{0}")]
#[doc(hidden)]
pub struct RehearsalError(String);

fn failed(error: impl Display) -> RehearsalError {
    RehearsalError(error.to_string())
}

/// How long it takes to make an instance, call its `check`, and drop it.
pub(crate) async fn times(
    link: &Link,
    component: &Component,
    start: &Start,
    times: u32,
) -> wasmtime::Result<Vec<Duration>> {
    let linked = guest::linked(component)?;
    let lines = Lines::new(link.clone());
    let mut taken = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let mut store = guest::store(component.engine(), link, &lines, start);
        let source = linked.instantiate_async(&mut store).await?;
        let checked = source
            .sluice_connector_pull()
            .call_check(&mut store)
            .await?;
        drop(store);
        taken.push(began.elapsed());
        if let Err(failure) = checked {
            return Err(wasmtime::Error::msg(Failure::from(failure).to_string()));
        }
    }
    Ok(taken)
}

/// A component in the process that asks for it, behind no wall but wasmtime's own: what Sluice would be without runners.
/// For the bench of what they cost; nothing else makes one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Unwalled {
    engine: Engine,
    component: Component,
}

impl Unwalled {
    /// Loads the compiled form of a component, which must have come from `compile`.
    pub fn load(compiled: File) -> Result<Self, RehearsalError> {
        let engine = engine::engine().map_err(failed)?;
        engine::start_ticker(&engine).map_err(failed)?;
        let component = load::component(&engine, compiled).map_err(failed)?;
        Ok(Self { engine, component })
    }

    /// Speaks for a runner on this thread, from `Ready` to the end.
    pub fn serve(&self, socket: UnixStream) -> Result<(), RehearsalError> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(failed)?;
        let link = Link::new(socket);
        let ready = FromRunner::Ready {
            missing: Vec::new(),
        };
        link.send(&ready, &[]).map_err(failed)?;
        let ToRunner::Run(start) = link.receive().map_err(failed)?.message else {
            return Err(failed("only a run has a component"));
        };
        let component = self.component.clone();
        let run = guest::run(&link, &self.engine, start.into(), |_| Ok(component));
        runner::conclude(&link, runtime.block_on(run)).map_err(failed)
    }
}
