//! Compiles a component for the broker, in the same confinement as a run: a component can be a compile bomb.

use domain::Failure;
use domain::protocol::{End, FromRunner, MAX_PAYLOAD, ToRunner};
use wasmparser::Parser;
use wasmtime::Engine;

use crate::artifact::MAX_BYTES;
use crate::link::{Broken, Link};

/// Receives a component in pieces, and sends its compiled form back in pieces, or why there is none.
pub(crate) fn serve(link: &Link, engine: &Engine) -> Result<(), Broken> {
    let component = receive(link)?;
    match compile(engine, &component) {
        Ok(compiled) => send(link, &compiled),
        Err(failure) => Ok(link.send(&FromRunner::End(End::Failed(failure)), &[])?),
    }
}

fn receive(link: &Link) -> Result<Vec<u8>, Broken> {
    let mut component = Vec::new();
    loop {
        let frame = link.receive()?;
        let ToRunner::Piece { last } = frame.message else {
            return Err(Broken::Order(
                "a piece of the component was expected".into(),
            ));
        };
        component.extend_from_slice(&frame.payload);
        if component.len() > MAX_BYTES {
            return Err(Broken::Order(
                "the component is larger than was agreed".into(),
            ));
        }
        if last {
            return Ok(component);
        }
    }
}

fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, Failure> {
    if !Parser::is_component(component) {
        return Err(Failure::config("this is not a WebAssembly component"));
    }
    engine
        .precompile_component(component)
        .map_err(|error| Failure::config(format!("the component does not compile: {error:#}")))
}

fn send(link: &Link, compiled: &[u8]) -> Result<(), Broken> {
    let mut pieces = compiled.chunks(MAX_PAYLOAD).peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        link.send(&FromRunner::Piece { last }, piece)?;
    }
    Ok(())
}
