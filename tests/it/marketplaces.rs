//! Marketplaces of plugins, as admins register them.

use serde_json::{Value, json};
use ureq::http::Method;

use integration_tests::{App, Response};

fn marketplace() -> Value {
    json!({"slug": "team", "name": "Team plugins", "url": "https://git.example.com/plugins.git",
        "branch": "main", "token_env": "PLUGINS_TOKEN"})
}

fn patch(app: &App, body: &Value) -> Response {
    let headers = [("content-type", "application/json")];
    let path = "/api/marketplaces/team";
    app.send(Method::PATCH, path, &headers, body.to_string().as_bytes())
}

#[test]
fn a_marketplace_is_registered_changed_and_removed_with_its_plugins() {
    let mut app = App::start();
    let added = app.post("/api/marketplaces", &marketplace());
    assert_eq!(added.status, 201);
    let view = added.json();
    assert_eq!(
        (&view["id"], &view["plugin_count"]),
        (&json!("team"), &json!(0))
    );
    assert_eq!(view["has_token"], true);
    let again = app.post("/api/marketplaces", &marketplace()).detail();
    assert_eq!(again, "409 marketplace 'team' already exists");

    let list = json!({"name": "x", "plugins": [
        {"name": "sql", "version": "1.0", "author": {"name": "Ada"}, "source": "./plugins/sql"},
        {"name": "charts", "source": {"source": "github", "repo": "a/b"}},
    ]});
    let plugins = app.put("/api/marketplaces/team/plugins", &list).ok();
    assert_eq!(plugins[0]["name"], "charts");
    assert_eq!(plugins[0]["source_type"], "github");
    let changed = patch(&app, &json!({"branch": "", "name": "Ours"})).ok();
    assert_eq!(
        (&changed["name"], &changed["branch"]),
        (&json!("Ours"), &Value::Null)
    );
    assert_eq!(changed["url"], "https://git.example.com/plugins.git");

    app.restart();
    let all = app.get("/api/marketplaces").ok();
    assert_eq!(
        (&all[0]["name"], &all[0]["plugin_count"]),
        (&json!("Ours"), &json!(2))
    );
    assert!(all[0]["last_synced_at"].is_string());
    let plugins = app.get("/api/marketplaces/team/plugins").ok();
    assert_eq!(plugins[1]["author_name"], "Ada");

    let group = app.add_group("Team");
    app.grant(&group, "use", "marketplace_plugin", "team/sql");
    assert_eq!(app.delete("/api/marketplaces/team").status, 204);
    assert_eq!(app.get("/api/admin/grants").ok(), json!([]));
    for path in [
        "/api/marketplaces/team/plugins",
        "/api/marketplaces/none/plugins",
    ] {
        assert_eq!(app.get(path).detail(), "404 marketplace not found");
    }
    let gone = app.delete("/api/marketplaces/team").detail();
    assert_eq!(gone, "404 marketplace not found");
}

#[test]
fn no_secret_and_no_open_url_gets_in() {
    let app = App::start();
    let with = |key: &str, value: Value| {
        let mut marketplace = marketplace();
        marketplace[key] = value;
        app.post("/api/marketplaces", &marketplace)
    };
    for (key, value) in [
        ("slug", "Team"),
        ("slug", ""),
        ("name", "  "),
        ("url", "http://git.example.com/a"),
        ("url", "https://x:secret@git.example.com/a"),
        ("url", "https://git.example.com/a?token=secret"),
        ("url", "file:///etc/passwd"),
        ("branch", "--upload-pack=touch"),
        ("token_env", "ghp_0123456789abcdef"),
        ("token", "ghp_0123456789abcdef"),
    ] {
        let refused = with(key, json!(value));
        assert_eq!(refused.status, 400, "{key} {value}");
        let detail = refused.detail();
        assert!(
            !detail.contains("secret") && !detail.contains("ghp_"),
            "{detail}"
        );
    }
    assert_eq!(app.get("/api/marketplaces").ok(), json!([]));
    app.post("/api/marketplaces", &marketplace());
    let refused = patch(&app, &json!({"url": "https://x:secret@git.example.com/a"}));
    assert_eq!(refused.status, 400);
    for plugins in [
        json!([{"name": "../a"}]),
        json!([{"version": "1"}]),
        json!([{"name": "a"}, {"name": "a"}]),
    ] {
        let list = json!({"plugins": plugins});
        let refused = app.put("/api/marketplaces/team/plugins", &list);
        assert_eq!(refused.status, 400, "{list}");
    }
}
