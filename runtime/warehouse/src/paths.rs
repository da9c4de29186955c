//! Where things lie in the data folder, and the lock that keeps a second server out of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::SourceName;
use thiserror::Error;

/// The layout of a data folder. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    /// Another server works on it.
    #[error(
        "the data folder `{folder}` is in use by another server (process {pid}); stop that one, or give this one a folder of its own with --data-dir"
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The other server's process id, as it wrote it down; `unknown` where it did not.
        pid: String,
    },
    /// It cannot be created or written.
    #[error(
        "cannot write to the data folder `{folder}`; create it and let this user write there, or choose another with --data-dir"
    )]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl Paths {
    /// The layout below a folder, which need not exist yet.
    ///
    /// # Errors
    /// When the working folder is gone, so that a relative path means nothing.
    pub fn new(data_dir: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            root: std::path::absolute(data_dir)?,
        })
    }

    /// Creates the folders, for the owner alone where secrets lie.
    ///
    /// # Errors
    /// [`DirError::Unwritable`], naming the folder.
    pub fn create(&self) -> Result<(), DirError> {
        let state = self.root.join("state");
        for folder in [
            &self.root,
            &state,
            &self.root.join("analytics"),
            &self.extracts(),
            &self.connectors(),
            &self.scratch(),
            &self.wholes(),
        ] {
            std::fs::create_dir_all(folder).map_err(|source| self.unwritable(source))?;
        }
        owner_only(&state).map_err(|source| self.unwritable(source))
    }

    /// The data folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of keys and of the system database.
    pub fn state_dir(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The system's state.
    pub fn system_db(&self) -> PathBuf {
        self.root.join("state/system.duckdb")
    }

    /// Lies there while a restore exchanges files; the state is not opened as long as it does.
    pub fn restore_marker(&self) -> PathBuf {
        self.root.join("state/restore.pending")
    }

    /// Where a serving server takes the commands of its operator.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("state/admin.sock")
    }

    /// The master views, for other programs.
    pub fn server_db(&self) -> PathBuf {
        self.root.join("analytics/server.duckdb")
    }

    /// The folder of all extracts.
    pub fn extracts(&self) -> PathBuf {
        self.root.join("extracts")
    }

    /// The extract of one source.
    pub fn extract(&self, source: &SourceName) -> PathBuf {
        self.extracts().join(source.as_str())
    }

    /// Components, uploaded and compiled.
    pub fn connectors(&self) -> PathBuf {
        self.root.join("connectors")
    }

    /// DuckDB's extensions, which the operator installs.
    pub fn extensions(&self) -> crate::extensions::ExtensionFolder {
        crate::extensions::ExtensionFolder::new(self.root.join("extensions"))
    }

    /// Where queries spill what does not fit into memory.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Tables of several files as one each; whatever lies there can be made anew.
    pub fn wholes(&self) -> PathBuf {
        self.root.join("cache/tables")
    }

    fn unwritable(&self, source: io::Error) -> DirError {
        DirError::Unwritable {
            folder: self.root.clone(),
            source,
        }
    }
}

#[cfg(unix)]
fn owner_only(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn owner_only(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Waits until a file, or the names in a folder, are on the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The right to work on a data folder; given up when dropped, or when the process dies.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// How long a lock is waited for whose holder is dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Creates the data folder where it is missing, and locks it.
///
/// # Errors
/// [`DirError::Held`] while another server works there, [`DirError::Unwritable`] where nothing can
/// be written.
pub fn lock_data_dir(paths: &Paths) -> Result<DirLock, DirError> {
    paths.create()?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(paths.root.join("sluice.lock"))
        .map_err(|source| paths.unwritable(source))?;
    take(&mut file, paths)?;
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|source| paths.unwritable(source))?;
    Ok(DirLock { _file: file })
}

/// Takes the lock. A server that was killed while it started a child leaves the lock to that child
/// for the moment until it has become another program: a holder that is dead is waited for.
fn take(file: &mut File, paths: &Paths) -> Result<(), DirError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(paths.unwritable(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        let pid = holder(file);
        if began.elapsed() > PATIENCE || is_alive(&pid) {
            let folder = paths.root.clone();
            return Err(DirError::Held { folder, pid });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: &str) -> bool {
    // Where there is no /proc, nobody is waited for.
    !Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists()
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => {
            pid.to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_folder_and_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let first = lock_data_dir(&paths).unwrap();
        let error = lock_data_dir(&paths).unwrap_err().to_string();
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        lock_data_dir(&paths).unwrap();
    }

    #[test]
    fn a_lock_that_a_dead_server_left_to_a_child_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let left = lock_data_dir(&paths).unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let pid = dead.id();
        dead.wait().unwrap();
        std::fs::write(folder.path().join("sluice.lock"), pid.to_string()).unwrap();
        let (tried, trying) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                tried.send(()).unwrap();
                lock_data_dir(&paths).map(drop)
            });
            trying.recv().unwrap();
            // Long enough that whoever does not wait has given up.
            std::thread::sleep(Duration::from_millis(50));
            drop(left);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_folder_below_a_file_is_unwritable_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let paths = Paths::new(file.join("data")).unwrap();
        let error = lock_data_dir(&paths).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
    }
}
