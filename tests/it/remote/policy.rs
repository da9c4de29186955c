//! What an extract says leads nowhere that the operator did not name.

use std::net::TcpListener;

use super::*;

#[test]
fn no_extract_leads_to_a_host_an_address_or_an_extension_of_its_own_choice() {
    // Nobody may knock here: what is refused is refused before anything is dialled.
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    // The name is allowed; its address is not globally routable, and there is no exception.
    let configuration =
        format!("remote:\n  extensions:\n    postgres:\n      hosts: [\"localhost:{port}\"]\n");
    let (app, _folder) = server(&configuration, &[("postgres", "postgres_scanner")]);
    let inner = format!("postgresql://owner@localhost:{port}/shop");
    let other = format!("postgresql://owner@127.0.0.1:{port}/shop");
    let keys = format!("host=localhost hostaddr=127.0.0.1 port={port} dbname=shop");
    let databases = [
        ("near", "postgres", inner.as_str()),
        ("other", "postgres", other.as_str()),
        ("keys", "postgres", keys.as_str()),
        ("file", "sqlite", "/etc/passwd"),
        ("web", "httpfs", "https://example.com"),
        ("big", "bigquery", "project=theirs"),
    ];
    let tables = ["near", "other", "keys", "file", "web", "big"];
    let tables = tables.map(|name| (name, name, "public.orders"));
    extract(&app, "crm", &databases, &tables);
    for (table, words) in [
        ("near", "is not globally routable"),
        ("other", "is not in `remote.extensions.postgres.hosts`"),
        ("keys", "`hostaddr` is not one of"),
        ("file", "is not in `remote.extensions`"),
        ("web", "is not in `remote.extensions`"),
        ("big", "is not in `remote.extensions`"),
    ] {
        reason(&app, table, words);
        assert_eq!(app.query(&format!("SELECT * FROM {table}")).status, 503);
    }
    assert!(trap.accept().is_err(), "somebody was dialled");
}

#[test]
fn extensions_are_installed_from_a_package_index_only_with_the_bytes_that_it_promises() {
    let wheel = std::fs::read_dir(fetched())
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut wheels = wheel.filter(|path| path.to_string_lossy().contains("sqlite_scanner"));
    let wheel = wheels
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .unwrap();
    let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = std::fs::read(&wheel).unwrap();
    let internet = integration_tests::Internet::start();
    let page = |digest: &str| {
        let link = format!("<a href=\"../../files/{name}#sha256={digest}\">{name}</a>");
        internet.page(
            "/simple/duckdb-extension-sqlite-scanner/",
            "text/html",
            link,
        );
    };
    internet.page(&format!("/files/{name}"), "application/zip", bytes.clone());
    let folder = tempfile::tempdir().unwrap();
    let install = || {
        let mut command = sluice();
        command.args([
            "extensions",
            "install",
            "sqlite",
            "--repository",
            "",
            "--data-dir",
        ]);
        command
            .arg(folder.path())
            .env("PIP_INDEX_URL", internet.url("/simple"));
        command.output().unwrap()
    };
    page(&"ab".repeat(32));
    let refused = install();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("its sha256 is another"), "{told}");
    use sha2::Digest as _;
    page(&hex::encode(sha2::Sha256::digest(&bytes)));
    let done = install();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let list = sluice()
        .args(["extensions", "list", "--data-dir"])
        .arg(folder.path())
        .output();
    let list = String::from_utf8_lossy(&list.unwrap().stdout).into_owned();
    assert!(
        list.contains("sqlite_scanner") && list.contains("the Python package"),
        "{list}"
    );
}
