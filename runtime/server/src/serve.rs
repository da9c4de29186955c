//! A server from its start to its end: what is opened in which order, and closed again.

mod catch_up;
mod connections;
mod extracts;
mod first;
mod housekeeping;
mod memory;
mod scheduling;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use axum::Router;
use broker::{Broker, BrokerConfig, KeyOrigin};

use domain::SourceName;
use domain::agenda::SystemClock;
use ingest::{Ingest, Ports, Receiving};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use warehouse::{Interrupted, Warehouse};

use crate::alerts::{self, Webhook};
use crate::app::{App, AppState};
use crate::auth::Directory;
use crate::auth::rules::Rules;
use crate::auth::token::{TokenKeys, token_key_file};
use crate::cli::output::{CliError, CliResult, say};
use crate::clients::Clients;
use crate::comparisons::{self, Comparisons};
use crate::components::ComponentStore;
use crate::config::{Alerts, Config};
use crate::control;
use crate::credentials::{CredentialStore, Keys};
use crate::error::chain;
use crate::hooks::Paces;
use crate::hybrid::Hybrid;
use crate::lifecycle;
use crate::metrics::{CountedStore, Metrics};
use crate::oidc::Oidc;
use crate::recordings::Recorded;
use crate::router;
use crate::signin::SignIn;
use crate::streams::Streams;
use crate::uploads::Uploads;
use crate::web::Pages;

/// Serves until the process is asked to end. Errors are for whoever started it.
pub(crate) fn serve(config: Config) -> CliResult<()> {
    if let Some(bytes) = memory::bound(config.queries.server_memory_mb) {
        let megabytes = bytes >> 20;
        tracing::debug!(megabytes, "the server may hold {megabytes} MiB of memory");
    }
    let runtime = Runtime::new().map_err(|error| CliError::advised(&error))?;
    let warehouse =
        Warehouse::open(&config.storage.data_dir).map_err(|error| CliError::advised(&error))?;
    let listener = runtime.block_on(bind(config.http.listen))?;
    let (app, router) = open(config, warehouse, runtime.handle())?;
    resume(&app)?;
    let served = runtime.block_on(answer(&app, router, listener));
    close(&app);
    // Whatever still blocks a thread must not keep the process from its end.
    runtime.shutdown_background();
    served
}

async fn bind(address: SocketAddr) -> CliResult<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "stop what listens there, or choose another port with --listen 127.0.0.1:8001, or a free one with port 0",
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose another with --listen",
            _ => "choose an address of this machine with --listen",
        };
        CliError::new(format!("cannot listen on {address}: {error}")).hint(hint)
    })
}

/// Opens what works on the warehouse, and brings that up to date.
fn open(config: Config, warehouse: Warehouse, handle: &Handle) -> CliResult<(AppState, Router)> {
    let given_up = end_interrupted(&warehouse, config.runs.attempts)?;
    lifecycle::recover(&warehouse).map_err(|error| CliError::advised(&error))?;
    // What is broken is in the log; the rest is served.
    warehouse
        .orchestrator
        .rebuild()
        .map_err(|error| CliError::advised(&error))?;
    catch_up::catch_up(&warehouse).map_err(|error| CliError::advised(&error))?;
    let tokens = open_tokens(&token_key_file(&warehouse.paths))?;
    let credentials = open_credentials(&config, &warehouse)?;
    let broker = Arc::new(open_broker(&config, handle)?);
    let components = Arc::new(open_components(&warehouse, &broker)?);
    let metrics = Arc::new(Metrics::new());
    let ports = Ports {
        store: Arc::new(CountedStore::new(warehouse.state.clone(), metrics.clone())),
        extracts: Arc::new(warehouse.extracts.clone()),
        executor: Arc::new(Recorded::new(
            broker.clone(),
            warehouse.state.clone(),
            warehouse.paths.root(),
            config.runs.recordings(),
        )),
        components: components.clone(),
        credentials: credentials.clone(),
        agendas: warehouse.state.clone(),
        clock: Arc::new(SystemClock),
    };
    let ingest = Ingest::new(ports, config.runs.rules(&config.alerts));
    ingest.given_up(&given_up);
    let receiving = open_receiving(&config, &warehouse, ingest.clone(), broker.clone());
    let (api, document) = router::api(&config.http, &config.webhooks);
    let signin = open_signin(&config, handle)?;
    let oidc = Oidc::new(&config).map_err(|error| CliError::advised(&error))?;
    let app = AppState(Arc::new(App {
        receiving,
        paces: Paces::new(config.webhooks.deliveries_per_minute),
        streams: Streams::new(config.queries.streams_at_once),
        hybrid: Hybrid::new(broker.clone(), config.hybrid.at_once),
        scans: Default::default(),
        uploads: Uploads::new(warehouse.paths.root(), config.uploads.clone()),
        clients: Clients::new(config.clients.path.as_deref()),
        config,
        directory: Directory::new(warehouse.state.clone()),
        signin,
        oidc,
        handover: Default::default(),
        url: OnceLock::new(),
        rules: Rules::new(),
        warehouse,
        ingest,
        components,
        comparisons: Comparisons::new(broker),
        credentials,
        tokens,
        pages: Pages::new(&document).map_err(|error| CliError::advised(&error))?,
        metrics,
        health: Default::default(),
    }));
    let router = router::router(api, app.clone());
    Ok((app, router))
}

