//! Databases that are attached: by real extensions, to real servers and files, within the policy.

mod files;
mod hybrid;
mod policy;

use std::path::Path;
use std::process::Command;

use integration_tests::app::rewrite;
use integration_tests::{App, Options, Postgres, sluice, until};
use serde_json::{Value, json};

const PASSWORD: &str = "canary-of-postgres-8d1f";

/// Extensions as they were fetched for the tests.
fn fetched() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/extensions");
    folder
        .canonicalize()
        .expect("`./dev setup` fetches extensions")
}

fn install(data: &Path, name: &str, file: &str) -> std::process::Output {
    let file = fetched()
        .join("v1.5.5/linux_amd64")
        .join(format!("{file}.duckdb_extension"));
    let mut command = sluice();
    command
        .args(["extensions", "install", name, "--data-dir"])
        .arg(data)
        .arg("--file")
        .arg(file);
    command.output().expect("it starts")
}

/// A server with this configuration and these extensions, and a credential for databases.
fn server(configuration: &str, extensions: &[(&str, &str)]) -> (App, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instance.yaml");
    std::fs::write(&file, format!("config_version: 1\n{configuration}")).unwrap();
    let app = App::with(Options {
        arguments: vec!["--config".into(), file.display().to_string()],
        environment: vec![("SLUICE_CREDENTIAL_DB".into(), PASSWORD.into())],
        ..Options::default()
    });
    app.leaks.guard(PASSWORD);
    for (name, file) in extensions {
        let installed = install(&app.data, name, file);
        assert!(installed.status.success(), "{installed:?}");
    }
    (app, folder)
}

/// An extract of another program that says where tables are: name, database, name there.
fn extract(app: &App, source: &str, rows: &[(&str, &str, &str)], tables: &[(&str, &str, &str)]) {
    let folder = app.data.join("extracts").join(source);
    std::fs::create_dir_all(&folder).unwrap();
    let mut sql = String::from(
        "CREATE TABLE _meta (table_name VARCHAR, description VARCHAR, rows BIGINT, size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR);
         CREATE TABLE _remote_attach (alias VARCHAR, extension VARCHAR, url VARCHAR, token_env VARCHAR);
         CREATE TABLE _sluice_file (table_name VARCHAR, path VARCHAR, rows BIGINT, size_bytes BIGINT, sha256 VARCHAR, md5 VARCHAR, partition VARCHAR, origin VARCHAR);
         CREATE TABLE _sluice_cursor (table_name VARCHAR, cursor BLOB);
         CREATE TABLE _sluice_remote (table_name VARCHAR, alias VARCHAR, remote_name VARCHAR);",
    );
    for (alias, extension, url) in rows {
        let token = if *extension == "postgres" {
            "SLUICE_CREDENTIAL_DB"
        } else {
            ""
        };
        sql.push_str(&format!(
            "INSERT INTO _remote_attach VALUES ('{alias}', '{extension}', '{url}', '{token}');"
        ));
    }
    for (name, alias, there) in tables {
        sql.push_str(&format!(
            "INSERT INTO _meta VALUES ('{name}', '', 0, 0, now(), 'remote');"
        ));
        sql.push_str(&format!(
            "INSERT INTO _sluice_remote VALUES ('{name}', '{alias}', '{there}');"
        ));
    }
    let next = folder.join("next.duckdb");
    rewrite(&next, &sql);
    std::fs::rename(&next, folder.join("extract.duckdb")).unwrap();
}

fn rebuild(app: &App) -> Value {
    app.post("/api/admin/rebuild", &Value::Null).ok()
}

/// Waits for the reason why a table is missing, or why there is none any more.
#[track_caller]
fn reason(app: &App, table: &str, words: &str) -> String {
    let mut found = String::new();
    until(&format!("`{table}`: {words}"), || {
        let report = rebuild(app);
        let problems = report["problems"].as_array().unwrap().iter();
        let mine = problems.filter(|problem| problem["table"] == table);
        found = mine
            .map(|problem| problem["reason"].as_str().unwrap())
            .collect();
        if words.is_empty() {
            found.is_empty()
        } else {
            found.contains(words)
        }
    });
    found
}

