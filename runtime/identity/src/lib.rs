//! How people prove who they are: passwords, one-time links by mail, identity providers, and the
//! limits that keep guessing slow.
//!
//! The only crate that names argon2, lettre, governor and openidconnect. Knows neither HTTP routes nor
//! the state: the server brings both together.

mod fetch;
pub mod google_groups;
pub mod link;
pub mod mail;
pub mod oidc;
pub mod password;
pub mod throttle;

#[cfg(test)]
mod fake;

pub use fetch::FetchError;
