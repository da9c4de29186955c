//! The variables of the environment that win over the file: those of the predecessor that still mean
//! something. Each is put where its key would stand, so that it is checked as the key is.

use super::interpolate::Lookup;
use super::problem::At;
use super::yaml::{Entry, Node, Yaml};

/// Which variable stands for which key.
const VARIABLES: [(&str, &[&str]); 10] = [
    ("SEED_ADMIN_EMAIL", &["auth", "seed_admin_email"]),
    ("DATA_DIR", &["storage", "data_dir"]),
    ("CORS_ORIGINS", &["http", "cors_origins"]),
    ("LOG_LEVEL", &["log", "filter"]),
    ("SERVER_URL", &["http", "public_url"]),
    ("SMTP_HOST", &["mail", "smtp", "host"]),
    ("SMTP_PORT", &["mail", "smtp", "port"]),
    ("SMTP_USER", &["mail", "smtp", "user"]),
    ("SMTP_PASSWORD", &["mail", "smtp", "password"]),
    ("SMTP_FROM", &["mail", "from"]),
];

/// Google as a provider, by the names that the predecessor's variables have.
const GOOGLE: [(&str, &str); 2] = [
    ("GOOGLE_CLIENT_ID", "client_id"),
    ("GOOGLE_CLIENT_SECRET", "client_secret"),
];

/// Puts every variable that is set into the tree. An empty one counts as not set.
pub(super) fn apply(root: &mut Node, lookup: Lookup<'_>) {
    let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
    for (variable, path) in VARIABLES {
        if let Some(value) = set(variable) {
            let value = if variable == "LOG_LEVEL" {
                level(&value)
            } else {
                value
            };
            put(root, path, Node::foreign(At::Variable(variable), value));
        }
    }
    for (variable, key) in GOOGLE {
        if let Some(value) = set(variable) {
            let at = At::Variable(variable);
            if let Some(google) = google(root, at) {
                put(google, &[key], Node::foreign(at, value));
            }
        }
    }
}

/// The levels of Python, which the predecessor spoke, in today's words.
fn level(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "warning" => "warn".into(),
        "critical" => "error".into(),
        other => other.into(),
    }
}

/// Sets a key, making the sections above it where they are missing. Where something else than a
/// section stands, that is left to be told.
fn put(node: &mut Node, path: &[&str], value: Node) {
    let Some((key, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let at = value.at;
    if let Some(below) = child(node, key, Node::new(at, Yaml::Null)) {
        put(below, rest, value);
    }
}

/// The value of a key, which is made where it is missing.
fn child<'a>(node: &'a mut Node, key: &str, missing: Node) -> Option<&'a mut Node> {
    if node.value == Yaml::Null {
        node.value = Yaml::Map(Vec::new());
    }
    let Yaml::Map(entries) = &mut node.value else {
        return None;
    };
    let place = entries.iter().position(|entry| entry.key == key);
    let place = place.unwrap_or(entries.len());
    if place == entries.len() {
        entries.push(Entry {
            key: key.to_owned(),
            at: missing.at,
            node: missing,
        });
    }
    entries.get_mut(place).map(|entry| &mut entry.node)
}

/// The provider `google`, which is made where it is missing.
fn google(root: &mut Node, at: At) -> Option<&mut Node> {
    let missing = |value| Node::new(at, value);
    let auth = child(root, "auth", missing(Yaml::Null))?;
    let providers = child(auth, "oidc", missing(Yaml::Null))?;
    if providers.value == Yaml::Null {
        providers.value = Yaml::List(Vec::new());
    }
    let Yaml::List(providers) = &mut providers.value else {
        return None;
    };
    let is_google = |node: &Node| {
        node.get("name")
            .is_some_and(|name| name.to_json() == "google")
    };
    let place = providers
        .iter()
        .position(is_google)
        .unwrap_or(providers.len());
    if place == providers.len() {
        let mut provider = missing(Yaml::Null);
        for (key, value) in [
            ("name", "google"),
            ("title", "Google"),
            ("issuer", "https://accounts.google.com"),
        ] {
            put(&mut provider, &[key], Node::foreign(at, value));
        }
        providers.push(provider);
    }
    providers.get_mut(place)
}

/// Every variable that is read.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let google = GOOGLE.iter().map(|(name, _)| *name);
    VARIABLES.iter().map(|(name, _)| *name).chain(google)
}
