//! Loads a compiled component: the one place where bytes become machine code without being compiled here.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::ptr;
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads the compiled component on this process's standard output, where the broker put it.
pub(crate) fn inherited_component(engine: &Engine) -> wasmtime::Result<Component> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    component(engine, file)
}

/// Loads a compiled component from memory that is sealed against writing.
pub(crate) fn component(engine: &Engine, file: File) -> wasmtime::Result<Component> {
    let compiled = Mapped::whole(file)?;
    #[expect(
        unsafe_code,
        reason = "the bytes were made by `compile` in a process like this one; the broker compared their digest with \
                  the recorded one, and passed them in memory that is sealed against writing"
    )]
    // SAFETY: see the reason above. wasmtime itself refuses the output of another version or other settings.
    unsafe {
        Component::deserialize(engine, compiled.bytes())
    }
}

/// A file's bytes where they are: read once, by wasmtime, into what it makes executable.
#[derive(Debug)]
struct Mapped {
    start: *mut std::ffi::c_void,
    length: usize,
}

impl Mapped {
    fn whole(mut file: File) -> io::Result<Self> {
        // Asking for its metadata is a system call that could ask about any path, and so is refused.
        let length = file.seek(SeekFrom::End(0))?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        #[expect(
            unsafe_code,
            reason = "a new mapping, at an address that the kernel chooses"
        )]
        // SAFETY: it replaces nothing that is there.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                &file,
                0,
            )?
        };
        Ok(Self { start, length })
    }

    fn bytes(&self) -> &[u8] {
        #[expect(
            unsafe_code,
            reason = "the mapping is as long as this value lives, and nobody can write to the sealed file or cut it"
        )]
        // SAFETY: see the reason above.
        unsafe {
            slice::from_raw_parts(self.start.cast(), self.length)
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[expect(
            unsafe_code,
            reason = "it was mapped by this value, which lends it out no more"
        )]
        // SAFETY: see the reason above.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
