//! The one place where a call leaves the SDK: to the host in a component, to the fake host in a native test.

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod convert;
#[cfg(target_family = "wasm")]
pub(crate) use component::{
    Response, Table, attach, checkpoint, cursor, expose, log, report, send, set_cursor, wait,
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::calls::{
    Response, Table, attach, checkpoint, cursor, expose, log, report, send, set_cursor, wait,
};
