//! `/api/publishers`: whose signatures are believed.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::Publisher;
use jiff::Timestamp;
use sandbox::artifact;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::shapes;
use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

const MAX_NAME: usize = 100;

/// All publishers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Publishers {
    #[schema(value_type = Vec<shapes::Publisher>)]
    publishers: Vec<Publisher>,
}

/// Lists the publishers.
#[utoipa::path(get, path = "/api/publishers", tag = "publishers",
    responses((status = 200, body = Publishers)))]
pub(crate) async fn list_publishers(app: AppState) -> ApiResult<Json<Publishers>> {
    let publishers = blocking(move || Ok(app.state().publishers()?)).await?;
    Ok(Json(Publishers { publishers }))
}

/// A publisher to trust.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewPublisher {
    /// For lists; unique.
    name: String,
    /// The ed25519 public key: 64 hexadecimal digits, a line `ssh-ed25519 AAAA…` of OpenSSH, or PEM.
    public_key: String,
}

/// Trusts a publisher.
#[utoipa::path(post, path = "/api/publishers", tag = "publishers", request_body = NewPublisher,
    responses((status = 201, body = shapes::Publisher), (status = 409, description = "The name or the key is there")))]
pub(crate) async fn create_publisher(
    by: By,
    app: AppState,
    Json(new): Json<NewPublisher>,
) -> ApiResult<(StatusCode, Json<Publisher>)> {
    let publisher = check(&new)?;
    let added = publisher.clone();
    tracing::info!(publisher = publisher.name, user = %by.user, "a publisher is being trusted");
    blocking(move || {
        let what = json!({"public_key": added.public_key});
        let entry = by.entry_with("publisher.create", on(&added.name), what);
        Ok(app.state().add_publisher(&added, &entry)?)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(publisher)))
}

/// Trusts a publisher no more.
///
/// What it signed is refused from the next run on.
#[utoipa::path(delete, path = "/api/publishers/{name}", tag = "publishers",
    params(("name" = String, Path, description = "The publisher")),
    responses((status = 204), (status = 404)))]
pub(crate) async fn delete_publisher(
    by: By,
    app: AppState,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    tracing::info!(publisher = name, user = %by.user, "a publisher is trusted no more");
    blocking(move || {
        let entry = by.entry("publisher.delete", on(&name));
        Ok(app.state().remove_publisher(&name, &entry)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn on(publisher: &str) -> String {
    format!("publisher:{publisher}")
}

fn check(new: &NewPublisher) -> ApiResult<Publisher> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "name-invalid",
            format!(
                "`name` is empty, longer than {MAX_NAME} characters, or holds control characters"
            ),
        ));
    }
    let public_key = artifact::parse_public_key(&new.public_key)
        .map_err(|error| ApiError::invalid("key-invalid", format!("`public_key`: {error}")))?;
    Ok(Publisher {
        name: name.to_owned(),
        public_key,
        added_at: Timestamp::now(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, key: &str) -> ApiResult<Publisher> {
        check(&NewPublisher {
            name: name.into(),
            public_key: key.into(),
        })
    }

    #[test]
    fn a_key_has_64_digits_and_a_publisher_has_a_name() {
        let key = "AB".repeat(32);
        assert_eq!(new(" acme ", &key).unwrap().public_key, "ab".repeat(32));
        for (name, key) in [
            ("", key.as_str()),
            ("a\nb", &key),
            ("acme", "ab"),
            ("acme", "zz"),
        ] {
            assert!(new(name, key).is_err(), "{name:?} {key:?}");
        }
    }
}
