//! Which credential goes to which request: bound by the grant, added by the host, taken out of what
//! the component wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::capability::SlotBinding;
use domain::credential::Pair;
use domain::derived::AwsKey;
use domain::manifest::Scheme;
use domain::{Digest, Failure, HostRule, Secret, SlotName};
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use super::derived::Derived;
use super::exchange::Exchange;
use super::headers::is_framing;
use super::sign;

/// A slot whose value was entered.
pub(super) struct Slot {
    hosts: Vec<HostRule>,
    /// Tells its value from others without telling it.
    pub(super) mark: Digest,
    pub(super) way: Way,
}

/// How a value travels.
pub(super) enum Way {
    /// As a header that is made already.
    Header(HeaderName, HeaderValue),
    /// As a parameter of the query.
    Query(String, Secret),
    /// As the token that the host gets for it.
    Token(Arc<Exchange>),
}

/// The credentials of one run, ready to be added.
pub(crate) struct Credentials {
    slots: Vec<Slot>,
    /// Headers of all slots, entered or not: a component sets none of them.
    owned: Vec<HeaderName>,
    /// What services hand out during the run.
    pub(super) derived: Derived,
}

/// What is added to one request.
#[derive(Default)]
pub(super) struct Dress {
    headers: Vec<(HeaderName, HeaderValue)>,
    parameters: Vec<(String, Secret)>,
    lent: Option<Lent>,
}

/// What a service handed out for this request.
pub(super) enum Lent {
    /// The whole address.
    Address(Url),
    /// The end of the query.
    Query(Secret),
    /// What it is signed with, and when.
    Aws(AwsKey, jiff::Timestamp),
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
            derived: Derived::new(bindings),
        };
        for binding in bindings {
            credentials.owned.extend(header_of(binding)?);
            let Some(value) = values.get(&binding.slot) else {
                continue;
            };
            if let Some(way) = way(binding, value)? {
                credentials.slots.push(Slot {
                    hosts: binding.hosts.clone(),
                    mark: Digest::of(value.expose()),
                    way,
                });
            }
        }
        Ok(credentials)
    }

    /// Whether a header is the host's because a credential travels in it.
    pub(super) fn own(&self, header: &HeaderName) -> bool {
        self.owned.contains(header)
    }

    /// The slots that are bound to a URL.
    pub(super) fn bound_to<'a>(&'a self, url: &'a Url) -> impl Iterator<Item = &'a Slot> {
        let bound = |slot: &&Slot| slot.hosts.iter().any(|rule| rule.allows(url));
        self.slots.iter().filter(bound)
    }
}

impl Dress {
    pub(super) fn header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.push((name, value));
    }

    pub(super) fn parameter(&mut self, name: &str, value: &Secret) {
        self.parameters.push((name.to_owned(), value.clone()));
    }

    pub(super) fn lend(&mut self, lent: Lent) {
        self.lent = Some(lent);
    }

    /// Adds all of it, in the place of what the component put there.
    pub(super) fn put_on(self, request: &mut Request) -> Result<(), Failure> {
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value);
        }
        for (name, value) in self.parameters {
            set_parameter(request.url_mut(), &name, &value);
        }
        // Last: a signature covers what was added before.
        match self.lent {
            None => {}
            Some(Lent::Address(url)) => *request.url_mut() = url,
            Some(Lent::Query(end)) => add_to_query(request.url_mut(), &end),
            Some(Lent::Aws(key, at)) => sign::for_s3(request, &key, &at)?,
        }
        Ok(())
    }
}

fn add_to_query(url: &mut Url, end: &Secret) {
    let end = String::from_utf8_lossy(end.expose());
    let query = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{end}"),
        None => end.into_owned(),
    };
    url.set_query(Some(&query));
}

/// Sets one parameter of a query and leaves the text of the others as it is.
fn set_parameter(url: &mut Url, name: &str, value: &Secret) {
    let named = |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(key, _)| key == name);
    let query = url.query().unwrap_or_default();
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !named(pair))
        .map(str::to_owned)
        .collect();
    let key: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let value: String = form_urlencoded::byte_serialize(value.expose()).collect();
    pairs.push(format!("{key}={value}"));
    url.set_query(Some(&pairs.join("&")));
}

/// The header in which the slot's credential travels, if it travels in one.
fn header_of(binding: &SlotBinding) -> Result<Option<HeaderName>, Failure> {
    let name = match &binding.scheme {
        Scheme::Header { header, .. } => header,
        Scheme::Query { .. } | Scheme::Hmac(_) | Scheme::Derived(_) => return Ok(None),
        _ => return Ok(Some(AUTHORIZATION)),
    };
    let header = HeaderName::from_bytes(name.as_bytes())
        .ok()
        .filter(|header| !is_framing(header));
    header.map(Some).ok_or_else(|| {
        Failure::config(format!(
            "the credential slot `{}` cannot be sent as the header `{}`",
            binding.slot,
            name.escape_debug()
        ))
    })
}

fn way(binding: &SlotBinding, value: &Secret) -> Result<Option<Way>, Failure> {
    let slot = &binding.slot;
    Ok(Some(match &binding.scheme {
        Scheme::Bearer {} => Way::Header(AUTHORIZATION, header_value(slot, "Bearer ", value)?),
        Scheme::Basic {} => Way::Header(AUTHORIZATION, basic(slot, value)?),
        Scheme::Header { prefix, .. } => match header_of(binding)? {
            Some(header) => Way::Header(header, header_value(slot, prefix, value)?),
            None => return Ok(None),
        },
        Scheme::Query { parameter } => Way::Query(parameter.clone(), value.clone()),
        Scheme::Hmac(_) | Scheme::Derived(_) => return Ok(None),
        scheme => Way::Token(Arc::new(Exchange::new(slot, scheme, value)?)),
    }))
}

