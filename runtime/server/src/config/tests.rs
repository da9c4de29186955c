//! Whole files, from their text to a configuration or to all that is wrong with them.

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const EXAMPLE: &str = include_str!("../../../../config/instance.yaml.example");

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "SECRET" => "hunter2",
        "PORT" => "2525",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load(text: &str) -> Result<Config, String> {
    match read(Some(text), &lookup) {
        Ok(loaded) => Ok(loaded.config),
        Err(list) => Err(Problems::new(Some(Path::new("x.yaml")), list).to_string()),
    }
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let mut problems = Vec::new();
    let example = yaml::read(EXAMPLE, &mut problems).unwrap();
    assert_eq!(problems, []);
    let default = serde_json::to_value(Config::default()).unwrap();
    assert_eq!(example.to_json(), default);
    assert_eq!(load(EXAMPLE), Ok(Config::default()));
}

#[test]
fn every_key_of_the_example_has_a_comment() {
    let mut commented = false;
    for line in EXAMPLE.lines().filter(|line| line.starts_with("  ")) {
        if line.trim_start().starts_with('#') {
            commented = true;
        } else {
            assert!(commented, "no comment before `{line}`");
            commented = false;
        }
    }
}

#[test]
fn the_provider_that_the_example_comments_out_shows_every_key_and_works() {
    let (before, sample) = EXAMPLE
        .split_once("  # A provider, as an example:\n")
        .unwrap();
    let lines = sample.lines().map_while(|line| line.strip_prefix("  # "));
    let sample: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(before.ends_with("  oidc: []\n"), "it stands below the key");
    let text = format!("config_version: 1\nauth:\n  oidc:\n{sample}");
    let config = load(&text.replace("GOOGLE_CLIENT_SECRET", "SECRET")).unwrap();
    let provider = serde_json::to_value(&config.auth.oidc[0]).unwrap();
    for key in provider.as_object().unwrap().keys() {
        assert!(sample.contains(&format!("{key}:")), "{key}");
    }
}

#[test]
fn the_example_names_every_variable_of_the_environment() {
    for name in environment::names() {
        assert!(EXAMPLE.contains(name), "{name}");
    }
}

