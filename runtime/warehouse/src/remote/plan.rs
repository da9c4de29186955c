//! From what an extract says to the statements that attach it: decided without a connection, so that
//! every word that DuckDB will hear can be asserted.

use std::path::PathBuf;

use domain::Secret;
use domain::sql_ident::quote_text;

use super::address::{self, Resolve};
use super::policy::{RemotePolicy, Servers, SslMode};
use super::{files, postgres};
use crate::extract::AttachRow;

/// The statements for one database. They hold a credential: neither shown nor logged.
pub(super) struct Plan {
    /// What is loaded first.
    pub(super) extensions: Vec<&'static str>,
    /// Makes the secret `{alias}_secret`, where there is a credential or a server.
    pub(super) secret: Option<String>,
    pub(super) attach: String,
    /// Folders that stay readable behind the lock.
    pub(super) folders: Vec<PathBuf>,
    /// What must not be seen in any message.
    pub(super) hidden: Vec<String>,
}

/// What a plan is made of.
pub(super) struct Request<'a> {
    pub(super) policy: &'a RemotePolicy,
    pub(super) row: &'a AttachRow,
    /// The name of the database within the instance.
    pub(super) alias: &'a str,
    pub(super) credential: Option<&'a Secret>,
    pub(super) resolve: Resolve,
}

/// Judges a row of `_remote_attach`; the text says why it is refused.
pub(super) fn plan(request: &Request<'_>) -> Result<Plan, String> {
    let policy = request.policy;
    let row = request.row;
    let allowed = match row.extension.as_str() {
        "postgres" => policy
            .postgres
            .as_ref()
            .map(|servers| request.postgres(servers)),
        "sqlite" => policy
            .sqlite
            .as_ref()
            .map(|folders| request.sqlite(folders)),
        "duckdb" => policy
            .duckdb
            .as_ref()
            .map(|folders| request.duckdb(folders)),
        "ducklake" => policy
            .ducklake
            .as_ref()
            .map(|folders| request.ducklake(folders)),
        "bigquery" => policy
            .bigquery
            .as_ref()
            .map(|projects| request.bigquery(projects)),
        "keboola" => policy
            .keboola
            .as_ref()
            .map(|servers| request.keboola(servers)),
        _ => None,
    };
    allowed.unwrap_or_else(|| {
        let name: String = row.extension.chars().take(64).collect();
        let name = name.escape_debug();
        Err(format!(
            "the extension `{name}` is not in `remote.extensions` of the configuration"
        ))
    })
}

/// The project of `project=… dataset=…`, which must be one that may be read.
pub(super) fn bigquery_project<'a>(projects: &[String], url: &'a str) -> Result<&'a str, String> {
    let mut project = None;
    for pair in url.split_whitespace() {
        match pair.split_once('=') {
            Some(("project", name)) if projects.iter().any(|p| p == name) => {
                project = Some(name);
            }
            Some(("dataset", name)) if is_word(name) => {}
            _ => {
                return Err("the URL is not `project=… dataset=…` with a project of `remote.extensions.bigquery.projects` of the configuration".to_owned());
            }
        }
    }
    project.ok_or_else(|| "the URL names no project".to_owned())
}

