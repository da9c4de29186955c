//! A server with sources of every write mode is killed at random moments, again and again: after each start every table is
//! one committed state, and nothing of the dead is left.
//!
//! `SLUICE_KILLS` says how often, `SLUICE_SEED` repeats the moments of a run that failed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::SourceName;
use integration_tests::{App, Internet, outcome, until};
use warehouse::{Paths, verify_beside};

use super::is_runner;
use super::sources::{KINDS, Kind, PAGES, add_all, summed};

/// Kills in all where nothing else is said: about a minute of a test machine; `./dev faults` kills 300 times.
const KILLS: u64 = 30;
/// Servers that die beside each other: one works while another waits.
const LANES: u64 = 3;
/// Sources that run when a server dies.
const AT_ONCE: usize = 2;

#[test]
fn every_source_has_a_committed_state_after_every_kill() {
    let kills = number("SLUICE_KILLS").unwrap_or(KILLS);
    let seed = number("SLUICE_SEED").unwrap_or_else(any_seed);
    println!("SLUICE_SEED={seed} SLUICE_KILLS={kills}");
    let began = Instant::now();
    let lanes = std::thread::scope(|scope| {
        let lanes = (0..LANES).map(|lane| {
            let kills = kills / LANES + u64::from(lane < kills % LANES);
            scope.spawn(move || Lane::open(seed + lane).die(kills))
        });
        let lanes: Vec<_> = lanes.collect();
        let ended = lanes.into_iter().map(|lane| lane.join());
        ended.collect::<Result<Vec<_>, _>>()
    });
    let met = lanes
        .expect("the panic of a lane tells its kill")
        .into_iter();
    let met = met.fold(Met::default(), Met::and);
    println!("{met:?} in {:?}", began.elapsed());
    assert_eq!(met.kills, kills);
    // Where kills fall into runs, these are of the order of their number.
    assert!(met.interrupted > kills / 4, "{met:?}");
    assert!(met.published > kills, "{met:?}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn any_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one("seed") >> 16
}

/// What the kills fell into.
#[derive(Debug, Default)]
struct Met {
    kills: u64,
    /// Of them, in a start.
    starting: u64,
    /// Runs that were cut off.
    interrupted: u64,
    /// Runs that had ended well.
    succeeded: u64,
    /// Pages that were published.
    published: u64,
}

impl Met {
    fn and(mut self, other: Self) -> Self {
        self.kills += other.kills;
        self.starting += other.starting;
        self.interrupted += other.interrupted;
        self.succeeded += other.succeeded;
        self.published += other.published;
        self
    }
}

/// One server, and what is known of its data.
struct Lane {
    app: App,
    internet: Internet,
    random: Random,
    seed: u64,
    /// The last page that each source has published.
    states: BTreeMap<&'static str, u64>,
    /// How long runs take together, and a start, where nothing disturbs them.
    life: Duration,
    start: Duration,
    met: Met,
}

/// What was there when a server had died.
struct Left {
    runs: Vec<(&'static Kind, String)>,
    runners: Vec<u32>,
    stages: BTreeSet<PathBuf>,
    /// Files that nothing names.
    garbage: Vec<PathBuf>,
}

impl Lane {
    fn open(seed: u64) -> Self {
        let (app, internet) = (App::start(), Internet::start());
        add_all(&app, &internet);
        let mut lane = Self {
            app,
            internet,
            random: Random(seed),
            seed,
            states: BTreeMap::new(),
            life: Duration::ZERO,
            start: Duration::ZERO,
            met: Met::default(),
        };
        lane.all_succeed();
        let began = Instant::now();
        let runs: Vec<_> = KINDS
            .iter()
            .take(AT_ONCE)
            .map(|kind| lane.begin(kind))
            .collect();
        runs.iter().for_each(|run| drop(lane.app.wait(run)));
        lane.life = began.elapsed();
        let began = Instant::now();
        lane.app.restart();
        lane.start = began.elapsed();
        lane.compare("before the first kill");
        lane
    }

    fn die(mut self, kills: u64) -> Met {
        while self.met.kills < kills {
            let what = format!("kill {} of seed {}", self.met.kills + 1, self.seed);
            let left = self.live_and_die(&what);
            if self.met.kills < kills && self.random.below(5) == 0 {
                // Cut short once more while it puts right what the last one left.
                let moment = self.random.moment(self.start);
                self.app.start_and_die(moment);
                self.met.kills += 1;
                self.met.starting += 1;
            }
            self.app.restart();
            self.examine(&what, &left);
        }
        self.all_succeed();
        self.compare("the end");
        for kind in &KINDS {
            self.named("the end", kind);
        }
        self.met
    }

    /// Runs some sources, and kills the server at a moment of their runs.
    fn live_and_die(&mut self, what: &str) -> Left {
        let first = self.random.below(KINDS.len() as u64) as usize;
        let chosen = KINDS.iter().cycle().skip(first).take(AT_ONCE);
        let runs: Vec<_> = chosen.map(|kind| (kind, self.begin(kind))).collect();
        let moment = self.random.moment(self.life);
        if self.random.below(2) == 0 {
            std::thread::sleep(moment);
        } else {
            // At once after a request, since what is between requests takes the longer part of a run.
            let asked = self.internet.asked() + 1 + self.random.below(PAGES * AT_ONCE as u64);
            let began = Instant::now();
            while self.internet.asked() < asked && began.elapsed() < self.life {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        let runners = self.app.runners();
        self.app.kill();
        self.met.kills += 1;
        // Before anybody could put something right.
        let mut garbage = Vec::new();
        for (kind, _) in &runs {
            let named = self.named(what, kind);
            let files = parquet_files(&self.app.data, kind).into_iter();
            garbage.extend(files.filter(|file| !named.contains(file)));
        }
        Left {
            runs,
            runners,
            stages: stages(&self.app.data),
            garbage,
        }
    }

    /// Starts a run, and gives its id.
    fn begin(&self, kind: &Kind) -> String {
        self.app.start(kind.name)
    }

    fn examine(&mut self, what: &str, left: &Left) {
        until("the runners of the dead server are gone", || {
            !left.runners.iter().any(|pid| is_runner(*pid))
        });
        // What was accepted and had not begun goes on.
        for (_, run) in &left.runs {
            self.app.wait(run);
        }
        let stages = stages(&self.app.data);
        let stale: Vec<_> = left.stages.intersection(&stages).collect();
        assert!(stale.is_empty(), "{what}: {stale:?} are left");
        let garbage: Vec<_> = left.garbage.iter().filter(|file| file.exists()).collect();
        assert!(garbage.is_empty(), "{what}: {garbage:?} are left");
        for (kind, _) in &left.runs {
            self.named(what, kind);
        }
        let before = self.states.clone();
        self.compare(what);
        self.accounted_for(what, left, &before);
    }

    /// Every run that was accepted has ended: cut off, or well, and then with all of its pages.
    fn accounted_for(&mut self, what: &str, left: &Left, before: &BTreeMap<&str, u64>) {
        for (kind, run) in &left.runs {
            let run = self.app.get(&format!("/api/runs/{run}")).ok();
            match run["state"].as_str() {
                Some("interrupted") => self.met.interrupted += 1,
                Some("succeeded") => {
                    self.met.succeeded += 1;
                    let pages = self.states[kind.name] - before[kind.name];
                    assert!(pages >= PAGES, "{what}: {run} has published {pages} pages");
                }
                _ => panic!("{what}: {}: {run}", kind.name),
            }
        }
    }

    /// The files that an extract names, each of which is what was written.
    fn named(&self, what: &str, kind: &Kind) -> BTreeSet<PathBuf> {
        let paths = Paths::new(&self.app.data).expect("a folder");
        let source = SourceName::parse(kind.name).expect("a name");
        let verified = verify_beside(&paths, &source);
        let verified = verified.unwrap_or_else(|failure| panic!("{what}: {failure}"));
        assert_eq!(verified.problems, [""; 0], "{what}: {source}");
        verified.paths.into_iter().collect()
    }

    /// Every table is what its last page says.
    fn compare(&mut self, what: &str) {
        let found = self.app.rows(&summed(KINDS.iter().map(|kind| kind.name)));
        let found = found.as_array().expect("rows");
        assert_eq!(found.len(), KINDS.len(), "{what}");
        for (kind, row) in KINDS.iter().zip(found) {
            let page = row[1].as_u64().expect("a page");
            assert_eq!(*row, kind.sums(page), "{what}");
            assert!(
                kind.may_end_at(page),
                "{what}: {} ends at {page}",
                kind.name
            );
            let before = self.states.insert(kind.name, page).unwrap_or_default();
            assert!(
                page >= before,
                "{what}: {} was at {before}, is at {page}",
                kind.name
            );
            self.met.published += page - before;
        }
    }

    /// Runs go on where they stopped.
    fn all_succeed(&self) {
        for kind in &KINDS {
            let run = self.app.wait(&self.begin(kind));
            assert_eq!(outcome(&run), "succeeded", "{}", kind.name);
        }
    }
}

/// The folders and files of unfinished work among the extracts.
fn stages(data: &Path) -> BTreeSet<PathBuf> {
    let sources = children(&data.join("extracts")).into_iter();
    let inside = sources.flat_map(|source| children(&source));
    inside.filter(|path| is_hidden(path)).collect()
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with('.')
}

fn parquet_files(data: &Path, kind: &Kind) -> Vec<PathBuf> {
    let tables = children(&data.join("extracts").join(kind.name).join("data"));
    let files = tables.iter().flat_map(|table| children(table));
    files.collect()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    /// `SplitMix64`, by Steele, Lea and Flood.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn moment(&mut self, limit: Duration) -> Duration {
        limit * (self.below(1_000) as u32) / 1_000
    }
}
