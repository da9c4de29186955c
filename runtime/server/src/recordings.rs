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
use domain::{Operation, RunId, SourceName};

/// The broker, with a recorder that listens to syncs.
#[derive(Debug)]
pub(crate) struct Recorded {
    broker: Arc<Broker>,
    folder: PathBuf,
    keep: usize,
}

impl Recorded {
    /// Keeps so many recordings of each source below a data folder; with 0 nothing is recorded.
    pub(crate) fn new(broker: Arc<Broker>, data_dir: &Path, keep: usize) -> Self {
        Self {
            broker,
            folder: folder(data_dir),
            keep,
        }
    }
}

impl Executor for Recorded {
    fn execute(&self, job: Job) -> (Counts, Result<Outcome, Ended>) {
        if self.keep == 0 || job.operation != Operation::Sync {
            return self.broker.execute(job);
        }
        let (source, run) = (job.source.clone(), job.run);
        let recorder = Recorder::new();
        let ended = self
            .broker
            .execute_with(job, &Tape::Record(recorder.clone()));
        let kept = recorder.finish();
        let Some(recording) = kept.filter(|_| ended.1.is_ok()) else {
            return ended;
        };
        // A run that worked has worked, recorded or not.
        if let Err(error) = save(
            &self.folder.join(source.as_str()),
            run,
            &recording,
            self.keep,
        ) {
            tracing::warn!(%source, %run, %error, "the run's recording could not be kept");
        }
        ended
    }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("recordings")
}

/// Writes a recording for the owner alone, since it holds what services answered, and removes those beyond the last.
fn save(folder: &Path, run: RunId, recording: &Recording, keep: usize) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
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

fn remove(files: &[PathBuf]) -> io::Result<()> {
    files.iter().try_for_each(fs::remove_file)
}

/// Removes what was recorded of a source that is gone.
pub(crate) fn forget(data_dir: &Path, source: &SourceName) -> io::Result<()> {
    match fs::remove_dir_all(folder(data_dir).join(source.as_str())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
}
