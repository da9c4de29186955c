//! Tells people how sources are: takes what was noted for them out of the state and posts it to a webhook, in the
//! form that Slack and what imitates it read.
//!
//! A text is forgotten once it was taken, so that neither a restart nor a receiver that is away loses one. Where the
//! server dies between the two, it comes twice.

use std::time::Duration;

use domain::Secret;
use domain::notify::Alert;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde_json::json;
use url::Url;
use warehouse::StateError;

use crate::app::{App, AppState, blocking};
use crate::error::{ApiResult, chain};

/// For a whole request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts: doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(300);
/// What could not be delivered for so long is given up.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// Characters of a text; the rest is in the run's log.
const MOST_SHOWN: usize = 1_500;

/// Where alerts go.
pub(crate) struct Webhook {
    client: Client,
    url: Url,
}

/// Without the address, which lets whoever knows it write there.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

/// Why an alert was not taken.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    /// Another attempt may help.
    #[error("it could not be delivered")]
    Unreachable(#[source] reqwest::Error),
    /// The same.
    #[error("the webhook answered {0}")]
    Busy(StatusCode),
    /// The webhook will never take it.
    #[error("the webhook answered {0}; look at `alerts.webhook_url`")]
    Refused(StatusCode),
}

impl Webhook {
    /// To this address, whose form the configuration has checked.
    pub(crate) fn new(url: &Secret) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let url = Url::parse(std::str::from_utf8(url.expose())?)
            // The error would not quote it, but must not depend on that.
            .map_err(|_| "`alerts.webhook_url` is no address")?;
        let client = Client::builder()
            .no_proxy()
            // What is told goes to the address that was configured, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, url })
    }

    async fn post(&self, text: &str) -> Result<(), Untaken> {
        let request = self.client.post(self.url.clone());
        let request = request.json(&json!({ "text": text }));
        // The address is the secret that lets one in.
        let answer = request.send().await;
        let status = answer
            .map_err(|error| Untaken::Unreachable(error.without_url()))?
            .status();
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(Untaken::Busy(status))
            }
            status if status.is_server_error() => Err(Untaken::Busy(status)),
            status => Err(Untaken::Refused(status)),
        }
    }
}

/// Delivers one alert after the other, until the server ends.
pub(crate) async fn deliver(app: AppState, webhook: Webhook) {
    let mut pause = FIRST_PAUSE;
    loop {
        let next = state(&app, |app| app.state().next_alert()).await;
        let Ok(Some(alert)) = next else {
            if let Err(error) = next {
                let cause = error.cause.as_deref().map(|cause| chain(cause));
                tracing::error!(cause, "the alerts cannot be read");
            }
            app.ingest.alerted().notified().await;
            continue;
        };
        if !hand_over(&webhook, &alert, app.url()).await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
            continue;
        }
        pause = FIRST_PAUSE;
        if let Err(error) = state(&app, move |app| app.state().forget_alert(alert.id)).await {
            let cause = error.cause.as_deref().map(|cause| chain(cause));
            tracing::error!(cause, "an alert that was delivered could not be forgotten");
            tokio::time::sleep(LAST_PAUSE).await;
        }
    }
}

async fn state<T: Send + 'static>(
    app: &AppState,
    work: impl FnOnce(&App) -> Result<T, StateError> + Send + 'static,
) -> ApiResult<T> {
    let app = app.clone();
    blocking(move || Ok(work(&app)?)).await
}

/// Whether nothing is left to do about an alert.
async fn hand_over(webhook: &Webhook, alert: &Alert, server: &str) -> bool {
    // Of a server that was down, or had no webhook for a while.
    if age(alert) > PATIENCE {
        tracing::error!(id = %alert.id, "the alert of {} is too old and is given up", alert.noted_at);
        return true;
    }
    match webhook.post(&shown(&alert.text, server)).await {
        Ok(()) => true,
        Err(error) => is_given_up(alert, &error),
    }
}

fn age(alert: &Alert) -> SignedDuration {
    Timestamp::now().duration_since(alert.noted_at)
}

/// Says why an alert was not taken, and whether nobody tries any more.
fn is_given_up(alert: &Alert, error: &Untaken) -> bool {
    let given_up = matches!(error, Untaken::Refused(_));
    let error = chain(error);
    // Not the text: connectors and services have their words in it.
    let (id, noted_at) = (alert.id, alert.noted_at);
    if given_up {
        tracing::error!(%id, error, "the alert of {noted_at} was not delivered and is given up");
    } else {
        tracing::warn!(%id, error, "an alert was not delivered and is tried again");
    }
    given_up
}

/// As it is sent: without what the receiver would read as a mention, a link or a layout, since parts of it come from
/// services and connectors.
fn shown(text: &str, server: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(MOST_SHOWN) {
        match letter {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            letter if letter.is_control() => shown.push(' '),
            letter => shown.push(letter),
        }
    }
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    format!("{shown}\n{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_cannot_call_people_or_lead_them_elsewhere() {
        let text = "Source `shop` failed: <!channel> <https://evil.example|help>\r\n& more";
        assert_eq!(
            shown(text, "https://sluice.example"),
            "Source `shop` failed: &lt;!channel&gt; &lt;https://evil.example|help&gt;  &amp; more\nhttps://sluice.example"
        );
        let long = shown(&"é".repeat(MOST_SHOWN + 1), "");
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), MOST_SHOWN);
        assert!(long.contains('…'));
    }

    #[test]
    fn the_address_of_the_webhook_is_in_no_message() {
        let secret = Secret::new("no address at all: hunter2");
        let error = Webhook::new(&secret).unwrap_err().to_string();
        assert_eq!(error, "`alerts.webhook_url` is no address");
    }

    #[tokio::test]
    async fn an_alert_is_given_up_where_it_never_can_be_taken_or_after_a_day() {
        let alert = |hours| Alert {
            id: uuid::Uuid::now_v7(),
            noted_at: Timestamp::now() - SignedDuration::from_hours(hours),
            text: "x".into(),
        };
        let busy = Untaken::Busy(StatusCode::BAD_GATEWAY);
        assert!(!is_given_up(&alert(0), &busy));
        let refused = Untaken::Refused(StatusCode::NOT_FOUND);
        assert!(is_given_up(&alert(0), &refused));
        // Nobody listens there, so only what is not sent at all is done with.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nowhere = Webhook::new(&Secret::new("http://127.0.0.1:1/hook")).unwrap();
        assert!(!hand_over(&nowhere, &alert(23), "").await);
        assert!(hand_over(&nowhere, &alert(25), "").await);
    }
}
