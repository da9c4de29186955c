//! Connector files: taken in once, proven again before each run.
//!
//! A component lies under its digest in `connectors/`, its compiled form under its own digest in
//! `connectors/compiled/`. Both are written whole and renamed, so a name never stands for other bytes.

mod gc;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use domain::connector::Compiled;
use domain::ports::{Component, Components};
use domain::{Digest, Failure, Version};
use jiff::Timestamp;
use sandbox::artifact::{self, ArtifactError};
use thiserror::Error;
use warehouse::{State, StateError};

/// Why a component was not taken in.
#[derive(Debug, Error)]
pub(crate) enum UploadError {
    /// It is not a signed connector of a known publisher.
    #[error(transparent)]
    Refused(#[from] ArtifactError),
    /// No settings could be checked by its manifest.
    #[error(transparent)]
    Settings(#[from] ingest::IngestError),
    /// It cannot be compiled.
    #[error("the component cannot be compiled: {0}")]
    Compile(Failure),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// It could not be written.
    #[error("the component could not be stored")]
    Storage(#[from] io::Error),
}

/// Compiles a component in a confined process.
pub(crate) type Compiler = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Failure> + Send + Sync>;

/// The folder of components, and what is known of them.
pub(crate) struct ComponentStore {
    state: Arc<State>,
    folder: PathBuf,
    engine: String,
    compiler: Compiler,
    /// One compilation at a time: it takes a processor for seconds.
    compiling: Mutex<()>,
    /// Read while something is written that the state does not name yet, or named that could go; so that
    /// the collector, which holds it alone, takes neither.
    kept: RwLock<()>,
}

impl ComponentStore {
    /// Over a folder, which is created where it is missing. `engine` names what `compiler` makes.
    pub(crate) fn open(
        state: Arc<State>,
        folder: PathBuf,
        engine: String,
        compiler: Compiler,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join("compiled"))?;
        Ok(Self {
            state,
            folder,
            engine,
            compiler,
            compiling: Mutex::default(),
            kept: RwLock::default(),
        })
    }

    /// Takes a component in: signature, manifest and imports are checked, it is compiled and stored,
    /// and waits for an admin's trust. The same bytes again change nothing, but for putting back what
    /// was lost or altered on disk.
    pub(crate) fn upload(&self, bytes: &[u8]) -> Result<Version, UploadError> {
        let found = artifact::inspect(bytes)?;
        ingest::check_schema(&found.manifest.settings)?;
        let publisher = self.publisher_of(bytes)?;
        let _kept = self.keep();
        if let Some(known) = self.state.version(&found.digest)? {
            self.put_back(&known, bytes)?;
            return Ok(known);
        }
        let compiled = {
            let _one = self.one_at_a_time();
            self.compile(bytes).map_err(UploadError::Compile)?
        };
        write_whole(&self.file(&found.digest), bytes)?;
        let version = Version {
            digest: found.digest,
            manifest: found.manifest,
            publisher,
            trusted: false,
            size_bytes: bytes.len() as u64,
            compiled: Some(compiled),
            uploaded_at: Timestamp::now(),
        };
        match self.state.insert_version(&version) {
            // Two uploads of the same bytes at the same time.
            Err(StateError::AlreadyExists { .. }) | Ok(()) => Ok(version),
            Err(error) => Err(error.into()),
        }
    }

    /// The publisher whose signature the bytes bear.
    fn publisher_of(&self, bytes: &[u8]) -> Result<String, UploadError> {
        let publishers: Vec<_> = self
            .state
            .publishers()?
            .into_iter()
            .map(|publisher| (publisher.name, publisher.public_key))
            .collect();
        Ok(artifact::verify(bytes, &publishers)?)
    }

    /// As long as it lives, no version goes that no source needs yet.
    pub(crate) fn keep(&self) -> RwLockReadGuard<'_, ()> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a known version are proof of themselves, so they heal what is wrong on disk.
    fn put_back(&self, known: &Version, bytes: &[u8]) -> Result<(), UploadError> {
        let file = self.file(&known.digest);
        if !holds(&file, known.digest) {
            write_whole(&file, bytes)?;
        }
        let Some(form) = &known.compiled else {
            return Ok(());
        };
        if form.engine == self.engine && !holds(&self.compiled_file(&form.digest), form.digest) {
            let _one = self.one_at_a_time();
            let form = self.compile(bytes).map_err(UploadError::Compile)?;
            self.state.set_compiled(&known.digest, &form)?;
        }
        Ok(())
    }

    /// Compiles and writes; the caller records what it gets, and lets no other compile meanwhile.
    fn compile(&self, bytes: &[u8]) -> Result<Compiled, Failure> {
        let form = (self.compiler)(bytes)?;
        let digest = Digest::of(&form);
        write_whole(&self.compiled_file(&digest), &form).map_err(|error| {
            Failure::limit(format!("the compiled form could not be stored: {error}"))
        })?;
        Ok(Compiled {
            digest,
            engine: self.engine.clone(),
        })
    }

    /// The compiled form that was recorded, or a new one where another engine made that or it is gone.
    fn compiled(&self, version: &Version, bytes: &[u8]) -> Result<Compiled, Failure> {
        if let Some(form) = self.usable(version) {
            return Ok(form);
        }
        let _kept = self.keep();
        let _one = self.one_at_a_time();
        // Another run may have compiled it while this one waited.
        let now = self.state.version(&version.digest)?;
        if let Some(form) = now.and_then(|version| self.usable(&version)) {
            return Ok(form);
        }
        let form = self.compile(bytes)?;
        self.state.set_compiled(&version.digest, &form)?;
        Ok(form)
    }

    fn usable(&self, version: &Version) -> Option<Compiled> {
        let form = version.compiled.as_ref()?;
        let usable = form.engine == self.engine && self.compiled_file(&form.digest).is_file();
        usable.then(|| form.clone())
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    fn compiled_file(&self, digest: &Digest) -> PathBuf {
        self.folder.join("compiled").join(format!("{digest}.cwasm"))
    }
}

impl Components for ComponentStore {
    fn load(&self, version: &Version) -> Result<Component, Failure> {
        let digest = version.digest;
        // Read anew: trust may have been taken away since the caller looked.
        let version = self
            .state
            .version(&digest)?
            .filter(|version| version.trusted)
            .ok_or_else(|| Failure::config(format!("version {digest} is not trusted")))?;
        self.proven(&version)
    }
}

impl ComponentStore {
    /// A version whose signature is good, trusted or not: for replays, where it reaches nothing and nobody sees its rows.
    pub(crate) fn load_to_compare(
        &self,
        version: &Digest,
    ) -> Result<(Version, Component), Failure> {
        let known = self.state.version(version)?;
        let known = known
            .ok_or_else(|| Failure::config(format!("version {version} is no longer there")))?;
        let component = self.proven(&known)?;
        Ok((known, component))
    }

    fn proven(&self, version: &Version) -> Result<Component, Failure> {
        let digest = version.digest;
        let bytes = std::fs::read(self.file(&digest)).map_err(|error| {
            Failure::config(format!(
                "the file of version {digest} cannot be read: {error}; upload it again"
            ))
        })?;
        if Digest::of(&bytes) != digest {
            return Err(Failure::config(format!(
                "the file of version {digest} was changed on disk; remove it and upload the version again"
            )));
        }
        self.publisher_of(&bytes)
            .map_err(|error| Failure::config(format!("version {digest} must not run: {error}")))?;
        let compiled = self.compiled(version, &bytes)?;
        Ok(Component {
            compiled: self.compiled_file(&compiled.digest),
            compiled_digest: compiled.digest,
            wit: version.manifest.wit.clone(),
        })
    }
}

impl std::fmt::Debug for ComponentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComponentStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Whether a file has the bytes of this digest.
fn holds(path: &Path, digest: Digest) -> bool {
    std::fs::read(path).is_ok_and(|bytes| Digest::of(&bytes) == digest)
}

/// Writes a file so that it is either there as a whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", uuid::Uuid::now_v7()));
    let written = File::create(&partial)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&partial, path));
    if let Err(error) = written {
        // What is left over is of no use and named as such.
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
