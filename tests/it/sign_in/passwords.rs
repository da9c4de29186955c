//! What a password may be, how it is compared, and the fields into which people type it.

use integration_tests::App;
use serde_json::json;

/// More than 64 characters of several scripts, with spaces inside and around.
const LONG: &str =
    " Při úplňku 月 bývá vidět i to, co by ve dne nikdo nehledal; a někdy ani to ne 🙂 ";

#[test]
fn a_long_password_of_any_characters_works_whole_and_as_it_was_typed() {
    assert!(LONG.chars().count() > 64);
    let app = App::start();
    let id = app.add_user("ada@example.com");
    let path = format!("/api/users/{id}/set-password");
    app.post(&path, &json!({"password": LONG})).ok();
    let status = |password: &str| app.ask_for_session("ada@example.com", password).status;
    assert_eq!(status(LONG), 200);
    let cut: String = LONG.chars().take(64).collect();
    for other in [LONG.trim(), &LONG.to_lowercase(), &cut] {
        assert_eq!(status(other), 401, "{other:?}");
    }
    assert_eq!(status(LONG), 200);
}

#[test]
fn the_fields_for_passwords_hide_them_and_take_what_managers_fill_in() {
    let app = App::start();
    for (path, purpose) in [
        ("/login", "current-password"),
        ("/auth/password/setup", "new-password"),
        ("/auth/password/reset", "new-password"),
    ] {
        let page = String::from_utf8(app.anonymous().get(path).bytes).unwrap();
        let inputs = page.split("<input ").skip(1);
        let inputs = inputs.map(|rest| rest.split('>').next().unwrap());
        let fields: Vec<_> = inputs.filter(|input| input.contains("password")).collect();
        assert!(!fields.is_empty(), "{path}: {page}");
        for field in fields {
            let autocomplete = format!("autocomplete=\"{purpose}\"");
            assert!(field.contains(&autocomplete), "{path}: {field}");
            assert!(field.contains("type=\"password\""), "{path}: {field}");
            // What hinders pasting would be an event, and those need a script.
            assert!(!field.contains(" on"), "{path}: {field}");
        }
        assert!(!page.contains("<script"), "{path}: {page}");
    }
}