fn basic(slot: &SlotName, value: &Secret) -> Result<HeaderValue, Failure> {
    let pair = Pair::user(value).map_err(|error| {
        Failure::config(format!("the credential `{slot}` cannot be used: {error}"))
    })?;
    let encoded = Secret::new(STANDARD.encode(pair.joined().expose()));
    header_value(slot, "Basic ", &encoded)
}

/// A header's value that no debug output shows.
pub(super) fn header_value(
    slot: &SlotName,
    prefix: &str,
    value: &Secret,
) -> Result<HeaderValue, Failure> {
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
    use serde_json::json;

    fn binding(scheme: serde_json::Value, hosts: &[&str]) -> SlotBinding {
        SlotBinding {
            slot: SlotName::parse("key").unwrap(),
            scheme: serde_json::from_value(scheme).unwrap(),
            hosts: hosts
                .iter()
                .map(|host| HostRule::parse(host).unwrap())
                .collect(),
        }
    }

    fn header(name: &str, hosts: &[&str]) -> SlotBinding {
        binding(
            json!({"scheme": "header", "header": name, "prefix": "Token "}),
            hosts,
        )
    }

    fn entered(value: &str) -> BTreeMap<SlotName, Secret> {
        BTreeMap::from([(SlotName::parse("key").unwrap(), Secret::new(value))])
    }

    /// The request to this URL with what is bound to it, as the service gets it.
    fn dressed(credentials: &Credentials, url: &str) -> Request {
        let mut request = Request::new(reqwest::Method::GET, url.parse().unwrap());
        let mut dress = Dress::default();
        for slot in credentials.bound_to(&url.parse().unwrap()) {
            match &slot.way {
                Way::Header(name, value) => dress.header(name.clone(), value.clone()),
                Way::Query(name, value) => dress.parameter(name, value),
                Way::Token(_) => panic!("no token is had here"),
            }
        }
        dress.put_on(&mut request).unwrap();
        request
    }

    #[test]
    fn a_credential_goes_to_its_hosts_only() {
        let bindings = [header("X-Key", &["api.example.com"])];
        let credentials = Credentials::new(&bindings, &entered("canary")).unwrap();
        for (url, sent) in [
            ("https://api.example.com/a", true),
            ("http://api.example.com/a", false),
            ("https://api.example.com:8443/a", false),
            ("https://www.example.com/", false),
        ] {
            let request = dressed(&credentials, url);
            let value = request.headers().get("x-key");
            assert_eq!(value.is_some(), sent, "{url}");
            assert!(value.is_none_or(|value| value == "Token canary" && value.is_sensitive()));
        }
    }

    #[test]
    fn bearer_and_basic_are_made_as_their_standards_say() {
        for (scheme, value, sent) in [
            ("bearer", "mF_9.B5f-4.1JqM", "Bearer mF_9.B5f-4.1JqM"),
            // The examples of RFC 7617.
            (
                "basic",
                "Aladdin:open sesame",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            (
                "basic",
                r#"{"username":"test","password":"123£"}"#,
                "Basic dGVzdDoxMjPCow==",
            ),
        ] {
            let bindings = [binding(json!({"scheme": scheme}), &["a.org"])];
            let credentials = Credentials::new(&bindings, &entered(value)).unwrap();
            let request = dressed(&credentials, "https://a.org/");
            assert_eq!(request.headers()[AUTHORIZATION], sent);
        }
        let bindings = [binding(json!({"scheme": "basic"}), &["a.org"])];
        let failure = Credentials::new(&bindings, &entered("canary"))
            .err()
            .unwrap();
        assert!(!failure.message.contains("canary"), "{failure}");
    }

    #[test]
    fn a_parameter_takes_the_place_of_the_components_and_leaves_the_rest_as_it_was() {
        let bindings = [binding(
            json!({"scheme": "query", "parameter": "api key"}),
            &["a.org"],
        )];
        let credentials = Credentials::new(&bindings, &entered("c&n=ry")).unwrap();
        for (url, sent) in [
            ("https://a.org/x", "https://a.org/x?api+key=c%26n%3Dry"),
            (
                "https://a.org/?a=%7e&b=1+2&&c",
                "https://a.org/?a=%7e&b=1+2&c&api+key=c%26n%3Dry",
            ),
            (
                "https://a.org/?api%20key=forged&api+key=x&a=1",
                "https://a.org/?a=1&api+key=c%26n%3Dry",
            ),
            ("https://b.org/?api+key=own", "https://b.org/?api+key=own"),
        ] {
            assert_eq!(dressed(&credentials, url).url().as_str(), sent);
        }
    }

    #[test]
    fn a_slot_without_value_still_owns_its_header() {
        let credentials = Credentials::new(&[header("X-Key", &[])], &BTreeMap::new()).unwrap();
        assert!(credentials.own(&HeaderName::from_static("x-key")));
    }

    #[test]
    fn what_cannot_travel_in_a_header_is_refused_without_being_shown() {
        let failure = Credentials::new(&[header("X-Key", &[])], &entered("canary\r\nHost: x"))
            .err()
            .unwrap();
        assert!(failure.message.contains("`key`") && !failure.message.contains("canary"));
        for name in ["Host", "Content-Length", "transfer-encoding", "Connection"] {
            assert!(
                Credentials::new(&[header(name, &[])], &entered("v")).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_key_of_webhooks_is_sent_nowhere() {
        let bindings = [binding(
            json!({"scheme": "hmac", "header": "X-Signature"}),
            &["a.org"],
        )];
        let credentials = Credentials::new(&bindings, &entered("canary")).unwrap();
        assert_eq!(
            credentials
                .bound_to(&"https://a.org".parse().unwrap())
                .count(),
            0
        );
    }
}
