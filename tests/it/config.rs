//! Configuring the server: what `sluice config` says, and that the server does as it was told.

use std::path::Path;
use std::process::Command;

use integration_tests::app::serve;
use integration_tests::{App, Options, shown, sluice};

/// What a command prints, with the folder called `DIR`.
fn said(command: &mut Command, dir: &Path) -> String {
    let output = command.output().expect("sluice starts");
    shown(&output).replace(dir.to_str().unwrap(), "DIR")
}

/// `sluice config WHAT --config DIR/sluice.yaml`, with this text in the file.
fn config(what: &str, text: &str, environment: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sluice.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = sluice();
    command.args(["config", what, "--config"]).arg(&file);
    command.envs(environment.iter().copied());
    said(&mut command, dir.path())
}

#[test]
fn a_check_tells_every_problem_with_file_line_and_column() {
    let text = "config_version: 1\nhttp:\n  lisen: x\n  max_upload_mib: many\nauth:\n  oidc:\n    - name: a\nmail:\n  smtp: {password: '${NOT_SET}'}\n";
    insta::assert_snapshot!(config("check", text, &[]), @r"
    exit status: 1
    --- stdout
    DIR/sluice.yaml:3:3: there is no key `http.lisen`; did you mean `listen`?
    DIR/sluice.yaml:4:19: `http.max_upload_mib` must be a whole number, not `many`
    DIR/sluice.yaml:7:7: `auth.oidc[0]` lacks the keys `issuer` and `client_id`
    DIR/sluice.yaml:9:20: `mail.smtp.password` is of no use without `mail.smtp.user`
    DIR/sluice.yaml:9:20: `mail.smtp.password`: the environment variable `NOT_SET` is not set; set it, or write the value
    --- stderr
    5 problems
    ");
}

#[test]
fn a_check_of_a_good_file_says_what_it_comes_to() {
    let text = "mail: {smtp: {host: mail.example.com, user: u, password: '${PW}'}}";
    let environment = [("PW", "hunter2"), ("GOOGLE_CLIENT_ID", "id")];
    insta::assert_snapshot!(config("check", text, &environment), @r"
    exit status: 0
    --- stdout
    DIR/sluice.yaml: good
      listens   127.0.0.1:8000
      data      data
      sign-in   password, magic link, google
      mail      mail.example.com
      CORS      closed
    --- stderr
    warning: the configuration does not say its version and is read as `config_version: 1`; write that into it
    ");
}

#[test]
fn what_is_shown_holds_and_masks_secrets() {
    let text = "config_version: 1\nhttp: {metrics_token: '${METRICS_TOKEN}'}\n";
    let environment = [("METRICS_TOKEN", "0123456789-hunter2"), ("SMTP_PORT", "25")];
    let shown = config("show", text, &environment);
    assert!(shown.starts_with("exit status: 0"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("metrics_token: \"***\"") && shown.contains("port: 25"),
        "{shown}"
    );
}

#[test]
fn the_schema_is_the_committed_one() {
    let output = sluice().args(["config", "schema"]).output().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let committed = std::fs::read(root.join("config/instance.schema.json")).unwrap();
    assert!(
        output.stdout == committed,
        "run `sluice config schema > config/instance.schema.json`"
    );
    let example = std::fs::read_to_string(root.join("config/instance.yaml.example")).unwrap();
    assert!(example.starts_with("# yaml-language-server: $schema=instance.schema.json\n"));
}

#[test]
fn a_bomb_of_aliases_is_refused_at_once() {
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let said = config("check", &bomb, &[]);
    assert!(
        said.contains("DIR/sluice.yaml:1:5: anchors are not read"),
        "{said}"
    );
    let said = config("check", &"x".repeat(300 << 10), &[]);
    assert!(said.contains("larger than 256 KiB"), "{said}");
}

#[test]
fn a_file_without_a_version_starts_with_a_warning_and_one_of_tomorrow_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sluice.yaml");
    std::fs::write(&file, "http: {max_upload_mib: 1}\n").unwrap();
    let options = || Options {
        arguments: vec!["--config".into(), file.display().to_string()],
        ..Options::default()
    };
    let app = App::unclaimed(options());
    let line = app.line(&["config_version: 1"]);
    assert!(line.contains("WARN"), "{line}");

    std::fs::write(&file, "config_version: 2\n").unwrap();
    let said = said(&mut serve(&dir.path().join("data"), &options()), dir.path());
    assert!(said.starts_with("exit status: 1"), "{said}");
    assert!(said.contains("this server knows version 1"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was begun");
}
