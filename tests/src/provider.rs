//! A real provider of identities on loopback, the npm package `oidc-provider`, and a browser that
//! goes there and back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use ureq::http::Method;

use crate::{Client, Response};

/// The provider. Dropping it ends it.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    /// Where it is, which is also what it calls itself.
    pub issuer: String,
}

impl Provider {
    /// Starts it on a free port.
    #[track_caller]
    pub fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("node")
            .arg(here.join("oidc/provider.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Node.js with oidc-provider: run the tests through ./dev test");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines = lines.map_while(Result::ok);
        let issuer = lines.find(|line| line.starts_with("http"));
        let issuer = issuer.expect("it prints its issuer: run the tests through ./dev test");
        Self { child, issuer }
    }

    /// How it is configured under `auth.oidc`, with more lines about it.
    pub fn entry(&self, name: &str, more: &str) -> String {
        format!(
            "    - name: {name}\n      issuer: {}\n      client_id: sluice\n      \
             client_secret: the secret of the tests\n{more}",
            self.issuer
        )
    }

    /// Has it say something else about a person from now on.
    #[track_caller]
    pub fn says(&self, person: &str, claims: &Value) {
        let told = Client::new(&self.issuer, None).put(&format!("/people/{person}"), claims);
        assert_eq!(told.status, 204);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser as far as it matters here: it keeps cookies for each site, and goes where it is sent
/// when it is told to.
#[derive(Debug, Default, Clone)]
pub struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

/// The site of an address, and the rest of it.
fn parts(url: &str) -> (&str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    url.split_at(end)
}

impl Browser {
    /// Opens an address.
    #[track_caller]
    pub fn open(&mut self, url: &str) -> Response {
        let (site, path) = parts(url);
        let cookies = self.cookies.iter().filter(|((of, _), _)| of == site);
        let cookies: Vec<_> = cookies
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let header = cookies.join("; ");
        let headers = [("cookie", header.as_str())];
        let answer = Client::new(site, None).send(Method::GET, path, &headers, &[]);
        for (name, value) in &answer.headers {
            if name == "set-cookie" {
                self.take(site, value);
            }
        }
        answer
    }

    fn take(&mut self, site: &str, header: &str) {
        let pair = header.split(';').next().unwrap_or_default();
        let (name, value) = pair.split_once('=').expect("a cookie");
        let key = (site.to_owned(), name.to_owned());
        match value {
            "" => self.cookies.remove(&key),
            value => self.cookies.insert(key, value.to_owned()),
        };
    }

    /// What a site has it keep under a name.
    pub fn cookie(&self, site: &str, name: &str) -> Option<&str> {
        let key = (site.to_owned(), name.to_owned());
        self.cookies.get(&key).map(String::as_str)
    }

    /// Signs in as somebody at the provider that an address leads to. Returns the address of the way
    /// back, which is not opened.
    #[track_caller]
    pub fn visit_provider(&mut self, url: &str, person: &str) -> String {
        let (provider, _) = parts(url);
        let mut next = format!("{url}&login_hint={person}");
        for _ in 0..5 {
            let answer = self.open(&next);
            let to = answer.header("location").unwrap_or_else(|| {
                panic!(
                    "{next}: {} {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.bytes)
                )
            });
            next = match to.starts_with('/') {
                true => format!("{provider}{to}"),
                false => to.to_owned(),
            };
            if parts(&next).0 != provider {
                return next;
            }
        }
        panic!("the provider turns in circles: {next}");
    }
}
