//! Names that people and connectors choose, valid by construction.
//!
//! Each name becomes a folder, an SQL identifier or a part of a URL, so whoever holds one of these
//! types need not ask again whether it is safe there.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{shown}` is not a valid {what}: use {rule}")]
pub struct NameError {
    shown: String,
    what: &'static str,
    rule: &'static str,
}

fn shorten(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn is_identifier(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_kebab(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What a table's name is called.
const TABLE: &str = "table name";

const NOT_THE_HOSTS: &str =
    "another: `_meta`, `_remote_attach` and what begins with `_sluice` are the host's own";

/// Whether a table of this name would stand beside the host's own in an extract.
fn is_the_hosts(text: &str) -> bool {
    let folded = text.to_ascii_lowercase();
    ["_meta", "_remote_attach"].contains(&folded.as_str()) || folded.starts_with("_sluice")
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $test:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Takes a text that follows the rule of this kind of name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let fault = |rule| NameError { shown: shorten(text), what: $what, rule };
                if !$test(text) {
                    return Err(fault($rule));
                }
                if $what == TABLE && is_the_hosts(text) {
                    return Err(fault(NOT_THE_HOSTS));
                }
                Ok(Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// A configured instance of a connector; also the name of its extract's folder.
    SourceName, "source name", is_identifier,
    "a letter or underscore, then letters, digits and underscores, at most 64"
);
name!(
    /// A table as people query it.
    TableName, "table name", is_identifier,
    "a letter or underscore, then letters, digits and underscores, at most 64"
);
name!(
    /// The name of an attached remote database.
    Alias, "alias", is_identifier,
    "a letter or underscore, then letters, digits and underscores, at most 64"
);
name!(
    /// A kind of integration.
    ConnectorName, "connector name", is_kebab,
    "a lower-case letter, then lower-case letters, digits and hyphens, at most 64"
);
name!(
    /// A place in the manifest for a credential.
    SlotName, "credential slot", is_kebab,
    "a lower-case letter, then lower-case letters, digits and hyphens, at most 64"
);

impl TableName {
    /// The name as it is compared: two names that differ in case only are the same table to SQL.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        for text in [
            "", ".", "..", "../x", "a/b", "a b", "1a", "ä", "a\0", "a\"b", "a;b",
        ] {
            assert!(SourceName::parse(text).is_err(), "{text:?}");
        }
        assert!(SourceName::parse(&"a".repeat(65)).is_err());
        assert_eq!(SourceName::parse("Orders_2").unwrap().as_str(), "Orders_2");
    }

    #[test]
    fn a_table_has_no_name_of_the_host_s_own() {
        for text in [
            "_meta",
            "_META",
            "_remote_attach",
            "_sluice_file",
            "_Sluice_x",
        ] {
            let error = TableName::parse(text).unwrap_err().to_string();
            assert!(error.contains("the host's own"), "{error}");
        }
        for text in ["meta", "_metadata", "sluice", "_x"] {
            assert!(TableName::parse(text).is_ok(), "{text}");
        }
        assert!(SourceName::parse("_meta").is_ok());
    }

    #[test]
    fn a_connector_name_is_kebab_case() {
        assert!(ConnectorName::parse("google-ads").is_ok());
        for text in ["Google", "a_b", "-a", "a-", ""] {
            assert!(ConnectorName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_error_says_what_to_use() {
        let error = TableName::parse("no spaces").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no spaces` is not a valid table name: use a letter or underscore, then letters, digits and underscores, at most 64"
        );
    }
}
