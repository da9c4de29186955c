//! The credentials that services handed out in one run: in memory only, gone with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::capability::SlotBinding;
use domain::derived::{self, Credential, Derivation, Found, HANDLE, is_good, is_handle};
use domain::manifest::Scheme;
use domain::{Failure, HostRule, Secret, SlotName};
use jiff::Timestamp;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use url::Url;

use super::attempt::Miss;
use super::credentials::{Dress, Lent, header_value};
use super::gate::readings;
use crate::redact::BLANK;

/// The most signed addresses of a run.
const MOST_ADDRESSES: usize = 10_000;

/// The derived slots of a run, and what is in them.
#[derive(Default)]
pub(super) struct Derived {
    slots: Vec<Slot>,
    held: Mutex<Held>,
}

/// A slot that answers fill.
pub(super) struct Slot {
    name: SlotName,
    derivation: Derivation,
    /// Where what is in it goes.
    hosts: Vec<HostRule>,
    /// Where answers that fill it come from.
    origins: Vec<HostRule>,
}

#[derive(Default)]
struct Held {
    newest: BTreeMap<SlotName, Good>,
    addresses: HashMap<String, (SlotName, Good)>,
}

/// A credential and its end.
#[derive(Clone)]
struct Good {
    credential: Credential,
    until: Option<Timestamp>,
}

impl Derived {
    pub(super) fn new(bindings: &[SlotBinding]) -> Self {
        let slot = |binding: &SlotBinding| {
            let Scheme::Derived(derivation) = &binding.scheme else {
                return None;
            };
            let from = bindings.iter().find(|from| from.slot == derivation.from);
            Some(Slot {
                name: binding.slot.clone(),
                derivation: derivation.clone(),
                hosts: binding.hosts.clone(),
                origins: from.map(|from| from.hosts.clone()).unwrap_or_default(),
            })
        };
        Self {
            slots: bindings.iter().filter_map(slot).collect(),
            held: Mutex::default(),
        }
    }

    /// The slots that an answer from this URL fills, however a server reads its path.
    pub(super) fn filled_from(&self, url: &Url) -> Vec<&Slot> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        let readings = readings(url);
        let is_in = |slot: &&Slot| {
            let known = |url: &Url| slot.origins.iter().any(|rule| rule.allows(url));
            readings
                .iter()
                .any(|url| known(url) && slot.derivation.is_in(url.path()))
        };
        self.slots.iter().filter(is_in).collect()
    }

    /// Takes what belongs into these slots out of an answer; returns what nobody may see any more.
    pub(super) fn take(
        &self,
        slots: &[&Slot],
        answer: &mut Value,
        now: Timestamp,
    ) -> Result<Vec<Secret>, Failure> {
        let mut held = self.held();
        let number = held.addresses.len() + 1;
        let wanted: Vec<_> = slots
            .iter()
            .map(|slot| (&slot.derivation, format!("{}-{number}", slot.name)))
            .collect();
        let taken = derived::take(&wanted, answer, now, BLANK);
        for (slot, found) in slots.iter().zip(taken.found) {
            if let Some(Found { credential, end }) = found {
                let until = end;
                held.keep(slot, Good { credential, until })?;
            }
        }
        Ok(taken.secrets)
    }

    /// Adds what is bound to a URL. An address that is signed by itself gets nothing beside that: services refuse what
    /// proves itself twice.
    pub(super) fn dress(&self, url: &Url, dress: &mut Dress) -> Result<(), Miss> {
        if self.slots.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now();
        let held = self.held();
        if is_handle(url) {
            let (slot, good) = held.addresses.get(url.as_str()).ok_or_else(unknown)?;
            return put(slot, good, url, now, dress);
        }
        let bound = |slot: &&Slot| slot.hosts.iter().any(|rule| rule.allows(url));
        for slot in self.slots.iter().filter(bound) {
            if let Some(good) = held.newest.get(&slot.name) {
                put(&slot.name, good, url, now, dress)?;
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn keep(&mut self, slot: &Slot, good: Good) -> Result<(), Failure> {
        let Credential::SignedUrl { handle, .. } = &good.credential else {
            self.newest.insert(slot.name.clone(), good);
            return Ok(());
        };
        // What is signed for another host than was granted is sent nowhere.
        let bound =
            Url::parse(handle).is_ok_and(|url| slot.hosts.iter().any(|rule| rule.allows(&url)));
        if !bound {
            return Ok(());
        }
        if self.addresses.len() >= MOST_ADDRESSES {
            return Err(Failure::limit(format!(
                "the run was given more than {MOST_ADDRESSES} signed addresses"
            )));
        }
        let key = handle.clone();
        self.addresses.insert(key, (slot.name.clone(), good));
        Ok(())
    }
}

fn put(
    slot: &SlotName,
    good: &Good,
    url: &Url,
    now: Timestamp,
    dress: &mut Dress,
) -> Result<(), Miss> {
    if !is_good(good.until, now) {
        return Err(ended(slot));
    }
    let is_elsewhere = |host: &String| url.host_str() != Some(host);
    match &good.credential {
        Credential::Bearer(token) => {
            let value = header_value(slot, "Bearer ", token);
            let value = value.map_err(|failure| Miss::host("failed: no token".into(), failure))?;
            dress.header(AUTHORIZATION, value);
        }
        Credential::QueryString { host, .. } if host.as_ref().is_some_and(is_elsewhere) => {}
        Credential::QueryString { query, .. } => dress.lend(Lent::Query(query.clone())),
        Credential::Aws(key) => dress.lend(Lent::Aws(key.clone(), now)),
        Credential::SignedUrl { url, .. } => {
            let text = String::from_utf8_lossy(url.expose());
            dress.lend(Lent::Address(Url::parse(&text).map_err(|_| unknown())?));
        }
    }
    Ok(())
}

/// The kind is the service's own: it would have said 401.
fn ended(slot: &SlotName) -> Miss {
    Miss::host(
        "refused: the credential has ended".into(),
        Failure::auth(format!(
            "the credential `{slot}`, which the service lent to this run, has ended: ask the service for it again"
        )),
    )
}

fn unknown() -> Miss {
    Miss::host(
        "refused: an unknown handle".into(),
        Failure::auth(format!(
            "the address with `{HANDLE}` is none that this run was given: ask the service for it again, and leave it as it is"
        )),
    )
}
