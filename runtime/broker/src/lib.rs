//! The host's side of a run: supervises the runner, holds the credentials, and lets requests out.
//!
//! The only crate that makes HTTP requests to the outside. What the runner says is hostile input
//! here, and so is what services answer.

use std::path::PathBuf;
use std::sync::Arc;

use domain::Failure;
use domain::ports::{Ended, Executor, Job, Outcome, Receiver, Receivers};
use domain::run::Counts;
use domain::wall::Wall;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub mod bigquery;
mod body;
mod compile;
mod egress;
mod execute;
mod journal;
mod places;
mod probe;
mod redact;
mod runner;
mod session;
mod stop;
pub mod tape;
#[cfg(test)]
mod testing;
pub mod vault;
pub mod webhook;

pub use egress::client::TlsError;
pub use vault::{KeyError, KeyOrigin, MasterKey, Vault, VaultError};

pub use probe::missing_walls;

use egress::Timing;
use egress::pace::Paces;
use egress::resolve::{Lookup, System};
use egress::tokens::Tokens;
use places::Places;

/// How a broker is set up.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The executable whose subcommand `runner` is the runner; usually this very program.
    pub runner_exe: PathBuf,
    /// A multi-threaded runtime for requests and timers.
    pub handle: Handle,
    /// The most runners at once; further runs wait.
    pub max_runs: usize,
    /// What requests say of their sender, where the component says nothing.
    pub user_agent: String,
    /// Certificates in PEM that are trusted beside the system's.
    pub extra_ca: Option<Vec<u8>>,
    /// The most requests a second of one source, and of all who use one credential, whatever was granted.
    pub requests_per_second: u32,
    /// The most requests of these that are on their way at once.
    pub requests_at_once: u32,
    /// The walls without which no run begins.
    pub required_walls: Vec<Wall>,
}

/// Why there is no broker.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// TLS cannot be set up.
    #[error("TLS could not be set up for outgoing requests: {0}")]
    Tls(#[from] TlsError),
    /// The configuration makes no sense.
    #[error("`{field}` of the broker's configuration is wrong: {reason}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Runs components in runners.
pub struct Broker {
    config: BrokerConfig,
    tls: Arc<rustls::ClientConfig>,
    places: Places,
    compilers: Semaphore,
    timing: Timing,
    tokens: Arc<Tokens>,
    paces: Arc<Paces>,
    lookup: Arc<dyn Lookup>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker. Fails where the extra CA cannot be read, or a value cannot be used.
    pub fn new(config: BrokerConfig) -> Result<Self, BrokerError> {
        let wrong = |field, reason| Err(BrokerError::Config { field, reason });
        if config.max_runs == 0 {
            return wrong("max_runs", "it must be at least 1");
        }
        if reqwest::header::HeaderValue::from_str(&config.user_agent).is_err() {
            return wrong(
                "user_agent",
                "it holds characters that a header cannot have",
            );
        }
        // Whoever uses rustls in this process without naming a provider gets the same one. That it is
        // there already is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = egress::client::tls_config(config.extra_ca.as_deref())?;
        Ok(Self {
            tls: Arc::new(tls),
            places: Places::new(config.max_runs),
            // Compilers use all processors; two at once would only slow each other down.
            compilers: Semaphore::new(1),
            timing: Timing::default(),
            tokens: Arc::default(),
            paces: Arc::default(),
            lookup: Arc::new(System),
            config,
        })
    }

    /// Runs a job as [`Executor::execute`] does, with a recorder that listens, or against a recording.
    /// Must not be called on a thread of the runtime's own.
    pub fn execute_with(&self, job: Job, tape: &tape::Tape) -> (Counts, Result<Outcome, Ended>) {
        execute::execute_with(self, job, tape)
    }

    /// Runs a job as [`Executor::execute`] does, with a component that runs at the other end of a socket instead of in a
    /// runner. For the bench of what runners cost; nothing else calls it.
    #[doc(hidden)]
    pub fn execute_over(
        &self,
        job: Job,
        socket: &std::os::unix::net::UnixStream,
    ) -> (Counts, Result<Outcome, Ended>) {
        execute::execute_over(self, job, socket)
    }

    /// Compiles a component to the form that runners of this program load. Blocks, for at most five
    /// minutes after its turn has come. Must not be called on a thread of the runtime's own.
    ///
    /// Fails with `config` for what is not a component, and with `limit` when it takes too much.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, Failure> {
        execute::compile(self, component)
    }
}

impl Executor for Broker {
    /// Must not be called on a thread of the runtime's own.
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>) {
        execute::execute(self, job)
    }

    /// Waits for exchanges of tokens whose runs have ended. Must not be called on a thread of the runtime's own.
    fn settle(&self) {
        self.config.handle.block_on(self.tokens.settled());
    }
}

impl Receivers for Broker {
    fn receiver(&self) -> Box<dyn Receiver + '_> {
        Box::new(execute::Warm::new(self))
    }
}
