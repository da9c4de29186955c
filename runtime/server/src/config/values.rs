//! Texts that have a form: addresses, origins, domains, names. Each is parsed once, where it is read.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Defines a text that is only made by its parser, with the format by which the schema names that.
macro_rules! text {
    ($(#[$meta:meta])* $name:ident, $format:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(inline, extend("format" = $format))]
        pub(crate) struct $name(String);

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text! {
    /// An e-mail address, in lower case.
    Email, "email-address"
}
text! {
    /// A domain of e-mail addresses, in lower case.
    Domain, "domain"
}
text! {
    /// An origin, as browsers write it.
    Origin, "origin"
}
text! {
    /// A name that stands in URLs.
    ProviderName, "provider-name"
}
text! {
    /// An address of the web, kept as it was written.
    WebAddress, "secure-web-address"
}

impl Email {
    /// The sender of mail where nothing else is configured.
    pub(super) fn noreply() -> Self {
        Self("noreply@example.com".into())
    }
}

impl WebAddress {
    /// Google's Cloud Identity API.
    pub(super) fn google_groups() -> Self {
        Self("https://cloudidentity.googleapis.com".into())
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rule = "an e-mail address, such as `ada@example.com`";
        let (local, domain) = text.rsplit_once('@').ok_or(rule)?;
        let plain = |c: char| c.is_ascii_graphic() && !"@<>()[]\\,;:\"".contains(c);
        let fits = !local.is_empty() && local.len() <= 64 && local.chars().all(plain);
        if fits && is_domain(domain) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(rule)
    }
}

impl TryFrom<String> for Domain {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_domain(&text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err("a domain, such as `example.com`, without `@` and without `*`")
    }
}

/// Labels of letters, digits and hyphens; one alone is as good, as `localhost` is.
fn is_domain(text: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(fits)
}

impl TryFrom<String> for Origin {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" {
            return Err("an origin by its name: `*` would let every page of the web call the API");
        }
        let url = web_address(&text);
        // Anything but scheme, host and port would never equal what a browser sends.
        match url.map(|url| url.origin().ascii_serialization()) {
            Some(origin) if origin.eq_ignore_ascii_case(text.trim_end_matches('/')) => {
                Ok(Self(origin))
            }
            _ => Err("an origin, such as `https://app.example.com`, without a path"),
        }
    }
}

impl TryFrom<String> for ProviderName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text));
        }
        Err("a name of 1 to 32 lower-case letters, digits and hyphens")
    }
}

impl TryFrom<String> for WebAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match web_address(&text) {
            Some(url) if url.scheme() == "https" || is_loopback(&url) => Ok(Self(text)),
            _ => {
                Err("an address that begins with `https://`; `http://` only for this very machine")
            }
        }
    }
}

/// An address with `http` or `https`, a host, and no credentials in it.
pub(super) fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let known = matches!(url.scheme(), "http" | "https");
    (plain && known && url.has_host()).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_this_machine)
}

/// Whether a host's name or address is that of this very machine.
pub(super) fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken<T: TryFrom<String>>(text: &str) -> bool {
        T::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn an_origin_is_what_a_browser_would_send() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "https://a.example/",
        ] {
            assert!(taken::<Origin>(good), "{good}");
        }
        for bad in [
            "*",
            "a.example",
            "https://a.example/x",
            "https://u@a.example",
            "null",
            "ftp://a",
        ] {
            assert!(!taken::<Origin>(bad), "{bad}");
        }
        let slash = Origin::try_from("https://a.example/".to_owned()).unwrap();
        assert_eq!(&*slash, "https://a.example");
    }

    #[test]
    fn an_address_for_mail_cannot_carry_a_second_one_or_a_header() {
        assert!(taken::<Email>("ada.lovelace+x@example.com") && taken::<Email>("dev@localhost"));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.d",
            "a@b,c@d",
            "a@b\r\nBcc: x@y",
            "<a@b>",
        ] {
            assert!(!taken::<Email>(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_provider_in_the_clear_is_only_taken_on_this_machine() {
        for good in [
            "https://accounts.google.com",
            "http://127.0.0.1:9/x",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert!(taken::<WebAddress>(good), "{good}");
        }
        for bad in [
            "http://accounts.google.com",
            "https://",
            "javascript:alert(1)",
            "http://10.0.0.1",
        ] {
            assert!(!taken::<WebAddress>(bad), "{bad}");
        }
    }

    #[test]
    fn letters_of_addresses_are_made_small() {
        let email = Email::try_from("Ada@Example.COM".to_owned()).unwrap();
        assert_eq!(&*email, "ada@example.com");
        assert!(!taken::<Domain>("@example.com") && !taken::<Domain>("*.example.com"));
    }
}
