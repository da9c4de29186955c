//! What this machine offers to a server, and what to do about what it does not.

mod walls;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use warehouse::{QueryOptions, Scope, Warehouse};

/// Less than this and the next larger run may fill the disk.
const LITTLE_DISK: u64 = 2 << 30;
/// Less than this and nothing works any more.
const NO_DISK: u64 = 100 << 20;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// The server works, with less.
    Warn,
    /// The server does not work.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) found: String,
    /// What to do; empty when nothing.
    pub(crate) advice: String,
}

impl Check {
    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>, advice: &str) -> Self {
        Self {
            name,
            verdict,
            found: found.into(),
            advice: advice.to_owned(),
        }
    }

    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found, "")
    }
}

/// Looks at the kernel, the libraries, the clock and the data folder.
pub(crate) fn examine(data_dir: &Path) -> Vec<Check> {
    let mut checks = walls::examine();
    checks.extend([
        duckdb(),
        Check::ok("wasmtime", sandbox::engine_name()),
        clock(Timestamp::now()),
        folder(data_dir),
        privacy(data_dir),
        disk(data_dir),
    ]);
    checks
}

/// Makes a database in a folder of its own and asks it: the library is there and works.
fn duckdb() -> Check {
    let folder = std::env::temp_dir().join(format!("sluice-doctor-{}", std::process::id()));
    let asked = Warehouse::open(&folder)
        .map_err(|error| error.to_string())
        .and_then(|warehouse| {
            let options = QueryOptions::default();
            let answer = warehouse
                .queries
                .query(&Scope::All, "SELECT version()", &options);
            answer.map_err(|error| error.to_string())
        });
    let _ = fs::remove_dir_all(&folder);
    let failed = |reason: &str| {
        let advice = "install the DuckDB library that this server was built for, and make room in the folder for temporary files";
        Check::new("duckdb", Verdict::Fail, reason, advice)
    };
    match asked {
        Ok(answer) => match answer.rows.first().and_then(|row| row.first()?.as_str()) {
            Some(version) => Check::ok("duckdb", version),
            None => failed("it does not tell its version"),
        },
        Err(reason) => failed(&reason),
    }
}

fn clock(now: Timestamp) -> Check {
    // Between the first release and a time that certificates of today do not reach.
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    if (2026..2100).contains(&year) {
        return Check::ok("clock", now.to_string());
    }
    Check::new(
        "clock",
        Verdict::Fail,
        now.to_string(),
        "set the clock: tokens and certificates are judged by it",
    )
}

fn folder(data_dir: &Path) -> Check {
    let name = "data folder";
    let shown = data_dir.display();
    if !data_dir.exists() {
        let parent = existing_ancestor(data_dir);
        return match try_write(&parent) {
            Ok(()) => Check::ok(name, format!("{shown} will be created at the first start")),
            Err(error) => Check::new(
                name,
                Verdict::Fail,
                format!("{shown} is not there and cannot be created: {error}"),
                "create it and let this user write there, or choose another with --data-dir",
            ),
        };
    }
    match try_write(data_dir) {
        Ok(()) => Check::ok(name, format!("{shown} can be written")),
        Err(error) => Check::new(
            name,
            Verdict::Fail,
            format!("{shown} cannot be written: {error}"),
            "let this user write there, or choose another with --data-dir",
        ),
    }
}

fn try_write(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".sluice-doctor-{}", std::process::id()));
    fs::write(&probe, "")?;
    fs::remove_file(probe)
}

fn existing_ancestor(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let known = absolute.ancestors().find(|path| path.exists());
    known.unwrap_or(Path::new("/")).to_owned()
}

/// Whether others can read where keys and credentials lie.
fn privacy(data_dir: &Path) -> Check {
    let state = data_dir.join("state");
    let Ok(found) = fs::metadata(&state) else {
        return Check::ok(
            "state folder",
            "is created at the first start, for its owner alone",
        );
    };
    let mode = found.permissions().mode() & 0o777;
    let found = format!("{} has mode {mode:o}", state.display());
    if mode & 0o077 == 0 {
        return Check::ok("state folder", found);
    }
    Check::new(
        "state folder",
        Verdict::Warn,
        found,
        "chmod 700 it: keys and encrypted credentials lie there",
    )
}

fn disk(data_dir: &Path) -> Check {
    match rustix::fs::statvfs(existing_ancestor(data_dir)) {
        Ok(found) => judge_disk(found.f_bavail.saturating_mul(found.f_frsize)),
        Err(error) => Check::new(
            "disk",
            Verdict::Warn,
            format!("free space is unknown: {error}"),
            "",
        ),
    }
}

fn judge_disk(free: u64) -> Check {
    let found = format!("{:.1} GiB free", free as f64 / f64::from(1 << 30));
    let advice = "free some space, or move the data folder: a publish needs room for the old files and the new";
    match free {
        free if free < NO_DISK => Check::new("disk", Verdict::Fail, found, advice),
        free if free < LITTLE_DISK => Check::new("disk", Verdict::Warn, found, advice),
        _ => Check::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_fails_and_a_filling_one_warns() {
        assert_eq!(judge_disk(50 << 20).verdict, Verdict::Fail);
        assert_eq!(judge_disk(1 << 30).verdict, Verdict::Warn);
        assert_eq!(judge_disk(100 << 30).verdict, Verdict::Ok);
    }

    #[test]
    fn a_clock_that_stands_at_its_beginning_fails() {
        assert_eq!(clock(Timestamp::UNIX_EPOCH).verdict, Verdict::Fail);
        assert_eq!(
            clock("2026-11-23T00:00:00Z".parse().unwrap()).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn a_folder_below_a_file_fails_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let check = super::folder(&file.join("data"));
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.advice.contains("--data-dir"), "{check:?}");
        assert_eq!(
            super::folder(&folder.path().join("data")).verdict,
            Verdict::Ok
        );
        assert_eq!(super::folder(folder.path()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_state_folder_that_others_can_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        for (mode, verdict) in [(0o755, Verdict::Warn), (0o700, Verdict::Ok)] {
            fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(privacy(folder.path()).verdict, verdict, "{mode:o}");
        }
    }
}
