//! Whole-server tests, in reading order.

mod shop;

mod main_job;

mod contract;
mod query;
mod runs;

mod access;
mod access_requests;
mod admin;
mod artifacts;
mod credentials;
mod descriptions;
mod egress;
mod hygiene;
mod leaks;
mod lifecycle;
mod marketplaces;
mod notifications;
mod oidc;
mod preferences;
mod rbac;
mod sandbox;
mod schemes;
mod sign_in;
mod source_grants;
mod wit_versions;

mod bad_data;
mod bad_input;

mod faults;
mod readers;

mod cli;
mod config;
mod security_table;
mod tidy;
