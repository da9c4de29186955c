//! Whole-server tests, in reading order.

mod shop;

mod main_job;

mod contract;
mod query;
mod queue;
mod runs;
mod schedules;

mod access;
mod access_requests;
mod admin;
mod artifacts;
mod author;
mod credentials;
mod da;
mod descriptions;
mod downloads;
mod egress;
mod escapes;
mod handover;
mod hostile;
mod hygiene;
mod keboola;
mod knowledge;
mod leaks;
mod lifecycle;
mod marketplaces;
mod metric_definitions;
mod notifications;
mod oidc;
mod preferences;
mod progress;
mod rbac;
mod registry;
mod remote;
mod replay;
mod results;
mod sandbox;
mod schemes;
mod sign_in;
mod source_grants;
mod upgrade_gate;
mod uploads;
mod v2;
mod webhooks;
mod wire;
mod wit_versions;
mod write_modes;

mod bad_data;
mod bad_input;

mod faults;
mod readers;

mod cli;
mod client;
mod config;
mod security_table;
mod tidy;
