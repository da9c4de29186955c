//! Marketplaces: repositories that list plugins, and what was read from their lists.

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use url::Url;
use uuid::Uuid;

const MAX_URL: usize = 2000;
const MAX_WORD: usize = 2000;

/// A repository that lists plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marketplace {
    /// Names it for ever; part of the names of its plugins.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The branch to read; its usual one where none is named.
    pub branch: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The environment variable that holds the token for it. Never the token.
    pub token_env: Option<String>,
    /// Who added it.
    pub registered_by: Option<Uuid>,
    /// When it was added.
    pub registered_at: Timestamp,
    /// When its plugins were read last.
    pub last_synced_at: Option<Timestamp>,
}

/// A plugin that a marketplace lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// Unique in its marketplace.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who wrote it.
    pub author_name: Option<String>,
    /// Where to read about it.
    pub homepage: Option<String>,
    /// What it belongs to.
    pub category: Option<String>,
    /// `path` for one that lies in the repository, or the kind that its source names.
    pub source_type: String,
    /// Where it is, as the list says.
    pub source_spec: Value,
    /// The whole entry of the list.
    pub raw: Value,
}

/// Why a marketplace or a plugin is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MarketplaceError {
    /// The short name is none.
    #[error("slug must match [a-z0-9][a-z0-9_-]{{0,63}} (1-64 chars, start with alnum)")]
    Slug,
    /// It could be read by anybody on the way.
    #[error("url must start with https://")]
    NotHttps,
    /// It is no URL of a repository.
    #[error(
        "url must name a host, and be a URL of at most 2000 bytes without a query or a fragment"
    )]
    Url,
    /// A secret would be stored and shown.
    #[error(
        "url must hold no user name and no password; name the variable with the token as token_env"
    )]
    Credentials,
    /// The variable's name is none.
    #[error(
        "token_env must be the name of an environment variable: A-Z, 0-9 and _, not the token itself"
    )]
    Variable,
    /// The branch's name is none.
    #[error(
        "branch must be the name of a branch: letters, digits and . _ - /, not beginning with -"
    )]
    Branch,
    /// An entry of a list has no name that a plugin can have.
    #[error("each plugin needs a name of letters, digits and . _ -, which no other has")]
    PluginName,
}

/// Checks the short name of a marketplace.
///
/// # Errors
/// [`MarketplaceError::Slug`].
pub fn check_slug(slug: &str) -> Result<(), MarketplaceError> {
    let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_next = |c: char| is_first(c) || c == '_' || c == '-';
    match slug.len() <= 64 && slug.starts_with(is_first) && slug.chars().all(is_next) {
        true => Ok(()),
        false => Err(MarketplaceError::Slug),
    }
}

/// Checks where a marketplace is: encrypted on the way, and nothing secret in it.
///
/// # Errors
/// [`MarketplaceError::NotHttps`], [`MarketplaceError::Url`], [`MarketplaceError::Credentials`].
pub fn check_url(text: &str) -> Result<(), MarketplaceError> {
    if !text.starts_with("https://") {
        return Err(MarketplaceError::NotHttps);
    }
    let url = Url::parse(text).map_err(|_| MarketplaceError::Url)?;
    // `https://@host` has an empty user name, which reads as none.
    let authority = text.split('/').nth(2).unwrap_or_default();
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(MarketplaceError::Credentials);
    }
    let odd = text.chars().any(|c| c.is_control() || c.is_whitespace());
    let whole = url.query().is_none() && url.fragment().is_none() && url.has_host();
    match whole && !odd && text.len() <= MAX_URL {
        true => Ok(()),
        false => Err(MarketplaceError::Url),
    }
}

/// Checks that this names a variable, so that nobody stores a token in its place.
///
/// # Errors
/// [`MarketplaceError::Variable`].
pub fn check_variable(name: &str) -> Result<(), MarketplaceError> {
    let is_first = |c: char| c.is_ascii_uppercase() || c == '_';
    let is_next = |c: char| is_first(c) || c.is_ascii_digit();
    match name.len() <= 128 && name.starts_with(is_first) && name.chars().all(is_next) {
        true => Ok(()),
        false => Err(MarketplaceError::Variable),
    }
}