#[test]
fn ten_mistakes_are_told_at_once_with_their_places() {
    let text = "\
config_version: 1
http:
  lisen: 127.0.0.1:8000
  listen: localhost
  cors_origins: ['*', 'https://a.example/path']
  max_upload_mib: 4096
  max_upload_mib: 1
auth:
  bootstrap: shut
  oidc:
    - name: Google!
      client_id: x
    - name: other
      issuer: http://other.example
      client_id: 7
      client_secret: [hunter3]
mail:
  smtp:
    port: 99999
    user: ${MISSING}
    tls: none
    host: mail.example.com
runs: 4
log:
  filter: ''
";
    assert_snapshot!(load(text).unwrap_err(), @r"
    x.yaml:3:3: there is no key `http.lisen`; did you mean `listen`?
    x.yaml:4:11: `http.listen` must be an address and a port, such as `127.0.0.1:8000` or `[::]:8000`, not `localhost`
    x.yaml:5:18: `http.cors_origins[0]` must be an origin by its name: `*` would let every page of the web call the API, not `*`
    x.yaml:5:23: `http.cors_origins[1]` must be an origin, such as `https://app.example.com`, without a path, not `https://a.example/path`
    x.yaml:6:19: `http.max_upload_mib` must be a whole number from 1 to 1024, not 4096
    x.yaml:7:3: `max_upload_mib` stands here a second time, after line 6
    x.yaml:9:14: `auth.bootstrap` must be `code` or `open`, not `shut`
    x.yaml:11:7: `auth.oidc[0]` lacks the key `issuer`
    x.yaml:11:13: `auth.oidc[0].name` must be a name of 1 to 32 lower-case letters, digits and hyphens, not `Google!`
    x.yaml:14:15: `auth.oidc[1].issuer` must be an address that begins with `https://`; `http://` only for this very machine, not `http://other.example`
    x.yaml:15:18: `auth.oidc[1].client_id` must be a text: put it into quotes
    x.yaml:16:22: `auth.oidc[1].client_secret` must be a text, not a list
    x.yaml:19:11: `mail.smtp.port` must be a whole number from 1 to 65535, not 99999
    x.yaml:20:11: `mail.smtp.user` is of no use without `mail.smtp.password`
    x.yaml:20:11: `mail.smtp.user`: the environment variable `MISSING` is not set; set it, or write the value
    x.yaml:21:10: `mail.smtp.tls` may be `none` only for a server on this machine: mails hold links that let people in
    x.yaml:23:7: `runs` must be a section with keys of its own, not a number
    x.yaml:25:11: `log.filter` must have 1 to 1024 characters, not 0
    ");
}

#[test]
fn a_key_in_the_wrong_section_is_led_to_the_right_one() {
    let told = load("data_dir: x\nhttp: {tls: none, config_version: 1}").unwrap_err();
    assert_snapshot!(told, @r"
    x.yaml:1:1: there is no key `data_dir`; it is a key of `storage`
    x.yaml:2:8: there is no key `http.tls`; it is a key of `mail.smtp`
    x.yaml:2:19: there is no key `http.config_version`; it stands outside of all sections
    ");
}

#[test]
fn a_file_of_comments_gives_the_defaults_and_a_warning() {
    let loaded = read(Some("# nothing\n"), &lookup).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(
        loaded.warnings[0].contains("config_version: 1"),
        "{loaded:?}"
    );
    assert!(
        read(None, &lookup).unwrap().warnings.is_empty(),
        "without a file there is none"
    );
    assert!(
        read(Some("config_version: 1"), &lookup)
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn a_newer_version_is_refused_before_its_keys_are_looked_at() {
    let error = load("config_version: 2\nnew_key: 1\n").unwrap_err();
    assert_snapshot!(error, @"x.yaml:1:17: `config_version` is 2, and this server knows version 1; use a newer server, or the keys of that version");
    assert!(
        load("config_version: one")
            .unwrap_err()
            .contains("whole number")
    );
    assert!(load("config_version: 0").unwrap_err().contains("that is 1"));
}

#[test]
fn variables_are_filled_in_and_take_the_kind_that_the_key_has() {
    let text = "
mail:
  from: '${SECRET}@example.com'
  smtp: {host: localhost, port: '${PORT}', user: x, password: '$${x}${SECRET}'}
http: {metrics_token: '${EMPTY}'}
";
    let config = load(text).unwrap();
    assert_eq!(&*config.mail.from, "hunter2@example.com");
    assert_eq!(config.mail.smtp.port, 2525);
    assert_eq!(config.mail.smtp.password, Some(Secret::new("${x}hunter2")));
    assert_eq!(config.http.metrics_token, None);
}

#[test]
fn no_secret_is_told_or_shown() {
    let wrong = load("http: {metrics_token: 'hunter2'}\nlog: {filter: '${SECRET}=='}").unwrap_err();
    assert!(
        wrong.contains("metrics_token") && wrong.contains("filter"),
        "{wrong}"
    );
    assert!(!wrong.contains("hunter2"), "{wrong}");
    let text = "mail: {smtp: {host: localhost, user: x, password: hunter2}}";
    let config = load(text).unwrap();
    for shown in [show(&config), format!("{config:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(show(&config).contains("password: \"***\""));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = "auth: {oidc: [{name: a, issuer: 'https://a', client_id: x, client_secret: y}], allowed_domains: [a.b]}";
    let mut config = load(text).unwrap();
    let again = load(&show(&config)).unwrap();
    config.auth.oidc[0].client_secret = Some(Secret::new("***"));
    assert_eq!(again, config);
}

#[test]
fn keys_that_do_not_go_together_are_told() {
    let told = |text: &str| load(text).unwrap_err();
    let smtp = |rest: &str| {
        told(&format!(
            "mail:\n  smtp:\n    host: mail.example.com\n    {rest}\n"
        ))
    };
    assert_snapshot!(smtp("tls: none"), @"x.yaml:4:10: `mail.smtp.tls` may be `none` only for a server on this machine: mails hold links that let people in");
    assert_snapshot!(smtp("user: a"), @"x.yaml:4:11: `mail.smtp.user` is of no use without `mail.smtp.password`");
    let twice = "auth:\n  oidc:\n    - &x {name: a, issuer: 'https://a', client_id: x}\n"
        .replace("&x ", "");
    let again =
        "    - {name: a, issuer: 'https://a', client_id: x, google_groups: {enabled: true}}\n";
    assert_snapshot!(told(&format!("{twice}{again}")), @r"
    x.yaml:4:14: `auth.oidc[1].name` is `a`, as that of another provider is; names stand in URLs
    x.yaml:4:67: `auth.oidc[1].google_groups.enabled` needs `service_account_file`: Google tells groups to nobody else
    ");
}

#[test]
fn variables_of_the_environment_win_over_the_file_and_are_checked_like_it() {
    let with = |text: &str, pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.to_vec();
        let lookup = move |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(Some(text), &lookup).map(|loaded| loaded.config)
    };
    let config = with(
        "http: {cors_origins: ['https://old.example']}\nstorage: {data_dir: old}",
        &[
            ("CORS_ORIGINS", "http://localhost:3000, https://b.example"),
            ("DATA_DIR", "/new"),
            ("LOG_LEVEL", "WARNING"),
            ("SMTP_HOST", ""),
            ("SMTP_PORT", "25"),
            ("SEED_ADMIN_EMAIL", "Ada@example.com"),
            ("SERVER_URL", "https://sluice.example.com"),
            ("GOOGLE_CLIENT_ID", "id"),
            ("GOOGLE_CLIENT_SECRET", "hunter2"),
        ],
    );
    let shown: Value = serde_json::to_value(config.unwrap()).unwrap();
    assert_eq!(shown["http"]["cors_origins"][1], "https://b.example");
    assert_eq!(shown["storage"]["data_dir"], "/new");
    assert_eq!(shown["log"]["filter"], "warn");
    assert_eq!(shown["mail"]["smtp"]["port"], 25);
    assert_eq!(shown["auth"]["seed_admin_email"], "ada@example.com");
    assert_eq!(shown["http"]["public_url"], "https://sluice.example.com/");
    assert_eq!(
        shown["auth"]["oidc"][0]["issuer"],
        "https://accounts.google.com"
    );

    let own = "auth: {oidc: [{name: google, issuer: 'https://own.example', client_id: a}]}";
    let config = with(own, &[("GOOGLE_CLIENT_ID", "b")]).unwrap();
    assert_eq!(config.auth.oidc.len(), 1);
    assert_eq!(config.auth.oidc[0].client_id, "b");

    let wrong = with(
        "",
        &[("SMTP_PORT", "many"), ("GOOGLE_CLIENT_SECRET", "hunter2")],
    );
    let wrong = Problems::new(None, wrong.unwrap_err()).to_string();
    assert_snapshot!(wrong, @r"
    environment: GOOGLE_CLIENT_SECRET: `auth.oidc[0]` lacks the key `client_id`
    environment: SMTP_PORT: `mail.smtp.port` must be a whole number
    ");
}

proptest! {
    /// Changes of the example that look like slips: whatever happens, all that is left over by the check can be
    /// read by the types, so no message is one of serde's, which have no place.
    #[test]
    fn no_slip_in_a_file_panics_or_is_told_without_a_place(
        line in 0usize..200, text in "[-a-z0-9:\\[\\]{}'\"#$~*&!., ]{0,12}",
    ) {
        let mut lines: Vec<&str> = EXAMPLE.lines().collect();
        let at = line % lines.len();
        let (key, _) = lines[at].split_once(':').unwrap_or((lines[at], ""));
        let changed = format!("{key}: {text}");
        lines[at] = &changed;
        let problems = read(Some(&lines.join("\n")), &lookup).err().unwrap_or_default();
        for problem in &problems {
            let own = problem.message.contains('`') || problem.message.starts_with("this is not YAML")
                || problem.message.contains("not read") || problem.message.contains("a key must be");
            prop_assert!(own, "{problem:?}");
            prop_assert!(!problem.message.contains("invalid value"), "{problem:?}");
        }
    }

    #[test]
    fn no_value_of_any_key_panics(text in "\\PC{0,40}") {
        for key in ["http: {listen: ", "auth: {oidc: ", "mail: {from: ", "log: {filter: "] {
            let _ = load(&format!("{key}{text}}}"));
            let _ = load(&format!("{key}'{}'}}", text.replace('\'', "''")));
        }
    }
}
