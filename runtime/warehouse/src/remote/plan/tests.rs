//! Every word that DuckDB hears, and every row that is refused.

use std::net::SocketAddr;

use super::*;

fn outside(_: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    Ok(vec![SocketAddr::from(([93, 184, 215, 14], port))])
}

fn servers(host: &str) -> Option<Servers> {
    Some(Servers {
        hosts: vec![host.parse().unwrap()],
        ..Servers::default()
    })
}

fn policy() -> RemotePolicy {
    RemotePolicy {
        postgres: servers("db.example.com:5432"),
        bigquery: Some(vec!["sales-eu".to_owned()]),
        keboola: servers("connection.keboola.com"),
        ..RemotePolicy::default()
    }
}

fn ask(extension: &str, url: &str, credential: &str) -> Result<Plan, String> {
    let credential = Some(Secret::new(credential)).filter(|_| !credential.is_empty());
    plan(&Request {
        policy: &policy(),
        row: &AttachRow {
            alias: "theirs".into(),
            extension: extension.into(),
            url: url.into(),
            token_env: "token".into(),
        },
        alias: "remote_0",
        credential: credential.as_ref(),
        resolve: outside,
    })
}

fn words(plan: &Plan) -> [&str; 2] {
    [plan.secret.as_deref().unwrap_or_default(), &plan.attach]
}

#[test]
fn postgres_is_dialled_at_the_vetted_address_and_read_only() {
    let plan = ask(
        "postgres",
        "postgresql://reader@db.example.com/shop",
        "it's",
    )
    .unwrap();
    assert_eq!(
        words(&plan),
        [
            "CREATE SECRET remote_0_secret (TYPE postgres, HOST 'db.example.com', PORT 5432, DATABASE 'shop', USER 'reader', PASSWORD 'it''s')",
            "ATTACH 'hostaddr=93.184.215.14 connect_timeout=10 sslmode=require options=''-c statement_timeout=60000''' AS remote_0 (TYPE postgres, SECRET remote_0_secret, READ_ONLY)",
        ]
    );
    assert_eq!(plan.hidden, ["it's"]);
}

#[test]
fn bigquery_is_given_its_token_in_a_secret() {
    let plan = ask("bigquery", "project=sales-eu dataset=shop", "ya29.x").unwrap();
    assert_eq!(plan.extensions, ["bigquery"]);
    assert_eq!(
        words(&plan),
        [
            "CREATE SECRET remote_0_secret (TYPE bigquery, SCOPE 'bq://sales-eu', ACCESS_TOKEN 'ya29.x')",
            "ATTACH 'project=sales-eu dataset=shop' AS remote_0 (TYPE bigquery, READ_ONLY)",
        ]
    );
    let plan = ask(
        "bigquery",
        "project=sales-eu",
        r#"{"type":"service_account"}"#,
    )
    .unwrap();
    assert!(words(&plan)[0].contains("SERVICE_ACCOUNT_JSON"));
}

#[test]
fn keboola_is_given_its_token_in_a_secret() {
    let plan = ask("keboola", "https://connection.keboola.com", "123-abc").unwrap();
    assert_eq!(
        words(&plan),
        [
            "CREATE SECRET remote_0_secret (TYPE keboola, TOKEN '123-abc')",
            "ATTACH 'https://connection.keboola.com/' AS remote_0 (TYPE keboola, SECRET remote_0_secret, READ_ONLY)",
        ]
    );
}

#[test]
fn no_extract_chooses_an_extension_a_host_or_a_project() {
    for (extension, url) in [
        ("httpfs", "https://evil.org"),
        ("mysql", "host=db.example.com"),
        ("sqlite", "/etc/passwd"),
        ("duckdb", "/data/state/system.duckdb"),
        ("postgres", "postgresql://evil.org/x"),
        ("postgres", "host=db.example.com dbname=x port=1"),
        ("bigquery", "project=other"),
        ("bigquery", "project=sales-eu api_endpoint=evil.org"),
        ("bigquery", "dataset=shop"),
        ("keboola", "https://evil.org"),
        ("keboola", "http://connection.keboola.com"),
        ("keboola", "https://u:p@connection.keboola.com"),
        ("ducklake", "ducklake:/etc/x?data_path=/etc"),
    ] {
        let error = ask(extension, url, "canary").err();
        let error = error.unwrap_or_else(|| panic!("{extension} {url} was allowed"));
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn a_lake_says_where_its_data_is_and_both_lie_below_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("data")).unwrap();
    std::fs::write(root.join("meta.sqlite"), "").unwrap();
    let policy = RemotePolicy {
        ducklake: Some(vec![root.clone()]),
        ..RemotePolicy::default()
    };
    let shown = root.display();
    let ask = |url: String| {
        plan(&Request {
            policy: &policy,
            row: &AttachRow {
                alias: "lake".into(),
                extension: "ducklake".into(),
                url,
                token_env: String::new(),
            },
            alias: "remote_0",
            credential: None,
            resolve: outside,
        })
    };
    let good = ask(format!(
        "ducklake:sqlite:{shown}/meta.sqlite?data_path={shown}/data"
    ))
    .unwrap();
    assert_eq!(good.extensions, ["sqlite", "ducklake"]);
    assert_eq!(
        good.attach,
        format!(
            "ATTACH 'ducklake:sqlite:{shown}/meta.sqlite' AS remote_0 (READ_ONLY, DATA_PATH '{shown}/data/')"
        )
    );
    assert_eq!(good.folders, [root.join("data")]);
    for bad in [
        format!("ducklake:sqlite:{shown}/meta.sqlite"),
        format!("ducklake:sqlite:{shown}/meta.sqlite?data_path=/etc"),
        format!("ducklake:sqlite:/etc/passwd?data_path={shown}/data"),
        format!("ducklake:postgres:host=db dbname=x?data_path={shown}/data"),
        format!("ducklake:mysql:host=db?data_path={shown}/data"),
    ] {
        assert!(ask(bad).is_err());
    }
}
