//! The way to BigQuery: the egress gate of one query, which lets requests out to its service and nowhere else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::capability::SlotBinding;
use domain::manifest::Scheme;
use domain::ports::{Ended, NoCredentials, Observer};
use domain::{Cancel, Capabilities, Failure, HostRule, Limits, Secret, SlotName, credential};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use url::Url;

use super::{Ask, Connection, wire};
use crate::Broker;
use crate::egress::client::Clients;
use crate::egress::credentials::Credentials;
use crate::egress::gate::Gate;
use crate::egress::{Answer, Egress, Parts, Request};
use crate::journal::Journal;
use crate::redact::Redactor;
use crate::stop::Stop;

/// More than BigQuery puts into a page, which has about 20 MB at most.
const MAX_ANSWER: u64 = 32 << 20;
/// What answers take that are no pages.
const TALK: u64 = 2 * MAX_ANSWER;
/// How long the request may take that cancels a job.
pub(super) const LAST_WORD: Duration = Duration::from_secs(10);
/// Lets queries be run, and tables be read that the account may read.
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
const SLOT: &str = "service-account";

/// A method, and what goes with it.
pub(super) enum Verb<'a> {
    Get,
    Post(&'a Value),
}

pub(super) struct Line<'a> {
    egress: Egress,
    stop: Stop,
    handle: Handle,
    base: Url,
    project: &'a str,
    watch: AbortHandle,
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(
        broker: &Broker,
        connection: &'a Connection,
        ask: &Ask<'_>,
        observer: Arc<dyn Observer>,
        cancel: &Cancel,
        (within, overdue): (Duration, Failure),
    ) -> Result<Self, Failure> {
        let (capabilities, entered) = granted(connection, ask)?;
        let bindings = &capabilities.credentials;
        let secrets: Vec<Secret> = bindings
            .iter()
            .zip(entered.values())
            .flat_map(|(binding, value)| credential::secrets(&binding.scheme, value))
            .collect();
        let redactor = Redactor::new(&secrets)
            .map_err(|error| Failure::bug(format!("a credential cannot be redacted: {error}")))?;
        let journal = Journal::new(observer, redactor, capabilities.limits.log_bytes);
        let stop = Stop::new(cancel);
        let clients = Clients::new(
            broker.tls.clone(),
            broker.config.user_agent.clone(),
            broker.timing.connect,
        );
        let egress = Egress::new(Parts {
            credentials: Credentials::new(bindings, &entered)?,
            gate: Gate::new(connection.name.clone(), capabilities),
            lookup: broker.lookup.clone(),
            clients,
            tokens: broker.tokens.clone(),
            paces: broker.paces.clone(),
            // Service accounts have no refresh tokens.
            keeper: Arc::new(NoCredentials),
            timing: broker.timing,
            journal,
            stop: stop.clone(),
        });
        // Also a body that drips for ever ends with the query's time.
        let late = stop.clone();
        let watch = broker.config.handle.spawn(async move {
            tokio::time::sleep(within).await;
            late.set(Ended::Failed(overdue));
        });
        Ok(Self {
            watch: watch.abort_handle(),
            egress,
            stop,
            handle: broker.config.handle.clone(),
            base: connection.base_url.clone(),
            project: &connection.project,
        })
    }

    /// Asks below the project's path; gives back the answer and its size.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        verb: &Verb<'_>,
        path: &[&str],
        parameters: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<(T, u64), Failure> {
        let (method, body) = match verb {
            Verb::Get => (Method::GET, None),
            Verb::Post(body) => (Method::POST, Some(Bytes::from(body.to_string()))),
        };
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        headers.extend(
            body.as_ref()
                .map(|_| ("content-type".to_owned(), "application/json".to_owned())),
        );
        let request = Request {
            method,
            url: self.url(path, parameters)?.into(),
            headers,
            body,
            timeout: Some(timeout),
        };
        let answer = self.handle.block_on(async {
            // The body flows for as long as the service likes; the headers' time does not bound it.
            tokio::time::timeout(timeout, self.egress.send(request)).await
        });
        let answer = answer.map_err(|_| Failure::upstream("BigQuery did not answer in time"))??;
        read(answer)
    }

    /// Waits, unless the query is cancelled.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Failure> {
        self.handle.block_on(async {
            tokio::select! {
                failure = self.stop.stopped() => Err(failure),
                () = tokio::time::sleep(time) => Ok(()),
            }
        })
    }

    fn url(&self, path: &[&str], parameters: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::config("BigQuery's base URL cannot have a path"))?
            .pop_if_empty()
            .extend(["bigquery", "v2", "projects", self.project])
            .extend(path);
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(url)
    }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<(T, u64), Failure> {
    let status = answer.status;
    let mut body = Vec::new();
    let whole = answer.body.take(MAX_ANSWER + 1).read_to_end(&mut body);
    whole.map_err(|error| {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Failure>())
        {
            Some(failure) => failure.clone(),
            None => Failure::upstream(format!("BigQuery's answer could not be read: {error}")),
        }
    })?;
    let size = body.len() as u64;
    if size > MAX_ANSWER {
        return Err(Failure::upstream(format!(
            "BigQuery's answer has more than {MAX_ANSWER} bytes"
        )));
    }
    if !(200..300).contains(&status) {
        return Err(wire::refused(status, &body));
    }
    let read = serde_json::from_slice(&body);
    // The reader's own words could hold a part of somebody's rows.
    let read =
        read.map_err(|_| Failure::upstream("BigQuery's answer is not what its reference says"))?;
    Ok((read, size))
}

/// What the gate of this query lets out, and the credential that goes with it.
fn granted(
    connection: &Connection,
    ask: &Ask<'_>,
) -> Result<(Capabilities, BTreeMap<SlotName, Secret>), Failure> {
    let rule = HostRule::for_url(&connection.base_url).map_err(|error| {
        Failure::config(format!(
            "`base_url` of the connection `{}`: {error}",
            connection.name
        ))
    })?;
    let slot = SlotName::parse(SLOT).map_err(|error| Failure::bug(error.to_string()))?;
    let binding = SlotBinding {
        slot: slot.clone(),
        scheme: Scheme::GoogleServiceAccount {
            token_url: connection.token_url.clone(),
            scopes: vec![SCOPE.into()],
        },
        hosts: vec![rule.clone()],
    };
    let token_rule = Url::parse(&connection.token_url)
        .ok()
        .and_then(|url| HostRule::for_url(&url).ok());
    let account = connection.service_account.clone();
    let capabilities = Capabilities {
        egress: std::iter::once(rule)
            .chain(token_rule.filter(|_| account.is_some()))
            .collect(),
        private_addresses: connection.private_addresses.clone(),
        credentials: account.iter().map(|_| binding.clone()).collect(),
        limits: Limits {
            bytes_in: ask.max_bytes.saturating_add(TALK),
            wall_seconds: ask
                .timeout
                .as_secs()
                .saturating_add(1)
                .max(LAST_WORD.as_secs()),
            ..Limits::default()
        },
        ..Capabilities::default()
    };
    Ok((
        capabilities,
        account.map(|value| (slot, value)).into_iter().collect(),
    ))
}
