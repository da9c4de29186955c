//! What a changed, revoked or unknown component meets.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::Publisher;
use sandbox::artifact::SigningKey;
use serde_json::json;
use warehouse::Paths;

use super::*;

/// A folder, a state that trusts one publisher, and a compiler that only counts.
struct Fixture {
    folder: tempfile::TempDir,
    state: Arc<State>,
    key: SigningKey,
    compilations: Arc<AtomicUsize>,
}

fn entry() -> warehouse::AuditEntry {
    warehouse::AuditEntry::new("test")
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        paths.create().unwrap();
        let state = Arc::new(State::open(&paths).unwrap());
        let key = SigningKey::generate();
        let publisher = Publisher {
            name: "acme".into(),
            public_key: key.public_hex(),
            added_at: Timestamp::now(),
        };
        state.add_publisher(&publisher, &entry()).unwrap();
        Self {
            folder,
            state,
            key,
            compilations: Arc::default(),
        }
    }

    fn store(&self, engine: &str) -> ComponentStore {
        let counter = self.compilations.clone();
        let compiler: Compiler = Box::new(move |bytes| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok([b"compiled ", bytes].concat())
        });
        let folder = self.folder.path().join("connectors");
        ComponentStore::open(self.state.clone(), folder, engine.into(), compiler).unwrap()
    }

    fn signed(&self) -> Vec<u8> {
        artifact::sign(&component(), &self.key).unwrap()
    }

    fn compilations(&self) -> usize {
        self.compilations.load(Ordering::Relaxed)
    }
}

/// The smallest component that has a manifest and the export.
fn component() -> Vec<u8> {
    component_with(&json!({}))
}

/// The same with this schema of its settings.
fn component_with(settings: &serde_json::Value) -> Vec<u8> {
    let text = r#"(component (instance $i) (export "sluice:connector/pull@0.1.0" (instance $i)))"#;
    let manifest = json!({"wit": "0.1.0", "name": "files", "version": "1.0.0", "title": "Files",
        "description": "", "worlds": ["source"], "settings": settings})
    .to_string();
    let name = domain::manifest::SECTION;
    let mut section = vec![u8::try_from(name.len()).unwrap()];
    section.extend(name.bytes().chain(manifest.bytes()));
    let mut bytes = wat::parse_str(text).unwrap();
    let length = section.len();
    // A custom section: its number, its length in two groups of seven bits, its content.
    bytes.extend([0, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
    bytes.extend(section);
    bytes
}

#[test]
fn a_signed_component_is_taken_in_once_and_runs_when_it_is_trusted() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let bytes = fixture.signed();
    let version = store.upload(&bytes).unwrap();
    assert_eq!(
        (version.publisher.as_str(), version.trusted),
        ("acme", false)
    );
    assert_eq!(
        store.upload(&bytes).unwrap().uploaded_at,
        version.uploaded_at
    );
    assert_eq!(fixture.compilations(), 1);

    let error = store.load(&version).unwrap_err();
    assert!(error.message.contains("not trusted"), "{error}");
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    let component = store.load(&version).unwrap();
    let compiled = std::fs::read(component.compiled).unwrap();
    assert_eq!(Digest::of(&compiled), component.compiled_digest);
    assert_eq!(fixture.compilations(), 1);

    fixture
        .state
        .set_trusted(&version.digest, false, &entry())
        .unwrap();
    assert!(store.load(&version).is_err());
}

#[test]
fn unsigned_foreign_and_altered_components_are_refused_and_leave_nothing_behind() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let foreign = artifact::sign(&component(), &SigningKey::generate()).unwrap();
    let mut altered = fixture.signed();
    *altered.last_mut().unwrap() ^= 1;
    let signed = fixture.signed();
    let cut = &signed[..signed.len() - 1];
    for bytes in [
        component().as_slice(),
        &foreign,
        &altered,
        cut,
        b"",
        b"not wasm",
    ] {
        let error = store.upload(bytes).unwrap_err();
        assert!(matches!(error, UploadError::Refused(_)), "{error}");
    }
    assert_eq!(fixture.state.versions().unwrap(), []);
    assert_eq!(fixture.compilations(), 0);
    let files = std::fs::read_dir(fixture.folder.path().join("connectors")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["compiled"]);
}

#[test]
fn a_component_that_was_changed_on_disk_does_not_run() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let version = store.upload(&fixture.signed()).unwrap();
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    let file = store.file(&version.digest);
    std::fs::write(&file, component()).unwrap();
    let error = store.load(&version).unwrap_err();
    assert!(error.message.contains("changed on disk"), "{error}");
    std::fs::remove_file(&file).unwrap();
    assert!(store.load(&version).is_err());
}

