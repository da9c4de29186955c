//! The REST API: a file for each part of the URL tree. Handlers translate; rules live below.

pub(crate) mod bootstrap;
pub(crate) mod catalog;
pub(crate) mod connectors;
pub(crate) mod data;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod invitations;
pub(crate) mod knowledge;
pub(crate) mod me;
pub(crate) mod metric_definitions;
pub(crate) mod metrics;
pub(crate) mod oidc;
pub(crate) mod packages;
pub(crate) mod publishers;
pub(crate) mod query;
pub(crate) mod registry;
pub(crate) mod runs;
pub(crate) mod shapes;
pub(crate) mod signin;
pub(crate) mod sources;
pub(crate) mod sync;
pub(crate) mod tokens;
pub(crate) mod users;