/// Checks the name of a branch. One that begins with `-` would be an option to git.
///
/// # Errors
/// [`MarketplaceError::Branch`].
pub fn check_branch(name: &str) -> Result<(), MarketplaceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let named = !name.is_empty() && name.len() <= 200 && !name.starts_with('-');
    match named && !name.contains("..") && name.chars().all(plain) {
        true => Ok(()),
        false => Err(MarketplaceError::Branch),
    }
}

impl Plugin {
    /// From an entry of `plugins` in a marketplace's list.
    ///
    /// # Errors
    /// [`MarketplaceError::PluginName`].
    pub fn from_entry(raw: &Value) -> Result<Self, MarketplaceError> {
        let name = raw["name"].as_str().unwrap_or_default();
        if !is_plugin_name(name) {
            return Err(MarketplaceError::PluginName);
        }
        let word = |value: &Value| {
            let text = value.as_str().filter(|text| text.len() <= MAX_WORD);
            text.map(str::to_owned)
        };
        let source = &raw["source"];
        let source_type = match source.is_string() {
            true => Some("path".to_owned()),
            false => word(&source["source"]),
        };
        Ok(Self {
            name: name.to_owned(),
            description: word(&raw["description"]),
            version: word(&raw["version"]),
            author_name: word(&raw["author"]["name"]),
            homepage: word(&raw["homepage"]),
            category: word(&raw["category"]),
            source_type: source_type.unwrap_or_else(|| "unknown".to_owned()),
            source_spec: source.clone(),
            raw: raw.clone(),
        })
    }
}

fn is_plugin_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric();
    name.len() <= 128 && name.starts_with(first) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_encrypted_urls_without_secrets_are_taken() {
        check_url("https://git.example.com/team/plugins.git").unwrap();
        check_url("https://git.example.com:8443/a@b").unwrap();
        for (url, why) in [
            ("http://git.example.com/a", MarketplaceError::NotHttps),
            ("ssh://git@example.com/a", MarketplaceError::NotHttps),
            (
                "https://x:secret@example.com/a",
                MarketplaceError::Credentials,
            ),
            ("https://token@example.com/a", MarketplaceError::Credentials),
            ("https://@example.com/a", MarketplaceError::Credentials),
            ("https://example.com/a?token=secret", MarketplaceError::Url),
            ("https://example.com/a#b", MarketplaceError::Url),
            ("https://example.com/a\nb", MarketplaceError::Url),
            ("https://", MarketplaceError::Url),
        ] {
            assert_eq!(check_url(url), Err(why), "{url}");
        }
    }

    #[test]
    fn slugs_variables_and_branches_are_names_and_nothing_else() {
        let ok = [
            check_slug("0a_-"),
            check_variable("PLUGINS_TOKEN_2"),
            check_branch("release/1.2"),
        ];
        assert_eq!(ok, [Ok(()); 3]);
        for slug in ["", "-a", "A", "a/b", &"a".repeat(65)] {
            assert!(check_slug(slug).is_err(), "{slug}");
        }
        for name in ["", "ghp_abc123", "9A", "A B", "$A"] {
            assert!(check_variable(name).is_err(), "{name}");
        }
        for name in ["", "--upload-pack=x", "a..b", "a b", "a:b"] {
            assert!(check_branch(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_entry_becomes_a_plugin_by_what_its_source_is() {
        let raw = json!({"name": "sql-help", "version": "1.0", "author": {"name": "Ada"}, "source": "./sql"});
        let plugin = Plugin::from_entry(&raw).unwrap();
        assert_eq!(plugin.source_type, "path");
        assert_eq!(plugin.author_name.as_deref(), Some("Ada"));
        assert_eq!(plugin.raw, raw);
        let kind = |source| {
            Plugin::from_entry(&json!({"name": "a", "source": source}))
                .unwrap()
                .source_type
        };
        assert_eq!(kind(json!({"source": "github"})), "github");
        assert_eq!(kind(json!(7)), "unknown");
        for name in [
            json!(null),
            json!(7),
            json!(""),
            json!("../a"),
            json!("a/b"),
        ] {
            assert!(Plugin::from_entry(&json!({"name": name})).is_err());
        }
    }
}
