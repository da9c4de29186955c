//! Signing in by a provider of identities: a real one.

mod google;
mod world;

use integration_tests::App;
use integration_tests::provider::{Browser, Provider};
use serde_json::{Value, json};

use world::{World, place};

#[test]
fn whoever_the_provider_knows_comes_in() {
    let mut world = World::start();
    let away = world.depart("/auth/oidc/test/login?next=%2Fdocs");
    for part in ["code_challenge_method=S256", "state=", "nonce="] {
        assert!(away.contains(part), "{away}");
    }
    let back = world.browser.visit_provider(&away, "ada");
    assert!(
        back.starts_with(&format!("{}/auth/oidc/test/callback?", world.app.url)),
        "{back}"
    );
    let entered = world.browser.open(&back);
    assert_eq!((entered.status, place(&entered).as_str()), (303, "/docs"));
    let me = world.me().ok();
    assert_eq!(
        (&me["email"], &me["means"]),
        (&json!("ada@example.com"), &json!("session"))
    );
    assert!(
        world
            .browser
            .cookie(&world.app.url, "sluice-flow")
            .is_none(),
        "it is of no use now"
    );

    let users = world.users();
    assert_eq!(world.enter("ada"), "/");
    assert_eq!(world.users(), users, "nobody is added twice");
}

#[test]
fn what_the_browser_holds_meanwhile_is_a_number_that_scripts_cannot_read() {
    let world = World::start();
    let answer = world.app.anonymous().get("/auth/oidc/test/login");
    let cookie = answer.header("set-cookie").unwrap();
    for word in [
        "sluice-flow=",
        "; Path=/",
        "; Max-Age=600",
        "; HttpOnly",
        "; SameSite=Lax",
    ] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let value = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(
        value.len() == 43 && !place(&answer).contains(value),
        "{cookie}"
    );
}

#[test]
fn old_addresses_lead_to_the_provider_called_google() {
    let mut world = World::start();
    let away = world.depart("/auth/google/login?next=%2Fdocs");
    let back = world.browser.visit_provider(&away, "ada");
    assert!(
        back.starts_with(&format!("{}/auth/google/callback?", world.app.url)),
        "{back}"
    );
    assert_eq!(place(&world.browser.open(&back)), "/docs");

    let bare = App::start();
    for (path, code) in [
        ("/auth/google/login", "google_not_configured"),
        (
            "/auth/google/callback?code=a&state=b",
            "google_not_configured",
        ),
        ("/auth/oidc/google/login", "google_not_configured"),
        ("/auth/oidc/other/login", "not_configured"),
    ] {
        let answer = bare.anonymous().get(path);
        assert_eq!(place(&answer), format!("/login?error={code}"), "{path}");
    }
}

#[test]
fn a_callback_works_once_and_in_the_browser_that_began() {
    let mut world = World::start();
    let refused = "/login?error=oauth_failed";

    let back = world.fetch("ada");
    let mut other = Browser::default();
    assert_eq!(place(&other.open(&back)), refused, "no cookie");
    other.open(&format!("{}/auth/oidc/test/login", world.app.url));
    assert_eq!(
        place(&other.open(&back)),
        refused,
        "the cookie of another sign-in"
    );

    let before = world.browser.clone();
    assert_eq!(place(&world.browser.open(&back)), "/");
    assert_eq!(place(&before.clone().open(&back)), refused, "a second time");
    assert_eq!(
        place(&world.browser.open(&back)),
        refused,
        "a second time, later"
    );
}

#[test]
fn a_callback_that_was_changed_is_refused() {
    let mut world = World::start();
    for (what, change) in [
        (
            "state",
            (|url| url.replace("state=", "state=x")) as fn(&str) -> String,
        ),
        ("no state", |url| url.replace("state=", "other=")),
        ("code", |url| url.replace("code=", "code=x")),
        ("no code", |url| url.replace("code=", "other=")),
        ("issuer", |url| url.replace("iss=http", "iss=https")),
        ("provider", |url| {
            url.replace("/oidc/test/", "/oidc/google/")
        }),
    ] {
        let back = world.fetch("ada");
        let changed = change(&back);
        assert_ne!(changed, back, "{what}");
        assert_eq!(
            place(&world.browser.open(&changed)),
            "/login?error=oauth_failed",
            "{what}"
        );
        let again = place(&world.browser.open(&back));
        assert_eq!(again, "/login?error=oauth_failed", "{what}: it is used up");
    }
    assert_eq!(world.me().status, 401);
    world.browser = Browser::default();
    assert_eq!(
        world.enter("unknown"),
        "/login?error=oauth_failed",
        "the provider says no"
    );
}

#[test]
fn an_address_counts_only_when_the_provider_has_made_sure_of_it() {
    let mut world = World::start();
    world.app.add_user("eve@example.com");
    assert_eq!(world.enter("eve"), "/login?error=no_email");
    world.browser = Browser::default();
    assert_eq!(world.enter("nil"), "/login?error=no_email");
    assert_eq!(world.me().status, 401);
    assert!(
        world.users().iter().all(|email| email != "nil"),
        "{:?}",
        world.users()
    );
}

#[test]
fn strangers_of_other_domains_come_in_when_they_were_entered_before() {
    let mut world = World::start();
    assert_eq!(world.enter("sam"), "/login?error=domain_not_allowed");
    assert!(!world.users().contains(&"sam@elsewhere.example".to_owned()));
    world.app.add_user("Sam@Elsewhere.example");
    assert_eq!(world.enter("sam"), "/");
    assert_eq!(world.me().ok()["email"], "Sam@Elsewhere.example");
}

