//! Builds a connector in Python or JavaScript: its language's own tool makes the component, with the interface and a
//! small SDK that this program carries along.
//!
//! The tools are `componentize-py` and `componentize-js` unless `SLUICE_COMPONENTIZE_PY` and `SLUICE_COMPONENTIZE_JS`
//! name others.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{ArtifactError, with_manifest};

macro_rules! wit {
    // A file of the interface with its name.
    ($name:literal) => {
        (
            concat!($name, ".wit"),
            include_str!(concat!("../../../../wit/v0.1.0/", $name, ".wit")),
        )
    };
}

/// The connector interface, a file an interface.
const WIT: &[(&str, &str)] = &[
    wit!("complete"),
    wit!("cursors"),
    wit!("describe"),
    wit!("http"),
    wit!("pull"),
    wit!("receive"),
    wit!("remote"),
    wit!("run"),
    wit!("tables"),
    wit!("types"),
    wit!("worlds"),
];

/// A language whose tool makes components of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
}

impl Language {
    /// What the folder is written in, where it is one of these.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        [Self::Python, Self::JavaScript]
            .into_iter()
            .find(|language| folder.join(language.main()).is_file())
    }

    fn main(self) -> &'static str {
        match self {
            Self::Python => "app.py",
            Self::JavaScript => "app.js",
        }
    }

    fn sdk(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => (
                "sluice.py",
                include_str!("../../../../connectors-wasm/sdk/python/sluice.py"),
            ),
            Self::JavaScript => (
                "sluice.js",
                include_str!("../../../../connectors-wasm/sdk/javascript/sluice.js"),
            ),
        }
    }

    fn tool(self) -> OsString {
        let (variable, usual) = match self {
            Self::Python => ("SLUICE_COMPONENTIZE_PY", "componentize-py"),
            Self::JavaScript => ("SLUICE_COMPONENTIZE_JS", "componentize-js"),
        };
        let named = env::var_os(variable).filter(|name| !name.is_empty());
        named.unwrap_or_else(|| usual.into())
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Python => {
                "install it with `python3 -m pip install componentize-py==0.25.0`, or name it in SLUICE_COMPONENTIZE_PY"
            }
            Self::JavaScript => {
                "install it with `npm install --global @bytecodealliance/componentize-js \
                 @bytecodealliance/preview2-shim`, or name it in SLUICE_COMPONENTIZE_JS"
            }
        }
    }
}

/// Builds the connector in `folder` with this manifest.
pub(super) fn build(
    language: Language,
    folder: &Path,
    manifest: &[u8],
) -> Result<Vec<u8>, ArtifactError> {
    let failed = |error: io::Error| {
        ArtifactError::Build(format!("the folder of the build cannot be used: {error}"))
    };
    let place = tempfile::tempdir().map_err(failed)?;
    lay_out(language, folder, place.path()).map_err(failed)?;
    let mut command = command(language, folder, place.path());
    let status = command.status().map_err(|error| {
        let tool = command.get_program().to_string_lossy().into_owned();
        ArtifactError::Build(format!(
            "cannot start `{tool}`: {error}; {}",
            language.advice()
        ))
    })?;
    if !status.success() {
        let tool = command.get_program().to_string_lossy();
        let what = format!("`{tool}` failed, see its messages above");
        return Err(ArtifactError::Build(what));
    }
    let component = fs::read(place.path().join("out.wasm")).map_err(failed)?;
    with_manifest(component, manifest)
}

/// The interface and the SDK; for JavaScript the sources too, since its modules are found beside each other.
fn lay_out(language: Language, folder: &Path, place: &Path) -> io::Result<()> {
    fs::create_dir(place.join("wit"))?;
    for (name, text) in WIT {
        fs::write(place.join("wit").join(name), text)?;
    }
    fs::create_dir(place.join("source"))?;
    if language == Language::JavaScript {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if let (Some(name), Some("js")) = (
                path.file_name(),
                path.extension().and_then(|ending| ending.to_str()),
            ) {
                fs::copy(&path, place.join("source").join(name))?;
            }
        }
    }
    let (name, text) = language.sdk();
    fs::write(place.join("source").join(name), text)
}

fn command(language: Language, folder: &Path, place: &Path) -> Command {
    let mut command = Command::new(language.tool());
    command.stdin(Stdio::null());
    // What the tool says is for people, and this process's output may be for programs.
    command.stdout(io::stderr());
    match language {
        Language::Python => {
            command.current_dir(folder).arg("--wit-path");
            command.arg(place.join("wit")).args(["--world", "source"]);
            command.args(["componentize", "app", "--python-path"]);
            command.arg(folder).arg("--python-path");
            command.arg(place.join("source"));
            command.arg("--output").arg(place.join("out.wasm"));
        }
        Language::JavaScript => {
            command.current_dir(place.join("source")).arg("app.js");
            command.arg("--wit").arg(place.join("wit"));
            command.args(["--world-name", "source"]);
            // Requests go through the host's own interface; what is not imported cannot be refused.
            command.args(["--disable", "http", "--disable", "fetch-event"]);
            command.arg("--out").arg(place.join("out.wasm"));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_carried_along_as_a_whole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let carried: Vec<_> = WIT.iter().map(|(name, _)| *name).collect();
        assert_eq!(carried, files);
    }

    #[test]
    fn a_folder_is_written_in_the_language_of_its_main_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Language::of(folder.path()), None);
        fs::write(folder.path().join("app.js"), "").unwrap();
        assert_eq!(Language::of(folder.path()), Some(Language::JavaScript));
    }
}
