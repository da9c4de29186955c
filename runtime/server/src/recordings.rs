//! Keeps the recordings of a source's last syncs, so that a new version can be tried on what really happened before the
//! source moves to it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::Broker;
use broker::tape::{Recorder, Recording, Tape};
use domain::ports::{Ended, Executor, Job, Outcome};
use domain::run::Counts;
use domain::{Operation, Policy, RunId, SourceName};
use warehouse::State;

/// Below the folder of recordings, which no source can be named like: where replays write.
const TRIALS: &str = ".trials";

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Recordings of a source about which nothing else was decided.
    pub(crate) of_source: usize,
    /// Bytes of all together.
    pub(crate) bytes: u64,
}

/// The broker, with a recorder that listens to syncs.
#[derive(Debug)]
pub(crate) struct Recorded {
    broker: Arc<Broker>,
    state: Arc<State>,
    folder: PathBuf,
    caps: Caps,
}

impl Recorded {
    /// Keeps recordings below a data folder.
    pub(crate) fn new(broker: Arc<Broker>, state: Arc<State>, data_dir: &Path, caps: Caps) -> Self {
        Self {
            broker,
            state,
            folder: folder(data_dir),
            caps,
        }
    }

    /// How many recordings of a source are kept.
    fn keep(&self, source: &SourceName) -> usize {
        let policy = self.state.policy(source).unwrap_or_else(|error| {
            tracing::warn!(%source, %error, "what holds for the source could not be read");
            Policy::default()
        });
        let kept = policy.recordings.map(|kept| kept as usize);
        kept.unwrap_or(self.caps.of_source)
    }

    fn save(
        &self,
        source: &SourceName,
        run: RunId,
        recording: &Recording,
        keep: usize,
    ) -> io::Result<()> {
        save(&self.folder.join(source.as_str()), run, recording, keep)?;
        shrink(&self.folder, self.caps.bytes)
    }
}

impl Executor for Recorded {
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>) {
        let keep = match job.operation {
            Operation::Sync => self.keep(&job.source),
            _ => 0,
        };
        if keep == 0 {
            return self.broker.execute(job);
        }
        let (source, run) = (job.source.clone(), job.run);
        let recorder = Recorder::new();
        let tape = Tape::Record(recorder.clone());
        let ended = self.broker.execute_with(job, &tape);
        let kept = recorder.finish();
        let Some(recording) = kept.filter(|_| ended.1.is_ok()) else {
            return ended;
        };
        // A run that worked has worked, recorded or not.
        if let Err(error) = self.save(&source, run, &recording, keep) {
            tracing::warn!(%source, %run, %error, "the run's recording could not be kept");
        }
        ended
    }

    fn settle(&self) {
        self.broker.settle();
    }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("recordings")
}

/// A folder for the owner alone: it holds what services answered.
fn make(folder: &Path) -> io::Result<()> {
    let mut folders = fs::DirBuilder::new();
    folders.recursive(true).mode(0o700).create(folder)
}

/// Writes a recording, and removes those beyond the last.
fn save(folder: &Path, run: RunId, recording: &Recording, keep: usize) -> io::Result<()> {
    make(folder)?;
    // A source runs once at a time: what lies there half-written is of a server that died.
    remove(&files(folder, "partial")?)?;
    let partial = folder.join(format!("{run}.partial"));
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(recording.to_text().as_bytes())?;
    fs::rename(&partial, folder.join(format!("{run}.jsonl")))?;
    let kept = newest(folder)?;
    remove(kept.get(keep..).unwrap_or_default())
}

/// Removes the oldest recordings of all sources, until the rest have no more bytes than this.
fn shrink(folder: &Path, most: u64) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with(TRIALS) {
            all.extend(files(&path, "jsonl")?);
        }
    }
    // Runs are named by their time, so the names tell the age across sources.
    all.sort_by(|one, other| other.file_name().cmp(&one.file_name()));
    let mut sum = 0_u64;
    let mut is_kept = |file: &PathBuf| {
        sum += file.metadata().map_or(0, |found| found.len());
        sum <= most
    };
    let kept = all.iter().take_while(|file| is_kept(file)).count();
    remove(all.get(kept..).unwrap_or_default())
}

/// What another run's end removed first is gone all the same.
fn remove(files: &[PathBuf]) -> io::Result<()> {
    files
        .iter()
        .try_for_each(|file| gone(fs::remove_file(file)))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Where replays write, below a data folder.
pub(crate) fn trials(data_dir: &Path) -> io::Result<PathBuf> {
    let place = folder(data_dir).join(TRIALS);
    make(&place)?;
    Ok(place)
}

/// Removes what replays left that were cut off.
pub(crate) fn clear_trials(data_dir: &Path) -> io::Result<()> {
    gone(fs::remove_dir_all(folder(data_dir).join(TRIALS)))
}

/// Removes what was recorded of a source that is gone.
pub(crate) fn forget(data_dir: &Path, source: &SourceName) -> io::Result<()> {
    gone(fs::remove_dir_all(folder(data_dir).join(source.as_str())))
}

/// The files of a source's recordings below a data folder, newest first.
pub(crate) fn of_source(data_dir: &Path, source: &SourceName) -> io::Result<Vec<PathBuf>> {
    newest(&folder(data_dir).join(source.as_str()))
}

fn newest(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = files(folder, "jsonl")?;
    // Runs are named by their time.
    files.sort();
    files.reverse();
    Ok(files)
}

fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker::tape::Head;

    #[test]
    fn the_last_recordings_stay_and_are_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        let source = SourceName::parse("shop").unwrap();
        let place = folder(data.path()).join("shop");
        let recording = Recording {
            head: Head::new(Operation::Sync, serde_json::json!({})),
            exchanges: Vec::new(),
        };
        let runs: Vec<_> = (0..4_u128)
            .map(|time| RunId(uuid::Uuid::from_u128(time << 80)))
            .collect();
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("0.partial"), "of a server that died").unwrap();
        for run in &runs {
            save(&place, *run, &recording, 2).unwrap();
        }
        let names: Vec<_> = of_source(data.path(), &source)
            .unwrap()
            .iter()
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, [runs[3].to_string(), runs[2].to_string()]);
        let file = place.join(format!("{}.jsonl", runs[3]));
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!place.join("0.partial").exists());
        forget(data.path(), &source).unwrap();
        assert!(!place.exists());
        forget(data.path(), &source).unwrap();
    }

    #[test]
    fn the_oldest_recordings_of_all_sources_go_first() {
        let data = tempfile::tempdir().unwrap();
        let folder = folder(data.path());
        let write = |source: &str, name: &str| {
            make(&folder.join(source)).unwrap();
            let file = folder.join(source).join(name);
            fs::write(&file, [0; 100]).unwrap();
            file
        };
        let old = write("shop", "1.jsonl");
        let kept = [write("crm", "2.jsonl"), write("shop", "3.jsonl")];
        let other = write(TRIALS, "0.jsonl");
        shrink(&folder, 250).unwrap();
        assert!(!old.exists() && other.exists());
        assert!(kept.iter().all(|file| file.exists()));
        shrink(&folder, 99).unwrap();
        assert!(!kept.iter().any(|file| file.exists()));
        clear_trials(data.path()).unwrap();
        assert!(!other.exists());
    }
}
