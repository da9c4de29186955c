//! Files that people send to the server: `uploads/USER/` of the data folder, by the user's id and never by an address.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tempfile::NamedTempFile;
use uuid::Uuid;

use crate::config;
use crate::error::{ApiError, ApiResult};

/// Where files grow until they are whole. No user's id begins with a dot.
const INCOMING: &str = ".incoming";
/// More at once are of no use to one person, and each takes room that no quota counts yet.
const MOST_AT_ONCE: u32 = 4;
const SOON: Duration = Duration::from_secs(2);
/// File systems take 255 bytes.
const MOST_NAME: usize = 200;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What an agent recorded.
    Session,
    /// What somebody made.
    Artifact,
    /// Somebody's notes for agents, of which there is one file.
    Notes,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Artifact => "artifacts",
            Self::Notes => "notes",
        }
    }
}

/// All files of all users.
#[derive(Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
    caps: config::Uploads,
    under_way: Mutex<HashMap<Uuid, u32>>,
    /// Held from counting a user's files to adding one.
    counting: Mutex<()>,
}

/// A file that is being received.
#[derive(Debug)]
pub(crate) struct Slot {
    uploads: Arc<Uploads>,
    user: Uuid,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let under_way = self.uploads.under_way.lock();
        let mut under_way = under_way.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.user);
            }
        }
    }
}

impl Uploads {
    /// Below a data folder. What a last server left unfinished is thrown away.
    pub(crate) fn new(data_dir: &Path, caps: config::Uploads) -> Arc<Self> {
        let folder = data_dir.join("uploads");
        if let Err(error) = fs::remove_dir_all(folder.join(INCOMING))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "unfinished uploads could not be removed");
        }
        Arc::new(Self {
            folder,
            caps,
            under_way: Mutex::default(),
            counting: Mutex::default(),
        })
    }

    /// The most bytes of one file.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.caps.max_file_bytes
    }

    /// Lets a user send a file, unless several are under way.
    pub(crate) fn begin(self: &Arc<Self>, user: Uuid) -> ApiResult<Slot> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(user).or_default();
        if *count >= MOST_AT_ONCE {
            let text = format!("You have {MOST_AT_ONCE} uploads under way; wait for one of them");
            return Err(ApiError::too_many(text, SOON));
        }
        *count += 1;
        Ok(Slot {
            uploads: Arc::clone(self),
            user,
        })
    }

    /// A file to write to. It is gone with this value, unless it is kept.
    pub(crate) fn fresh(&self) -> io::Result<NamedTempFile> {
        let folder = self.folder.join(INCOMING);
        make(&folder)?;
        NamedTempFile::new_in(folder)
    }

    /// What is said of a file that is too large. Old clients know these words.
    pub(crate) fn too_large(&self) -> ApiError {
        let text = format!("File too large (max {}MB)", self.caps.max_file_bytes >> 20);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "file-too-large", text)
    }

    /// Puts a whole file in its place, within the user's quota. One of the same name is replaced.
    pub(crate) fn keep(
        &self,
        slot: &Slot,
        kind: Kind,
        name: &str,
        fresh: NamedTempFile,
    ) -> ApiResult<()> {
        let own = self.folder.join(slot.user.to_string());
        let folder = own.join(kind.folder());
        make(&folder).map_err(ApiError::internal)?;
        let place = folder.join(name);
        let new = fresh
            .as_file()
            .metadata()
            .map_err(ApiError::internal)?
            .len();
        fresh.as_file().sync_all().map_err(ApiError::internal)?;
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut files, mut bytes) = used(&own).map_err(ApiError::internal)?;
        if let Ok(old) = fs::symlink_metadata(&place) {
            (files, bytes) = (files.saturating_sub(1), bytes.saturating_sub(old.len()));
        }
        if bytes.saturating_add(new) > self.caps.max_bytes_per_user
            || files >= self.caps.max_files_per_user
        {
            return Err(self.full(files, bytes));
        }
        let kept = fresh.persist(&place);
        kept.map(drop)
            .map_err(|error| ApiError::internal(error.error))
    }

    fn full(&self, files: u64, bytes: u64) -> ApiError {
        let (most_files, most) = (self.caps.max_files_per_user, self.caps.max_bytes_per_user);
        let text = format!(
            "Your files would be more than you may keep here: you have {files} of {most_files} files, {bytes} of {most} bytes. Ask an admin to make room"
        );
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "uploads-full", text)
    }
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

