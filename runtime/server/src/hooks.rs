//! Who may deliver a webhook: whoever signs with the key of the source. It is the host that verifies, and
//! before anything is kept.
//!
//! A source that is not there, one that takes no webhooks, one without a key and a wrong signature have one
//! answer, and it costs the same work: nobody learns by asking which sources there are.

mod headers;
mod pace;

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use broker::webhook;
use domain::ports::{Credentials as _, Delivery};
use domain::scheme::{Algorithm, Encoding, Scheme, Signature};
use domain::{Digest, RunId, Secret, Source, SourceName};
use ingest::{InboxError, ReceiveError, Taken};
use jiff::Timestamp;

use crate::app::AppState;
use crate::error::{ApiError, ApiResult};

pub(crate) use pace::Paces;

/// The most bytes of an id that a sender gives.
const MOST_ID: usize = 256;
/// When to come back where only an admin can help.
const LATER: Duration = Duration::from_secs(300);
/// When to come back to an inbox that is full.
const SOON: Duration = Duration::from_secs(30);

/// What proves who sends.
struct Lock {
    scheme: Signature,
    key: Secret,
}

impl Lock {
    /// What no sender opens: so that a source that is not there costs what others do.
    fn decoy() -> Self {
        Self {
            scheme: Signature {
                header: "x-signature".into(),
                prefix: String::new(),
                algorithm: Algorithm::Sha256,
                encoding: Encoding::Hex,
                message: "{body}".into(),
                timestamp_header: None,
                timestamp_prefix: String::new(),
                tolerance_seconds: 300,
                delivery_header: None,
            },
            key: Secret::new("of nobody"),
        }
    }
}

/// Verifies a delivery and keeps it. When this returns it is on the disk.
pub(crate) fn receive(
    app: &AppState,
    name: &str,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> ApiResult<Taken> {
    let (source, lock) = match find(app, name)? {
        Some((source, lock)) => (Some(source), lock),
        None => (None, Lock::decoy()),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let now = Timestamp::now().as_second();
    let verified = webhook::verify(&lock.scheme, &lock.key, header, &body, now);
    let (Some(source), Ok(())) = (source, verified) else {
        // Not even the log names a source that a stranger has guessed.
        tracing::debug!(?verified, "a webhook was refused");
        return Err(ApiError::unauthorized(
            "There is no source of this name that takes webhooks, or the signature is wrong",
        ));
    };
    if !source.enabled {
        return Err(unavailable(
            "source-disabled",
            "The source is disabled",
            LATER,
        ));
    }
    app.paces.admit(&source.name).map_err(|retry_after| {
        ApiError::too_many(
            "More deliveries a minute than this server takes for a source",
            retry_after,
        )
    })?;
    let (id, known) = id(&lock.scheme, header, &body)?;
    let delivery = Delivery {
        id,
        headers: headers::allowed(headers, &lock.scheme, &lock.key),
        body,
    };
    let taken = app.receiving.take(&source.name, delivery, known);
    taken.map_err(refused)
}

/// A source that takes webhooks, with what was granted for that.
fn find(app: &AppState, name: &str) -> ApiResult<Option<(Source, Lock)>> {
    // A name that cannot be one is looked for too.
    let name = SourceName::parse(name).or_else(|_| SourceName::parse("nobody"));
    let name = name.map_err(ApiError::internal)?;
    let source = app.state().source(&name)?;
    let mut credentials = app.credentials.credentials(&name)?;
    let Some(source) = source else {
        return Ok(None);
    };
    let Some(slot) = source.granted.webhook.clone() else {
        return Ok(None);
    };
    let bindings = source.granted.credentials.iter();
    let scheme = bindings
        .filter(|binding| binding.slot == slot)
        .find_map(|binding| match &binding.scheme {
            Scheme::Hmac(scheme) => Some(scheme.clone()),
            _ => None,
        });
    let key = credentials
        .remove(&slot)
        .filter(|key| !key.expose().is_empty());
    Ok(match (scheme, key) {
        (Some(scheme), Some(key)) => Some((source, Lock { scheme, key })),
        _ => None,
    })
}

/// What names a delivery, and whether the same one always has the same name.
fn id<'a>(
    scheme: &Signature,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> ApiResult<(String, bool)> {
    if let Some(name) = &scheme.delivery_header {
        let fits = |id: &&str| {
            !id.is_empty() && id.len() <= MOST_ID && id.bytes().all(|b| b.is_ascii_graphic())
        };
        return match header(name).filter(fits) {
            Some(id) => Ok((id.to_owned(), true)),
            None => Err(ApiError::bad_request(
                "delivery-unnamed",
                format!(
                    "The header `{name}` must name the delivery, in at most {MOST_ID} visible characters"
                ),
            )),
        };
    }
    // Within the time that is allowed somebody could send it again; it is the same then.
    if let Some(time) = webhook::sent_at(scheme, &header) {
        let signed = [time.as_bytes(), b".", body].concat();
        return Ok((Digest::of(&signed).to_string(), true));
    }
    Ok((RunId::generate().to_string(), false))
}

fn unavailable(code: &'static str, detail: impl Into<String>, later: Duration) -> ApiError {
    ApiError {
        retry_after: Some(later),
        ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }
}

/// What a sender is told, so that it comes again.
pub(crate) fn refused(error: ReceiveError) -> ApiError {
    let detail = error.to_string();
    match error {
        ReceiveError::Inbox(InboxError::Full(_)) => unavailable("inbox-full", detail, SOON),
        ReceiveError::Inbox(InboxError::NoLetter(_)) => {
            ApiError::not_found("letter-not-found", detail)
        }
        ReceiveError::Stopping => unavailable("stopping", detail, SOON),
        ReceiveError::Inbox(error) => ApiError {
            cause: Some(error.into()),
            ..unavailable(
                "inbox-unusable",
                "The inbox of this source cannot be used now; the server's log says why",
                LATER,
            )
        },
        ReceiveError::Failure(failure) => ApiError {
            cause: Some(failure.into()),
            ..unavailable(
                "extract-unusable",
                "The source cannot take deliveries now; the server's log says why",
                LATER,
            )
        },
    }
}
