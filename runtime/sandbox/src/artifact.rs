//! What a connector file is: a component, its manifest in one custom section, a publisher's signature in another.
//!
//! Nothing here runs or compiles anything. The bytes are hostile: sizes are bounded and only the outermost sections are
//! read.

use domain::manifest::{Manifest, WIT_VERSIONS};
use domain::{Digest, manifest};
use serde::Serialize;
use thiserror::Error;
use wasmsign2::{CustomSection, Section as RawSection};
use wit_component::ComponentEncoder;

mod build;
mod public_key;
mod script;
mod sections;
mod sign;

pub use build::build_connector;
pub use public_key::parse_public_key;
pub use sections::Section;
pub use sign::{SigningKey, sign, verify};

/// The most bytes of a connector file: 128 MiB, several times the largest that a language runtime makes.
pub const MAX_BYTES: usize = 128 << 20;

/// WASI packages that a component may import. There is nothing behind them.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Why a connector file was refused, or could not be made.
#[derive(Debug, Error)]
pub enum ArtifactError {
    /// It is larger than any honest connector.
    #[error("the connector has {0} bytes, more than the {MAX_BYTES} that are allowed")]
    TooLarge(usize),
    /// It does not begin like WebAssembly.
    #[error("this is not a WebAssembly component: build one with `sluice connector build`")]
    NotWebAssembly,
    /// It is a core module.
    #[error(
        "this is a WebAssembly core module, not a component: build it with `sluice connector build`"
    )]
    CoreModule,
    /// It ends early, or its sections do not parse.
    #[error("the component is cut off or damaged at byte {offset}: {reason}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The manifest's section is missing, or there is more than one.
    #[error(
        "the component has {0} manifest sections instead of one: build it with `sluice connector build`"
    )]
    Manifests(usize),
    /// The manifest breaks a rule.
    #[error(transparent)]
    Manifest(#[from] manifest::ManifestError),
    /// The manifest is no object, or its version differs from the package's.
    #[error("connector.json is wrong: {0}")]
    Description(String),
    /// It was built for an interface that this host does not know.
    #[error("the component was built for version {found} of the connector interface; this host speaks {}", WIT_VERSIONS.join(", "))]
    UnknownWit {
        /// The version.
        found: String,
    },
    /// Manifest and component disagree.
    #[error(
        "the manifest says version {manifest} of the connector interface, the component uses {component}"
    )]
    WitMismatch {
        /// What the manifest says.
        manifest: String,
        /// What the component's imports and exports say.
        component: String,
    },
    /// It wants something that no host offers.
    #[error(
        "the component imports `{0}`, which connectors do not get: they have `sluice:connector` and a WASI 0.2 with nothing behind it"
    )]
    Import(String),
    /// It exports nothing that the host calls.
    #[error(
        "the component does not export `sluice:connector/pull@{0}`, so there is nothing to run"
    )]
    NoExport(String),
    /// The core module could not become a component.
    #[error("the module cannot become a component: {0}")]
    Encode(String),
    /// There is no signature.
    #[error("the component is not signed: sign it with `sluice connector sign`")]
    Unsigned,
    /// The signature covers a part of the file only.
    #[error(
        "the signature does not cover the whole component: sign it with `sluice connector sign`"
    )]
    PartlySigned,
    /// No trusted key made the signature.
    #[error(
        "the component was signed by a key that is not trusted here: have an admin add its publisher"
    )]
    UnknownKey,
    /// A trusted key signed something else.
    #[error("the component was changed after `{publisher}` signed it, or its signature is forged")]
    Tampered {
        /// Whose key the signature names.
        publisher: String,
    },
    /// A key cannot be read.
    #[error("{0}")]
    Key(String),
    /// The compiler could not be started, or failed.
    #[error("{0}")]
    Build(String),
}

/// What a connector file holds.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The sha256 of the file.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: usize,
    /// What the connector says about itself.
    pub manifest: Manifest,
    /// The versions of `sluice:connector` in its imports and exports.
    pub wit_versions: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Whether there is a signature, by whomever.
    pub signed: bool,
    /// Its outermost sections, in order.
    pub sections: Vec<Section>,
}

/// Makes a connector file of a core module, as `wit-bindgen` leaves it, and a manifest. Equal input gives equal bytes.
pub fn assemble(core_module: &[u8], manifest_json: &[u8]) -> Result<Vec<u8>, ArtifactError> {
    Manifest::parse(manifest_json)?;
    let encode = || {
        ComponentEncoder::default()
            .module(core_module)?
            .validate(true)
            .encode()
    };
    let component = encode().map_err(|error| ArtifactError::Encode(format!("{error:#}")))?;
    with_manifest(component, manifest_json)
}

/// Makes a connector file of a component and a manifest.
fn with_manifest(mut bytes: Vec<u8>, manifest_json: &[u8]) -> Result<Vec<u8>, ArtifactError> {
    Manifest::parse(manifest_json)?;
    let section = CustomSection::new(manifest::SECTION.to_owned(), manifest_json.to_vec());
    RawSection::Custom(section)
        .serialize(&mut bytes)
        .map_err(|error| ArtifactError::Encode(error.to_string()))?;
    inspect(&bytes)?;
    Ok(bytes)
}

/// Reads a connector file and checks everything that can be told without its publisher's key and without running it.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ArtifactError> {
    let found = sections::scan(bytes)?;
    let manifest = match found.manifests.as_slice() {
        [range] => Manifest::parse(bytes.get(range.clone()).unwrap_or_default())?,
        others => return Err(ArtifactError::Manifests(others.len())),
    };
    let wit_versions = wit_versions(&found);
    check_wit(&manifest.wit, &wit_versions)?;
    check_world(&manifest.wit, &found)?;
    Ok(Inspection {
        digest: Digest::of(bytes),
        size_bytes: bytes.len(),
        manifest,
        wit_versions,
        imports: found.imports,
        exports: found.exports,
        signed: found.signature.is_some(),
        sections: found.listing,
    })
}

fn wit_versions(found: &sections::Found) -> Vec<String> {
    let names = found.imports.iter().chain(&found.exports);
    let mut versions: Vec<String> = names
        .filter_map(|name| name.strip_prefix("sluice:connector/"))
        .map(|name| {
            name.split_once('@')
                .map_or("none", |(_, version)| version)
                .to_owned()
        })
        .collect();
    versions.sort();
    versions.dedup();
    versions
}

fn check_wit(manifest: &str, component: &[String]) -> Result<(), ArtifactError> {
    let mut all = component.iter().map(String::as_str).chain([manifest]);
    if let Some(found) = all.find(|version| !WIT_VERSIONS.contains(version)) {
        let found = found.chars().take(32).collect();
        return Err(ArtifactError::UnknownWit { found });
    }
    if component.iter().any(|version| version != manifest) {
        return Err(ArtifactError::WitMismatch {
            manifest: manifest.to_owned(),
            component: component.join(", "),
        });
    }
    Ok(())
}

fn check_world(wit: &str, found: &sections::Found) -> Result<(), ArtifactError> {
    let allowed = |name: &str| {
        let package = name
            .strip_prefix("wasi:")
            .and_then(|rest| rest.split('/').next());
        name.starts_with("sluice:connector/")
            || (package.is_some_and(|package| WASI.contains(&package)) && name.contains("@0.2."))
    };
    if let Some(name) = found.imports.iter().find(|name| !allowed(name)) {
        return Err(ArtifactError::Import(name.chars().take(128).collect()));
    }
    let pull = format!("sluice:connector/pull@{wit}");
    if !found.exports.contains(&pull) {
        return Err(ArtifactError::NoExport(wit.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
