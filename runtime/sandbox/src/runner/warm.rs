//! What a runner does with its component: one run, or one batch of deliveries after the other.
//!
//! A batch meets nothing of the one before: each has a store of its own, and all that a component can
//! change is in its store. Only the machine code stays.

use domain::Failure;
use domain::ports::Delivery;
use domain::protocol::{End, Frame, FrameError, Start, ToRunner};
use domain::run::Operation;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Runner, conclude};
use crate::confine;
use crate::guest::{self, Stopped, Task};
use crate::link::{Broken, Link};

/// Runs what is asked for. After a batch that ended well waits for the next, until the broker closes the
/// socket or ends the process.
pub(super) fn serve(runner: &Runner, mut start: Start) -> Result<(), Broken> {
    let link = &runner.link;
    let mut loaded: Option<Component> = None;
    loop {
        let receives = start.operation == Operation::Receive;
        let deliveries = match receives {
            true => deliveries(link)?,
            false => Vec::new(),
        };
        let ended = run(runner, Task { start, deliveries }, &mut loaded);
        let stays = receives && matches!(ended, Ok(End::Done));
        conclude(link, ended)?;
        if !stays {
            return Ok(());
        }
        start = match link.receive() {
            Err(FrameError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(Frame {
                message: ToRunner::Run(next),
                ..
            }) if next.operation == Operation::Receive => next,
            Ok(_) => return Err(Broken::Order("a warm runner takes a batch".into())),
        };
    }
}

fn run(runner: &Runner, task: Task, loaded: &mut Option<Component>) -> Result<End, Stopped> {
    let start = &task.start;
    // Once: no limit can be changed after the component was loaded. The broker, which counts the time of
    // all batches, ends this process before what the first one was given can be too little for a later one.
    if loaded.is_none() {
        confine::limit_run(start.memory_bytes, start.cpu_seconds).map_err(|error| {
            let message = format!("the runner cannot limit itself: {error}");
            Stopped::Failed(Failure::bug(message))
        })?;
    }
    let load = |engine: &Engine| match loaded {
        Some(component) => Ok(component.clone()),
        None => {
            let component = guest::load_last_code(engine)?;
            Ok(loaded.insert(component).clone())
        }
    };
    let run = guest::run(&runner.link, &runner.engine, task, load);
    runner.runtime.block_on(run)
}

/// The deliveries that follow a start.
fn deliveries(link: &Link) -> Result<Vec<Delivery>, Broken> {
    let mut deliveries = Vec::new();
    loop {
        let Frame { message, payload } = link.receive()?;
        let ToRunner::Delivery { id, headers, last } = message else {
            return Err(Broken::Order("a delivery was to follow".into()));
        };
        deliveries.push(Delivery {
            id,
            headers,
            body: payload,
        });
        if last {
            return Ok(deliveries);
        }
    }
}
