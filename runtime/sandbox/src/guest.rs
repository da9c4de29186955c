//! One component, from its compiled form to its end.

use std::pin::Pin;

use domain::ports::Delivery;
use domain::protocol::{End, Start};
use domain::{Failure, Operation, TableInfo, TableName};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::exports::sluice::connector::pull;
use crate::bindings::receiver::ReceiverPre;
use crate::bindings::receiver::exports::sluice::connector::receive;
use crate::bindings::sluice::connector::{http, types};
use crate::bindings::{Source, SourcePre};
use crate::budget::Budget;
use crate::link::{Broken, Link};
use crate::stdio::Lines;
use crate::{chance, confine, engine, load, verdict};

/// The most bytes that one host call may pass: the largest payload of the interface, and room for the texts beside it.
const CALL_BYTES: usize = 8 << 20;

/// The most responses, tables and WASI resources that a component may hold.
const RESOURCES: usize = 10_000;

/// Why there is no regular end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The component failed, or could not be run.
    Failed(Failure),
    /// The broker is gone.
    Broken(Broken),
}

/// What a component is asked to do.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) start: Start,
    /// Only in `receive`.
    pub(crate) deliveries: Vec<Delivery>,
}

impl From<Start> for Task {
    fn from(start: Start) -> Self {
        Self {
            start,
            deliveries: Vec::new(),
        }
    }
}

/// What belongs to a running component: the state behind its host functions.
pub(crate) struct Guest {
    pub(crate) link: Link,
    pub(crate) settings: String,
    pub(crate) resources: ResourceTable,
    pub(crate) budget: Budget,
    /// The last line that it logged as an error; where it panicked, this says why.
    pub(crate) last_error: Option<String>,
    wasi: WasiCtx,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

type Entered<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<Result<End, Failure>>> + 'a>>;

/// Instantiates a component of one version of the connector interface and calls what is asked for.
type Enter = for<'a> fn(&'a mut Store<Guest>, &'a Component, Task) -> Entered<'a>;

/// A later version of the interface stands beside this one.
const WORLDS: &[(&str, Enter)] = &[("0.1.0", |store, component, task| {
    Box::pin(enter(store, component, task))
})];

/// Instantiates a component and calls what is asked for. `load` is what loads it, once it is known that it can be run.
pub(crate) async fn run(
    link: &Link,
    engine: &Engine,
    task: Task,
    load: impl FnOnce(&Engine) -> Result<Component, Failure>,
) -> Result<End, Stopped> {
    let start = &task.start;
    let wall_seconds = start.wall_seconds;
    let Some((_, enter)) = WORLDS.iter().find(|(version, _)| *version == start.wit) else {
        let message = format!(
            "this host does not speak version {} of the connector interface",
            start.wit
        );
        return Err(Stopped::Failed(Failure::config(message)));
    };
    let component = load(engine).map_err(Stopped::Failed)?;
    let lines = Lines::new(link.clone());
    let mut store = store(engine, link, &lines, start);
    let result = enter(&mut store, &component, task).await;
    lines.finish();
    match result {
        Ok(Ok(end)) => Ok(end),
        Ok(Err(failure)) => Err(Stopped::Failed(verdict::returned(failure))),
        Err(error) => Err(verdict::trapped(error, store.data(), wall_seconds)),
    }
}

/// Loads the component that this process was started with. Nothing after it becomes code.
pub(crate) fn load_last_code(engine: &Engine) -> Result<Component, Failure> {
    let component = load::inherited_component(engine).map_err(|error| {
        Failure::bug(format!(
            "the compiled connector cannot be loaded: {error:#}"
        ))
    })?;
    confine::no_new_code()
        .map_err(|error| Failure::bug(format!("the runner cannot confine itself: {error}")))?;
    Ok(component)
}

pub(crate) fn store(engine: &Engine, link: &Link, lines: &Lines, start: &Start) -> Store<Guest> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(lines.clone())
        .stderr(lines.clone())
        .allow_tcp(false)
        .allow_udp(false)
        // Another thread could not be started.
        .allow_blocking_current_thread(true);
    chance::give(&mut wasi, start.random_seed, start.clock_from);
    let mut resources = ResourceTable::new();
    resources.set_max_capacity(RESOURCES);
    let guest = Guest {
        link: link.clone(),
        settings: start.settings.clone(),
        resources,
        budget: Budget::new(start.memory_bytes),
        last_error: None,
        wasi: wasi.build(),
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.budget);
    store.set_hostcall_fuel(CALL_BYTES);
    let ticks = u128::from(start.wall_seconds) * 1_000 / engine::TICK.as_millis();
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).max(1));
    store
}

