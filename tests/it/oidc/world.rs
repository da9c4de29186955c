//! A server, a provider that it trusts, and a browser that goes to both.

use integration_tests::provider::{Browser, Provider};
use integration_tests::{App, Options, Response};
use ureq::http::Method;

/// What most tests want of the provider.
const GROUPS: &str = "      groups_claim: groups\n";

/// A server that trusts a provider, and a browser.
pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) app: App,
    pub(crate) browser: Browser,
    _folder: tempfile::TempDir,
}

impl World {
    /// The provider is called `test` there, and `google` as well.
    pub(crate) fn with(more: &str) -> Self {
        let provider = Provider::start();
        let entries = [provider.entry("test", more), provider.entry("google", more)].concat();
        let yaml = format!(
            "auth:\n  allowed_domains: [example.com]\n  rate:\n    \
             per_address_per_minute: 1000\n  oidc:\n{entries}"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sluice.yaml");
        std::fs::write(&file, yaml).unwrap();
        let app = App::with(Options {
            arguments: vec!["--config".into(), file.to_str().unwrap().into()],
            ..Options::default()
        });
        Self {
            provider,
            app,
            browser: Browser::default(),
            _folder: folder,
        }
    }

    pub(crate) fn start() -> Self {
        Self::with(GROUPS)
    }

    /// Begins a sign-in: the address at the provider.
    #[track_caller]
    pub(crate) fn depart(&mut self, path: &str) -> String {
        let answer = self.browser.open(&format!("{}{path}", self.app.url));
        assert_eq!(answer.status, 303);
        answer.header("location").unwrap().to_owned()
    }

    /// Signs in at the provider: the way back.
    #[track_caller]
    pub(crate) fn fetch(&mut self, person: &str) -> String {
        let away = self.depart("/auth/oidc/test/login");
        self.browser.visit_provider(&away, person)
    }

    /// The whole way: where it ends.
    #[track_caller]
    pub(crate) fn enter(&mut self, person: &str) -> String {
        let back = self.fetch(person);
        place(&self.browser.open(&back))
    }

    /// What the server says of whoever has signed in here.
    pub(crate) fn me(&self) -> Response {
        let cookie = self.browser.cookie(&self.app.url, "sluice");
        let cookie = format!("sluice={}", cookie.unwrap_or_default());
        let headers = [("cookie", cookie.as_str())];
        self.app
            .anonymous()
            .send(Method::GET, "/api/me", &headers, &[])
    }

    pub(crate) fn users(&self) -> Vec<String> {
        let users = self.app.get("/api/users").ok();
        let users = users.as_array().unwrap().iter();
        users
            .map(|user| user["email"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The names of the groups that the provider has put somebody into.
    pub(crate) fn groups(&self, email: &str) -> Vec<String> {
        let groups = self.app.get("/api/admin/groups").ok();
        let mut names = Vec::new();
        for group in groups.as_array().unwrap() {
            let (id, name) = (
                group["id"].as_str().unwrap(),
                group["name"].as_str().unwrap(),
            );
            let members = self
                .app
                .get(&format!("/api/admin/groups/{id}/members"))
                .ok();
            let mut members = members.as_array().unwrap().iter();
            if members.any(|one| one["email"] == email && one["source"] == "google_sync") {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names
    }
}

/// Where an answer sends a browser.
pub(crate) fn place(answer: &Response) -> String {
    answer.header("location").unwrap_or("(nowhere)").to_owned()
}