fn open_receiving(
    config: &Config,
    warehouse: &Warehouse,
    ingest: Arc<Ingest>,
    broker: Arc<Broker>,
) -> Arc<Receiving> {
    let idle = config.runs.receiver_idle();
    let rules = config.webhooks.receiving(warehouse.paths.root(), idle);
    Receiving::new(ingest, broker, rules)
}

/// Ends the runs in which the last server did; returns the sources whose last attempt that was.
fn end_interrupted(warehouse: &Warehouse, attempts: u32) -> CliResult<Vec<SourceName>> {
    let interrupted = warehouse.state.mark_interrupted(attempts);
    let Interrupted { count, given_up } = interrupted.map_err(|error| CliError::advised(&error))?;
    if count > 0 {
        tracing::warn!(
            count,
            "{count} runs were interrupted by the end of the last server"
        );
    }
    Ok(given_up)
}

fn open_signin(config: &Config, handle: &Handle) -> CliResult<SignIn> {
    // Mail is sent on the runtime.
    let _inside = handle.enter();
    SignIn::new(config).map_err(|error| CliError::advised(&error))
}

fn open_tokens(file: &Path) -> CliResult<TokenKeys> {
    TokenKeys::open(file).map_err(|error| {
        CliError::new(format!(
            "the key of the tokens, `{}`, cannot be used: {error}",
            file.display()
        ))
        .hint("put back a backup of it, or remove it: a new one is made, and all tokens end")
    })
}

fn open_credentials(config: &Config, warehouse: &Warehouse) -> CliResult<Arc<CredentialStore>> {
    let keys = Keys::of(config.master_key_file());
    let store = CredentialStore::open(
        warehouse.state.clone(),
        keys,
        config.credentials.variable_prefix.clone(),
    );
    let (store, origin) = store.map_err(|error| CliError::advised(&error))?;
    if matches!(origin, KeyOrigin::Created) {
        tracing::warn!(
            "made a master key in {}: keep a copy, without it no credential can be opened",
            config.master_key_file().display()
        );
    }
    let store = Arc::new(store);
    serve_remote(config, warehouse, &store)?;
    Ok(store)
}

/// Credentials of remote databases come from the vault, or from a variable that may be one.
fn serve_remote(
    config: &Config,
    warehouse: &Warehouse,
    credentials: &Arc<CredentialStore>,
) -> CliResult<()> {
    let credentials = Arc::clone(credentials);
    let served = warehouse.orchestrator.serve_remote(
        config.remote.policy(),
        Arc::new(move |source, name| credentials.remote(source, name)),
    );
    served.map_err(|error| CliError::advised(&error))
}

fn open_broker(config: &Config, handle: &Handle) -> CliResult<Broker> {
    let runner_exe = std::env::current_exe().map_err(|error| CliError::advised(&error))?;
    let (runs, egress) = (&config.runs, &config.egress);
    let extra_ca = match &egress.ca_file {
        Some(file) => Some(std::fs::read(file).map_err(|error| {
            CliError::new(format!(
                "egress.ca_file `{}` cannot be read: {error}",
                file.display()
            ))
        })?),
        None => None,
    };
    tell_missing_walls(runner_exe.clone());
    Broker::new(BrokerConfig {
        runner_exe,
        handle: handle.clone(),
        max_runs: runs.max_at_once,
        user_agent: runs.user_agent(),
        extra_ca,
        requests_per_second: egress.requests_per_second,
        requests_at_once: egress.requests_at_once,
        required_walls: config.sandbox.walls(),
    })
    .map_err(|error| CliError::advised(&error))
}