/// The worlds of version 0.1.0.
async fn enter(
    store: &mut Store<Guest>,
    component: &Component,
    task: Task,
) -> wasmtime::Result<Result<End, Failure>> {
    match task.start.operation {
        Operation::Receive => receiver(store, component, task.deliveries).await,
        _ => source(store, component, &task.start).await,
    }
}

async fn source(
    store: &mut Store<Guest>,
    component: &Component,
    start: &Start,
) -> wasmtime::Result<Result<End, Failure>> {
    let linked = linked(component)?;
    let source = linked
        .instantiate_async(&mut *store)
        .await
        .map_err(verdict::not_instantiated)?;
    let pull = source.sluice_connector_pull();
    Ok(match start.operation {
        Operation::Check => done(pull.call_check(store).await?),
        Operation::Discover => match pull.call_discover(store).await? {
            Ok(tables) => discovered(tables),
            Err(failure) => Err(failure.into()),
        },
        Operation::Sync => {
            let tables: Vec<String> = start.tables.iter().map(ToString::to_string).collect();
            done(pull.call_sync(store, &tables).await?)
        }
        Operation::Receive => Err(Failure::bug("deliveries go to another world")),
    })
}

async fn receiver(
    store: &mut Store<Guest>,
    component: &Component,
    deliveries: Vec<Delivery>,
) -> wasmtime::Result<Result<End, Failure>> {
    let linked = pre(component)
        .and_then(ReceiverPre::new)
        .map_err(verdict::not_instantiated)?;
    let receiver = linked
        .instantiate_async(&mut *store)
        .await
        .map_err(verdict::not_instantiated)?;
    let deliveries: Vec<_> = deliveries.into_iter().map(delivery).collect();
    let handled = receiver.sluice_connector_receive();
    Ok(done(handled.call_handle(store, &deliveries).await?))
}

fn delivery(delivery: Delivery) -> receive::Delivery {
    let lines = delivery.headers.into_iter();
    receive::Delivery {
        id: delivery.id,
        headers: lines
            .map(|(name, value)| http::Header { name, value })
            .collect(),
        body: delivery.body,
    }
}

/// A component with its host functions: all of an instance that is the same for each.
pub(crate) fn linked(component: &Component) -> wasmtime::Result<SourcePre<Guest>> {
    pre(component)
        .and_then(SourcePre::new)
        .map_err(verdict::not_instantiated)
}

fn pre(component: &Component) -> wasmtime::Result<InstancePre<Guest>> {
    let mut linker = Linker::new(component.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Source::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    linker.instantiate_pre(component)
}

fn done(result: Result<(), types::Failure>) -> Result<End, Failure> {
    result.map(|()| End::Done).map_err(Failure::from)
}

fn discovered(tables: Vec<pull::TableInfo>) -> Result<End, Failure> {
    let convert = |table: pull::TableInfo| {
        Ok(TableInfo {
            name: TableName::parse(&table.name).map_err(|error| Failure::bug(error.to_string()))?,
            description: table.description,
            columns: table.columns.into_iter().map(Into::into).collect(),
            primary_key: table.primary_key,
        })
    };
    let tables = tables
        .into_iter()
        .map(convert)
        .collect::<Result<_, Failure>>()?;
    Ok(End::Discovered { tables })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_the_interface_that_is_accepted_can_be_run() {
        let versions: Vec<_> = WORLDS.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, domain::manifest::WIT_VERSIONS);
    }
}
