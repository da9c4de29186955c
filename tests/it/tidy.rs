//! The laws of the house, held by reading the sources.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Every file below these folders that ends so.
pub(crate) fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    walk(&path, extension, found);
                }
            } else if name.ends_with(extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), extension, &mut found);
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Fails with one line for every breach of a law.
#[track_caller]
pub(crate) fn assert_kept(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_source_file_says_why_it_is_there() {
    let sources = files(&["runtime", "connectors-wasm", "tests"], ".rs");
    let silent = sources.iter().filter(|path| {
        let text = read_to_string(path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        !first.starts_with("//! ") || first.len() < 20
    });
    assert_kept(
        silent
            .map(|path| format!("{} does not open with `//! `", short(path)))
            .collect(),
    );
}

#[test]
fn no_source_file_is_too_long_to_read_in_one_sitting() {
    let sources = files(&["runtime", "connectors-wasm", "tests"], ".rs");
    let lengths = sources
        .iter()
        .map(|path| (path, read_to_string(path).unwrap().lines().count()));
    let long = lengths.filter(|(path, lines)| *lines > 400 && !path.ends_with("bindings.rs"));
    assert_kept(
        long.map(|(path, lines)| format!("{} has {lines} lines", short(path)))
            .collect(),
    );
}

#[test]
fn nothing_is_left_for_later() {
    // In two parts, so that this file does not name them itself.
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["todo", "!("],
        ["unimplemented", "!("],
    ];
    let marks = marks.map(|halves| halves.concat());
    let mut sources = files(&["runtime", "connectors-wasm", "tests"], ".rs");
    sources.extend(files(&["wit"], ".wit"));
    let found = sources.iter().flat_map(|path| {
        let text = read_to_string(path).unwrap();
        let marks = marks.iter().filter(move |mark| text.contains(*mark));
        marks.map(|mark| format!("{} says {mark}", short(path)))
    });
    assert_kept(found.collect());
}

/// Who alone may depend on what, beside tests.
const OWNERS: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox"]),
    ("wasmtime-wasi", &["sandbox"]),
    ("duckdb", &["warehouse", "client"]),
    ("arrow", &["warehouse"]),
    ("parquet", &["warehouse", "client"]),
    ("axum", &["server"]),
    ("minijinja", &["server"]),
    ("reqwest", &["broker", "identity", "server"]),
    ("jsonschema", &["ingest"]),
    ("argon2", &["identity"]),
    ("governor", &["broker", "identity"]),
    ("lettre", &["identity"]),
    ("wit-bindgen", &["sdk"]),
];

/// The names below the headings of this kind, such as `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut wanted = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            wanted = heading
                .trim_end()
                .trim_end_matches(']')
                .ends_with("dependencies")
                && !heading.contains("dev-dependencies");
        } else if let (true, Some((name, _))) = (wanted, line.split_once(['.', '='])) {
            names.push(name.trim().trim_matches('"').to_owned());
        }
    }
    names
}

/// Each member's folder, its name and what it depends on.
fn members() -> Vec<(PathBuf, String, Vec<String>)> {
    let manifests = files(&["runtime", "connectors-wasm"], "Cargo.toml");
    let read = |path: PathBuf| {
        let folder = path.parent().unwrap().to_owned();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let dependencies = dependencies(&read_to_string(&path).unwrap());
        (folder, name, dependencies)
    };
    manifests.into_iter().map(read).collect()
}

#[test]
fn every_heavy_dependency_has_its_owner() {
    let mut breaches = Vec::new();
    for (_, name, dependencies) in members() {
        for (dependency, owners) in OWNERS {
            if dependencies.iter().any(|d| d == dependency) && !owners.contains(&name.as_str()) {
                breaches.push(format!(
                    "{name} depends on {dependency}, which is for {owners:?}"
                ));
            }
        }
    }
    assert_kept(breaches);
}

