//! Whole-server tests, in reading order.

mod shop;

mod main_job;

mod contract;
mod query;
mod runs;

mod access;
mod admin;
mod artifacts;
mod author;
mod credentials;
mod egress;
mod hygiene;
mod oidc;
mod rbac;
mod sandbox;
mod sign_in;

mod bad_data;
mod bad_input;

mod faults;
mod readers;

mod cli;
mod config;
mod security_table;
mod tidy;
