//! The files of an inbox: each begins with the delivery that its name says, and only the last one grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::record::{Head, Record};
use super::sync_folder;

/// A file of deliveries.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) length: u64,
}

/// Where a delivery lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) head: Head,
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Segment {
    /// A new one, whose name is durable.
    pub(super) fn create(folder: &Path, first: u64) -> io::Result<(Self, File)> {
        let path = folder.join(format!("{first:020}.log"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)?;
        file.set_len(0)?;
        sync_folder(folder)?;
        let segment = Self {
            first,
            path,
            length: 0,
        };
        Ok((segment, file))
    }

    /// Those of a folder, oldest first.
    pub(super) fn all(folder: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let first = name.and_then(|name| name.strip_suffix(".log")?.parse().ok());
            if let Some(first) = first {
                let length = fs::metadata(&path)?.len();
                found.push(Self {
                    first,
                    path,
                    length,
                });
            }
        }
        found.sort_by_key(|segment| segment.first);
        Ok(found)
    }

    /// The deliveries in it. What follows the last whole one was never acknowledged, since an answer is
    /// given after everything before it was made durable; it is cut off.
    pub(super) fn scan(&mut self) -> io::Result<Vec<Place>> {
        let mut reader = BufReader::new(File::open(&self.path)?);
        let (mut found, mut offset) = (Vec::new(), 0);
        loop {
            match Record::read(&mut reader) {
                Ok(None) => return Ok(found),
                Ok(Some(mut record)) => {
                    // They are read with the body, when it is their turn.
                    record.head.headers.clear();
                    let end = reader.stream_position()?;
                    found.push(Place {
                        head: record.head,
                        path: self.path.clone(),
                        offset,
                        length: end - offset,
                    });
                    offset = end;
                }
                Err(error) if is_damage(&error) => {
                    self.cut(offset, &error)?;
                    return Ok(found);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn cut(&mut self, length: u64, error: &io::Error) -> io::Result<()> {
        let lost = self.length.saturating_sub(length);
        tracing::warn!(path = %self.path.display(), lost, %error, "cut {lost} bytes that are no whole delivery off `{}`", self.path.display());
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(length)?;
        file.sync_all()?;
        self.length = length;
        Ok(())
    }
}

impl Place {
    /// The delivery that lies there.
    pub(super) fn read(&self) -> io::Result<Record> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Record::read(&mut BufReader::new(file))?
            .filter(|record| record.head.sequence == self.head.sequence)
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "a delivery is not where it was")
            })
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
