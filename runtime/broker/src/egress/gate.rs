//! What a request must pass before anything is dialled: its URL, the rules in effect, its addresses.

use std::borrow::Cow;
use std::net::SocketAddr;

use domain::address::is_globally_routable;
use domain::run::EgressRow;
use domain::{Capabilities, Failure, HostRule, Limits, SourceName};
use percent_encoding::percent_decode_str;
use reqwest::Method;
use url::Url;

use super::attempt::Miss;
use crate::journal::Journal;

/// More than services take.
const MAX_URL: usize = 16 << 10;
/// How often a server may undo escapes one after the other.
const MAX_DECODINGS: usize = 3;

/// The rules that hold in a run.
#[derive(Debug)]
pub(crate) struct Gate {
    source: SourceName,
    capabilities: Capabilities,
}

impl Gate {
    /// The rules of a source, effective ones.
    pub(crate) fn new(source: SourceName, capabilities: Capabilities) -> Self {
        Self {
            source,
            capabilities,
        }
    }

    pub(super) fn source(&self) -> &SourceName {
        &self.source
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.capabilities.limits
    }

    /// Reads a component's URL. One that cannot be read is written to the audit here, since no
    /// attempt follows.
    pub(crate) fn parse(
        &self,
        text: &str,
        method: &Method,
        journal: &Journal,
    ) -> Result<Url, Failure> {
        let parsed = if text.len() > MAX_URL {
            Err(Failure::config(format!(
                "a URL has at most {MAX_URL} bytes, this one has {}",
                text.len()
            )))
        } else {
            Url::parse(text).map_err(|error| {
                let shown: String = text.chars().take(200).collect();
                Failure::config(format!(
                    "`{}` is not an absolute URL: {error}",
                    shown.escape_debug()
                ))
            })
        };
        if parsed.is_err() {
            journal.egress(&EgressRow {
                at: jiff::Timestamp::now(),
                decision: "refused: the URL is malformed".into(),
                host: String::new(),
                address: None,
                method: method.to_string(),
                path: String::new(),
                status: None,
                milliseconds: 0,
            });
        }
        parsed
    }

    /// Whether a rule in effect allows the URL, as it is written and as a server may read it.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Miss> {
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Miss::refused(
                "the scheme is neither https nor http",
                format!("requests go to https or http, not to `{}:`", url.scheme()),
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Miss::refused(
                "a user name in the URL",
                "a URL must not hold a user name or password: enter it as a credential of the source",
            ));
        }
        let readings = readings(url);
        let rules = &self.capabilities.egress;
        if readings
            .iter()
            .all(|reading| rules.iter().any(|rule| rule.allows(reading)))
        {
            return Ok(());
        }
        let origin = url.origin().ascii_serialization();
        let advice = HostRule::for_url(url).map_or_else(
            |error| error.to_string(),
            |rule| format!("add `{rule}` to both"),
        );
        Err(Miss::refused(
            "no egress rule allows it",
            format!(
                "`{origin}` was refused: no egress rule in effect for the source `{}` allows this request. A rule must be in what the connector asks for and in what the source was granted; {advice}",
                self.source
            ),
        ))
    }

    /// Whether every address may be dialled.
    pub(super) fn vet(&self, url: &Url, addresses: &[SocketAddr]) -> Result<(), Miss> {
        let inner = addresses.iter().find(|address| {
            !is_globally_routable(address.ip())
                && !self.capabilities.private_addresses.contains(address)
        });
        let Some(inner) = inner else {
            return Ok(());
        };
        Err(Miss::refused(
            "an address that is not globally routable",
            format!(
                "`{}` was refused: its address {} is not globally routable, and the source `{}` was not granted `{inner}` as a private address",
                url.host_str().unwrap_or_default(),
                inner.ip(),
                self.source
            ),
        )
        .at(*inner))
    }
}

/// The URL, and what becomes of its path when a server decodes it before it looks for `..`.
pub(super) fn readings(url: &Url) -> Vec<Cow<'_, Url>> {
    let mut readings = vec![Cow::Borrowed(url)];
    let mut path = url.path().to_owned();
    for _ in 0..MAX_DECODINGS {
        let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        if decoded == path {
            break;
        }
        let mut reading = url.clone();
        // Setting a path removes its `..` as a server would, and escapes it anew.
        reading.set_path(&decoded);
        readings.push(Cow::Owned(reading));
        path = decoded;
    }
    readings
}
