//! Letting the client in through the browser: from the page's click to a token, and what does not lead there.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use integration_tests::people::PASSWORD;
use integration_tests::{App, Client, sluice};
use serde_json::json;
use ureq::http::Method;

/// Verifier and challenge of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ASKED: &str = "port=40000&state=0123456789abcdef&challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&name=da+on+laptop";

/// Where the page takes the browser after the click.
#[track_caller]
fn allow(browser: &Client, asked: &str) -> String {
    let done = browser.form("/cli/login", asked, &[]);
    assert_eq!(done.status, 200, "{}", String::from_utf8_lossy(&done.bytes));
    let onward = done.header("refresh").unwrap();
    onward.strip_prefix("0; url=").unwrap().to_owned()
}

fn code(place: &str) -> String {
    let code = place.split("code=").nth(1).unwrap();
    code.split('&').next().unwrap().to_owned()
}

#[test]
fn somebody_lets_the_client_in_by_a_click_in_the_browser() {
    let app = App::start();
    app.add_user("ada@example.com");
    let browser = app.sign_in("ada@example.com");
    let folder = tempfile::tempdir().unwrap();
    let path = std::path::Path::new(sluice().get_program()).with_file_name("da");
    let mut da = Command::new(path);
    da.args(["login", "--browser", "--server", &app.url]);
    da.env("DA_CONFIG_DIR", folder.path()).env("PATH", "");
    da.env("DA_NO_UPDATE_CHECK", "1").env_remove("DA_TOKEN");
    da.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut da = da.spawn().unwrap();
    let mut said = BufReader::new(da.stderr.take().unwrap()).lines();
    let page = said.next().unwrap().unwrap();
    let page = page.rsplit(' ').next().unwrap();
    let asked = page.split_once('?').unwrap().1;

    let shown = browser.get(&format!("/cli/login?{asked}"));
    assert!(String::from_utf8_lossy(&shown.bytes).contains("ada@example.com"));
    let place = allow(&browser, asked);
    let (host, query) = place.split_once("/?").unwrap();
    let loopback = Client::new(host, None);
    let other = query.replace("state=", "state=x");
    assert_eq!(loopback.get(&format!("/?{other}")).status, 404);
    assert_eq!(loopback.get(&format!("/?{query}")).status, 200);
    assert!(da.wait().unwrap().success());

    let saved = std::fs::read_to_string(folder.path().join("token.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved["email"], "ada@example.com");
    let program = app.with(saved["access_token"].as_str());
    assert_eq!(program.get("/api/me").ok()["email"], "ada@example.com");
    let tokens = browser.get("/auth/tokens").ok().to_string();
    assert!(tokens.contains("da on "), "{tokens}");
    assert_eq!(
        program.get(&format!("/cli/login?{ASKED}")).status,
        403,
        "a token lets nobody in"
    );
}

#[test]
fn a_code_is_worth_nothing_twice_or_without_its_secret_or_after_its_user_is_gone() {
    let app = App::start();
    let id = app.add_user("ada@example.com");
    let browser = app.sign_in("ada@example.com");
    let exchange = |code: &str, verifier: &str| {
        let given = json!({"code": code, "verifier": verifier});
        app.anonymous().post("/auth/cli/token", &given)
    };
    let good = code(&allow(&browser, ASKED));
    let token = exchange(&good, VERIFIER).ok();
    assert_eq!(
        (&token["email"], &token["role"]),
        (&json!("ada@example.com"), &json!("user"))
    );
    assert_eq!(exchange(&good, VERIFIER).status, 401);
    let stolen = code(&allow(&browser, ASKED));
    assert_eq!(exchange(&stolen, "guessed").status, 401);
    assert_eq!(exchange(&stolen, VERIFIER).status, 401);
    let late = code(&allow(&browser, ASKED));
    app.post(&format!("/api/users/{id}/deactivate"), &json!({}))
        .ok();
    assert_eq!(exchange(&late, VERIFIER).status, 401);
}

#[test]
fn a_link_alone_lets_nobody_in_and_leads_nowhere_else() {
    let app = App::start();
    let page = format!("/cli/login?{ASKED}");
    let visitor = [("accept", "text/html")];
    let sent = app.anonymous().send(Method::GET, &page, &visitor, b"");
    assert_eq!(sent.status, 303);
    let next = sent.header("location").unwrap();
    assert!(
        next.starts_with("/login?next=%2Fcli%2Flogin%3Fport%3D40000"),
        "{next}"
    );

    app.add_user("ada@example.com");
    let browser = app.sign_in("ada@example.com");
    let shown = browser.get(&page);
    assert_eq!((shown.status, shown.header("refresh")), (200, None));
    for (part, other) in [
        ("40000", "80"),
        ("40000", "40000@evil.example"),
        ("0123456789abcdef", "short"),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "plain"),
        ("da+on+laptop", ""),
    ] {
        let asked = ASKED.replace(part, other);
        let answer = browser.form("/cli/login", &asked, &[]);
        assert!(
            matches!(answer.status, 400 | 422),
            "{asked}: {}",
            answer.status
        );
    }
    let fields = format!(
        "email=ada@example.com&password={}",
        PASSWORD.replace(' ', "+")
    );
    let entered = app
        .anonymous()
        .form("/auth/password/login/web", &fields, &[]);
    let cookie = entered
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    for (site, status) in [("cross-site", 403), ("same-origin", 200)] {
        let headers = [("sec-fetch-site", site), ("cookie", cookie)];
        let answer = app.anonymous().form("/cli/login", ASKED, &headers);
        assert_eq!(answer.status, status, "{site}");
    }
}
