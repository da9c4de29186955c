//! How `domain`'s types look in the OpenAPI document. `domain` knows no web, so these stand in for
//! its types there; a test keeps each of them like its original.

#![expect(dead_code, reason = "only the schemas of these types are used")]

use serde_json::Value;
pub(crate) mod series;
pub(crate) mod upkeep;

use utoipa::ToSchema;

/// What every error looks like, as `application/problem+json`.
#[derive(ToSchema)]
pub(crate) struct Problem {
    /// What was wrong and what to do, for people.
    detail: String,
    /// Always `about:blank`.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status code.
    status: u16,
    /// Names the kind of error, for programs.
    code: String,
    /// By which the server's log is searched.
    request_id: String,
    /// The single things that are wrong, where there may be several.
    errors: Option<Vec<ProblemField>>,
}

/// One of several things that are wrong.
#[derive(ToSchema)]
pub(crate) struct ProblemField {
    /// An RFC 6901 pointer to it.
    pointer: String,
    /// What is wrong there.
    message: String,
}

/// What a component may touch: asked for, or granted.
#[derive(ToSchema)]
pub(crate) struct Capabilities {
    /// Hosts that requests may be sent to: `api.example.com`, `*.example.com`, `http://host:8080`.
    egress: Vec<String>,
    /// Addresses that are not globally routable and may be dialled all the same, exact to the port,
    /// `127.0.0.1:9000`. Only an admin can grant them.
    private_addresses: Vec<String>,
    /// Credential slots and the hosts that they are bound to.
    credentials: Vec<SlotBinding>,
    /// The slot whose credential proves who sends webhooks.
    webhook: Option<String>,
    /// DuckDB extensions that may attach remote databases.
    remote_extensions: Vec<String>,
    /// How much a run may use.
    limits: Limits,
    /// What was asked for when smaller limits were granted.
    limits_asked: Option<Limits>,
}

/// A credential slot and the hosts that its value is sent to.
#[derive(ToSchema)]
pub(crate) struct SlotBinding {
    /// The slot.
    slot: String,
    /// How the host presents the value: `bearer`, `basic`, `header`, `query`,
    /// `oauth2-client-credentials`, `oauth2-refresh`, `google-service-account` or `hmac`. Each has
    /// fields of its own beside this one, as in the manifest.
    scheme: String,
    /// Where it is sent.
    hosts: Vec<String>,
}

/// Limits of one run.
#[derive(ToSchema)]
pub(crate) struct Limits {
    /// Bytes of memory of the component.
    memory_bytes: u64,
    /// Seconds of wall-clock time.
    wall_seconds: u64,
    /// Seconds of processor time.
    cpu_seconds: u64,
    /// Bytes of response bodies, decompressed.
    bytes_in: u64,
    /// Bytes of parquet over all tables.
    bytes_out: u64,
    /// Rows over all tables.
    rows: u64,
    /// Requests.
    requests: u64,
    /// Requests a second, shared by all who use one credential.
    requests_per_second: u32,
    /// Requests on their way at once, shared likewise.
    requests_at_once: u32,
    /// Bytes of the run's log.
    log_bytes: u64,
}

/// A configured instance of a connector.
#[derive(ToSchema)]
pub(crate) struct Source {
    /// Its name, and its extract's folder.
    name: String,
    /// The kind of integration.
    connector: String,
    /// The digest of the version that it is pinned to.
    version: String,
    /// Its configuration without credentials.
    settings: Value,
    /// What an admin allowed.
    granted: Capabilities,
    /// Whether runs may start.
    enabled: bool,
    /// When it was added.
    created_at: String,
}

/// One execution of a source.
#[derive(ToSchema)]
pub(crate) struct Run {
    /// Its id; ids sort by time.
    id: String,
    /// What it runs.
    source: String,
    /// The digest of the connector's version.
    version: String,
    /// `sync`, `check` or `discover`.
    operation: String,
    /// `queued`, `running`, and in the end `succeeded`, `failed`, `cancelled` or `interrupted`.
    state: String,
    /// When it was asked for.
    queued_at: String,
    /// When it started to work.
    started_at: Option<String>,
    /// When it ended.
    finished_at: Option<String>,
    /// What it counted so far.
    counts: Counts,
    /// Why it did not work.
    failure: Option<Failure>,
}

/// What a run counted.
#[derive(ToSchema)]
pub(crate) struct Counts {
    /// Rows taken from the connector.
    rows: u64,
    /// Bytes of response bodies, decompressed.
    bytes_in: u64,
    /// Bytes of parquet written.
    bytes_out: u64,
    /// Requests sent.
    requests: u64,
}

/// Why a run did not work.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// `config`, `auth`, `rate-limited`, `upstream`, `limit` or `bug`.
    kind: String,
    /// What was wrong, where, and what to do.
    message: String,
    /// Seconds to wait, where the service named a time.
    retry_after_seconds: Option<u32>,
}

/// A line of a run's log.
#[derive(ToSchema)]
pub(crate) struct LogLine {
    /// When it was written.
    at: String,
    /// `debug`, `info`, `warn` or `error`.
    level: String,
    /// What it says.
    message: String,
}

/// One decision of the egress gate.
#[derive(ToSchema)]
pub(crate) struct EgressRow {
    /// When it was decided.
    at: String,
    /// Whether it was sent, and if not, why.
    decision: String,
    /// The host that was asked for.
    host: String,
    /// The address that was dialled.
    address: Option<String>,
    /// The method.
    method: String,
    /// The path without its query.
    path: String,
    /// The status of the answer.
    status: Option<u16>,
    /// Milliseconds until the answer's headers.
    milliseconds: u64,
}

