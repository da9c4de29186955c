//! Another master key in the place of the one in the file, in an order in which a crash at any moment
//! leaves every value readable: the old key stays beside the new one until all is sealed anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::key::{KeyError, MasterKey, read_file, sync_folder, write_new};

/// The file of the key before, while values may be sealed with it.
pub fn previous_file(path: &Path) -> PathBuf {
    beside(path, "previous")
}

/// The key before, if values may still be sealed with it.
///
/// # Errors
/// [`KeyError`] where the file is there and cannot be read.
pub fn previous(path: &Path) -> Result<Option<MasterKey>, KeyError> {
    let path = previous_file(path);
    match path.try_exists() {
        Ok(true) => read_file(&path).map(Some),
        Ok(false) => Ok(None),
        Err(source) => Err(KeyError::Io { path, source }),
    }
}

/// Makes a new key and puts it into the file; the old one is the previous one from here on. What it
/// sealed must be sealed anew before [`forget_previous`].
///
/// # Errors
/// [`KeyError::Unfinished`] while there is a previous key; else what went wrong, and the old key holds.
pub fn renew(path: &Path) -> Result<MasterKey, KeyError> {
    let previous = previous_file(path);
    if previous.exists() {
        return Err(KeyError::Unfinished { path: previous });
    }
    let broken = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    // Whoever was killed before the next step left one, which nothing is sealed with.
    let next = beside(path, "next");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    write_new(&next)?;
    let key = read_file(&next)?;
    fs::hard_link(path, &previous).map_err(broken)?;
    sync_folder(path)?;
    fs::rename(&next, path).map_err(broken)?;
    sync_folder(path)?;
    Ok(key)
}

/// Removes the previous key; nothing is sealed with it any more.
///
/// # Errors
/// [`KeyError::Io`].
pub fn forget_previous(path: &Path) -> Result<(), KeyError> {
    let broken = |path: &Path, source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    // Under another name before it is overwritten: half a key must never stand where one is looked for.
    let (previous, retired) = (previous_file(path), beside(path, "retired"));
    // Whoever was killed at this left one. It goes first, since two names of one file are not renamed.
    destroy(&retired).map_err(|source| broken(&retired, source))?;
    match fs::rename(&previous, &retired) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(|source| broken(&previous, source))?,
    }
    sync_folder(path)?;
    destroy(&retired).map_err(|source| broken(&retired, source))?;
    sync_folder(path)
}

/// Overwrites a file and removes it, if it is there.
fn destroy(path: &Path) -> io::Result<()> {
    match overwrite(path).and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        destroyed => destroyed,
    }
}

/// What is removed may stay on the disk for long. A second name of the current key is left as it is.
fn overwrite(path: &Path) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    if metadata.nlink() > 1 {
        return Ok(());
    }
    let mut file = File::options().write(true).open(path)?;
    let length = usize::try_from(metadata.len()).unwrap_or_default();
    file.write_all(&vec![b'0'; length.min(1 << 10)])?;
    file.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::from_env_or_file(None, &path).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_key_stays_until_it_is_forgotten() {
        let (folder, path) = key_file();
        let old = read_file(&path).unwrap();
        let new = renew(&path).unwrap();
        assert_ne!(new.bytes(), old.bytes());
        assert_eq!(read_file(&path).unwrap().bytes(), new.bytes());
        assert_eq!(previous(&path).unwrap().unwrap().bytes(), old.bytes());
        let again = renew(&path).unwrap_err();
        assert!(matches!(again, KeyError::Unfinished { .. }), "{again}");
        forget_previous(&path).unwrap();
        assert!(previous(&path).unwrap().is_none());
        assert_eq!(names(folder.path()), ["master.key"]);
        forget_previous(&path).unwrap();
    }

    #[test]
    fn a_kill_between_the_two_names_leaves_a_key_that_is_not_lost_with_its_second_name() {
        let (folder, path) = key_file();
        let old = read_file(&path).unwrap();
        // Killed after the link, before the rename.
        fs::write(beside(&path, "next"), "half a k").unwrap();
        fs::hard_link(&path, previous_file(&path)).unwrap();
        forget_previous(&path).unwrap();
        assert_eq!(read_file(&path).unwrap().bytes(), old.bytes());
        renew(&path).unwrap();
        assert_eq!(names(folder.path()), ["master.key", "master.key.previous"]);
    }

    #[test]
    fn a_kill_while_the_old_key_is_destroyed_leaves_no_half_key_where_one_is_looked_for() {
        let (folder, path) = key_file();
        renew(&path).unwrap();
        // Killed after the name was changed, and half of it overwritten.
        fs::rename(previous_file(&path), beside(&path, "retired")).unwrap();
        fs::write(beside(&path, "retired"), "000").unwrap();
        assert!(previous(&path).unwrap().is_none());
        forget_previous(&path).unwrap();
        assert_eq!(names(folder.path()), ["master.key"]);
        // Killed when the retired key was a second name of the one in use.
        fs::hard_link(&path, beside(&path, "retired")).unwrap();
        let old = read_file(&path).unwrap();
        renew(&path).unwrap();
        forget_previous(&path).unwrap();
        assert_eq!(names(folder.path()), ["master.key"]);
        assert_ne!(read_file(&path).unwrap().bytes(), old.bytes());
    }
}
