//! Files of an extract that somebody has removed or spoilt: told, kept apart from what is whole, and repaired.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use integration_tests::{App, Internet, outcome, sluice};
use serde_json::{Value, json};

use super::sources::{KINDS, Kind, PAGES, add_all, summed};

/// A server whose sources of every write mode have read their first pages.
struct World {
    app: App,
    _internet: Internet,
}

impl World {
    fn open() -> Self {
        let (app, internet) = (App::start(), Internet::start());
        add_all(&app, &internet);
        for kind in &KINDS {
            assert_eq!(outcome(&app.run(kind.name)), "succeeded");
        }
        Self {
            app,
            _internet: internet,
        }
    }

    fn extract(&self, kind: &Kind) -> PathBuf {
        self.app.data.join("extracts").join(kind.name)
    }

    /// What `sluice admin verify` prints about a source, and whether all is well.
    fn verify(&self, kind: &Kind) -> (String, bool) {
        let mut command = sluice();
        command.args(["admin", "verify", kind.name, "--data-dir"]);
        let output = command.arg(&self.app.data).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        (told, output.status.success())
    }

    /// Each source but this one is as it was.
    #[track_caller]
    fn others_are_served(&self, broken: &Kind) {
        let whole: Vec<_> = KINDS
            .iter()
            .filter(|kind| kind.name != broken.name)
            .collect();
        let found = self.app.rows(&summed(whole.iter().map(|kind| kind.name)));
        let expected: Vec<_> = whole.iter().map(|kind| kind.sums(PAGES)).collect();
        assert_eq!(found, Value::Array(expected));
    }

    /// A run fails and says what to do, and doing it gives all rows from the first page on.
    #[track_caller]
    fn is_repaired(&self, kind: &Kind) {
        let told = outcome(&self.app.run(kind.name));
        assert!(told.starts_with("failed (limit): the extract of"), "{told}");
        assert!(told.contains("--full-refresh"), "{told}");
        let mut command = self.app.cli();
        let output = command
            .args(["run", kind.name, "--full-refresh"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let found = self.app.rows(&summed([kind.name]));
        assert_eq!(found, json!([kind.sums(PAGES)]));
        let (told, sound) = self.verify(kind);
        assert!(sound, "{told}");
        // And it goes on as one that was never broken.
        assert_eq!(outcome(&self.app.run(kind.name)), "succeeded");
        let found = self.app.rows(&summed([kind.name]));
        assert_eq!(found, json!([kind.sums(2 * PAGES)]));
    }
}

/// One of the parquet files below a folder.
fn any_file(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    let found = paths.min().expect("there is a file");
    match found.is_dir() {
        true => any_file(&found),
        false => found,
    }
}

#[test]
fn a_file_that_was_removed_by_hand_is_told_and_a_full_refresh_brings_it_back() {
    let mut world = World::open();
    for (number, kind) in KINDS.iter().enumerate().skip(1).step_by(3) {
        std::fs::remove_file(any_file(&world.extract(kind).join("data"))).unwrap();
        let (told, sound) = world.verify(kind);
        assert!(!sound && told.contains("problem: "), "{told}");
        // Both what goes on serving and what starts with it.
        if number > 3 {
            world.app.restart();
            world.app.line(&["passed over", kind.name]);
        }
        world.others_are_served(kind);
        let query = world.app.query(&summed([kind.name]));
        assert!(query.status >= 400, "rows are missing, which is no answer");
        world.is_repaired(kind);
        world.is_set_back(kind);
    }
}

impl World {
    /// Reads the first pages alone, so that the source is as the others expect it.
    #[track_caller]
    fn is_set_back(&self, kind: &Kind) {
        let refresh = format!("/api/sources/{}/refresh", kind.name);
        self.app.post(&refresh, &json!({})).ok();
        assert_eq!(outcome(&self.app.run(kind.name)), "succeeded");
    }
}

type Spoil = fn(&Path);

/// What can become of a file, and how.
const SPOILT: [(&str, Spoil); 5] = [
    ("empty", |file| cut(file, |_| 0)),
    ("cut off", |file| cut(file, |length| length / 2)),
    ("a few bytes short", |file| cut(file, |length| length - 7)),
    ("flipped", |file| flip(file, 257)),
    ("another file", |file| {
        std::fs::write(file, "PAR1 this is no database").unwrap()
    }),
];

fn cut(file: &Path, shorter: impl Fn(u64) -> u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(shorter(length)).unwrap();
}

/// Turns every bit of each so many bytes' first.
fn flip(file: &Path, step: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes
        .iter_mut()
        .step_by(step)
        .for_each(|byte| *byte = !*byte);
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn a_spoilt_extract_is_told_is_served_as_it_was_and_a_full_refresh_repairs_it() {
    let mut world = World::open();
    for ((how, spoil), kind) in SPOILT.iter().zip(KINDS.iter().skip(1)) {
        println!("{how}: {}", kind.name);
        world.app.stop();
        spoil(&world.extract(kind).join("extract.duckdb"));
        let (told, sound) = world.verify(kind);
        assert!(!sound && told.contains("is damaged"), "{how}: {told}");
        world.app.restart();
        world.app.line(&["passed over", kind.name]);
        world.others_are_served(kind);
        // What it said last is known, and its files are sound.
        let found = world.app.rows(&summed([kind.name]));
        assert_eq!(found, json!([kind.sums(PAGES)]), "{how}");
        world.is_repaired(kind);
        world.is_set_back(kind);
        let kept = world.extract(kind).join("extract.duckdb.damaged");
        assert!(kept.exists(), "somebody may want to look at it");
    }
}

#[test]
fn an_extract_that_is_spoilt_while_it_is_served_stays_as_it_was_until_it_is_repaired() {
    let world = World::open();
    let kind = &KINDS[4];
    flip(&world.extract(kind).join("extract.duckdb"), 257);
    let told = outcome(&world.app.run(kind.name));
    assert!(told.contains("is damaged"), "{told}");
    let found = world.app.rows(&summed([kind.name]));
    assert_eq!(found, json!([kind.sums(PAGES)]));
    world.others_are_served(kind);
    world.is_repaired(kind);
}
