//! The client as the server hands it out: announced, downloaded, installed by the script that everybody may read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use integration_tests::{App, Options, shown};
use serde_json::{Value, json};

/// What stands for the client: large enough to come in pieces, and it runs.
fn binary() -> String {
    format!(
        "#!/bin/sh\necho da 9.9.9\nexit 0\n{}",
        "# x\n".repeat(300_000)
    )
}

/// A server that offers this file, which may not be there.
fn offering(file: &Path) -> App {
    let config = file.with_file_name("sluice.yaml");
    std::fs::write(&config, json!({"clients": {"path": file}}).to_string()).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    App::with(Options {
        arguments: arguments.map(str::to_owned).into(),
        ..Options::default()
    })
}

fn install(script: &Path, home: &Path) -> Output {
    let mut shell = Command::new("sh");
    shell
        .arg(script)
        .env("HOME", home)
        .env_remove("DA_CONFIG_DIR");
    shell.env_remove("DA_INSTALL_DIR").output().unwrap()
}

#[test]
fn the_client_is_announced_downloaded_and_installed_by_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offered");
    std::fs::write(&file, binary()).unwrap();
    let app = offering(&file);
    let anyone = app.anonymous();
    let latest = anyone.get("/cli/latest").ok();
    assert_eq!(latest["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(latest["wheel_filename"], Value::Null);
    let path = latest["download_url_path"].as_str().unwrap();
    let whole = anyone.get(path);
    assert_eq!(whole.bytes, binary().as_bytes());
    assert_eq!(
        whole.header("content-disposition"),
        Some("attachment; filename=\"da\"")
    );
    let range = [("range", "bytes=0-8")];
    let part = anyone.send(ureq::http::Method::GET, path, &range, b"");
    assert_eq!((part.status, &part.bytes[..]), (206, &b"#!/bin/sh"[..]));

    let script = folder.path().join("install.sh");
    std::fs::write(&script, anyone.get("/cli/install.sh").bytes).unwrap();
    let home = folder.path().join("home");
    let done = install(&script, &home);
    assert!(done.status.success(), "{}", shown(&done));
    let installed = home.join(".local/bin/da");
    let mode = std::fs::metadata(&installed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(
        Command::new(&installed).output().unwrap().stdout,
        b"da 9.9.9\n"
    );
    let config = std::fs::read_to_string(home.join(".config/da/config.yaml")).unwrap();
    assert_eq!(config, format!("server: {}\n", app.url));

    // Another file than the one that was announced.
    std::fs::write(&file, "#!/bin/sh\necho evil\n").unwrap();
    let refused = install(&script, &home);
    assert!(!refused.status.success(), "{}", shown(&refused));
    assert_eq!(
        Command::new(&installed).output().unwrap().stdout,
        b"da 9.9.9\n"
    );
    let left = std::fs::read_dir(home.join(".local/bin")).unwrap();
    assert_eq!(left.count(), 1);
}

#[test]
fn a_server_without_a_client_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let app = offering(&folder.path().join("nothing"));
    let latest = app.anonymous().get("/cli/latest").ok();
    assert_eq!(latest["version"], Value::Null);
    assert_eq!(latest["download_url_path"], Value::Null);
    for path in ["/cli/download", "/cli/install.sh"] {
        let said = app.anonymous().get(path).detail();
        assert!(
            said.starts_with("404") && said.contains("clients.path"),
            "{said}"
        );
    }
}