/// A server that may attach this database, and can.
fn beside(database: &Postgres) -> (App, tempfile::TempDir) {
    server(
        &postgres(database.port),
        &[("postgres", "postgres_scanner")],
    )
}

/// Where the database `shop` is.
fn shop_at(database: &Postgres) -> String {
    format!("postgresql://owner@localhost:{}/shop", database.port)
}

/// The source `crm`, whose one table is this one of the database.
fn crm(app: &App, database: &Postgres, table: &str) {
    let url = shop_at(database);
    let there = format!("public.{table}");
    extract(
        app,
        "crm",
        &[("db", "postgres", &url)],
        &[(table, "db", &there)],
    );
}

fn postgres(port: u16) -> String {
    format!(
        "remote:\n  statement_timeout_seconds: 2\n  extensions:\n    postgres:\n      hosts: [\"localhost:{port}\"]\n      private_addresses: [\"127.0.0.1:{port}\", \"[::1]:{port}\"]\n      sslmode: disable\n"
    )
}

#[test]
fn tables_of_postgresql_are_read_and_nothing_else_is_done_there() {
    let database = Postgres::start(PASSWORD);
    database.sql(
        "shop",
        PASSWORD,
        "CREATE TABLE orders AS SELECT n AS id, n * 1.5 AS amount FROM generate_series(1, 100) n;
         CREATE VIEW slow AS SELECT 1 AS one FROM (SELECT pg_sleep(60)) AS s;
         CREATE TABLE secret AS SELECT 'canary' AS value",
    );
    let (app, _folder) = beside(&database);
    let url = shop_at(&database);
    extract(
        &app,
        "crm",
        &[("db", "postgres", &url)],
        &[
            ("orders", "db", "public.orders"),
            ("slow", "db", "public.slow"),
            ("nothing", "db", "public.nothing"),
        ],
    );
    rebuild(&app);
    assert!(reason(&app, "nothing", "cannot be read").contains("nothing"));
    assert_eq!(
        app.rows("SELECT count(*), max(id) FROM orders"),
        json!([[100, 100]])
    );
    assert_eq!(
        app.rows("SELECT o.id FROM orders o JOIN range(3, 5) r ON r.range = o.id ORDER BY 1"),
        json!([[3], [4]])
    );
    for sql in [
        "INSERT INTO orders VALUES (1, 1)",
        "SELECT * FROM postgres_query('remote_0', 'SELECT 1')",
        "SELECT * FROM postgres_scan('host=localhost', 'public', 'secret')",
        "SELECT * FROM remote_0.public.secret",
        "SELECT * FROM db.public.secret",
        "SELECT * FROM secret",
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_secrets()",
    ] {
        let answer = app.query(sql);
        assert_eq!(answer.status, 400, "{sql}");
    }
    let slow = app.query("SELECT * FROM slow").detail();
    assert!(slow.contains("statement timeout"), "{slow}");
    assert_eq!(
        database
            .sql("shop", PASSWORD, "SELECT count(*) FROM orders")
            .trim(),
        "100"
    );
}

#[test]
fn a_database_that_is_down_costs_its_own_tables_and_comes_back() {
    let mut database = Postgres::start(PASSWORD);
    database.sql("shop", PASSWORD, "CREATE TABLE orders AS SELECT 7 AS id");
    let (app, _folder) = beside(&database);
    let local = app.data.join("extracts/files");
    std::fs::create_dir_all(local.join("data")).unwrap();
    rewrite(
        &local.join("extract.duckdb"),
        &format!(
            "COPY (SELECT 1 AS id) TO '{}/data/here.parquet'; CREATE TABLE _meta AS SELECT 'here' AS table_name, '' AS description, 1 AS rows, 1 AS size_bytes, now()::TIMESTAMP AS extracted_at, 'local' AS query_mode",
            local.display()
        ),
    );
    let url = format!(
        "host=localhost port={} dbname=shop user=owner",
        database.port
    );
    extract(
        &app,
        "crm",
        &[("db", "postgres", &url)],
        &[("orders", "db", "public.orders")],
    );
    rebuild(&app);
    assert_eq!(app.rows("SELECT id FROM orders"), json!([[7]]));

    database.stop();
    until("the query fails", || {
        app.query("SELECT id FROM orders").status == 503
    });
    assert_eq!(app.rows("SELECT id FROM here"), json!([[1]]));
    let told = reason(&app, "orders", "cannot be attached");
    assert!(!told.contains(PASSWORD), "{told}");

    database.resume();
    reason(&app, "orders", "");
    until("the query works again", || {
        app.query("SELECT id FROM orders").status == 200
    });
}

