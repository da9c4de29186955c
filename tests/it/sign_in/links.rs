//! Links that let their holder in: once, for one purpose, and only whom they were made for.

use integration_tests::App;
use integration_tests::mailbox::Mailbox;
use integration_tests::people::{PASSWORD, field, link};
use serde_json::{Value, json};

use super::configured;

#[test]
fn a_link_in_a_mail_signs_in_once() {
    let mailbox = Mailbox::start();
    let (_folder, app) = configured(&mailbox.config());
    app.add_user("ada@example.com");
    let stranger = app.anonymous();
    for email in ["nobody@example.com", "ada@example.com"] {
        stranger
            .post("/auth/email/send-link", &json!({"email": email}))
            .ok();
    }
    let mails = mailbox.wait(1);
    assert_eq!(mails[0].to, "ada@example.com");
    let link = link(&mails[0].text, "/auth/email/verify").expect("a link");
    assert!(link.starts_with(&app.url), "{link}");

    let page = stranger.get(link.strip_prefix(&app.url).unwrap());
    assert!(String::from_utf8_lossy(&page.bytes).contains("/auth/email/verify/web"));
    let given = json!({"email": field(&link, "email"), "token": field(&link, "token")});
    let verify = || stranger.post("/auth/email/verify", &given);
    let session = verify().ok();
    assert_eq!(session["email"], "ada@example.com");
    assert_eq!(verify().detail(), "401 Invalid or expired link");
    assert_eq!(mailbox.mails().len(), 1, "strangers get no mail");
}

#[test]
fn a_link_is_for_its_purpose_and_its_user() {
    let mailbox = Mailbox::start();
    let (_folder, app) = configured(&mailbox.config());
    app.add_user("ada@example.com");
    app.add_user("eve@example.com");
    let stranger = app.anonymous();
    let mail = |count: usize, purpose: &str, path: &str| {
        let fields = format!("email=ada%40example.com&purpose={purpose}");
        stranger.form("/auth/email/send-link/web", &fields, &[]);
        let mails = mailbox.wait(count);
        field(
            &link(&mails[count - 1].text, path).expect("a link"),
            "token",
        )
    };
    let sign_in = mail(1, "sign-in", "/auth/email/verify");
    let set = |email: &str, token: &str| {
        let word = "another+long+sentence";
        let fields = format!("email={email}&token={token}&password={word}&confirm_password={word}");
        stranger
            .form("/auth/password/reset/confirm", &fields, &[])
            .status
    };
    assert_eq!(
        set("ada%40example.com", &sign_in),
        400,
        "a link to sign in sets no password"
    );
    let reset = mail(2, "reset", "/auth/password/reset");
    let verify = json!({"email": "ada@example.com", "token": reset});
    assert_eq!(stranger.post("/auth/email/verify", &verify).status, 401);
    assert_eq!(set("eve%40example.com", &reset), 400, "another's link");
    // It was used up by the attempt.
    assert_eq!(set("ada%40example.com", &reset), 400);
    let reset = mail(3, "reset", "/auth/password/reset");
    assert_eq!(set("ada%40example.com", &reset), 303);
    assert_eq!(app.ask_for_session("ada@example.com", PASSWORD).status, 401);
    app.ask_for_session("ada@example.com", "another long sentence")
        .ok();
}

#[test]
fn a_password_that_is_not_taken_does_not_cost_the_link() {
    let app = App::start();
    let user = json!({"email": "ada@example.com", "send_invite": true});
    let invited = app.post("/api/users", &user).ok();
    assert_eq!(invited["invite_email_sent"], false);
    let link = invited["invite_url"].as_str().unwrap();
    assert!(
        link.starts_with(&format!("{}/auth/password/setup?", app.url)),
        "{link}"
    );
    let token = field(link, "token");
    let set = |password: &str| {
        let given = json!({"email": "ada@example.com", "token": token, "password": password});
        app.anonymous().post("/auth/password/setup", &given)
    };
    insta::assert_snapshot!(set("short").detail(), @"400 Password must be at least 8 characters");
    assert_eq!(set(PASSWORD).ok()["message"], "Password set successfully");
    insta::assert_snapshot!(set(PASSWORD).detail(), @"400 Invalid or expired setup link.");
    app.sign_in("ada@example.com");
}

#[test]
fn of_many_who_open_a_link_at_once_one_comes_in() {
    let app = App::start();
    let id = app.add_user("ada@example.com");
    let made = app
        .post(&format!("/api/users/{id}/reset-password"), &Value::Null)
        .ok();
    let token = field(made["reset_url"].as_str().unwrap(), "token");
    let word = PASSWORD.replace(' ', "+");
    let fields =
        format!("email=ada%40example.com&token={token}&password={word}&confirm_password={word}");
    let client = app.anonymous();
    let came_in = std::thread::scope(|scope| {
        let confirm = || {
            let answer = client.form("/auth/password/reset/confirm", &fields, &[]);
            answer.status
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(confirm)).collect();
        let statuses = threads.into_iter().map(|thread| thread.join().unwrap());
        statuses.filter(|status| *status == 303).count()
    });
    assert_eq!(came_in, 1);
}
