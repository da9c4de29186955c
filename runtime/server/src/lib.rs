//! The HTTP API, the pages, the command line and the wiring of Sluice.
//!
//! The only crate that knows all others: it opens what `warehouse`, `broker` and `ingest` offer,
//! hands them to each other through the ports of `domain`, and turns requests into calls of them.

mod alerts;
mod api;
mod app;
mod auth;
mod author;
mod cli;
mod clients;
mod comparisons;
mod components;
mod config;
mod control;
mod credentials;
mod doctor;
mod error;
mod extensions;
mod handover;
mod hooks;
mod hybrid;
mod lifecycle;
mod links;
mod metrics;
mod middleware;
mod oidc;
mod recordings;
mod router;
mod scans;
mod serve;
mod signin;
mod streams;
mod telemetry;
mod uploads;
mod web;

pub use cli::main;
