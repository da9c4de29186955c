//! The registry of tables.

use serde_json::{Value, json};

use crate::args::NewTable;
use crate::error::Error;
use crate::http::Api;
use crate::output;

/// Lists what is registered.
pub(super) fn list(api: &Api, as_json: bool) -> Result<(), Error> {
    let registry = api.get("/api/admin/registry")?;
    let fields = [
        ("ID", "id"),
        ("NAME", "name"),
        ("SOURCE", "source_type"),
        ("MODE", "query_mode"),
        ("BUCKET", "bucket"),
    ];
    super::list(&registry["tables"], &fields, as_json)
}

/// Whether a registration made something new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Registered {
    New,
    Known,
}

/// Registers one table; one that is known already stays as it is.
pub(super) fn put(api: &Api, table: &Value) -> Result<(Registered, Value), Error> {
    match api.post("/api/admin/register-table", table) {
        Ok(made) => Ok((Registered::New, made)),
        Err(Error::Api { status: 409, .. }) => Ok((
            Registered::Known,
            json!({"name": table["name"], "status": "already registered"}),
        )),
        Err(other) => Err(other),
    }
}

/// Runs `da admin register-table`.
pub(super) fn register(api: &Api, table: &NewTable, as_json: bool) -> Result<(), Error> {
    let name = &table.name;
    let wanted = json!({"name": name, "source_type": table.source_type, "bucket": table.bucket,
        "source_table": table.source_table.as_ref().unwrap_or(name), "query_mode": table.query_mode,
        "description": table.description});
    let (registered, answer) = put(api, &wanted)?;
    let text = match registered {
        Registered::New => format!("Registered: {name}"),
        Registered::Known => format!("Already exists: {name}"),
    };
    output::done(&answer, &text, as_json);
    Ok(())
}
