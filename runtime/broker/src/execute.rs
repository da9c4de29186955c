//! One run from its job to its end: a place, a runner, a watchdog, a conversation, and the verdict.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use domain::ports::{Component, Ended, Job, Outcome};
use domain::protocol::Start;
use domain::run::{Counts, Level};
use domain::wall::Wall;
use domain::{Cancel, Failure, Limits, Secret, SlotName, SourceName, credential};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

#[cfg(test)]
mod tests;
mod warm;

pub(crate) use warm::Warm;

use crate::egress::client::Clients;
use crate::egress::credentials::Credentials;
use crate::egress::gate::Gate;
use crate::egress::{Egress, Parts};
use crate::journal::Journal;
use crate::places::{Place, Turn};
use crate::redact::Redactor;
use crate::runner::{Killer, Runner, component, verdict};
use crate::session::{CursorBook, Requests, Session, SessionError, Writing};
use crate::stop::Stop;
use crate::tape::{Chance, Tape};
use crate::{Broker, compile as compiling};

/// What the runner, which interrupts the component itself, gets beyond the wall-clock limit.
const GRACE: Duration = Duration::from_secs(5);
/// More than any component has.
const MAX_COMPONENT: usize = 256 << 20;

/// Ends a task when it is dropped.
struct Background(JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn execute(broker: &Broker, job: Job) -> (Counts, Result<Outcome, Ended>) {
    execute_with(broker, job, &Tape::Off)
}

pub(crate) fn execute_with(
    broker: &Broker,
    job: Job,
    tape: &Tape,
) -> (Counts, Result<Outcome, Ended>) {
    let work: Work<'_> = &run_in_runner;
    carry_out(broker, job, tape, work)
}

/// Has whoever holds the other end of a socket run the component, without a runner. For the bench.
pub(crate) fn execute_over(
    broker: &Broker,
    job: Job,
    socket: &UnixStream,
) -> (Counts, Result<Outcome, Ended>) {
    let work: Work<'_> = &|_, _, session, stop| {
        session.journal.started();
        let lost = || Failure::bug("whoever runs the component is gone").into();
        session.drive(socket, socket).map_err(|error| match error {
            SessionError::Ended(ended) => ended,
            _ => stop.reason().unwrap_or_else(lost),
        })
    };
    carry_out(broker, job, &Tape::Off, work)
}

/// What runs the component of a conversation, once there is a place for it.
type Work<'a> = &'a dyn Fn(&Broker, &Component, Session, &Stop) -> Result<Outcome, Ended>;

fn carry_out(
    broker: &Broker,
    mut job: Job,
    tape: &Tape,
    work: Work<'_>,
) -> (Counts, Result<Outcome, Ended>) {
    // Whatever was granted; it also keeps points in time computable.
    let limits = &mut job.capabilities.limits;
    *limits = limits.at_most(Limits {
        requests_per_second: broker.config.requests_per_second,
        requests_at_once: broker.config.requests_at_once,
        ..Limits::MAXIMUM
    });
    let redactor = match Redactor::new(&secrets(&job)) {
        Ok(redactor) => redactor,
        Err(error) => {
            let failure = Failure::bug(format!("the credentials cannot be redacted: {error}"));
            return (Counts::default(), Err(failure.into()));
        }
    };
    let log_bytes = job.capabilities.limits.log_bytes;
    let journal = Journal::new(job.observer.clone(), redactor, log_bytes);
    let telling = Background(broker.config.handle.spawn(journal.clone().tell_progress()));
    let stop = Stop::new(&job.cancel);
    let result = shielded(|| {
        let chance = Chance::of(tape)?;
        if let Some(recorder) = tape.recorder() {
            recorder.begin(&job, &chance, journal.redactor());
        }
        let (component, source) = (job.component.clone(), job.source.clone());
        let session = session(broker, job, tape, &chance, &journal, &stop)?;
        let _place = place(broker, &source, &journal, &stop)?;
        work(broker, &component, session, &stop)
    });
    drop(telling);
    journal.finish();
    (journal.counts(), result)
}

