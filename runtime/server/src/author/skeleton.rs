//! The beginning of a connector: a folder that builds and passes the acceptance suite as it is.

use std::fs;
use std::io;
use std::path::Path;

use clap::ValueEnum;
use domain::ConnectorName;

/// What a connector can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A cargo package; small and fast
    Rust,
    /// A module for componentize-py
    Python,
    /// A module for componentize-js
    Javascript,
}

macro_rules! template {
    // Where a file goes, and the one that it is made of.
    ($path:literal, $file:literal) => {
        (
            $path,
            include_str!(concat!("../../../../connectors-wasm/templates/", $file)),
        )
    };
}

const RUST: &[(&str, &str)] = &[
    template!("Cargo.toml", "rust/Cargo.toml.txt"),
    template!("src/lib.rs", "rust/lib.rs.txt"),
    template!("connector.json", "rust/connector.json"),
    template!("recording.jsonl", "rust/recording.jsonl"),
    template!("README.md", "rust/README.md"),
];
const PYTHON: &[(&str, &str)] = &[
    template!("app.py", "python/app.py"),
    template!("connector.json", "python/connector.json"),
    template!("recording.jsonl", "python/recording.jsonl"),
    template!("README.md", "python/README.md"),
];
const JAVASCRIPT: &[(&str, &str)] = &[
    template!("app.js", "javascript/app.js"),
    template!("connector.json", "javascript/connector.json"),
    template!("recording.jsonl", "javascript/recording.jsonl"),
    template!("README.md", "javascript/README.md"),
];

impl Language {
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => RUST,
            Self::Python => PYTHON,
            Self::Javascript => JAVASCRIPT,
        }
    }
}

/// Writes a skeleton into a folder, which must not be there yet. `sdk` is the folder of the Rust SDK; without it, it
/// comes from where Sluice is published. Returns the files' names.
pub(crate) fn write(
    name: &ConnectorName,
    language: Language,
    folder: &Path,
    sdk: Option<&Path>,
) -> io::Result<Vec<&'static str>> {
    let sdk = match sdk {
        Some(path) => format!("path = {:?}", fs::canonicalize(path)?.display().to_string()),
        None => format!("git = {:?}", env!("CARGO_PKG_REPOSITORY")),
    };
    fs::create_dir(folder)?;
    for (path, text) in language.files() {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let text = text.replace("{{name}}", name.as_str());
        fs::write(target, text.replace("{{sdk}}", &sdk))?;
    }
    Ok(language.files().iter().map(|(path, _)| *path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skeleton_names_the_connector_and_never_overwrites() {
        let place = tempfile::tempdir().unwrap();
        let name = ConnectorName::parse("shop").unwrap();
        for language in [Language::Rust, Language::Python, Language::Javascript] {
            let folder = place.path().join(format!("{language:?}"));
            let files = write(&name, language, &folder, None).unwrap();
            for file in files {
                let text = fs::read_to_string(folder.join(file)).unwrap();
                assert!(!text.contains("{{"), "{file} of {language:?}");
            }
            let json = fs::read_to_string(folder.join("connector.json")).unwrap();
            assert!(json.contains(r#""name": "shop""#), "{json}");
            assert!(write(&name, language, &folder, None).is_err());
        }
    }
}
