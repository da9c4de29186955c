//! What must hold between keys, which no schema of single values can say.

use super::Config;
use super::mail::SmtpTls;
use super::values::is_this_machine;

/// A key and what is wrong with it beside others.
type Breach = (String, String);

/// Everything that does not go together.
pub(super) fn breaches(config: &Config) -> Vec<Breach> {
    let mut breaches = Vec::new();
    smtp(config, &mut breaches);
    providers(config, &mut breaches);
    breaches
}

fn smtp(config: &Config, breaches: &mut Vec<Breach>) {
    let smtp = &config.mail.smtp;
    if smtp.user.is_some() != smtp.password.is_some() {
        let (there, other) = match smtp.user {
            Some(_) => ("user", "password"),
            None => ("password", "user"),
        };
        breaches.push((
            format!("mail.smtp.{there}"),
            format!("`mail.smtp.{there}` is of no use without `mail.smtp.{other}`"),
        ));
    }
    let host = smtp.host.as_deref().unwrap_or("localhost");
    if smtp.tls == SmtpTls::None && !is_this_machine(host) {
        breaches.push((
            "mail.smtp.tls".into(),
            "`mail.smtp.tls` may be `none` only for a server on this machine: mails hold links that let people in"
                .into(),
        ));
    }
}

fn providers(config: &Config, breaches: &mut Vec<Breach>) {
    let providers = &config.auth.oidc;
    for (index, provider) in providers.iter().enumerate() {
        let name = &*provider.name;
        let before = providers.iter().take(index);
        if before.clone().any(|other| other.name == provider.name) {
            let key = format!("auth.oidc[{index}].name");
            let message =
                format!("`{key}` is `{name}`, as that of another provider is; names stand in URLs");
            breaches.push((key, message));
        }
        let groups = &provider.google_groups;
        if groups.enabled && groups.service_account_file.is_none() {
            let key = format!("auth.oidc[{index}].google_groups");
            let message = format!(
                "`{key}.enabled` needs `service_account_file`: Google tells groups to nobody else"
            );
            breaches.push((key, message));
        }
    }
}
