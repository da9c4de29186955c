//! A rollback whose server died in between is ended by the next one, wherever it died.

use domain::ports::Extracts as _;
use domain::{RunId, TableSpec, WriteMode};

use super::*;

/// A data folder in which a source has read once at each of two versions, and whose rollback has begun.
struct Begun {
    folder: tempfile::TempDir,
    name: SourceName,
    first: Digest,
    pin: Pin,
}

impl Begun {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(folder.path()).unwrap();
        let state = &warehouse.state;
        let [first, second] = [b"1", b"2"].map(|bytes| {
            let version = version(bytes);
            state.insert_version(&version).unwrap();
            version.digest
        });
        let source = Source {
            name: SourceName::parse("shop").unwrap(),
            connector: "files".parse().unwrap(),
            version: first,
            settings: json!({}),
            granted: Capabilities::default(),
            enabled: true,
            created_at: Timestamp::now(),
        };
        state.insert_source(&source).unwrap();
        read(&warehouse, &source.name, "one");
        let upgrade = Upgrade {
            source: &source,
            to: second,
            granted: None,
            mark: &warehouse.extracts.mark(&source.name).unwrap(),
            by: None,
        };
        let entry = AuditEntry::new("test");
        state
            .upgrade_source(&upgrade, std::slice::from_ref(&entry))
            .unwrap();
        read(&warehouse, &source.name, "two");
        let planned = Move {
            source: source.name.clone(),
            version: first,
            kind: MoveKind::Rollback,
            asked_at: Timestamp::now(),
            asked_by: None,
        };
        state.insert_move(&planned, &entry).unwrap();
        let pin = state.pins(&source.name).unwrap().remove(0);
        Self {
            folder,
            name: source.name,
            first,
            pin,
        }
    }

    fn open(&self) -> Warehouse {
        Warehouse::open(self.folder.path()).unwrap()
    }

    #[track_caller]
    fn assert_ended(&self) {
        let warehouse = self.open();
        recover(&warehouse).unwrap();
        let state = &warehouse.state;
        let source = state.source(&self.name).unwrap().unwrap();
        assert_eq!(source.version, self.first);
        assert_eq!(state.moves().unwrap(), []);
        assert_eq!(state.pins(&self.name).unwrap(), []);
        let cursors = warehouse.extracts.cursors(&self.name).unwrap();
        assert_eq!(cursors["orders"], b"one");
        let audit = state.audit_page(&Default::default(), 0, 100).unwrap();
        let last = audit.last().unwrap();
        assert_eq!(last.action, "source.rollback");
        // Nothing is left to be ended.
        recover(&warehouse).unwrap();
        assert_eq!(
            state.audit_page(&Default::default(), 0, 100).unwrap(),
            audit
        );
    }
}

fn version(bytes: &[u8]) -> Version {
    let manifest = json!({"wit": "0.1.0", "name": "files", "version": "1", "title": "",
        "description": "", "worlds": ["source"], "settings": {}});
    Version {
        digest: Digest::of(bytes),
        manifest: serde_json::from_value(manifest).unwrap(),
        publisher: "acme".into(),
        trusted: true,
        size_bytes: 1,
        compiled: None,
        uploaded_at: Timestamp::now(),
    }
}

fn read(warehouse: &Warehouse, name: &SourceName, cursor: &str) {
    let spec = TableSpec {
        name: "orders".parse().unwrap(),
        description: String::new(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        mode: WriteMode::Append,
        partition_by: None,
    };
    let mut stage = warehouse.extracts.stage(name, RunId::generate()).unwrap();
    stage.open_table(&spec).unwrap();
    stage.append_json(&spec.name, b"{\"id\":1}").unwrap();
    let cursors = [("orders".to_owned(), cursor.as_bytes().to_vec())];
    stage.publish(&cursors.into()).unwrap();
}

#[test]
fn a_death_before_the_cursors_went_back() {
    Begun::new().assert_ended();
}

#[test]
fn a_death_after_the_cursors_went_back_and_before_the_version_did() {
    let begun = Begun::new();
    let warehouse = begun.open();
    let shorter = warehouse.extracts.return_to(&begun.name, &begun.pin.mark);
    assert_eq!(shorter.unwrap(), [("orders".to_owned(), 1)].into());
    drop(warehouse);
    begun.assert_ended();
}
