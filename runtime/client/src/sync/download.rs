//! One file from the server: begun where it was cut, and verified before it takes the place of a good one.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use md5::{Digest, Md5};
use parquet::file::reader::SerializedFileReader;
use ureq::http::{Method, Response};

use crate::error::{Error, io};
use crate::http::{Api, part};
use crate::workspace::{Workspace, make_parent};

/// What is left of the disk for everything else.
const SPARE: u64 = 64 * 1024 * 1024;

/// Fetches a table's file to its place.
pub(super) fn download(
    api: &Api,
    workspace: &Workspace,
    name: &str,
    hash: &str,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let partial = workspace.partial().join(format!("{name}.parquet"));
    let tag = workspace.partial().join(format!("{name}.etag"));
    make_parent(&partial)?;
    attempts(api, name, &partial, &tag, bar)?;
    let verified = verify(&partial, hash);
    fs::remove_file(&tag).ok();
    if verified.is_err() {
        // What came is of no use to go on from; the good old file stays.
        fs::remove_file(&partial).ok();
    }
    verified?;
    let place = workspace.parquet().join(format!("{name}.parquet"));
    make_parent(&place)?;
    fs::rename(&partial, &place).map_err(io("cannot write", &place))
}

/// Goes on after each cut, until several in a row have brought nothing.
fn attempts(
    api: &Api,
    name: &str,
    partial: &Path,
    tag: &Path,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let retries = std::env::var("DA_STREAM_RETRIES")
        .ok()
        .and_then(|n| n.parse().ok());
    let retries: u32 = retries.unwrap_or(3);
    let mut fruitless = 0;
    loop {
        let before = length(partial);
        let Err(error) = attempt(api, name, partial, tag, bar) else {
            return Ok(());
        };
        let again = match &error {
            Error::Api { status, .. } => *status >= 500 || *status == 416,
            Error::Unreachable { .. } => true,
            _ => false,
        };
        fruitless = if length(partial) > before {
            0
        } else {
            fruitless + 1
        };
        if !again || fruitless > retries {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(match fruitless {
            0 | 1 => 300,
            2 => 1_000,
            _ => 3_000,
        }));
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

fn attempt(
    api: &Api,
    name: &str,
    partial: &Path,
    tag: &Path,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let begun = length(partial);
    let known = fs::read_to_string(tag).ok().filter(|_| begun > 0);
    let range = format!("bytes={begun}-");
    let headers: Vec<(&str, &str)> = match &known {
        Some(known) => vec![("range", &range), ("if-range", known)],
        None => Vec::new(),
    };
    let path = format!("/api/data/{}/download", part(name));
    let answer = api.open(Method::GET, &path, None, &headers);
    if let Err(Error::Api { status: 416, .. }) = &answer {
        fs::remove_file(partial).ok();
    }
    let answer = answer?;
    let goes_on = answer.status().as_u16() == 206 && starts_at(&answer, begun);
    if answer.status().as_u16() == 206 && !goes_on {
        fs::remove_file(partial).ok();
        return Err(Error::Said(format!(
            "{} sent another range of {name} than was asked for",
            api.server
        )));
    }
    match answer
        .headers()
        .get("etag")
        .and_then(|tag| tag.to_str().ok())
    {
        Some(etag) => fs::write(tag, etag).map_err(io("cannot write", tag))?,
        None => drop(fs::remove_file(tag)),
    }
    bar.set_position(if goes_on { begun } else { 0 });
    receive(api, answer, partial, goes_on, bar)
}

fn starts_at(answer: &Response<ureq::Body>, begun: u64) -> bool {
    let range = answer
        .headers()
        .get("content-range")
        .and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| {
        range
            .strip_prefix("bytes ")?
            .split('-')
            .next()?
            .parse()
            .ok()
    });
    start == Some(begun)
}

fn receive(
    api: &Api,
    mut answer: Response<ureq::Body>,
    partial: &Path,
    goes_on: bool,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let wrong = || io("cannot write", partial);
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true);
    let options = if goes_on {
        options.append(true)
    } else {
        options.truncate(true)
    };
    let mut file = options.open(partial).map_err(wrong())?;
    let room = room(partial)?;
    let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 128 * 1024];
    let mut received = 0;
    loop {
        let n = body.read(&mut buffer).map_err(|error| Error::Unreachable {
            server: api.server.clone(),
            reason: format!("the download was cut: {error}"),
        })?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        received += n as u64;
        if received > room {
            return Err(Error::Said(format!(
                "the disk that holds {} is full",
                partial.display()
            )));
        }
        file.write_all(bytes).map_err(wrong())?;
        bar.inc(n as u64);
    }
    file.sync_data().map_err(wrong())
}

/// How many bytes may still go to the disk of this file.
fn room(path: &Path) -> Result<u64, Error> {
    let folder = path.parent().unwrap_or(path);
    let disk =
        rustix::fs::statvfs(folder).map_err(|error| io("cannot measure", folder)(error.into()))?;
    Ok((disk.f_bavail * disk.f_frsize).saturating_sub(SPARE))
}

/// The MD5 that the manifest names where it names one, and in any case a parquet file with a footer.
fn verify(path: &Path, hash: &str) -> Result<(), Error> {
    if !hash.is_empty() {
        let found = digest(path)?;
        if !found.eq_ignore_ascii_case(hash) {
            let short = |text: &str| text.chars().take(12).collect::<String>();
            let text = format!(
                "hash mismatch: expected {}…, got {}…; the local copy is kept",
                short(hash),
                short(&found)
            );
            return Err(Error::Said(text));
        }
    }
    let file = File::open(path).map_err(io("cannot open", path))?;
    SerializedFileReader::new(file).map_err(|error| {
        Error::Said(format!(
            "the downloaded file is not a valid parquet: {error}"
        ))
    })?;
    Ok(())
}

/// The MD5 of a file in hex.
pub(crate) fn digest(path: &Path) -> Result<String, Error> {
    let wrong = || io("cannot read", path);
    let mut file = File::open(path).map_err(wrong())?;
    let mut sum = Md5::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let n = file.read(&mut buffer).map_err(wrong())?;
        match buffer.get(..n) {
            Some(bytes) if n > 0 => sum.update(bytes),
            _ => return Ok(hex::encode(sum.finalize())),
        }
    }
}

/// What is left of downloads that will not go on.
pub(super) fn forget(workspace: &Workspace, name: &str) {
    let files: [PathBuf; 2] =
        ["parquet", "etag"].map(|kind| workspace.partial().join(format!("{name}.{kind}")));
    for file in files {
        fs::remove_file(file).ok();
    }
}