#[test]
fn an_extension_that_is_missing_or_altered_is_a_reason_that_says_what_to_do() {
    let database = Postgres::start(PASSWORD);
    database.sql("shop", PASSWORD, "CREATE TABLE orders AS SELECT 7 AS id");
    let (app, _folder) = server(&postgres(database.port), &[]);
    crm(&app, &database, "orders");
    reason(&app, "orders", "sluice extensions install postgres");
    assert!(
        install(&app.data, "postgres", "postgres_scanner")
            .status
            .success()
    );
    reason(&app, "orders", "");
    assert_eq!(app.rows("SELECT id FROM orders"), json!([[7]]));

    let verify = |data: &Path| {
        let mut command = sluice();
        command
            .args(["extensions", "verify", "--data-dir"])
            .arg(data);
        command.output().expect("it starts")
    };
    assert!(verify(&app.data).status.success());
    let file = app
        .data
        .join("extensions/v1.5.5/linux_amd64/postgres_scanner.duckdb_extension");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.push(0);
    std::fs::write(&file, bytes).unwrap();
    assert!(!verify(&app.data).status.success());
    // The same database under another name has to be attached anew.
    extract(
        &app,
        "crm",
        &[("again", "postgres", &shop_at(&database))],
        &[("orders", "again", "public.orders")],
    );
    reason(&app, "orders", "is not the file that was installed");
}

#[test]
fn a_part_of_a_table_elsewhere_can_be_granted() {
    let database = Postgres::start(PASSWORD);
    database.sql(
        "shop",
        PASSWORD,
        "CREATE TABLE people AS SELECT n AS id, 'mail-' || n AS mail, CASE WHEN n < 3 THEN n::text ELSE 'canary' END AS code
         FROM generate_series(1, 4) n",
    );
    let (app, _folder) = beside(&database);
    crm(&app, &database, "people");
    rebuild(&app);
    until("its database has said its columns", || {
        let schema = app.get("/api/v2/schema/people").ok();
        schema["columns"]
            .as_array()
            .is_some_and(|columns| !columns.is_empty())
    });
    let (analyst, group) = app.analyst("ann@example.com");
    app.grant_part(&group, "people", "id < 3", &json!({"mail": "null"}));
    let rows = |sql: &str| analyst.query(sql).ok()["rows"].take();
    let computed = "SELECT count(*), sum(CAST(code AS INTEGER)), count(mail) FROM people WHERE CAST(code AS INTEGER) > 0";
    assert_eq!(rows(computed), json!([[2, 3, 0]]));
    let failed = analyst.query("SELECT CAST(code AS DATE) FROM people");
    assert_eq!(failed.status, 400);
    assert!(
        failed.detail().contains("a value, which is not shown"),
        "{}",
        failed.detail()
    );
    assert_eq!(rows("SELECT max(id) FROM people"), json!([[2]]));
}

#[test]
fn a_wrong_password_is_a_reason_without_the_password() {
    let database = Postgres::start("another-password");
    let (app, _folder) = beside(&database);
    crm(&app, &database, "orders");
    let told = reason(&app, "orders", "cannot be attached");
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains(PASSWORD));
    assert_eq!(app.query("SELECT * FROM orders").status, 503);
}

/// Runs Python with this machine's DuckDB and the fetched extensions.
#[track_caller]
fn python(script: &str) {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/py/bin/python");
    let mut command = Command::new(python);
    let done = command
        .args(["-c", script])
        .arg(fetched())
        .output()
        .expect("Python starts");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