impl Request<'_> {
    fn postgres(&self, servers: &Servers) -> Result<Plan, String> {
        let place = postgres::place(&self.row.url)?;
        let options = self.dial(servers, "postgres", &place.host, place.port)?;
        let (secret, hidden) = self.postgres_secret(&place)?;
        let (alias, options) = (self.alias, quote_text(&options));
        Ok(Plan {
            extensions: vec!["postgres"],
            secret: Some(secret),
            attach: format!(
                "ATTACH {options} AS {alias} (TYPE postgres, SECRET {alias}_secret, READ_ONLY)"
            ),
            folders: Vec::new(),
            hidden,
        })
    }

    /// The part of the connection that is no secret: where it goes, and how long it waits.
    fn dial(
        &self,
        servers: &Servers,
        extension: &str,
        host: &str,
        port: u16,
    ) -> Result<String, String> {
        let address = address::vet(servers, extension, host, port, self.resolve)?;
        if servers.sslmode == SslMode::Disable
            && !servers.private_addresses.iter().any(|a| a.ip() == address)
        {
            return Err(
                "`sslmode: disable` is only for addresses of `private_addresses`".to_owned(),
            );
        }
        let seconds = self.policy.connect_timeout.as_secs().max(2);
        let milliseconds = self.policy.statement_timeout.as_millis();
        let sslmode = servers.sslmode.as_str();
        Ok(format!(
            "hostaddr={address} connect_timeout={seconds} sslmode={sslmode} options='-c statement_timeout={milliseconds}'"
        ))
    }

    fn postgres_secret(&self, place: &postgres::Place) -> Result<(String, Vec<String>), String> {
        let mut secret = format!(
            "CREATE SECRET {}_secret (TYPE postgres, HOST {}, PORT {}, DATABASE {}",
            self.alias,
            quote_text(&place.host),
            place.port,
            quote_text(&place.database),
        );
        if !place.user.is_empty() {
            secret.push_str(&format!(", USER {}", quote_text(&place.user)));
        }
        let mut hidden = Vec::new();
        if let Some(password) = self.credential()? {
            secret.push_str(&format!(", PASSWORD {}", quote_text(&password)));
            hidden.push(password);
        }
        secret.push(')');
        Ok((secret, hidden))
    }

    fn sqlite(&self, folders: &[PathBuf]) -> Result<Plan, String> {
        let path = files::within(folders, "sqlite", &self.row.url)?;
        let path = quote_text(&path.to_string_lossy());
        Ok(Plan {
            extensions: vec!["sqlite"],
            secret: None,
            attach: format!("ATTACH {path} AS {} (TYPE sqlite, READ_ONLY)", self.alias),
            folders: Vec::new(),
            hidden: Vec::new(),
        })
    }

    fn duckdb(&self, folders: &[PathBuf]) -> Result<Plan, String> {
        let path = files::within(folders, "duckdb", &self.row.url)?;
        let path = quote_text(&path.to_string_lossy());
        Ok(Plan {
            extensions: Vec::new(),
            secret: None,
            attach: format!("ATTACH {path} AS {} (TYPE duckdb, READ_ONLY)", self.alias),
            folders: Vec::new(),
            hidden: Vec::new(),
        })
    }

    /// `ducklake:CATALOG?data_path=FOLDER`, where the catalog is a DuckDB file, `sqlite:` and a file, or
    /// `postgres:` and a place.
    fn ducklake(&self, folders: &[PathBuf]) -> Result<Plan, String> {
        let url = self
            .row
            .url
            .strip_prefix("ducklake:")
            .unwrap_or(&self.row.url);
        let (catalog, data) = url
            .rsplit_once("?data_path=")
            .ok_or("the URL does not say where the data is: `ducklake:CATALOG?data_path=FOLDER`")?;
        let data = files::within(folders, "ducklake", data)?;
        let folder = format!("{}/", data.to_string_lossy());
        let mut plan = match catalog.split_once(':') {
            Some(("postgres", place)) => self.lake_postgres(place)?,
            Some(("sqlite", path)) => lake_file(folders, "sqlite:", path)?,
            Some(_) => {
                return Err(
                    "the catalog is neither a file nor `sqlite:` nor `postgres:`".to_owned(),
                );
            }
            None => lake_file(folders, "", catalog)?,
        };
        let meta = match plan.secret {
            Some(_) => format!(", META_SECRET {}_secret", self.alias),
            None => String::new(),
        };
        plan.attach = format!(
            "ATTACH {} AS {} (READ_ONLY, DATA_PATH {}{meta})",
            quote_text(&plan.attach),
            self.alias,
            quote_text(&folder)
        );
        plan.folders = vec![data];
        Ok(plan)
    }

    fn lake_postgres(&self, place: &str) -> Result<Plan, String> {
        let servers = self.policy.postgres.as_ref();
        let servers = servers.ok_or("the catalog is in PostgreSQL, and `postgres` is not in `remote.extensions` of the configuration")?;
        let place = postgres::place(place)?;
        let options = self.dial(servers, "postgres", &place.host, place.port)?;
        let (secret, hidden) = self.postgres_secret(&place)?;
        Ok(Plan {
            extensions: vec!["postgres", "ducklake"],
            secret: Some(secret),
            attach: format!("ducklake:postgres:{options}"),
            folders: Vec::new(),
            hidden,
        })
    }

    fn bigquery(&self, projects: &[String]) -> Result<Plan, String> {
        let project = bigquery_project(projects, &self.row.url)?;
        let token = self.credential()?.ok_or("it needs a credential")?;
        let kind = match token.trim_start().starts_with('{') {
            true => "SERVICE_ACCOUNT_JSON",
            false => "ACCESS_TOKEN",
        };
        let (alias, url) = (self.alias, quote_text(&self.row.url));
        Ok(Plan {
            extensions: vec!["bigquery"],
            secret: Some(format!(
                "CREATE SECRET {alias}_secret (TYPE bigquery, SCOPE {}, {kind} {})",
                quote_text(&format!("bq://{project}")),
                quote_text(&token)
            )),
            attach: format!("ATTACH {url} AS {alias} (TYPE bigquery, READ_ONLY)"),
            folders: Vec::new(),
            hidden: vec![token],
        })
    }

    fn keboola(&self, servers: &Servers) -> Result<Plan, String> {
        let url = url::Url::parse(&self.row.url)
            .map_err(|error| format!("the URL cannot be read: {error}"))?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if url.scheme() != "https" || !plain {
            return Err("the URL is not a plain `https://HOST`".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        address::vet(
            servers,
            "keboola",
            host,
            url.port().unwrap_or(443),
            self.resolve,
        )?;
        let token = self.credential()?.ok_or("it needs a credential")?;
        let (alias, url) = (self.alias, quote_text(url.as_str()));
        Ok(Plan {
            extensions: vec!["keboola"],
            secret: Some(format!(
                "CREATE SECRET {alias}_secret (TYPE keboola, TOKEN {})",
                quote_text(&token)
            )),
            attach: format!(
                "ATTACH {url} AS {alias} (TYPE keboola, SECRET {alias}_secret, READ_ONLY)"
            ),
            folders: Vec::new(),
            hidden: vec![token],
        })
    }

    fn credential(&self) -> Result<Option<String>, String> {
        let text = |secret: &Secret| {
            let text = std::str::from_utf8(secret.expose()).ok();
            text.filter(|text| !text.contains('\0')).map(str::to_owned)
        };
        match self.credential {
            None => Ok(None),
            Some(secret) => match text(secret) {
                Some(text) => Ok(Some(text)),
                None => Err("the credential is no text".to_owned()),
            },
        }
    }
}

fn lake_file(folders: &[PathBuf], kind: &str, path: &str) -> Result<Plan, String> {
    let path = files::within(folders, "ducklake", path)?;
    Ok(Plan {
        extensions: match kind {
            "" => vec!["ducklake"],
            _ => vec!["sqlite", "ducklake"],
        },
        secret: None,
        attach: format!("ducklake:{kind}{}", path.to_string_lossy()),
        folders: Vec::new(),
        hidden: Vec::new(),
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