#[test]
fn what_a_publisher_signed_ends_with_the_trust_in_it() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let version = store.upload(&fixture.signed()).unwrap();
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    fixture.state.remove_publisher("acme", &entry()).unwrap();
    let error = store.load(&version).unwrap_err();
    assert!(error.message.contains("not trusted here"), "{error}");
}

#[test]
fn another_engine_compiles_anew_and_records_it() {
    let fixture = Fixture::new();
    let version = fixture.store("engine 1").upload(&fixture.signed()).unwrap();
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    let newer = fixture.store("engine 2");
    newer.load(&version).unwrap();
    newer.load(&version).unwrap();
    assert_eq!(fixture.compilations(), 2);
    let recorded = fixture.state.version(&version.digest).unwrap().unwrap();
    assert_eq!(recorded.compiled.unwrap().engine, "engine 2");
}

#[test]
fn runs_that_find_another_engine_at_the_same_time_compile_once() {
    let fixture = Fixture::new();
    let version = fixture.store("engine 1").upload(&fixture.signed()).unwrap();
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    let newer = fixture.store("engine 2");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| newer.load(&version).unwrap());
        }
    });
    assert_eq!(fixture.compilations(), 2);
}

#[test]
fn the_same_upload_again_heals_what_was_altered_or_lost_on_disk() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let bytes = fixture.signed();
    let version = store.upload(&bytes).unwrap();
    fixture
        .state
        .set_trusted(&version.digest, true, &entry())
        .unwrap();
    let compiled = store.load(&version).unwrap().compiled;
    std::fs::write(&compiled, b"altered").unwrap();
    std::fs::remove_file(store.file(&version.digest)).unwrap();
    assert!(store.load(&version).is_err());
    store.upload(&bytes).unwrap();
    let component = store.load(&version).unwrap();
    assert!(holds(&component.compiled, component.compiled_digest));
    assert_eq!(fixture.compilations(), 2);
}

#[test]
fn a_manifest_whose_settings_could_not_be_checked_is_refused_with_the_place() {
    let fixture = Fixture::new();
    let broken = component_with(&json!({"properties": {"a": {"type": "nonsense"}}}));
    let signed = artifact::sign(&broken, &fixture.key).unwrap();
    let error = fixture.store("engine 1").upload(&signed).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("at /settings/properties/a/type"), "{told}");
    assert_eq!(fixture.compilations(), 0);
}

#[test]
fn a_collection_takes_what_nothing_needs_and_files_that_no_version_names() {
    let fixture = Fixture::new();
    let store = fixture.store("engine 1");
    let upload = |number: u32| {
        let bytes = component_with(&json!({"minProperties": number}));
        let signed = artifact::sign(&bytes, &fixture.key).unwrap();
        let version = store.upload(&signed).unwrap();
        fixture
            .state
            .set_trusted(&version.digest, true, &entry())
            .unwrap();
        version
    };
    let (pinned, idle, newest) = (upload(0), upload(1), upload(2));
    let source = domain::Source {
        name: "shop".parse().unwrap(),
        connector: "files".parse().unwrap(),
        version: pinned.digest,
        settings: json!({}),
        granted: Default::default(),
        enabled: true,
        created_at: Timestamp::now(),
    };
    fixture.state.insert_source(&source).unwrap();
    let folder = fixture.folder.path().join("connectors");
    let stray = folder.join(format!(
        "compiled/{}.cwasm",
        Digest::of(b"of another engine")
    ));
    std::fs::write(&stray, b"12345").unwrap();
    std::fs::write(folder.join("README"), b"somebody else's").unwrap();

    let entry = |_: &Version| warehouse::AuditEntry::new("connector.collect");
    let young = store.unneeded(pinned.uploaded_at).unwrap();
    assert_eq!(young.versions, [], "what is new has its time");
    let shown = store.unneeded(Timestamp::now()).unwrap();
    let digests: Vec<_> = shown.versions.iter().map(|v| v.digest).collect();
    assert_eq!(digests, [idle.digest]);
    assert!(store.file(&idle.digest).exists(), "it was only shown");

    let taken = store.collect(Timestamp::now(), entry).unwrap();
    assert_eq!(taken.versions.len(), 1);
    assert_eq!(taken.freed_bytes, shown.freed_bytes + 5);
    assert!(!store.file(&idle.digest).exists() && !stray.exists());
    assert!(folder.join("README").exists());
    for version in [pinned, newest] {
        store.load(&version).unwrap();
    }
    assert_eq!(fixture.compilations(), 3);
}