#[test]
fn dependencies_point_down() {
    let allowed = |name: &str| -> &[&str] {
        match name {
            "domain" => &[],
            "sandbox" | "broker" | "warehouse" | "identity" | "ingest" | "client" => &["domain"],
            "server" => &[
                "domain",
                "sandbox",
                "broker",
                "warehouse",
                "identity",
                "ingest",
            ],
            _ => &["connector-sdk"],
        }
    };
    let ours = [
        "domain",
        "sandbox",
        "broker",
        "warehouse",
        "identity",
        "ingest",
        "server",
        "client",
        "connector-sdk",
    ];
    let mut breaches = Vec::new();
    for (_, name, dependencies) in members() {
        let own = dependencies.iter().filter(|d| ours.contains(&d.as_str()));
        let wrong = own.filter(|d| !allowed(&name).contains(&d.as_str()));
        breaches.extend(wrong.map(|d| format!("{name} depends on {d}")));
        let heavy = ["tokio", "axum", "reqwest", "rustix"];
        let heavy = heavy
            .iter()
            .filter(|h| name == "domain" && dependencies.iter().any(|d| d == *h));
        breaches.extend(heavy.map(|h| format!("domain does no I/O, but depends on {h}")));
    }
    assert_kept(breaches);
}

#[test]
fn unsafe_code_is_allowed_nowhere_without_a_reason() {
    let sources = files(&["runtime", "connectors-wasm", "tests"], ".rs");
    let careless = sources.iter().filter(|path| {
        let text = read_to_string(path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        code.contains(&["allow(", "unsafe_code"].concat())
    });
    assert_kept(
        careless
            .map(|path| format!("{}: use `expect` with a reason", short(path)))
            .collect(),
    );
}

#[test]
fn every_item_of_the_connector_interface_is_documented() {
    let mut breaches = Vec::new();
    for path in files(&["wit"], ".wit") {
        let text = read_to_string(&path).unwrap();
        let mut previous = "";
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if is_wit_item(line) && !previous.starts_with("///") {
                breaches.push(format!(
                    "{}:{} `{line}` has no `///`",
                    short(&path),
                    number + 1
                ));
            }
            previous = line;
        }
    }
    assert_kept(breaches);
}

/// Whether a line begins something that an author must understand: a type, a function, a case, a field.
fn is_wit_item(line: &str) -> bool {
    let plumbing = [
        "package ", "use ", "import ", "export ", "include ", "///", "//", "}",
    ];
    !line.is_empty() && !plumbing.iter().any(|word| line.starts_with(word))
}

#[test]
fn the_map_names_every_folder_and_no_other() {
    let map = read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut breaches = Vec::new();
    for (folder, _, _) in members() {
        let name = format!("`{}`", short(&folder));
        if !map.contains(&name) {
            breaches.push(format!("ARCHITECTURE.md does not name {name}"));
        }
    }
    for word in map.split('`').skip(1).step_by(2) {
        let is_folder = word.starts_with("runtime/") || word.starts_with("connectors-wasm/");
        if is_folder && !root().join(word).exists() {
            breaches.push(format!(
                "ARCHITECTURE.md names `{word}`, which is not there"
            ));
        }
    }
    assert_kept(breaches);
}

#[test]
fn every_hostile_guest_has_a_test() {
    let guests = read_to_string(root().join("connectors-wasm/fixtures/src/lib.rs")).unwrap();
    let (_, body) = guests.split_once("pub enum Behaviour {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variants = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','));
    let names: Vec<_> = variants.map(snake).collect();
    assert!(names.len() > 10, "{names:?}");
    let tests = files(&["tests/it"], ".rs")
        .into_iter()
        .map(|path| read_to_string(path).unwrap());
    let tests = tests.collect::<String>();
    let untested = names
        .iter()
        .filter(|name| !tests.contains(&format!("\"{name}\"")));
    assert_kept(
        untested
            .map(|name| format!("no test runs `{name}`"))
            .collect(),
    );
}

fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}
