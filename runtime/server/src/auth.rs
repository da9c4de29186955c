//! Who asks, and whether they may: every request passes the [`guard`], which asks the one decision
//! function of `domain::access` by the table of [`rules`].

pub(crate) mod by;
pub(crate) mod cookie;
pub(crate) mod directory;
pub(crate) mod guard;
pub(crate) mod rules;
pub(crate) mod session;
pub(crate) mod token;

pub(crate) use by::By;
pub(crate) use directory::{Directory, extent, may_read, may_run};