/// Every credential of a run, and its parts.
fn secrets(job: &Job) -> Vec<Secret> {
    let bindings = &job.capabilities.credentials;
    let parts = |(slot, value): (&SlotName, &Secret)| match bindings
        .iter()
        .find(|binding| binding.slot == *slot)
    {
        Some(binding) => credential::secrets(&binding.scheme, value),
        None => vec![value.clone()],
    };
    job.credentials.iter().flat_map(parts).collect()
}

/// A defect of the host ends this run, and nothing else.
fn shielded<T>(work: impl FnOnce() -> Result<T, Ended>) -> Result<T, Ended> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no reason given");
        // Only for the operator: a panic's text may hold anything.
        tracing::error!(panic = text, "a run met a defect of the host");
        Err(Failure::bug(
            "the host met a defect of its own while it worked for this run; its log says more",
        )
        .into())
    })
}

fn run_in_runner(
    broker: &Broker,
    component: &Component,
    session: Session,
    stop: &Stop,
) -> Result<Outcome, Ended> {
    let (wall_seconds, cpu_seconds) = (session.start.wall_seconds, session.start.cpu_seconds);
    let mut memory = component::blank()?;
    let output = memory
        .try_clone()
        .map_err(|error| Failure::bug(format!("the runner cannot be given its memory: {error}")))?;
    let log = session.journal.clone();
    let complain = move |line: &str| log.log(Level::Debug, &format!("runner: {line}"));
    let mut runner = Runner::start(&broker.config.runner_exe, Some(output), complain)?;
    // The runner confines itself meanwhile, which takes longer than all of this.
    session.journal.started();
    component::fill(&mut memory, component)?;
    let overdue = Failure::limit(format!(
        "the run took more than {wall_seconds} s, which is its limit `wall_seconds`"
    ));
    let _watchdog = watch(
        &broker.config.handle,
        runner.killer(),
        stop,
        Duration::from_secs(wall_seconds) + GRACE,
        overdue,
    );
    let result = session.drive(runner.socket(), runner.socket());
    judge(result, &mut runner, stop, Some(cpu_seconds))
}

fn session(
    broker: &Broker,
    job: Job,
    tape: &Tape,
    chance: &Chance,
    journal: &Journal,
    stop: &Stop,
) -> Result<Session, Failure> {
    let writing = match (job.operation.writes(), job.stage) {
        (true, Some(stage)) => Some(Writing::new(
            stage,
            job.capabilities.clone(),
            journal.clone(),
        )),
        (true, None) => {
            let what = job.operation.as_str();
            return Err(Failure::bug(format!(
                "a {what} was started without a stage"
            )));
        }
        (false, _) => None,
    };
    let limits = job.capabilities.limits;
    let clients = Clients::new(
        broker.tls.clone(),
        broker.config.user_agent.clone(),
        broker.timing.connect,
    );
    let egress = Egress::new(Parts {
        credentials: Credentials::new(&job.capabilities.credentials, &job.credentials)?,
        gate: Gate::new(job.source, job.capabilities),
        lookup: broker.lookup.clone(),
        clients,
        tokens: broker.tokens.clone(),
        paces: broker.paces.clone(),
        keeper: job.keeper,
        timing: broker.timing,
        journal: journal.clone(),
        stop: stop.clone(),
    })
    .with_tape(tape.clone());
    Ok(Session {
        start: Start {
            wit: job.component.wit,
            operation: job.operation,
            settings: job.settings.to_string(),
            tables: job.tables,
            memory_bytes: limits.memory_bytes,
            wall_seconds: limits.wall_seconds,
            cpu_seconds: limits.cpu_seconds,
            random_seed: chance.random_seed,
            clock_from: chance.clock_from,
        },
        deliveries: Vec::new(),
        required_walls: broker.config.required_walls.clone(),
        requests: Requests::new(egress, broker.config.handle.clone()),
        cursors: CursorBook::new(job.cursors),
        writing,
        journal: journal.clone(),
        stop: stop.clone(),
    })
}

