//! The server's configuration: an optional YAML file, below it defaults, above it variables of the
//! environment and a few flags of `sluice serve`.
//!
//! A file becomes a tree that knows where each value stands; variables are filled in; the tree is held
//! against the schema of the types, and what remains is read. So everything that is wrong is told at
//! once. `config/instance.yaml.example` shows every key with its default; a test keeps the two alike.

mod alerts;
mod auth;
mod check;
mod clients;
mod engine;
mod environment;
mod formats;
mod http;
mod hybrid;
mod interpolate;
mod mail;
mod oidc;
mod problem;
mod remote;
mod results;
mod rules;
mod sandbox;
mod schema;
mod secret;
mod show;
mod values;
mod webhooks;
mod yaml;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use domain::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use alerts::Alerts;
pub(crate) use auth::{Auth, Bootstrap};
pub(crate) use clients::{Clients, Uploads};
pub(crate) use engine::{Audit, CredentialsKey, Egress, Log, LogFormat, Queries, Runs, Storage};
pub(crate) use http::Http;
pub(crate) use hybrid::Hybrid;
pub(crate) use mail::{Mail, SmtpTls};
pub(crate) use oidc::{GoogleGroups, OidcProvider};
pub(crate) use problem::{ConfigError, Problems};
pub(crate) use remote::Remote;
pub(crate) use results::{Downloads, Scans};
pub(crate) use sandbox::Sandbox;
pub(crate) use schema::text as schema_text;
pub(crate) use show::show;
pub(crate) use values::Origin;
pub(crate) use webhooks::Webhooks;

use interpolate::Lookup;
use problem::{At, Problem};
use yaml::{Node, Yaml};

/// The version of the keys that this server knows.
const VERSION: u32 = 1;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The version of these keys.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) config_version: u32,
    pub(crate) http: Http,
    pub(crate) auth: Auth,
    pub(crate) mail: Mail,
    pub(crate) storage: Storage,
    pub(crate) runs: Runs,
    pub(crate) alerts: Alerts,
    pub(crate) webhooks: Webhooks,
    pub(crate) egress: Egress,
    pub(crate) sandbox: Sandbox,
    pub(crate) queries: Queries,
    pub(crate) scans: Scans,
    pub(crate) downloads: Downloads,
    pub(crate) uploads: Uploads,
    pub(crate) clients: Clients,
    pub(crate) remote: Remote,
    pub(crate) hybrid: Hybrid,
    pub(crate) credentials: CredentialsKey,
    pub(crate) audit: Audit,
    pub(crate) log: Log,
}

impl Config {
    /// The file of the master key, where the environment does not give it.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        let own = || self.storage.data_dir.join("state/master.key");
        let file = self.credentials.master_key_file.clone();
        file.unwrap_or_else(own)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config_version: VERSION,
            http: Http::default(),
            auth: Auth::default(),
            mail: Mail::default(),
            storage: Storage::default(),
            runs: Runs::default(),
            alerts: Alerts::default(),
            webhooks: Webhooks::default(),
            egress: Egress::default(),
            sandbox: Sandbox::default(),
            queries: Queries::default(),
            remote: Remote::default(),
            hybrid: Hybrid::default(),
            scans: Scans::default(),
            downloads: Downloads::default(),
            uploads: Uploads::default(),
            clients: Clients::default(),
            credentials: CredentialsKey::default(),
            audit: Audit::default(),
            log: Log::default(),
        }
    }
}

/// A configuration that can be used, and what the operator should know about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads a file, if there is one, and the environment above it.
    pub(crate) fn load(path: Option<&Path>) -> Result<Loaded, ConfigError> {
        let text = path.map(read_file).transpose()?;
        read(text.as_deref(), &|name| std::env::var(name).ok())
            .map_err(|list| ConfigError::Wrong(Problems::new(path, list)))
    }
}

/// YAML of somebody else, read as strictly as the configuration: without what could grow.
pub(crate) fn yaml_to_json(text: &str) -> Result<serde_json::Value, String> {
    if text.len() > yaml::MAX_BYTES {
        return Err(format!("it is larger than {} KiB", yaml::MAX_BYTES >> 10));
    }
    let mut problems = Vec::new();
    let node = yaml::read(text, &mut problems);
    match problems.is_empty() {
        true => Ok(node.map_or(serde_json::Value::Null, |node| node.to_json())),
        false => Err(Problems::new(Some(Path::new("file")), problems).to_string()),
    }
}