/// A table that a source can yield.
#[derive(ToSchema)]
pub(crate) struct TableInfo {
    /// Its name.
    name: String,
    /// What it holds; may be empty.
    description: String,
    /// The columns that are known beforehand.
    columns: Vec<Column>,
    /// Columns that name a row.
    primary_key: Vec<String>,
}

/// A declared column.
#[derive(ToSchema)]
pub(crate) struct Column {
    /// Its name.
    name: String,
    /// `varchar`, `bigint`, `{"decimal": {"precision": 10, "scale": 2}}`, …
    r#type: Value,
    /// What it means.
    description: Option<String>,
}

/// The holder of a signing key that an admin trusts.
#[derive(ToSchema)]
pub(crate) struct Publisher {
    /// For lists; unique.
    name: String,
    /// The ed25519 public key, 64 hexadecimal digits.
    public_key: String,
    /// When it was trusted.
    added_at: String,
}

/// A version that a source left, and can go back to.
#[derive(ToSchema)]
pub(crate) struct Pin {
    /// Counts for each source.
    number: u64,
    /// The digest of the version.
    version: String,
    /// When the source left it.
    left_at: String,
    /// The id of who moved it.
    left_by: Option<String>,
}

/// A definition of a business metric.
#[derive(ToSchema)]
pub(crate) struct MetricDefinition {
    /// `CATEGORY/NAME`.
    id: String,
    name: String,
    display_name: String,
    category: String,
    description: Option<String>,
    /// How it adds up.
    r#type: String,
    unit: Option<String>,
    grain: String,
    table_name: Option<String>,
    tables: Vec<String>,
    expression: Option<String>,
    time_column: Option<String>,
    dimensions: Vec<String>,
    filters: Vec<String>,
    synonyms: Vec<String>,
    notes: Vec<String>,
    sql: String,
    /// The same by other words.
    #[schema(value_type = Object)]
    sql_variants: Value,
    #[schema(value_type = Object)]
    validation: Value,
    source: String,
    created_at: String,
    updated_at: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::run::Level;
    use domain::{Digest, HostRule, RunId};
    use jiff::Timestamp;
    use serde::Serialize;
    use serde_json::{Map, json};
    use utoipa::PartialSchema;

    /// The keys that a schema names are the keys of what is really sent.
    #[track_caller]
    fn alike<Shape: PartialSchema>(original: impl Serialize) {
        let schema = serde_json::to_value(Shape::schema()).unwrap();
        let empty = Map::new();
        let shown = schema["properties"].as_object().unwrap_or(&empty);
        let sent = serde_json::to_value(original).unwrap();
        let sent = sent.as_object().unwrap();
        let mut shown: Vec<_> = shown.keys().collect();
        let mut sent: Vec<_> = sent.keys().collect();
        shown.sort();
        sent.sort();
        assert_eq!(shown, sent);
    }

    #[test]
    fn each_shape_is_like_its_original() {
        let now = Timestamp::now();
        let limits = domain::Limits::default();
        let binding = json!({"slot": "token", "scheme": "bearer", "hosts": ["a.org"]});
        let binding: domain::capability::SlotBinding = serde_json::from_value(binding).unwrap();
        let failure = domain::Failure {
            retry_after_seconds: Some(1),
            ..domain::Failure::upstream("x")
        };
        alike::<Limits>(limits);
        alike::<SlotBinding>(binding);
        alike::<Failure>(failure);
        alike::<Counts>(domain::run::Counts::default());
        alike::<series::Point>(domain::series::Point::default());
        alike::<Capabilities>(domain::Capabilities {
            egress: vec![HostRule::parse("a.org").unwrap()],
            limits_asked: Some(limits),
            ..Default::default()
        });
        alike::<Run>(domain::Run {
            id: RunId::generate(),
            source: domain::SourceName::parse("a").unwrap(),
            version: Digest::of(b""),
            operation: domain::Operation::Sync,
            state: domain::RunState::Queued,
            queued_at: now,
            started_at: None,
            finished_at: None,
            counts: Default::default(),
            failure: None,
        });
        alike::<LogLine>(domain::run::LogLine {
            at: now,
            level: Level::Info,
            message: String::new(),
        });
    }

    #[test]
    fn the_shapes_of_tables_sources_and_the_audit_are_like_their_originals() {
        let now = Timestamp::now();
        alike::<Source>(domain::Source {
            name: domain::SourceName::parse("a").unwrap(),
            connector: domain::ConnectorName::parse("a").unwrap(),
            version: Digest::of(b""),
            settings: json!({}),
            granted: Default::default(),
            enabled: true,
            created_at: now,
        });
        alike::<EgressRow>(domain::run::EgressRow {
            at: now,
            decision: String::new(),
            host: String::new(),
            address: None,
            method: String::new(),
            path: String::new(),
            status: None,
            milliseconds: 0,
        });
        alike::<TableInfo>(domain::TableInfo {
            name: domain::TableName::parse("a").unwrap(),
            description: String::new(),
            columns: Vec::new(),
            primary_key: Vec::new(),
        });
        alike::<Column>(domain::Column {
            name: String::new(),
            column_type: domain::ColumnType::Varchar,
            description: None,
        });
        alike::<Pin>(domain::Pin {
            number: 1,
            version: Digest::of(b""),
            mark: Default::default(),
            left_at: now,
            left_by: None,
        });
        alike::<Publisher>(domain::Publisher {
            name: String::new(),
            public_key: String::new(),
            added_at: now,
        });
    }
}
