//! One batch of deliveries as a run: seen in the list of runs, with its log, and published as a whole.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::ports::{Cursors, Delivery, Ended, INBOX, Observer as _, Outcome, Receiver};
use domain::run::{Counts, Level};
use domain::{Failure, Operation, Order, Run, RunId, SourceName};

use crate::inbox::Record;
use crate::live::Live;
use crate::record::About;
use crate::run::{self, Prepared};
use crate::{Ingest, IngestError, Ports};

/// Up to which delivery the extract holds the rows.
pub(super) fn position(cursors: &Cursors) -> Result<u64, Failure> {
    let Some(cursor) = cursors.get(INBOX) else {
        return Ok(0);
    };
    let text = std::str::from_utf8(cursor).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Failure::limit(
            "the extract does not say up to which delivery it holds rows; put its folder back from a backup",
        )
    })
}

fn cursor(position: u64) -> (String, Vec<u8>) {
    (INBOX.to_owned(), position.to_string().into_bytes())
}

/// Why a batch brought nothing.
pub(super) enum Unhandled {
    /// It was not run: something else is under way, or somebody has to do something first.
    NotNow(IngestError),
    /// Its run ended so.
    Ended(Ended),
}

/// Runs a batch; its rows are published when this returns without failure.
pub(super) fn run(
    ingest: &Arc<Ingest>,
    receiver: &mut dyn Receiver,
    source: &SourceName,
    batch: &[Record],
) -> Result<(), Unhandled> {
    let (live, prepared) = register(ingest, source).map_err(Unhandled::NotNow)?;
    let (ports, mut ended) = (&ingest.ports, None);
    let work = || attempt(ports, receiver, &live, prepared, batch);
    let (counts, result) = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let failure =
            Failure::bug("the host stumbled over this batch; the server's log says where");
        (live.run().counts, Err(failure.into()))
    });
    if let Err(why) = &result {
        ended = Some(why.clone());
    }
    run::finish(&live, counts, result);
    ingest.runs.finished(&live);
    // A sync that waited for the end of this batch has its turn before the next one.
    ingest.dispatch();
    ended.map_or(Ok(()), |ended| Err(Unhandled::Ended(ended)))
}

/// Takes the source for a run of its own: no sync of it is under way as long as this one is.
fn register(
    ingest: &Arc<Ingest>,
    source: &SourceName,
) -> Result<(Arc<Live>, Prepared), IngestError> {
    let ports = &ingest.ports;
    let version = run::prepare(ports, source)?.version.digest;
    let queued = Run::queued(
        source.clone(),
        version,
        Operation::Receive,
        ports.clock.now(),
    );
    let order = Order::of_person(Operation::Receive, Vec::new());
    let live = Arc::new(Live::new(queued.clone(), order, ports.store.clone()));
    ingest.runs.take_over(&live)?;
    // Again: until it was registered, somebody may have moved the source; from here on nobody can.
    let prepared = run::prepare(ports, source).and_then(|again| {
        match again.version.digest == queued.version {
            true => Ok(again),
            false => Err(IngestError::Moving(source.clone())),
        }
    });
    let saved = prepared.and_then(|prepared| {
        ports.store.save_run(&queued)?;
        Ok(prepared)
    });
    match saved {
        Ok(prepared) => Ok((live, prepared)),
        Err(error) => {
            ingest.runs.finished(&live);
            ingest.dispatch();
            Err(error)
        }
    }
}

fn attempt(
    ports: &Ports,
    receiver: &mut dyn Receiver,
    live: &Arc<Live>,
    prepared: Prepared,
    batch: &[Record],
) -> (Counts, Result<(), Ended>) {
    let about = About::of(&prepared, &[]);
    let mut job = match run::job(ports, live, prepared) {
        Ok(job) => job,
        Err(failure) => return (Counts::default(), Err(failure.into())),
    };
    // It is published with the rows, and no table can have its name.
    let last = batch.last().map_or(0, |record| record.head.sequence);
    job.cursors.extend([cursor(last)]);
    live.log(Level::Info, &told(batch));
    let (counts, result) = receiver.receive(job, batch.iter().map(delivery).collect());
    let result = result.and_then(|outcome| match outcome {
        Outcome::Synced(published) => {
            for (table, rows) in &published.tables {
                live.log(Level::Info, &format!("published `{table}`: {rows} rows"));
            }
            about.record(ports, live, None);
            Ok(())
        }
        _ => Err(Failure::bug("a batch ended like another operation").into()),
    });
    (counts, result)
}

/// What the run's log says of its deliveries: nothing of what they hold.
fn told(batch: &[Record]) -> String {
    let bytes: usize = batch.iter().map(|record| record.body.len()).sum();
    let number = |record: Option<&Record>| record.map_or(0, |record| record.head.sequence);
    format!(
        "deliveries {} to {}: {} of them, {bytes} bytes",
        number(batch.first()),
        number(batch.last()),
        batch.len()
    )
}

fn delivery(record: &Record) -> Delivery {
    Delivery {
        id: record.head.id.clone(),
        headers: record.head.headers.clone(),
        body: record.body.clone(),
    }
}

/// Publishes that deliveries are done with up to here, without rows of them.
pub(super) fn pass(
    ingest: &Arc<Ingest>,
    source: &SourceName,
    position: u64,
) -> Result<(), IngestError> {
    let _hold = ingest.hold(source)?;
    let mut stage = ingest.ports.extracts.stage(source, RunId::generate())?;
    stage.publish(&Cursors::from([cursor(position)]))?;
    Ok(())
}