#[test]
fn a_server_that_adds_nobody_lets_only_its_users_in() {
    let mut world = World::with("      create_users: false\n");
    assert_eq!(world.enter("ada"), "/login?error=domain_not_allowed");
    world.app.add_user("ada@example.com");
    assert_eq!(world.enter("ada"), "/");
}

#[test]
fn a_person_stays_the_same_under_another_address() {
    let mut world = World::start();
    world.enter("ada");
    let id = world.me().ok()["id"].clone();
    world.provider.says(
        "ada",
        &json!({"email": "a.king@example.com", "email_verified": false}),
    );
    assert_eq!(world.enter("ada"), "/");
    assert_eq!(world.me().ok()["id"], id);
}

#[test]
fn whoever_is_deactivated_stays_out() {
    let mut world = World::start();
    let off = world.app.add_user("ada@example.com");
    let path = format!("/api/users/{off}/deactivate");
    world.app.post(&path, &json!({})).ok();
    assert_eq!(
        world.enter("ada"),
        "/login?error=deactivated",
        "known by the address"
    );
    world
        .app
        .post(&format!("/api/users/{off}/activate"), &json!({}))
        .ok();
    assert_eq!(world.enter("ada"), "/");
    world.app.post(&path, &json!({})).ok();
    assert_eq!(
        world.enter("ada"),
        "/login?error=deactivated",
        "known by the provider"
    );
    assert_eq!(world.me().status, 401);
}

#[test]
fn groups_come_and_go_with_each_sign_in() {
    let mut world = World::start();
    let own = world
        .app
        .post("/api/admin/groups", &json!({"name": "ours"}))
        .ok();
    let own = own["id"].as_str().unwrap().to_owned();
    world.enter("ada");
    assert_eq!(world.groups("ada@example.com"), ["dev", "ops"]);
    world.app.join(&own, "ada@example.com");

    let ada = |groups: Value| {
        let mut claims = json!({"email": "ada@example.com", "email_verified": true});
        claims["groups"] = groups;
        claims
    };
    // Neither the admins' own groups nor the system's are the provider's to give.
    world
        .provider
        .says("ada", &ada(json!(["ops", "Admin", "Everyone", "ours"])));
    assert_eq!(world.enter("ada"), "/");
    assert_eq!(world.groups("ada@example.com"), ["ops"]);
    assert_eq!(world.me().ok()["role"], "user");

    world.provider.says("ada", &ada(json!({"not": "a list"})));
    world.enter("ada");
    assert_eq!(
        world.groups("ada@example.com"),
        ["ops"],
        "what cannot be read changes nothing"
    );

    world.provider.says("ada", &ada(json!([])));
    world.enter("ada");
    assert!(world.groups("ada@example.com").is_empty());
    let ours = world
        .app
        .get(&format!("/api/admin/groups/{own}/members"))
        .ok();
    assert_eq!(
        ours[0]["email"], "ada@example.com",
        "what an admin gave stays"
    );
}

#[test]
fn whoever_gets_the_address_of_another_does_not_get_the_account() {
    let mut world = World::start();
    assert_eq!(world.enter("ada"), "/");
    // The company gives the address to somebody new, whom the provider knows by a subject of its own.
    let claims =
        json!({"email": "ada@example.com", "email_verified": true, "name": "New", "groups": []});
    world.provider.says("new", &claims);
    world.browser = Browser::default();
    assert_eq!(world.enter("new"), "/login?error=identity_replaced");

    let users = world.app.get("/api/users").ok();
    let ada = users
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["email"] == "ada@example.com");
    let id = ada.unwrap()["id"].as_str().unwrap();
    let path = format!("/api/users/{id}/identities");
    assert_eq!(world.app.delete(&path).status, 204);
    assert_eq!(world.enter("new"), "/", "an admin has said so");
    assert_eq!(
        world
            .app
            .delete("/api/users/00000000-0000-0000-0000-000000000000/identities")
            .status,
        404
    );
}

#[test]
fn nobody_is_led_to_another_site() {
    let mut world = World::start();
    for next in [
        "//evil.org",
        "/%5Cevil.org",
        "https://evil.org",
        "%2F%09%2Fevil.org",
        "%2F%0D%0Aset-cookie:x",
        "javascript:x",
        "evil.org",
        "",
    ] {
        let away = world.depart(&format!("/auth/oidc/test/login?next={next}"));
        let back = world.browser.visit_provider(&away, "ada");
        assert_eq!(place(&world.browser.open(&back)), "/", "{next}");
    }
}

#[test]
fn a_provider_that_is_gone_is_told_and_harms_nobody_else() {
    let mut world = World::start();
    let back = world.fetch("ada");
    let issuer = world.provider.issuer.clone();
    world.provider = Provider::start();
    assert_eq!(
        place(&world.browser.open(&back)),
        "/login?error=oauth_failed"
    );
    assert!(
        world.app.output().contains("a sign-in failed"),
        "{}",
        world.app.output()
    );
    assert!(
        !world.app.output().contains("ada@example.com"),
        "{}",
        world.app.output()
    );
    let page = world.app.anonymous().get("/login?error=oauth_failed");
    assert!(!String::from_utf8_lossy(&page.bytes).contains(&issuer));
    world.app.newcomer("bob@example.com");
}