/// A user's files and their bytes.
fn used(own: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0_u64);
    for folder in fs::read_dir(own)? {
        for file in fs::read_dir(folder?.path())? {
            files += 1;
            bytes = bytes.saturating_add(file?.metadata()?.len());
        }
    }
    Ok((files, bytes))
}

/// The name under which a file is kept: its last part, of characters that mean nothing to a file system or a shell.
pub(crate) fn safe_name(given: &str) -> ApiResult<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let plain = |c: char| {
        if c.is_alphanumeric() || "._- ".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = last.chars().map(plain).collect();
    if name.len() > MOST_NAME {
        let text =
            format!("The file's name has more than {MOST_NAME} bytes; give it a shorter one");
        return Err(ApiError::invalid("name-too-long", text));
    }
    if name.is_empty() || name.starts_with('.') {
        let random = Uuid::new_v4().simple().to_string();
        return Ok(format!("upload_{}", random.get(..8).unwrap_or(&random)));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn store(folder: &Path) -> Arc<Uploads> {
        let caps = config::Uploads {
            max_bytes_per_user: 2_048,
            max_files_per_user: 3,
            ..config::Uploads::default()
        };
        Uploads::new(folder, caps)
    }

    fn put(uploads: &Arc<Uploads>, slot: &Slot, name: &str, bytes: usize) -> Result<(), String> {
        let mut fresh = uploads.fresh().unwrap();
        fresh.write_all(&vec![b'x'; bytes]).unwrap();
        let kept = uploads.keep(slot, Kind::Session, name, fresh);
        kept.map_err(|error| error.code.to_owned())
    }

    #[test]
    fn a_name_cannot_leave_its_folder_or_hide() {
        for (given, kept) in [
            ("a.jsonl", "a.jsonl"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\b.txt", "b.txt"),
            ("a\0b\nc.txt", "a_b_c.txt"),
            ("ada@example.com.jsonl", "ada_example.com.jsonl"),
            ("naïve grün.md", "naïve grün.md"),
        ] {
            assert_eq!(safe_name(given).unwrap(), kept);
        }
        for hidden in ["", "..", "a/..", ".bashrc", "x/", "\u{202e}/"] {
            assert!(
                safe_name(hidden).unwrap().starts_with("upload_"),
                "{hidden}"
            );
        }
        assert!(safe_name(&"x".repeat(201)).is_err());
    }

    #[test]
    fn a_user_has_a_quota_of_bytes_and_files_and_replacing_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = store(folder.path());
        let slot = uploads.begin(Uuid::new_v4()).unwrap();
        for _ in 0..3 {
            put(&uploads, &slot, "a", 1_500).unwrap();
        }
        assert_eq!(put(&uploads, &slot, "b", 600).unwrap_err(), "uploads-full");
        put(&uploads, &slot, "b", 1).unwrap();
        put(&uploads, &slot, "c", 1).unwrap();
        assert_eq!(put(&uploads, &slot, "d", 1).unwrap_err(), "uploads-full");
        put(&uploads, &uploads.begin(Uuid::new_v4()).unwrap(), "d", 1).unwrap();
        let left = fs::read_dir(folder.path().join("uploads/.incoming")).unwrap();
        assert_eq!(left.count(), 0, "what was refused is gone");
    }

    #[test]
    fn only_so_many_come_at_once_from_one_user() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = store(folder.path());
        let user = Uuid::new_v4();
        let mut slots: Vec<Slot> = (0..4).map(|_| uploads.begin(user).unwrap()).collect();
        assert_eq!(uploads.begin(user).unwrap_err().code, "too-many");
        uploads.begin(Uuid::new_v4()).unwrap();
        slots.pop();
        uploads.begin(user).unwrap();
    }
}
