//! Which credential goes to which request: bound by the grant, added by the host, taken out of what
//! the component wrote.

use std::collections::BTreeMap;

use domain::capability::SlotBinding;
use domain::manifest::Scheme;
use domain::{Failure, HostRule, Secret, SlotName};
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};

use super::headers::is_framing;

/// A slot whose value was entered.
struct Slot {
    header: HeaderName,
    value: HeaderValue,
    hosts: Vec<HostRule>,
}

/// The credentials of one run, ready to be added.
pub(crate) struct Credentials {
    slots: Vec<Slot>,
    /// Headers of all slots, entered or not: a component sets none of them.
    owned: Vec<HeaderName>,
}

impl Credentials {
    /// From the bindings in effect and the values that were entered.
    pub(crate) fn new(
        bindings: &[SlotBinding],
        values: &BTreeMap<SlotName, Secret>,
    ) -> Result<Self, Failure> {
        let mut credentials = Self {
            slots: Vec::new(),
            owned: Vec::new(),
        };
        for binding in bindings {
            let Scheme::Header { header, prefix } = &binding.scheme;
            let header = HeaderName::from_bytes(header.as_bytes())
                .ok()
                .filter(|header| !is_framing(header))
                .ok_or_else(|| {
                    Failure::config(format!(
                        "the credential slot `{}` cannot be sent as the header `{}`",
                        binding.slot,
                        header.escape_debug()
                    ))
                })?;
            credentials.owned.push(header.clone());
            if let Some(value) = values.get(&binding.slot) {
                credentials.slots.push(Slot {
                    header,
                    value: header_value(&binding.slot, prefix, value)?,
                    hosts: binding.hosts.clone(),
                });
            }
        }
        Ok(credentials)
    }

    /// Whether a header is the host's because a credential travels in it.
    pub(super) fn own(&self, header: &HeaderName) -> bool {
        self.owned.contains(header)
    }

    /// Adds to a request what is bound to its URL.
    pub(super) fn add_to(&self, request: &mut Request) {
        for slot in &self.slots {
            if slot.hosts.iter().any(|rule| rule.allows(request.url())) {
                request
                    .headers_mut()
                    .insert(slot.header.clone(), slot.value.clone());
            }
        }
    }
}

fn header_value(slot: &SlotName, prefix: &str, value: &Secret) -> Result<HeaderValue, Failure> {
    let bytes = Secret::new([prefix.as_bytes(), value.expose()].concat());
    let mut value = HeaderValue::from_bytes(bytes.expose()).map_err(|_| {
        Failure::config(format!(
            "the credential `{slot}` holds characters that a header cannot have, such as a line break; enter it again"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(header: &str, hosts: &[&str]) -> SlotBinding {
        SlotBinding {
            slot: SlotName::parse("key").unwrap(),
            scheme: Scheme::Header {
                header: header.into(),
                prefix: "Token ".into(),
            },
            hosts: hosts
                .iter()
                .map(|host| HostRule::parse(host).unwrap())
                .collect(),
        }
    }

    fn entered(value: &str) -> BTreeMap<SlotName, Secret> {
        BTreeMap::from([(SlotName::parse("key").unwrap(), Secret::new(value))])
    }

    #[test]
    fn a_credential_goes_to_its_hosts_only() {
        let credentials = Credentials::new(
            &[binding("X-Key", &["api.example.com"])],
            &entered("canary"),
        )
        .unwrap();
        for (url, sent) in [
            ("https://api.example.com/a", true),
            ("http://api.example.com/a", false),
            ("https://api.example.com:8443/a", false),
            ("https://www.example.com/", false),
        ] {
            let mut request = Request::new(reqwest::Method::GET, url.parse().unwrap());
            credentials.add_to(&mut request);
            let value = request.headers().get("x-key");
            assert_eq!(value.is_some(), sent, "{url}");
            assert!(value.is_none_or(|value| value == "Token canary" && value.is_sensitive()));
        }
    }

    #[test]
    fn a_slot_without_value_still_owns_its_header() {
        let credentials = Credentials::new(&[binding("X-Key", &[])], &BTreeMap::new()).unwrap();
        assert!(credentials.own(&HeaderName::from_static("x-key")));
    }

    #[test]
    fn what_cannot_travel_in_a_header_is_refused_without_being_shown() {
        let failure = Credentials::new(&[binding("X-Key", &[])], &entered("canary\r\nHost: x"))
            .err()
            .unwrap();
        assert!(failure.message.contains("`key`") && !failure.message.contains("canary"));
        for header in ["Host", "Content-Length", "transfer-encoding", "Connection"] {
            assert!(
                Credentials::new(&[binding(header, &[])], &entered("v")).is_err(),
                "{header}"
            );
        }
    }
}
