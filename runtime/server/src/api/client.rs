//! `/cli`: the analyst's client, for everybody to have. There is nothing secret in it, and whoever installs it has no token yet.

use axum::Json;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::data::file::Opened;
use crate::app::{App, AppState, blocking};
use crate::clients::{NAME, Offered, PLATFORM};
use crate::error::{ApiError, ApiResult};

const DOWNLOAD: &str = "/cli/download";
const INSTALLER: &str = include_str!("client/install.sh");

/// The client that can be had here. All is null where there is none.
#[derive(Serialize, ToSchema)]
pub(crate) struct Latest {
    /// Its version, which is the server's.
    version: Option<&'static str>,
    /// Always null: the predecessor offered a Python wheel.
    wheel_filename: Option<String>,
    /// Where it is.
    download_url_path: Option<&'static str>,
    /// What it runs on, such as `linux-x86_64`.
    platform: Option<String>,
    size_bytes: Option<u64>,
    sha256: Option<String>,
}

/// Says which client can be had here.
#[utoipa::path(get, path = "/cli/latest", tag = "client", security(()),
    responses((status = 200, body = Latest)))]
pub(crate) async fn get_latest(app: AppState) -> ApiResult<Json<Latest>> {
    let offered = blocking(move || app.clients.offered().map_err(ApiError::internal)).await?;
    let is_there = offered.is_some();
    let (size_bytes, sha256) = offered.map(|it| (it.size, it.sha256)).unzip();
    Ok(Json(Latest {
        version: is_there.then_some(env!("CARGO_PKG_VERSION")),
        wheel_filename: None,
        download_url_path: is_there.then_some(DOWNLOAD),
        platform: is_there.then(platform),
        size_bytes,
        sha256,
    }))
}

fn platform() -> String {
    let (os, arch) = PLATFORM;
    format!("{os}-{arch}")
}

fn client(app: &App) -> ApiResult<Offered> {
    let offered = app.clients.offered().map_err(ApiError::internal)?;
    offered.ok_or_else(|| {
        ApiError::not_found(
            "client-missing",
            "This server has no client to offer. Put `da` of the same release beside `sluice`, or name it in clients.path",
        )
    })
}

/// Downloads the client.
#[utoipa::path(get, path = "/cli/download", tag = "client", security(()),
    params(("Range" = Option<String>, Header, description = "A part of the file")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part that was asked for"), (status = 304, description = "You have it"),
        (status = 404, description = "There is none")))]
pub(crate) async fn download_client(app: AppState, headers: HeaderMap) -> ApiResult<Response> {
    let opened = blocking(move || {
        let offered = client(&app)?;
        Opened::open(&offered.path, Some(&offered.sha256)).map_err(ApiError::internal)
    });
    let mut response = opened.await?.answer(&headers)?;
    let name = format!("attachment; filename=\"{NAME}\"");
    let name = HeaderValue::from_str(&name).map_err(ApiError::internal)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, name);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// A script that installs the client: `curl -fsSL SERVER/cli/install.sh | sh`.
#[utoipa::path(get, path = "/cli/install.sh", tag = "client", security(()),
    responses((status = 200, content_type = "text/plain", body = String),
        (status = 404, description = "There is no client"), (status = 409, description = "The server's address does not fit into a script")))]
pub(crate) async fn get_installer(app: AppState) -> ApiResult<Response> {
    let script = blocking(move || {
        let offered = client(&app)?;
        script(app.url(), &platform(), &offered.sha256)
    });
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, script.await?).into_response())
}

/// The address is the configured one, never the request's: a script must not fetch from a host of a stranger's choice.
fn script(url: &str, platform: &str, sha256: &str) -> ApiResult<String> {
    let url = url.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-[]:/".contains(c);
    let is_web = url.starts_with("http://") || url.starts_with("https://");
    if !is_web || !url.chars().all(is_plain) {
        return Err(ApiError::conflict(
            "url-unfit",
            "Unexpected server URL format: http.public_url has characters that are not put into a script",
        ));
    }
    let script = INSTALLER.replace("@SERVER@", url);
    Ok(script
        .replace("@PLATFORM@", platform)
        .replace("@SHA256@", sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_end_a_quote_is_not_put_into_the_script() {
        let text = script("https://data.example.com:8443/a/", "linux-x86_64", "ab").unwrap();
        assert!(text.contains("server='https://data.example.com:8443/a'\n"));
        assert!(!text.contains('@'), "{text}");
        for url in [
            "https://a/';rm -rf ~;'",
            "https://a/$(x)",
            "ftp://a",
            "",
            "https://a/\n",
        ] {
            assert_eq!(
                script(url, "p", "s").unwrap_err().code,
                "url-unfit",
                "{url}"
            );
        }
    }
}
