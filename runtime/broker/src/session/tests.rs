//! Conversations with a runner that is played by the test, on the other end of a socket pair.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use domain::capability::SlotBinding;
use domain::manifest::Scheme;
use domain::ports::Cursors;
use domain::{
    Cancel, Capabilities, FailureKind, HostRule, Secret, SlotName, SourceName, TableName,
};
use domain::{TableSpec, WriteMode};
use tokio::runtime::Runtime;

use super::*;
use crate::egress::client::{Clients, tls_config};
use crate::egress::credentials::Credentials;
use crate::egress::gate::Gate;
use crate::egress::resolve::System;
use crate::egress::{Egress, Parts, Timing};
use crate::redact::Redactor;
use crate::testing::stage::Lines;
use crate::testing::{Heard, Kept, heard};

mod calls;
mod hostile;
mod lifecycle;

const CANARY: &str = "cAnary-5e1f";

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// A conversation in the making.
struct Scene {
    operation: Operation,
    capabilities: Capabilities,
    cursors: Cursors,
    stage: Lines,
    heard: Arc<Heard>,
    cancel: Cancel,
    required_walls: Vec<Wall>,
}

impl Scene {
    fn of(operation: Operation) -> Self {
        let key = SlotBinding {
            slot: SlotName::parse("key").unwrap(),
            scheme: Scheme::Header {
                header: "X-Key".into(),
                prefix: String::new(),
            },
            hosts: Vec::new(),
        };
        Self {
            operation,
            capabilities: Capabilities {
                credentials: vec![key],
                ..Capabilities::default()
            },
            cursors: Cursors::new(),
            stage: Lines::default(),
            heard: heard(),
            cancel: Cancel::new(),
            required_walls: Wall::ALL.to_vec(),
        }
    }

    fn sync() -> Self {
        Self::of(Operation::Sync)
    }

    fn reaching(mut self, address: std::net::SocketAddr) -> Self {
        let rule = HostRule::parse(&format!("http://{address}")).unwrap();
        self.capabilities.credentials[0].hosts.push(rule.clone());
        self.capabilities.egress.push(rule);
        self.capabilities.private_addresses.push(address);
        self
    }

    fn session(&self) -> Session {
        let slot = SlotName::parse("key").unwrap();
        let entered = [(slot, Secret::new(CANARY))].into();
        let redactor = Redactor::new(&[Secret::new(CANARY)]).unwrap();
        let limits = self.capabilities.limits;
        let journal = Journal::new(self.heard.clone(), redactor, limits.log_bytes);
        let stop = Stop::new(&self.cancel);
        static TLS: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
        let tls = TLS
            .get_or_init(|| Arc::new(tls_config(None).unwrap()))
            .clone();
        let timing = Timing::default();
        let egress = Egress::new(Parts {
            credentials: Credentials::new(&self.capabilities.credentials, &entered).unwrap(),
            gate: Gate::new(
                SourceName::parse("shop").unwrap(),
                self.capabilities.clone(),
            ),
            lookup: Arc::new(System),
            clients: Clients::new(tls, "test".into(), timing.connect),
            tokens: Arc::default(),
            paces: Arc::default(),
            keeper: Arc::new(Kept::default()),
            timing,
            journal: journal.clone(),
            stop: stop.clone(),
        });
        let stage = || Box::new(self.stage.clone());
        Session {
            start: Start {
                wit: "0.1.0".into(),
                operation: self.operation,
                settings: "{}".into(),
                tables: vec![],
                memory_bytes: limits.memory_bytes,
                wall_seconds: limits.wall_seconds,
                cpu_seconds: limits.cpu_seconds,
                random_seed: [7; 32],
                clock_from: None,
            },
            deliveries: Vec::new(),
            required_walls: self.required_walls.clone(),
            requests: Requests::new(egress, runtime().handle().clone()),
            cursors: CursorBook::new(self.cursors.clone()),
            writing: (self.operation == Operation::Sync)
                .then(|| Writing::new(stage(), self.capabilities.clone(), journal.clone())),
            journal,
            stop,
        }
    }

    /// Plays the runner with `script`, after the greeting.
    fn play(&self, script: impl FnOnce(&mut Runner) + Send) -> Result<Outcome, SessionError> {
        self.play_raw(|socket| {
            let mut runner = Runner { socket };
            runner.say(&FromRunner::Ready { missing: vec![] }, &[]);
            let first = read_frame::<ToRunner>(&mut runner.socket).unwrap().message;
            assert!(matches!(first, ToRunner::Run(_)), "{first:?}");
            script(&mut runner);
        })
    }

    /// Plays the runner with nothing but bytes.
    fn play_raw(&self, script: impl FnOnce(UnixStream) + Send) -> Result<Outcome, SessionError> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let session = self.session();
        std::thread::scope(|scope| {
            let playing = scope.spawn(move || script(theirs));
            let journal = session.journal.clone();
            let result = session.drive(&ours, &ours);
            drop(ours);
            playing.join().unwrap();
            journal.finish();
            result
        })
    }
}

/// The runner's side.
struct Runner {
    socket: UnixStream,
}

impl Runner {
    fn say(&mut self, message: &FromRunner, payload: &[u8]) {
        write_frame(&mut self.socket, message, payload).unwrap();
    }

    fn call(&mut self, call: Call, payload: &[u8]) -> (Reply, Vec<u8>) {
        self.say(&FromRunner::Call(call), payload);
        let frame = read_frame::<ToRunner>(&mut self.socket).unwrap();
        let ToRunner::Reply(reply) = frame.message else {
            panic!("not a reply: {:?}", frame.message)
        };
        (reply, frame.payload)
    }

    fn ok(&mut self, call: Call, payload: &[u8]) {
        let shown = format!("{call:?}");
        let (reply, _) = self.call(call, payload);
        assert!(!matches!(reply, Reply::Failed(_)), "{shown}: {reply:?}");
    }

    fn fails(&mut self, call: Call, payload: &[u8]) -> Failure {
        let shown = format!("{call:?}");
        match self.call(call, payload).0 {
            Reply::Failed(failure) => failure,
            reply => panic!("{shown}: {reply:?}"),
        }
    }

    fn get(&mut self, url: &str) -> u32 {
        match self.call(get(url), &[]).0 {
            Reply::Response {
                response,
                status: 200,
                ..
            } => response,
            reply => panic!("{url}: {reply:?}"),
        }
    }

    fn end(&mut self, end: End) {
        self.say(&FromRunner::End(end), &[]);
    }
}

fn name(text: &str) -> TableName {
    TableName::parse(text).unwrap()
}

fn open(text: &str) -> Call {
    Call::OpenTable(TableSpec {
        name: name(text),
        description: String::new(),
        columns: vec![],
        primary_key: vec![],
        mode: WriteMode::Replace,
        partition_by: None,
    })
}

fn get(url: &str) -> Call {
    Call::Send {
        method: "GET".into(),
        url: url.into(),
        headers: vec![],
        has_body: false,
        timeout_ms: None,
    }
}

fn json(table: &str) -> Call {
    Call::AppendJson { table: name(table) }
}

fn failed(result: Result<Outcome, SessionError>) -> Failure {
    match result {
        Err(SessionError::Ended(Ended::Failed(failure))) => failure,
        other => panic!("{other:?}"),
    }
}
