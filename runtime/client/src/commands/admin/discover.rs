//! `da admin discover-and-register`: the tables of a Keboola project become known to the server. The project's token stays on
//! this machine: it is sent to the project alone.

use serde_json::{Value, json};
use ureq::http::Method;

use super::tables::{self, Registered};
use crate::args::Discovery;
use crate::error::Error;
use crate::http::Api;
use crate::output;

/// Asks the project, and registers what the server does not know.
pub(super) fn run(api: &Api, asked: &Discovery, as_json: bool) -> Result<(), Error> {
    if asked.source_type != "keboola" {
        let text = format!(
            "tables of `{}` cannot be discovered from here; only keboola's can. Sources that a connector reads register their own.",
            asked.source_type
        );
        return Err(Error::Exit {
            code: 2,
            message: text,
        });
    }
    let url = named(asked.url.as_ref(), "KEBOOLA_STACK_URL", "--url")?;
    let token = named(asked.token.as_ref(), "KEBOOLA_STORAGE_TOKEN", "--token")?;
    let found = ask(&url, &token)?;
    let wanted: Vec<Value> = found.iter().filter_map(table).collect();
    if asked.dry_run {
        let names: Vec<&Value> = wanted.iter().map(|table| &table["name"]).collect();
        output::done(
            &json!({"dry_run": true, "would_register": wanted}),
            &format!("Would register {} tables: {}", names.len(), json!(names)),
            as_json,
        );
        return Ok(());
    }
    register(api, &wanted, as_json)
}

fn register(api: &Api, wanted: &[Value], as_json: bool) -> Result<(), Error> {
    let (mut new, mut known, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for table in wanted {
        match tables::put(api, table) {
            Ok((Registered::New, _)) => new.push(&table["name"]),
            Ok((Registered::Known, _)) => known.push(&table["name"]),
            Err(error) => errors.push(json!({"table": table["name"], "error": error.to_string()})),
        }
    }
    for error in &errors {
        let said = |field: &str| output::plain(&error[field]);
        output::note(&format!("  {}: {}", said("table"), said("error")));
    }
    let text = format!(
        "Registered: {}, known before: {}, errors: {}",
        new.len(),
        known.len(),
        errors.len()
    );
    let report = json!({"registered": new.len(), "skipped": known.len(), "tables": new, "errors": errors, "source": "keboola"});
    output::done(&report, &text, as_json);
    match errors.len() {
        0 => Ok(()),
        n => Err(Error::Said(format!(
            "{n} tables could not be registered; run it again, those that are known are left alone"
        ))),
    }
}

fn named(given: Option<&String>, variable: &str, option: &str) -> Result<String, Error> {
    let there = given.cloned().or_else(|| std::env::var(variable).ok());
    let there = there.filter(|text| !text.trim().is_empty());
    there.ok_or_else(|| Error::Exit {
        code: 2,
        message: format!("say {option}, or set {variable}"),
    })
}

fn ask(url: &str, token: &str) -> Result<Vec<Value>, Error> {
    let url = url.trim_end_matches('/');
    if !is_private(url) {
        let text = format!("{url} is not reached by https; the project's token is not sent there");
        return Err(Error::Said(text));
    }
    let project = Api::with(url.to_owned(), None);
    let path = "/v2/storage/tables?include=buckets";
    let headers = [("x-storageapi-token", token)];
    let found = project.json(project.open(Method::GET, path, None, &headers)?, path)?;
    match found {
        Value::Array(tables) => Ok(tables),
        _ => Err(Error::Said(format!(
            "{url} sent no list of tables. Is it the address of a Keboola stack?"
        ))),
    }
}

/// By TLS, or within this machine.
fn is_private(url: &str) -> bool {
    let parsed = url::Url::parse(url).ok();
    parsed.is_some_and(|url| {
        let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && is_here)
    })
}

/// A table as the registry takes it; its bucket is the whole id of the bucket, such as `in.c-main`.
fn table(found: &Value) -> Option<Value> {
    let id = found["id"].as_str()?;
    let name = found["name"].as_str()?;
    let bucket = found["bucket"]["id"].as_str();
    let bucket = bucket.or_else(|| id.rsplit_once('.').map(|(bucket, _)| bucket))?;
    Some(
        json!({"name": name, "source_type": "keboola", "bucket": bucket, "source_table": name,
        "query_mode": "local", "description": found["description"].as_str().unwrap_or_default()}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projects_token_is_sent_by_tls_or_not_at_all() {
        for url in ["https://connection.keboola.com", "http://127.0.0.1:9"] {
            assert!(is_private(url), "{url}");
        }
        for url in [
            "http://connection.keboola.com",
            "ftp://localhost",
            "keboola",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(!is_private(url), "{url}");
        }
    }
}