/// Waits for a free place among the runners.
fn place(
    broker: &Broker,
    source: &SourceName,
    journal: &Journal,
    stop: &Stop,
) -> Result<Place, Ended> {
    let mut waiting = match broker.places.take(source) {
        Turn::Now(place) => return Ok(place),
        Turn::Later(waiting) => waiting,
    };
    let message = format!(
        "waiting for a place: runs.max_at_once is {}",
        broker.config.max_runs
    );
    journal.log(Level::Info, &message);
    let place = broker.config.handle.block_on(async {
        tokio::select! {
            biased;
            _ = stop.stopped() => None,
            place = &mut waiting => place.ok(),
        }
    });
    place.ok_or_else(|| stop.reason().unwrap_or(Ended::Cancelled))
}

/// Kills the runner when the run is stopped, and stops the run when its time is up.
fn watch(
    handle: &Handle,
    killer: Killer,
    stop: &Stop,
    time: Duration,
    overdue: Failure,
) -> Background {
    let stop = stop.clone();
    Background(handle.spawn(async move {
        tokio::select! {
            _ = stop.stopped() => {}
            () = tokio::time::sleep(time) => stop.set(Ended::Failed(overdue)),
        }
        killer.kill();
    }))
}

/// What a conversation's end means, once the runner is gone.
fn judge<T>(
    result: Result<T, SessionError>,
    runner: &mut Runner,
    stop: &Stop,
    cpu_seconds: Option<u64>,
) -> Result<T, Ended> {
    let error = match result {
        Ok(outcome) => return Ok(outcome),
        Err(error) => error,
    };
    // Whatever broke after the run was stopped, it was stopped.
    if let Some(reason) = stop.reason() {
        return Err(reason);
    }
    Err(match error {
        SessionError::Ended(ended) => ended,
        SessionError::Violation(what) => Failure::bug(format!(
            "the runner broke the protocol and was killed: {what}"
        ))
        .into(),
        SessionError::Lost(_) => match runner.wait() {
            Ok(Some(status)) => verdict(&status, cpu_seconds).into(),
            Ok(None) => {
                Failure::bug("the runner closed its socket before its work was done").into()
            }
            Err(error) => Failure::bug(format!("the runner was lost: {error}")).into(),
        },
    })
}

pub(crate) fn compile(broker: &Broker, component: &[u8]) -> Result<Vec<u8>, Failure> {
    if component.is_empty() {
        return Err(Failure::config("the component is empty"));
    }
    if component.len() > MAX_COMPONENT {
        let message = format!("a component has at most {} MiB", MAX_COMPONENT >> 20);
        return Err(Failure::limit(message));
    }
    let config = &broker.config;
    let turn = config.handle.block_on(broker.compilers.acquire());
    let _turn = turn.map_err(|_| Failure::bug("the compiler is closed"))?;
    compile_in_runner(
        &config.runner_exe,
        &config.handle,
        component,
        &config.required_walls,
    )
}

fn compile_in_runner(
    exe: &Path,
    handle: &Handle,
    component: &[u8],
    required_walls: &[Wall],
) -> Result<Vec<u8>, Failure> {
    let stop = Stop::new(&Cancel::new());
    let complain = |line: &str| tracing::debug!(line, "the compiling runner complains");
    let mut runner = Runner::start(exe, None, complain)?;
    let overdue = Failure::limit(format!(
        "compiling took more than {} s",
        compiling::MOST_TIME.as_secs()
    ));
    let _watchdog = watch(
        handle,
        runner.killer(),
        &stop,
        compiling::MOST_TIME,
        overdue,
    );
    let result = compiling::drive(runner.socket(), runner.socket(), component, required_walls);
    judge(result, &mut runner, &stop, None).map_err(|ended| match ended {
        Ended::Failed(failure) => failure,
        Ended::Cancelled => Failure::limit("compiling was stopped"),
    })
}
