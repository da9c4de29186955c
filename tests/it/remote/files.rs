//! Databases that are files: SQLite, DuckDB, and lakes.

use super::*;

/// A configuration that lets one extension read one folder.
fn reads(extension: &str, folder: &Path) -> String {
    format!(
        "remote:\n  extensions:\n    {extension}:\n      folders: [\"{}\"]\n",
        folder.display()
    )
}

#[test]
fn tables_of_sqlite_are_read() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("a.sqlite");
    python(&format!(
        "import sqlite3; c = sqlite3.connect('{}'); c.execute('CREATE TABLE t (id INTEGER, name TEXT)'); c.execute(\"INSERT INTO t VALUES (1, 'Ada')\"); c.commit()",
        file.display()
    ));
    let (app, _folder) = server(
        &reads("sqlite", files.path()),
        &[("sqlite", "sqlite_scanner")],
    );
    let url = file.display().to_string();
    let other = "/etc/passwd";
    extract(
        &app,
        "notes",
        &[("db", "sqlite", &url), ("other", "sqlite", other)],
        &[("people", "db", "t"), ("passwords", "other", "t")],
    );
    reason(&app, "passwords", "is not below a folder");
    assert_eq!(app.rows("SELECT id, name FROM people"), json!([[1, "Ada"]]));
    for sql in [
        "SELECT * FROM sqlite_scan('/etc/passwd', 't')",
        "SELECT * FROM passwords",
    ] {
        assert_ne!(app.query(sql).status, 200, "{sql}");
    }
}

#[test]
fn tables_of_a_duckdb_file_are_read_but_its_views_lead_nowhere() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("a.duckdb");
    rewrite(
        &file,
        "CREATE TABLE t AS SELECT 42 AS id; CREATE VIEW v AS SELECT * FROM read_text('/etc/passwd')",
    );
    let (app, _folder) = server(&reads("duckdb", files.path()), &[]);
    let url = file.display().to_string();
    extract(
        &app,
        "notes",
        &[("db", "duckdb", &url)],
        &[("answers", "db", "main.t"), ("leak", "db", "main.v")],
    );
    reason(&app, "leak", "cannot be read");
    assert_eq!(app.rows("SELECT id FROM answers"), json!([[42]]));
    assert_ne!(app.query("SELECT * FROM leak").status, 200);
}

#[test]
fn tables_of_lakes_are_read_whatever_keeps_their_catalog() {
    let files = tempfile::tempdir().unwrap();
    let folder = files.path().display();
    python(&format!(
        "import sys, duckdb, os
for name, catalog in (('one', 'sqlite:{folder}/one.sqlite'), ('two', '{folder}/two.ducklake')):
    os.mkdir('{folder}/' + name)
    c = duckdb.connect()
    c.execute(f\"SET extension_directory = '{{sys.argv[1]}}'; LOAD sqlite; LOAD ducklake\")
    c.execute(f\"ATTACH 'ducklake:{{catalog}}' AS l (DATA_PATH '{folder}/{{name}}/')\")
    c.execute(f\"CREATE TABLE l.t AS SELECT '{{name}}' AS name FROM range(5000)\")
    c.close()"
    ));
    let extensions = [("sqlite", "sqlite_scanner"), ("ducklake", "ducklake")];
    let (app, _folder) = server(&reads("ducklake", files.path()), &extensions);
    let one = format!("ducklake:sqlite:{folder}/one.sqlite?data_path={folder}/one");
    let two = format!("ducklake:{folder}/two.ducklake?data_path={folder}/two");
    extract(
        &app,
        "lakes",
        &[("one", "ducklake", &one), ("two", "ducklake", &two)],
        &[("first", "one", "main.t"), ("second", "two", "main.t")],
    );
    rebuild(&app);
    assert_eq!(
        app.rows(
            "SELECT (SELECT any_value(name) FROM first), count(*), any_value(name) FROM second"
        ),
        json!([["one", 5000, "two"]])
    );
}
