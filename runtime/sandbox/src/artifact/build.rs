//! Builds a connector into a connector file; one in Rust has the same bytes wherever its folder lies.
//!
//! The compiler is `cargo` unless the environment names another: `SLUICE_GUEST_CARGO`, `SLUICE_GUEST_RUSTC`,
//! `SLUICE_GUEST_FLAGS` (further arguments of `cargo build`), `SLUICE_GUEST_LLD_DIR` (where `rust-lld` is) and
//! `SLUICE_GUEST_TARGET_DIR`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::script::{self, Language};
use super::{ArtifactError, assemble};

const TARGET: &str = "wasm32-unknown-unknown";

/// The profile `guest`, given here so that a connector outside of this workspace is built the same way.
const PROFILE: [&str; 6] = [
    r#"profile.guest.inherits="release""#,
    "profile.guest.opt-level=3",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    r#"profile.guest.panic="abort""#,
    "profile.guest.strip=true",
];

/// What would let the caller's environment change the bytes.
const FOREIGN: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_INCREMENTAL",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Builds the connector in `folder`, whose manifest is `connector.json`, into an unsigned connector file: a Rust package,
/// or `app.py` or `app.js`. The compiler's own messages go to this process's stderr.
pub fn build_connector(folder: &Path) -> Result<Vec<u8>, ArtifactError> {
    let folder = fs::canonicalize(folder).map_err(|error| unreadable(folder, &error))?;
    let description = folder.join("connector.json");
    let json = fs::read(&description).map_err(|error| unreadable(&description, &error))?;
    if let Some(language) = Language::of(&folder) {
        return script::build(language, &folder, &json);
    }
    let built = compile(&folder)?;
    let manifest = with_version(&json, &built.version)?;
    let module = fs::read(&built.module).map_err(|error| unreadable(&built.module, &error))?;
    assemble(&module, &manifest)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ArtifactError {
    ArtifactError::Build(format!("cannot read {}: {error}", path.display()))
}

struct Built {
    module: PathBuf,
    version: String,
}

/// One line of what `cargo build --message-format=json` prints.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn compile(folder: &Path) -> Result<Built, ArtifactError> {
    let workspace =
        output(cargo(folder)?.args(["locate-project", "--workspace", "--message-format=plain"]))?;
    let workspace = Path::new(workspace.trim())
        .parent()
        .unwrap_or(folder)
        .to_owned();
    let mut command = cargo(folder)?;
    command.args([
        "build",
        "--profile=guest",
        "--message-format=json-render-diagnostics",
    ]);
    command.arg(format!("--target={TARGET}"));
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    command.args(setting("FLAGS").to_string_lossy().split_whitespace());
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(&workspace)?);
    if let Some(target) = some_setting("TARGET_DIR") {
        command.env("CARGO_TARGET_DIR", target);
    }
    find_module(&output(&mut command)?, &folder.join("Cargo.toml"))
}

fn find_module(messages: &str, package: &Path) -> Result<Built, ArtifactError> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let built = messages
        .filter(|message: &Message| {
            message.reason == "compiler-artifact" && message.manifest_path == package
        })
        .find_map(|message| {
            let wasm = |path: &PathBuf| path.extension() == Some(OsStr::new("wasm"));
            let module = message.filenames.into_iter().find(wasm)?;
            // `…#1.2.3` or `…#name@1.2.3`
            let version = message.package_id.rsplit(['#', '@']).next()?.to_owned();
            Some(Built { module, version })
        });
    built.ok_or_else(|| {
        ArtifactError::Build(format!(
            "{} built no WebAssembly module: give it `crate-type = [\"cdylib\"]` under [lib]",
            package.display()
        ))
    })
}

fn setting(name: &str) -> OsString {
    env::var_os(format!("SLUICE_GUEST_{name}")).unwrap_or_default()
}

fn some_setting(name: &str) -> Option<OsString> {
    Some(setting(name)).filter(|value| !value.is_empty())
}

