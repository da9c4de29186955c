//! The author's loop on one machine, without a server: a real broker and real runners against recordings, in data
//! folders that are thrown away.

pub(crate) mod acceptance;
pub(crate) mod compare;
pub(crate) mod skeleton;
mod trials;
mod workshop;

pub(crate) use workshop::{Place, Ran, Trial, Workshop, read_recording};