/// The master key of the environment, which wins over the file.
pub(crate) fn master_key() -> Option<Secret> {
    std::env::var("SLUICE_MASTER_KEY").ok().map(Secret::new)
}

/// The key before, where the environment gives both: what it sealed is sealed anew at the start.
pub(crate) fn previous_master_key() -> Option<Secret> {
    std::env::var("SLUICE_MASTER_KEY_PREVIOUS")
        .ok()
        .map(Secret::new)
}

/// A variable of the environment that an admin may take a credential from.
pub(crate) fn credential_variable(prefix: &str, name: &str) -> Result<Secret, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.starts_with(prefix) || name.len() > 256 || !name.chars().all(plain) {
        let shown: String = name.chars().take(64).collect();
        return Err(format!(
            "credentials are taken only from variables that begin with `{prefix}`, letters, digits and underscores; `{}` is none; `credentials.variable_prefix` in the configuration sets how they begin",
            shown.escape_debug()
        ));
    }
    std::env::var(name).map(Secret::new).map_err(|_| {
        format!("the environment variable `{name}` is not set for the server; set it and restart the server")
    })
}

/// The text of a file, of which no more is read than a configuration can have.
fn read_file(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let most = u64::try_from(yaml::MAX_BYTES).unwrap_or(u64::MAX);
    let read = file
        .take(most + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if read > yaml::MAX_BYTES {
        let message = format!("the file is larger than {} KiB", yaml::MAX_BYTES >> 10);
        let problem = Problem::new(At::Line(1, 1), message);
        return Err(ConfigError::Wrong(Problems::new(Some(path), vec![problem])));
    }
    Ok(text)
}

/// From the text of a file, if there is one, to a configuration, or to all that is wrong with it.
fn read(text: Option<&str>, lookup: Lookup<'_>) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let node = text.and_then(|text| yaml::read(text, &mut problems));
    // What remains of a text that is no YAML says nothing about its keys.
    if node.is_none() && !problems.is_empty() {
        return Err(problems);
    }
    let mut node = node.unwrap_or(Node::new(At::Line(1, 1), Yaml::Null));
    if text.is_some() {
        version(&node, &mut warnings).map_err(|problem| vec![problem])?;
    }
    interpolate::interpolate(&mut node, lookup, &mut problems);
    environment::apply(&mut node, lookup);
    let missing: Vec<At> = problems.iter().map(|problem| problem.at).collect();
    if node.value == Yaml::Null {
        node.value = Yaml::Map(Vec::new());
    }
    let node = check::check(node, &schema::schema(), &mut problems);
    once(&mut problems, &missing);
    match serde_json::from_value::<Config>(node.to_json()) {
        Ok(config) => {
            let breaches = rules::breaches(&config).into_iter();
            problems
                .extend(breaches.map(|(key, message)| Problem::new(node.locate(&key), message)));
            if problems.is_empty() {
                return Ok(Loaded { config, warnings });
            }
        }
        Err(error) => problems.push(Problem::new(node.at, error.to_string())),
    }
    Err(problems)
}

/// Where a variable is missing, its text is wrong as well, which needs no second word.
fn once(problems: &mut Vec<Problem>, missing: &[At]) {
    let mut told: Vec<At> = Vec::new();
    problems.retain(|problem| {
        let again = missing.contains(&problem.at) && told.contains(&problem.at);
        told.push(problem.at);
        !again
    });
}

/// Refuses what a newer server wrote: its keys may mean something else.
fn version(root: &Node, warnings: &mut Vec<String>) -> Result<(), Problem> {
    let Some(version) = root.get("config_version") else {
        warnings.push(format!(
            "the configuration does not say its version and is read as `config_version: {VERSION}`; write that into it"
        ));
        return Ok(());
    };
    match &version.value {
        Yaml::Number(number) if number.as_u64().is_some_and(|v| v > u64::from(VERSION)) => {
            Err(Problem::new(
                version.at,
                format!(
                    "`config_version` is {number}, and this server knows version {VERSION}; use a newer server, or the keys of that version"
                ),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