fn cargo(folder: &Path) -> Result<Command, ArtifactError> {
    let mut command = Command::new(some_setting("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for name in FOREIGN {
        command.env_remove(name);
    }
    if let Some(rustc) = some_setting("RUSTC") {
        // The flags may need what only a nightly compiler allows, such as building the standard library.
        command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    }
    if let Some(lld) = some_setting("LLD_DIR") {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(PathBuf::from(lld)).chain(env::split_paths(&path));
        let joined = env::join_paths(folders).map_err(|error| {
            ArtifactError::Build(format!("SLUICE_GUEST_LLD_DIR cannot be a path: {error}"))
        })?;
        command.env("PATH", joined);
    }
    Ok(command)
}

fn output(command: &mut Command) -> Result<String, ArtifactError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        ArtifactError::Build(format!(
            "cannot start `{program}`: {error}; install Rust, then run `rustup target add {TARGET}`"
        ))
    })?;
    if !output.status.success() {
        return Err(ArtifactError::Build(format!(
            "`{program}` failed, see its messages above; if it misses the crate `core` or `std`, run `rustup target add {TARGET}`"
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Paths end up in panic messages: every root that differs between machines gets a fixed name.
fn flags(workspace: &Path) -> Result<OsString, ArtifactError> {
    let rustc =
        some_setting("RUSTC").or_else(|| env::var_os("RUSTC").filter(|value| !value.is_empty()));
    let mut rustc = Command::new(rustc.unwrap_or_else(|| "rustc".into()));
    let sysroot = output(rustc.current_dir(workspace).args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut roots = vec![
        (workspace.to_owned(), "/connector"),
        (library.clone(), "/rustc"),
    ];
    // Debian's is a symbolic link, and the compiler may have followed it.
    roots.extend(fs::canonicalize(&library).ok().map(|real| (real, "/rustc")));
    roots.extend(home.map(|home| (home, "/cargo")));
    let mut flags = OsString::new();
    for (root, name) in roots {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(root);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

/// The manifest with the package's version, which it may leave out but not contradict.
fn with_version(json: &[u8], version: &str) -> Result<Vec<u8>, ArtifactError> {
    let wrong = |reason: String| ArtifactError::Description(reason);
    let mut manifest: Value =
        serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let fields = manifest
        .as_object_mut()
        .ok_or_else(|| wrong("it must be a JSON object".into()))?;
    match fields.get("version").and_then(Value::as_str) {
        Some(found) if found != version => {
            return Err(wrong(format!(
                "it says version {found}, Cargo.toml says {version}"
            )));
        }
        _ => fields.insert("version".into(), version.into()),
    };
    serde_json::to_vec(&manifest).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_comes_from_the_package_and_is_not_contradicted() {
        let manifest = with_version(br#"{"name":"x"}"#, "1.2.3").unwrap();
        assert_eq!(manifest, br#"{"name":"x","version":"1.2.3"}"#);
        let error = with_version(br#"{"version":"2.0.0"}"#, "1.2.3").unwrap_err();
        assert_eq!(
            error.to_string(),
            "connector.json is wrong: it says version 2.0.0, Cargo.toml says 1.2.3"
        );
    }

    #[test]
    fn the_module_is_found_among_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/sdk/Cargo.toml","package_id":"path+file:///w/sdk#0.1.0","filenames":["/t/sdk.rlib"]}"#,
            "\nnoise\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/files/Cargo.toml","package_id":"path+file:///w/a#files@1.2.3","filenames":["/t/files.rlib","/t/files.wasm"]}"#,
            "\n",
        );
        let built = find_module(messages, Path::new("/w/files/Cargo.toml")).unwrap();
        assert_eq!(
            (built.module, built.version),
            (PathBuf::from("/t/files.wasm"), "1.2.3".to_owned())
        );
        let error = find_module(messages, Path::new("/w/sdk/Cargo.toml"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("cdylib"), "{error}");
    }

    #[test]
    fn a_folder_without_a_manifest_says_which_file_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let error = build_connector(folder.path()).unwrap_err().to_string();
        assert!(error.contains("connector.json"), "{error}");
    }
}
