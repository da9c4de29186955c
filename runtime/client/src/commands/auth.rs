//! Who asks: logging in, and personal access tokens.

mod browser;

use std::io::{BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::args::{AuthCommand, LoginArgs, TokenCommand};
use crate::config::{Config, claims};
use crate::error::Error;
use crate::http::{Api, part};
use crate::output;

/// Runs `da auth …`.
pub(super) fn run(
    config: &Config,
    api: &Api,
    command: AuthCommand,
    as_json: bool,
) -> Result<(), Error> {
    match command {
        AuthCommand::Login(args) => login(config, api, &args),
        AuthCommand::Logout => {
            config.forget_token()?;
            output::note("Logged out.");
            Ok(())
        }
        AuthCommand::Whoami => whoami(config, as_json),
        AuthCommand::ImportToken {
            token,
            email,
            role,
            skip_verify,
        } => import(config, &token, email, role, skip_verify),
        AuthCommand::Token(command) => token(api, command, as_json),
    }
}

/// By password where an e-mail address is given, by a token where there is one, else through the browser.
pub(super) fn login(config: &Config, api: &Api, args: &LoginArgs) -> Result<(), Error> {
    let answer = match (&args.email, &args.token) {
        (Some(email), _) => by_password(api, email, args.password.as_deref())?,
        (None, Some(token)) => return import(config, token, None, None, false),
        // What is piped into a login is a token.
        (None, None) if args.paste || !(args.browser || std::io::stdin().is_terminal()) => {
            return import(config, &paste(api)?, None, None, false);
        }
        (None, None) => browser::login(api)?,
    };
    let said = |field: &str| answer[field].as_str().unwrap_or_default();
    config.save_server(&api.server)?;
    config.save_token(said("access_token"), said("email"), said("role"))?;
    output::note(&format!(
        "Logged in as {} (role: {})",
        said("email"),
        said("role")
    ));
    Ok(())
}

fn by_password(api: &Api, email: &str, password: Option<&str>) -> Result<Value, Error> {
    let password = password.map_or_else(|| ask("Password: "), |given| Ok(given.to_owned()))?;
    let answer = api.post(
        "/auth/token",
        &json!({"email": email, "password": password}),
    );
    answer.map_err(|error| match error {
        Error::Api { detail, .. } if detail.contains("external authentication") => Error::Said(format!(
            "{email} signs in through the company's provider: run `da login` without --email, which opens the browser"
        )),
        Error::Api { detail, .. } => Error::Said(format!("Login failed: {detail}")),
        other => other,
    })
}

fn paste(api: &Api) -> Result<String, Error> {
    output::note(&format!(
        "Log in with `da login` on a machine with a browser, and make a token there with `da auth token create --name NAME --raw`, or ask an admin of {} for one. Paste it here.",
        api.server
    ));
    ask("Token: ")
}

/// A new password, typed twice where a person types it.
pub(super) fn ask_twice() -> Result<String, Error> {
    let first = ask("New password: ")?;
    if std::io::stdin().is_terminal() && ask("Again: ")? != first {
        return Err(Error::Said(
            "the two passwords differ; nothing was changed".into(),
        ));
    }
    Ok(first)
}

/// A line that is not shown while it is typed.
pub(super) fn ask(prompt: &str) -> Result<String, Error> {
    let stdin = std::io::stdin();
    let shown = stdin
        .is_terminal()
        .then(|| tcgetattr(&stdin).ok())
        .flatten();
    if let Some(shown) = &shown {
        output::note(prompt);
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).ok();
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Flush, shown).ok();
    }
    read.map_err(|source| Error::Io {
        what: "cannot read stdin".into(),
        source,
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn whoami(config: &Config, as_json: bool) -> Result<(), Error> {
    let token = config
        .token()
        .ok_or_else(|| Error::Said("Not logged in. Run: da login".into()))?;
    let claims =
        claims(&token).ok_or_else(|| Error::Said("Invalid token. Run: da login".into()))?;
    if as_json {
        output::json(
            &json!({"email": claims["email"], "role": claims["role"], "server": config.server()}),
        );
        return Ok(());
    }
    output::line(&format!("Email: {}", output::plain(&claims["email"])));
    output::line(&format!("Role:  {}", output::plain(&claims["role"])));
    output::line(&format!("Server: {}", config.server()));
    Ok(())
}

fn import(
    config: &Config,
    token: &str,
    email: Option<String>,
    role: Option<String>,
    skip_verify: bool,
) -> Result<(), Error> {
    let token = token.trim();
    let claims = claims(token).unwrap_or_default();
    let claim = |given: Option<String>, name: &str| {
        given.or_else(|| claims[name].as_str().map(str::to_owned))
    };
    let (Some(email), Some(role)) = (claim(email, "email"), claim(role, "role")) else {
        let text = "Token is missing 'email' and/or 'role' claims. Copy it whole, or name them with --email and --role.";
        return Err(Error::Said(text.into()));
    };
    let server = config.server();
    if !skip_verify {
        verify(&server, token)?;
    }
    config.save_server(&server)?;
    config.save_token(token, &email, &role)?;
    output::note(&format!("Imported token for {email} (role: {role})."));
    Ok(())
}

/// 403 and 404 are accepted: the token itself is known.
fn verify(server: &str, token: &str) -> Result<(), Error> {
    let api = Api::with(server.to_owned(), Some(token.to_owned()));
    match api.get("/api/catalog/tables") {
        Err(Error::Api {
            status: 401,
            detail,
            ..
        }) => Err(Error::Said(format!(
            "Token rejected by server ({server}): {detail}"
        ))),
        Err(Error::Api { status, .. }) if status >= 500 => Err(Error::Said(format!(
            "Server error from {server}. Re-run with --skip-verify to bypass."
        ))),
        Ok(_) | Err(Error::Api { .. }) => Ok(()),
        Err(other) => Err(other),
    }
}

fn token(api: &Api, command: TokenCommand, as_json: bool) -> Result<(), Error> {
    match command {
        TokenCommand::Create { name, ttl, raw } => create(api, &name, &ttl, raw, as_json),
        TokenCommand::List => {
            let tokens = api.get("/auth/tokens")?;
            list(&tokens, as_json);
            Ok(())
        }
        TokenCommand::Revoke { token } => {
            let tokens = api.get("/auth/tokens")?;
            let fits = |t: &&Value| {
                ["id", "prefix", "name"]
                    .iter()
                    .any(|field| t[field] == token.as_str())
            };
            let found = tokens
                .as_array()
                .and_then(|tokens| tokens.iter().find(fits));
            let found = found.ok_or_else(|| {
                Error::Said(format!(
                    "No token matches {token}. `da auth token list` shows yours."
                ))
            })?;
            let id = found["id"].as_str().unwrap_or_default();
            api.delete(&format!("/auth/tokens/{}", part(id)))?;
            output::note(&format!(
                "Revoked token {id} ({})",
                output::plain(&found["name"])
            ));
            Ok(())
        }
    }
}

fn days(ttl: &str) -> Result<Option<u32>, Error> {
    if ["never", "none", "no-expiry"].contains(&ttl) {
        return Ok(None);
    }
    let days = ttl.strip_suffix('d').and_then(|days| days.parse().ok());
    days.map(Some).ok_or_else(|| Error::Exit {
        code: 2,
        message: format!("`{ttl}` is no lifetime. Use a number of days such as 90d, or never."),
    })
}

fn create(api: &Api, name: &str, ttl: &str, raw: bool, as_json: bool) -> Result<(), Error> {
    let made = api.post(
        "/auth/tokens",
        &json!({"name": name, "expires_in_days": days(ttl)?}),
    )?;
    if as_json {
        output::json(&made);
        return Ok(());
    }
    output::line(&output::plain(&made["token"]));
    if !raw {
        output::note(&format!(
            "id {}, expires {}. It is not shown again: export DA_TOKEN=…",
            output::plain(&made["id"]),
            output::plain(&made["expires_at"])
        ));
    }
    Ok(())
}

fn list(tokens: &Value, as_json: bool) {
    if as_json {
        return output::json(tokens);
    }
    let mut tokens = tokens.as_array().cloned().unwrap_or_default();
    if tokens.is_empty() {
        return output::note("No tokens yet. Create one with: da auth token create --name <label>");
    }
    for token in &mut tokens {
        let status = if token["revoked_at"].is_null() {
            "active"
        } else {
            "revoked"
        };
        token["status"] = status.into();
    }
    let fields = [
        ("ID", "id"),
        ("NAME", "name"),
        ("PREFIX", "prefix"),
        ("EXPIRES", "expires_at"),
        ("LAST USED", "last_used_at"),
        ("STATUS", "status"),
    ];
    output::objects(&tokens, &fields);
}
