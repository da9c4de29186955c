//! Fetches DuckDB's extensions for an operator: from DuckDB's own repository where it can be reached,
//! else from a Python package index, whose wheels carry the same signed files.

mod index;

use std::io::Read as _;
use std::time::Duration;

use domain::Digest;
use reqwest::{Client, StatusCode};
use thiserror::Error;
use url::Url;
use warehouse::extensions::{DUCKDB_VERSION, file_of, platform};

use index::Wheel;

/// DuckDB's own repository.
pub(crate) const REPOSITORY: &str = "https://extensions.duckdb.org";
/// The public package index of Python.
pub(crate) const INDEX: &str = "https://pypi.org/simple";

/// The most bytes of a download, and of what is unpacked from it.
const MOST_BYTES: usize = 256 << 20;
/// The most bytes of a page of an index.
const MOST_PAGE: usize = 16 << 20;
/// To find out that the first place cannot be reached, while the second can.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(600);

/// Why an extension could not be had.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// No answer.
    #[error("`{0}` cannot be reached")]
    Unreached(String, #[source] reqwest::Error),
    /// Another answer than the file.
    #[error("`{0}` answers with {1}")]
    Status(String, StatusCode),
    /// More than a file of this kind has.
    #[error("`{0}` sends more than {1} bytes")]
    TooLarge(String, usize),
    /// The index has no such package, or none for this machine.
    #[error("the index has no file of version {DUCKDB_VERSION} of `{0}` for this machine")]
    NotThere(String),
    /// The bytes are not those that the index promised.
    #[error("`{0}` is not the file that the index names: its sha256 is another")]
    Digest(String),
    /// It cannot be unpacked.
    #[error("`{0}` cannot be unpacked: {1}")]
    Archive(String, String),
    /// It is not an address.
    #[error("`{0}` is not an address that begins with https:// or http://")]
    Address(String),
}

/// Where extensions come from.
#[derive(Debug)]
pub(crate) struct Origin {
    client: Client,
    repository: Option<Url>,
    index: Url,
}

impl Origin {
    /// An empty repository is none.
    pub(crate) fn new(repository: &str, index: &str) -> Result<Self, FetchError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| FetchError::Unreached(shown(index), error))?;
        let repository = match repository {
            "" => None,
            text => Some(address(text)?),
        };
        Ok(Self {
            client,
            repository,
            index: address(index)?,
        })
    }

    /// The bytes of an extension, and where they came from.
    pub(crate) async fn fetch(&self, name: &str) -> Result<(Vec<u8>, String), FetchError> {
        let file = file_of(name).map_err(|_| FetchError::NotThere(name.to_owned()))?;
        if let Some(repository) = &self.repository {
            match self.repository_file(repository, file).await {
                Ok(bytes) => return Ok((bytes, "DuckDB's repository".to_owned())),
                Err(error) => tracing::debug!(%error, "DuckDB's repository has not answered"),
            }
        }
        let package = format!("duckdb-extension-{}", file.replace('_', "-"));
        let bytes = self.index_file(&package, file).await?;
        Ok((
            bytes,
            format!("the Python package {package} {DUCKDB_VERSION}"),
        ))
    }

    async fn repository_file(&self, repository: &Url, file: &str) -> Result<Vec<u8>, FetchError> {
        let place = platform();
        let url = below(
            repository,
            &format!("v{DUCKDB_VERSION}/{place}/{file}.duckdb_extension.gz"),
        )?;
        let packed = self.get(&url, MOST_BYTES).await?;
        let unpack = flate2::read::GzDecoder::new(packed.as_slice());
        all(unpack).map_err(|reason| FetchError::Archive(shown(url.as_str()), reason))
    }

    async fn index_file(&self, package: &str, file: &str) -> Result<Vec<u8>, FetchError> {
        let page = below(&self.index, &format!("{package}/"))?;
        let text = self.get(&page, MOST_PAGE).await?;
        let wheels = index::wheels(&page, &String::from_utf8_lossy(&text));
        let fitting = wheels.into_iter().find(|wheel| wheel.fits(DUCKDB_VERSION));
        let missing = || FetchError::NotThere(package.to_owned());
        let Wheel { url, sha256, .. } = fitting.ok_or_else(missing)?;
        let bytes = self.get(&url, MOST_BYTES).await?;
        if Digest::of(&bytes) != sha256 {
            return Err(FetchError::Digest(shown(url.as_str())));
        }
        let unpacked = from_wheel(&bytes, file);
        unpacked.map_err(|reason| FetchError::Archive(shown(url.as_str()), reason))
    }

    async fn get(&self, url: &Url, most: usize) -> Result<Vec<u8>, FetchError> {
        let failed =
            |error: reqwest::Error| FetchError::Unreached(shown(url.as_str()), error.without_url());
        let mut answer = self.client.get(url.clone()).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(shown(url.as_str()), answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > most {
                return Err(FetchError::TooLarge(shown(url.as_str()), most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The one extension in a wheel.
fn from_wheel(bytes: &[u8], file: &str) -> Result<Vec<u8>, String> {
    let mut wheel = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let ending = format!("/v{DUCKDB_VERSION}/{file}.duckdb_extension");
    let name = wheel
        .file_names()
        .find(|name| name.ends_with(&ending))
        .map(str::to_owned);
    let name = name.ok_or_else(|| format!("it holds no `{file}.duckdb_extension`"))?;
    all(wheel.by_name(&name).map_err(|e| e.to_string())?)
}

fn all(from: impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64;
    let read = from.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    match bytes.len() <= MOST_BYTES {
        true => Ok(bytes),
        false => Err(format!("it is larger than {most} bytes")),
    }
}

fn address(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http"));
    url.ok_or_else(|| FetchError::Address(shown(text)))
}

fn below(base: &Url, path: &str) -> Result<Url, FetchError> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    address(&text)
}

/// An address without what may be secret in it: an index of a company may want a password.
fn shown(url: &str) -> String {
    match Url::parse(url).ok().filter(Url::has_host) {
        Some(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        None => url.split('@').next_back().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_an_index_is_not_shown() {
        assert_eq!(
            shown("https://me:canary@pypi.example.com/simple"),
            "https://pypi.example.com/simple"
        );
        assert!(!shown("me:canary@x").contains("canary"));
        assert!(matches!(
            address("file:///etc/passwd"),
            Err(FetchError::Address(_))
        ));
    }

    #[test]
    fn what_is_no_wheel_is_refused() {
        assert!(from_wheel(b"garbage", "fts").is_err());
    }
}
