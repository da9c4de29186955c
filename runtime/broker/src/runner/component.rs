//! The compiled component as a runner gets it: a sealed copy in memory, so that the bytes that were
//! verified are the bytes that are mapped, whatever happens to the file.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use domain::ports::Component;
use domain::{Digest, Failure};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// More than any component compiles to.
pub(crate) const MAX_COMPILED: u64 = 512 << 20;

/// Memory that a runner can be started with before its component is there.
pub(crate) fn blank() -> Result<File, Failure> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("component", flags).map_err(|error| {
        Failure::bug(format!(
            "there is no memory for the compiled component: {error}"
        ))
    })?;
    Ok(File::from(memory))
}

/// Copies the compiled form, verifies and seals it. The runner, which has the same memory, does not look at it before it
/// is told to run, and must not be told before this is done.
pub(crate) fn fill(copy: &mut File, component: &Component) -> Result<(), Failure> {
    let shown = component.compiled.display();
    let broken = |error: io::Error| {
        Failure::bug(format!(
            "the compiled component {shown} cannot be read: {error}; upload the connector again"
        ))
    };
    let source = File::open(&component.compiled).map_err(broken)?;
    let digest = copy_and_hash(source, copy).map_err(broken)?;
    if digest != component.compiled_digest {
        return Err(Failure::bug(format!(
            "the compiled component {shown} is not the one that was recorded ({} instead of {}): upload the connector again",
            digest.short(),
            component.compiled_digest.short()
        )));
    }
    seal(copy).map_err(broken)
}

fn copy_and_hash(source: File, copy: &mut File) -> io::Result<Digest> {
    let mut source = source.take(MAX_COMPILED);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = source.read(&mut buffer)?;
        let part = buffer.get(..count).unwrap_or_default();
        if part.is_empty() {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(part);
        copy.write_all(part)?;
    }
}

/// How often sealing is tried, and how long is waited in between.
const SEALINGS: u32 = 100;
const BETWEEN_SEALINGS: Duration = Duration::from_millis(5);

fn seal(copy: &mut File) -> io::Result<()> {
    copy.rewind()?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    for _ in 1..SEALINGS {
        match fcntl_add_seals(&*copy, seals) {
            // The kernel holds a page for a moment, as when it moves memory about.
            Err(Errno::BUSY) => std::thread::sleep(BETWEEN_SEALINGS),
            done => return Ok(done?),
        }
    }
    Ok(fcntl_add_seals(&*copy, seals)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(component: &Component) -> Result<File, Failure> {
        let mut copy = blank()?;
        fill(&mut copy, component)?;
        Ok(copy)
    }

    fn component(bytes: &[u8], digest: Digest) -> (tempfile::TempDir, Component) {
        let folder = tempfile::tempdir().unwrap();
        let compiled = folder.path().join("a.cwasm");
        std::fs::write(&compiled, bytes).unwrap();
        let component = Component {
            compiled,
            compiled_digest: digest,
            wit: "0.1.0".into(),
        };
        (folder, component)
    }

    #[test]
    fn what_was_verified_cannot_be_changed_any_more() {
        let bytes = vec![7; 300_000];
        let (_folder, component) = component(&bytes, Digest::of(&bytes));
        let mut copy = sealed(&component).unwrap();
        std::fs::write(&component.compiled, b"other").unwrap();
        let mut read = Vec::new();
        copy.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        copy.rewind().unwrap();
        assert!(copy.write(b"x").is_err());
        assert!(copy.set_len(0).is_err());
    }

    #[test]
    fn another_form_than_the_recorded_one_is_refused() {
        let (folder, component) = component(b"altered", Digest::of(b"original"));
        let failure = sealed(&component).unwrap_err();
        assert!(
            failure.message.contains("not the one that was recorded"),
            "{failure}"
        );
        drop(folder);
        assert!(sealed(&component).is_err());
    }
}
