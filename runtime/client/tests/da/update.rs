//! How an analyst hears of a newer client.

use std::process::Output;

use serde_json::json;

use crate::server::Server;

fn plain(server: &Server, arguments: &[&str]) -> Output {
    let mut command = server.command(arguments);
    command.env_remove("DA_NO_UPDATE_CHECK").output().unwrap()
}

#[test]
fn a_newer_client_is_mentioned_on_stderr_and_costs_a_command_nothing() {
    let server = Server::start();
    let latest =
        json!({"version": "99.1.0", "wheel_filename": null, "download_url_path": "/cli/download"});
    server.says("/cli/latest", &latest);
    // What a command leaves behind.
    assert!(server.da(&["update-check"]).status.success());
    assert_eq!(server.asked(), ["GET /cli/latest "]);
    let output = plain(&server, &["skills", "list", "--json"]);
    assert!(output.status.success());
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("99.1.0") && said.contains("/cli/install.sh"),
        "{said}"
    );
    assert_eq!(
        server.asked(),
        Vec::<String>::new(),
        "a day long nobody asks again"
    );
    assert!(
        server.da(&["skills", "list"]).stderr.is_empty(),
        "where it is off"
    );
}

#[test]
fn a_server_that_does_not_answer_fails_no_command() {
    let server = Server::start();
    server.fails("/cli/latest", 500);
    assert!(server.da(&["update-check"]).status.success());
    let output = plain(&server, &["skills", "list"]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let kept = std::fs::read_to_string(server.path("config/update_check.json")).unwrap();
    assert!(
        kept.contains("\"latest\": null"),
        "nobody else asks for a while: {kept}"
    );
}