/// Says in the log which walls this machine lacks; the start does not wait for it.
fn tell_missing_walls(runner_exe: PathBuf) {
    let ask = move || match broker::missing_walls(&runner_exe) {
        Ok(missing) => missing.iter().for_each(|missing| {
            let (wall, reason) = (missing.wall.as_str(), &missing.reason);
            tracing::warn!(
                wall,
                reason,
                "a wall around runners is missing on this machine"
            );
        }),
        Err(failure) => tracing::error!(%failure, "a runner cannot be started"),
    };
    // Where no thread can be had, the first run says the same.
    drop(std::thread::Builder::new().name("walls".into()).spawn(ask));
}

fn open_components(warehouse: &Warehouse, broker: &Arc<Broker>) -> CliResult<ComponentStore> {
    let compiler = broker.clone();
    ComponentStore::open(
        warehouse.state.clone(),
        warehouse.paths.connectors(),
        sandbox::engine_name(),
        Box::new(move |bytes| compiler.compile(bytes)),
    )
    .map_err(|error| CliError::advised(&error))
}

/// Answers requests until a signal comes.
async fn answer(app: &AppState, router: Router, listener: TcpListener) -> CliResult<()> {
    let failed = |error: std::io::Error| CliError::advised(&error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = url(app, address);
    let _ = app.url.set(url.clone());
    first::announce(app)?;
    let comparing = comparisons::start(app).map_err(failed)?;
    app.receiving.start();
    let webhook = webhook(&app.config.alerts)?;
    let mut chores = JoinSet::new();
    chores.spawn(housekeeping::keep(app.clone()));
    chores.spawn(scheduling::keep(app.clone()));
    chores.spawn(extracts::watch(app.clone()));
    if let Some(webhook) = webhook {
        chores.spawn(alerts::deliver(app.clone(), webhook));
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let timeout = app.config.http.header_read_timeout();
    let mut server = tokio::spawn(connections::answer(listener, router, timeout, async {
        // An error is the sender's end, which also means to stop.
        let _ = stopped.await;
    }));
    let control = control::open(app);
    tracing::info!(%address, "listening on {address}");
    say(format!("Sluice listens on {url}"));
    tokio::select! {
        ended = &mut server => return ended.map_err(|error| CliError::advised(&error)),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    chores.abort_all();
    tracing::info!("stopping: no new requests, runs are cancelled");
    let _ = stop.send(());
    let (ingest, receiving) = (app.ingest.clone(), app.receiving.clone());
    app.comparisons.close();
    let runs = tokio::task::spawn_blocking(move || {
        receiving.stop();
        ingest.shutdown();
        receiving.close();
        // It was told to end; that it panicked is in the log.
        comparing.map(std::thread::JoinHandle::join)
    });
    let grace = app.config.http.shutdown_grace();
    let control = async {
        if let Some(control) = control {
            control.close().await;
        }
    };
    let ended = tokio::time::timeout(grace, async { tokio::join!(runs, server, control) }).await;
    if ended.is_err() {
        tracing::warn!("requests or runs did not end in time and are cut off");
    }
    Ok(())
}

/// Takes up the runs that the last server accepted and had not begun.
fn resume(app: &AppState) -> CliResult<()> {
    match app.ingest.resume() {
        Ok(0) => Ok(()),
        Ok(count) => {
            tracing::info!(count, "{count} runs that were accepted before go on");
            Ok(())
        }
        Err(error) => Err(CliError::advised(&error)),
    }
}

fn webhook(alerts: &Alerts) -> CliResult<Option<Webhook>> {
    let webhook = alerts.webhook_url.as_ref().map(Webhook::new).transpose();
    webhook.map_err(|error| CliError::new(format!("alerts cannot be sent: {error}")))
}

fn url(app: &AppState, address: SocketAddr) -> String {
    if let Some(url) = &app.config.http.public_url {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".into(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("http://{host}:{}", address.port())
}

fn close(app: &AppState) {
    if let Err(error) = app.warehouse.orchestrator.flush() {
        tracing::warn!(
            error = chain(&error),
            "the master views are written at the next start"
        );
    }
    if let Err(error) = app.state().checkpoint() {
        tracing::warn!(
            error = chain(&error),
            "the state's log stays to be replayed at the next start"
        );
    }
    tracing::info!("stopped");
}
