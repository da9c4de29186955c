//! How people prove who they are: passwords, one-time links by mail, identity providers, and the
//! limits that keep guessing slow.
//!
//! The only crate that names argon2, lettre, governor and openidconnect. Knows neither HTTP routes nor
//! the state: the server brings both together.

pub mod link;
pub mod mail;
pub mod password;
pub mod throttle;
