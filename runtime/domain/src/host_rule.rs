//! One line of an egress allowlist.
//!
//! | form | allows |
//! |---|---|
//! | `api.example.com` | https, port 443, this host |
//! | `*.example.com` | https, port 443, every host below `example.com`, not itself |
//! | `api.example.com:8443` | https, that port |
//! | `api.example.com/v1/` | https, only paths that start so |
//! | `http://data.example.com` | plain http, port 80 |
//! | `http://127.0.0.1:9000` | plain http, that address; it also needs an address exception |

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not an egress rule: {reason}; write a host such as `api.example.com`, `*.example.com` or `http://host:8080/path/`"
)]
pub struct HostRuleError {
    text: String,
    reason: &'static str,
}

/// A scheme, host, port and path prefix that requests may be sent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostRule {
    https: bool,
    subdomains: bool,
    host: String,
    port: u16,
    path: String,
}

impl HostRule {
    /// Reads one rule.
    pub fn parse(text: &str) -> Result<Self, HostRuleError> {
        let bad = |reason| HostRuleError {
            text: text.chars().take(200).collect(),
            reason,
        };
        let (https, rest) = match text.split_once("://") {
            None => (true, text),
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(bad("the scheme is neither https nor http")),
        };
        let (subdomains, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains(['*', '?', '#', '@', '\\', ' ', '%']) {
            return Err(bad(
                "a wildcard stands only at the start, and queries, user names and escapes are not part of a rule",
            ));
        }
        // The URL parser normalises what it would normalise in a request, so the two compare equal.
        let scheme = if https { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{rest}"))
            .map_err(|_| bad("the host or port is malformed"))?;
        let host = match url.host() {
            Some(Host::Domain(name)) if name.contains('.') || name == "localhost" => {
                name.trim_end_matches('.').to_owned()
            }
            Some(Host::Domain(_)) => return Err(bad("the host has no domain")),
            Some(ip) if !subdomains => ip.to_string(),
            _ => return Err(bad("the host is missing")),
        };
        if subdomains && !host.contains('.') {
            return Err(bad("a wildcard needs a domain with a dot"));
        }
        let port = url
            .port_or_known_default()
            .ok_or_else(|| bad("the port is missing"))?;
        Ok(Self {
            https,
            subdomains,
            host,
            port,
            path: url.path().to_owned(),
        })
    }

    /// The rule that allows the scheme, host and port of a URL, any path.
    pub fn for_url(url: &Url) -> Result<Self, HostRuleError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        Self::parse(&format!("{}://{host}{port}", url.scheme()))
    }

    /// Whether a request to this URL is allowed.
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let host = host.trim_end_matches('.');
        let host_fits = if self.subdomains {
            host.strip_suffix(&self.host)
                .is_some_and(|head| head.len() > 1 && head.ends_with('.'))
        } else {
            host == self.host
        };
        host_fits
            && url.scheme() == if self.https { "https" } else { "http" }
            && url.port_or_known_default() == Some(self.port)
            && url.path().starts_with(&self.path)
    }

    /// Whether everything that `other` allows is allowed by this rule too.
    pub fn covers(&self, other: &Self) -> bool {
        let host_fits = if self.subdomains {
            let below = other
                .host
                .strip_suffix(&self.host)
                .is_some_and(|head| head.len() > 1 && head.ends_with('.'));
            below || (other.subdomains && other.host == self.host)
        } else {
            !other.subdomains && other.host == self.host
        };
        host_fits
            && self.https == other.https
            && self.port == other.port
            && other.path.starts_with(&self.path)
    }

    /// Whether the rule is for plain http.
    pub fn is_plain_http(&self) -> bool {
        !self.https
    }
}

impl std::fmt::Display for HostRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.https {
            f.write_str("http://")?;
        }
        if self.subdomains {
            f.write_str("*.")?;
        }
        f.write_str(&self.host)?;
        if self.port != if self.https { 443 } else { 80 } {
            write!(f, ":{}", self.port)?;
        }
        if self.path != "/" {
            f.write_str(&self.path)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for HostRule {
    type Err = HostRuleError;
    fn from_str(text: &str) -> Result<Self, HostRuleError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for HostRule {
    type Error = HostRuleError;
    fn try_from(text: String) -> Result<Self, HostRuleError> {
        Self::parse(&text)
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, url: &str) -> bool {
        HostRule::parse(rule)
            .unwrap()
            .allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_allows_itself_over_https_only() {
        assert!(allows("api.example.com", "https://api.example.com/a?b"));
        assert!(allows("API.example.com", "https://api.EXAMPLE.com./a"));
        for url in [
            "http://api.example.com/",
            "https://api.example.com:444/",
            "https://x.api.example.com/",
            "https://evil.com/api.example.com",
        ] {
            assert!(!allows("api.example.com", url), "{url}");
        }
    }

    #[test]
    fn a_wildcard_allows_what_is_below() {
        assert!(allows("*.example.com", "https://a.example.com/"));
        assert!(allows("*.example.com", "https://a.b.example.com/"));
        for url in [
            "https://example.com/",
            "https://badexample.com/",
            "https://.example.com/",
            "https://example.com.evil.org/",
        ] {
            if let Ok(url) = Url::parse(url) {
                assert!(
                    !HostRule::parse("*.example.com").unwrap().allows(&url),
                    "{url}"
                );
            }
        }
    }

    #[test]
    fn a_path_is_a_prefix() {
        assert!(allows("example.com/v1/", "https://example.com/v1/orders"));
        assert!(!allows("example.com/v1/", "https://example.com/v2/orders"));
        assert!(!allows(
            "example.com/v1/",
            "https://example.com/v1/../v2/orders"
        ));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "*",
            "*.com*",
            "a*b.com",
            "ftp://x.org",
            "http://",
            "com",
            "user@example.com",
            "example.com?x",
            "*.localhost",
        ] {
            assert!(HostRule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_survives_its_own_text() {
        for text in [
            "api.example.com",
            "*.example.com:8443",
            "http://127.0.0.1:9000",
            "example.com/v1/",
            "http://[::1]:8080",
        ] {
            let rule = HostRule::parse(text).unwrap();
            assert_eq!(rule.to_string(), text);
        }
    }

    #[test]
    fn a_wider_rule_covers_a_narrower_one() {
        let covers = |a: &str, b: &str| {
            HostRule::parse(a)
                .unwrap()
                .covers(&HostRule::parse(b).unwrap())
        };
        assert!(covers("*.example.com", "a.example.com"));
        assert!(covers("*.example.com", "*.b.example.com"));
        assert!(covers("example.com", "example.com/v1/"));
        assert!(!covers("a.example.com", "*.example.com"));
        assert!(!covers("example.com/v1/", "example.com"));
        assert!(!covers("example.com", "http://example.com"));
    }
}
