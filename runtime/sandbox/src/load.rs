//! Loads a compiled component: the one place where bytes become machine code without being compiled here.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads the compiled component on this process's standard output, where the broker put it.
pub(crate) fn inherited_component(engine: &Engine) -> wasmtime::Result<Component> {
    let compiled = read_inherited()?;
    #[expect(
        unsafe_code,
        reason = "the bytes were made by `compile` in a process like this one; the broker compared their digest with \
                  the recorded one, and passed them in memory that is sealed against writing"
    )]
    // SAFETY: see the reason above. wasmtime itself refuses the output of another version or other settings.
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

fn read_inherited() -> io::Result<Vec<u8>> {
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
