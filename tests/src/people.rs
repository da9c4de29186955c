//! What admins do for people, and how people sign in.

use serde_json::{Value, json};
use ureq::http::Method;

use crate::client::{Client, Response};

/// The password of everybody here.
pub const PASSWORD: &str = "a long sentence of many words";

impl Client {
    /// Adds a user with the usual password; returns the id.
    #[track_caller]
    pub fn add_user(&self, email: &str) -> String {
        let user = self.post("/api/users", &json!({"email": email, "name": "Test"}));
        let id = user.ok()["id"].as_str().expect("an id").to_owned();
        self.set_password(&id);
        id
    }

    /// Gives a user the usual password.
    #[track_caller]
    pub fn set_password(&self, user: &str) {
        let path = format!("/api/users/{user}/set-password");
        self.post(&path, &json!({"password": PASSWORD})).ok();
    }

    /// Asks for a session; the answer may be a refusal.
    pub fn ask_for_session(&self, email: &str, password: &str) -> Response {
        let given = json!({"email": email, "password": password});
        Self::new(&self.url, None).post("/auth/token", &given)
    }

    /// Signs in with the usual password.
    #[track_caller]
    pub fn sign_in(&self, email: &str) -> Self {
        let session = self.ask_for_session(email, PASSWORD).ok();
        self.with(session["access_token"].as_str())
    }

    /// Adds a user, and signs in as that one.
    #[track_caller]
    pub fn newcomer(&self, email: &str) -> Self {
        self.add_user(email);
        self.sign_in(email)
    }

    /// The same server with another token.
    pub fn with(&self, token: Option<&str>) -> Self {
        Self::new(&self.url, token.map(str::to_owned))
    }

    /// Makes a token that is good for these scopes.
    #[track_caller]
    pub fn token_for(&self, scopes: &[&str]) -> Self {
        let wanted = json!({"name": "narrow", "scopes": scopes});
        let token = self.post("/auth/tokens", &wanted).ok();
        self.with(token["token"].as_str())
    }

    /// Adds a group; returns the id.
    #[track_caller]
    pub fn add_group(&self, name: &str) -> String {
        let group = self.post("/api/admin/groups", &json!({"name": name})).ok();
        group["id"].as_str().expect("an id").to_owned()
    }

    /// Puts a user into a group.
    #[track_caller]
    pub fn join(&self, group: &str, email: &str) {
        let path = format!("/api/admin/groups/{group}/members");
        self.post(&path, &json!({"email": email})).ok();
    }

    /// A newcomer in a group of its own; returns both.
    #[track_caller]
    pub fn analyst(&self, email: &str) -> (Self, String) {
        let analyst = self.newcomer(email);
        let group = self.add_group(&format!("group of {email}"));
        self.join(&group, email);
        (analyst, group)
    }

    /// Grants a permission on a resource to a group; returns the grant's id.
    #[track_caller]
    pub fn grant(&self, group: &str, permission: &str, kind: &str, id: &str) -> String {
        let grant = json!({
            "group_id": group, "permission": permission, "resource_type": kind, "resource_id": id,
        });
        let granted = self.post("/api/admin/grants", &grant).ok();
        granted["id"].as_str().expect("an id").to_owned()
    }

    /// Grants a group a part of a table; returns the grant's id.
    #[track_caller]
    pub fn grant_part(&self, group: &str, table: &str, filter: &str, masks: &Value) -> String {
        let grant = json!({
            "group_id": group, "resource_type": "table", "resource_id": table,
            "row_filter": filter, "column_masks": masks,
        });
        let granted = self.post("/api/admin/grants", &grant).ok();
        granted["id"].as_str().expect("an id").to_owned()
    }

    /// Posts a form as a browser does, with more headers.
    #[track_caller]
    pub fn form(&self, path: &str, fields: &str, headers: &[(&str, &str)]) -> Response {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, fields.as_bytes())
    }

    /// The names of the tables in the catalogue.
    #[track_caller]
    pub fn tables(&self) -> Vec<String> {
        let tables = self.get("/api/catalog/tables").ok();
        let names = tables["tables"].as_array().expect("tables").iter();
        names
            .filter_map(|table| table["name"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The last link of a text that leads to this path.
pub fn link(text: &str, path: &str) -> Option<String> {
    let words = text.split_whitespace().rev();
    let mut links = words.filter(|word| word.starts_with("http") && word.contains(path));
    links.next().map(str::to_owned)
}

/// The value of a field in a link's query.
pub fn field(link: &str, name: &str) -> String {
    let query = link.split('?').nth(1).unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| *key == name);
    found.map_or_else(String::new, |(_, value)| value.replace("%40", "@"))
}

/// A user of the list.
pub fn named<'a>(users: &'a Value, email: &str) -> Option<&'a Value> {
    let mut users = users.as_array()?.iter();
    users.find(|user| user["email"] == email)
}
