//! The gate as a whole, against a small web server and names that resolve as the test says.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Mutex;

use domain::capability::SlotBinding;
use domain::{Cancel, Capabilities, HostRule, Secret, SlotName, SourceName};
use reqwest::Method;
use serde_json::{Value, json};

use super::resolve::{Looking, Lookup};
use super::*;
use crate::redact::Redactor;
use crate::testing::{Heard, Kept, heard};

mod answers;
mod credentials;
mod derived;
mod encrypted;
mod hostile;
mod redirects;
mod retries;
mod tape;
mod tokens;

/// The credential of every test; must be seen by nobody but the service.
const CANARY: &str = "cAnary/7f3a+91b=c";

/// Names and what each look-up of them says; the last answer stays.
#[derive(Default)]
struct Names(Mutex<HashMap<String, Vec<Vec<SocketAddr>>>>);

impl Lookup for Names {
    fn lookup(&self, host: &str, port: u16) -> Looking {
        let mut names = self.0.lock().unwrap();
        let answer = match names.get_mut(host) {
            None => Err(std::io::Error::other("no such name")),
            Some(answers) if answers.len() > 1 => Ok(answers.remove(0)),
            Some(answers) => Ok(answers[0].clone()),
        };
        let at_port = |mut address: SocketAddr| {
            address.set_port(port);
            address
        };
        let answer = answer.map(|found| found.into_iter().map(at_port).collect());
        Box::pin(std::future::ready(answer))
    }
}

/// A run's gate in the making.
struct Setup {
    capabilities: Capabilities,
    names: Names,
    timing: Timing,
    entered: BTreeMap<SlotName, Secret>,
    extra_ca: Option<Vec<u8>>,
    tokens: Arc<Tokens>,
    paces: Arc<Paces>,
    kept: Arc<Kept>,
}

impl Setup {
    fn new(rules: &[&str]) -> Self {
        let egress = rules
            .iter()
            .map(|rule| HostRule::parse(rule).unwrap())
            .collect();
        Self {
            capabilities: Capabilities {
                egress,
                ..Capabilities::default()
            },
            names: Names::default(),
            timing: Timing {
                backoff: Duration::from_millis(4),
                headers: Duration::from_secs(10),
                idle: Duration::from_millis(300),
                ..Timing::default()
            },
            entered: BTreeMap::new(),
            extra_ca: None,
            tokens: Arc::default(),
            paces: Arc::default(),
            kept: Arc::default(),
        }
    }

    /// A gate that lets requests to this server out, by its address.
    fn to(address: SocketAddr) -> Self {
        Self::new(&[&format!("http://{address}")]).private(address)
    }

    fn private(mut self, address: SocketAddr) -> Self {
        self.capabilities.private_addresses.push(address);
        self
    }

    fn name(self, name: &str, answers: &[&[&str]]) -> Self {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        let answers = answers
            .iter()
            .map(|found| found.iter().map(address).collect())
            .collect();
        self.names
            .0
            .lock()
            .unwrap()
            .insert(name.to_owned(), answers);
        self
    }

    /// A credential in the header `Authorization`, sent to these hosts.
    fn canary(self, hosts: &[&str]) -> Self {
        let scheme = json!({"scheme": "header", "header": "Authorization", "prefix": "Token "});
        self.credential(scheme, hosts, CANARY)
    }

    /// A credential of any scheme.
    fn credential(mut self, scheme: Value, hosts: &[&str], value: &str) -> Self {
        let slot = SlotName::parse("key").unwrap();
        self.entered.insert(slot.clone(), Secret::new(value));
        self.capabilities.credentials.push(SlotBinding {
            slot,
            scheme: serde_json::from_value(scheme).unwrap(),
            hosts: hosts
                .iter()
                .map(|host| HostRule::parse(host).unwrap())
                .collect(),
        });
        self
    }

    fn build(self) -> Run {
        let heard = heard();
        let cancel = Cancel::new();
        let stop = Stop::new(&cancel);
        let credentials = Credentials::new(&self.capabilities.credentials, &self.entered).unwrap();
        let bindings = self.capabilities.credentials.iter();
        let secrets: Vec<_> = bindings
            .filter_map(|binding| Some((binding, self.entered.get(&binding.slot)?)))
            .flat_map(|(binding, value)| domain::credential::secrets(&binding.scheme, value))
            .collect();
        let redactor = Redactor::new(&secrets).unwrap();
        let tls = Arc::new(client::tls_config(self.extra_ca.as_deref()).unwrap());
        let egress = Egress::new(Parts {
            gate: Gate::new(SourceName::parse("shop").unwrap(), self.capabilities),
            credentials,
            lookup: Arc::new(self.names),
            clients: Clients::new(tls, "sluice-test".into(), self.timing.connect),
            tokens: self.tokens,
            paces: self.paces,
            keeper: self.kept.clone(),
            timing: self.timing,
            journal: Journal::new(heard.clone(), redactor, 1 << 20),
            stop,
        });
        Run {
            egress,
            heard,
            cancel,
            kept: self.kept,
        }
    }
}

struct Run {
    egress: Egress,
    heard: Arc<Heard>,
    cancel: Cancel,
    kept: Arc<Kept>,
}

impl Run {
    async fn get(&self, url: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, url, &[], None).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&'static str>,
    ) -> Result<Answer, Failure> {
        let line = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let request = Request {
            method,
            url: url.to_owned(),
            headers: headers.iter().map(line).collect(),
            body: body.map(Bytes::from),
            timeout: None,
        };
        self.egress.send(request).await
    }

    fn decisions(&self) -> Vec<String> {
        self.heard
            .egress()
            .into_iter()
            .map(|row| row.decision)
            .collect()
    }
}

/// The whole body, read as a stage reads it.
async fn whole(answer: Answer) -> Result<Vec<u8>, Failure> {
    let mut reader = answer.body;
    let read = move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap()
        .map_err(|error| {
            error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<Failure>())
                .unwrap()
                .clone()
        })
}
