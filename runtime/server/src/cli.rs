//! The command line: `serve`, `doctor`, `config`, `extensions` and `admin` work on this machine, `connector` on files, the rest
//! speaks to a server's REST API.

mod admin;
mod client;
mod config;
mod connector;
mod doctor;
mod events;
mod extensions;
pub(crate) mod output;
mod publisher;
mod query;
mod rebuild;
mod run;
mod serve;
mod source;

use std::future::Future;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use client::Client;
use output::{CliError, CliResult};

/// Runs data connectors that nobody has to trust, and serves what they bring as SQL.
#[derive(Parser)]
#[command(name = "sluice", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
    /// Check what this machine offers, and what to do about what it does not
    Doctor(doctor::Doctor),
    /// Back up, restore and check the state, at the machine itself
    Admin(admin::Admin),
    /// Check a configuration, print what holds, or its schema
    #[command(subcommand)]
    Config(config::Command),
    /// Install DuckDB's extensions, by which remote databases are attached
    #[command(subcommand)]
    Extensions(extensions::Command),
    /// Build, sign, check and upload connectors
    #[command(subcommand)]
    Connector(connector::Command),
    /// Say whose signatures a server believes
    #[command(subcommand)]
    Publisher(publisher::Command),
    /// Add, list and remove sources, and enter their credentials
    #[command(subcommand)]
    Source(source::Command),
    /// Run a source and watch it
    Run(run::Run),
    /// List runs, newest first
    Runs(run::Runs),
    /// Show the log of a run
    Log(run::Log),
    /// Run SQL
    Query(query::Query),
    /// Look at all extracts now, and tell why tables are missing
    Rebuild(rebuild::Rebuild),
    /// List the tables
    Tables(query::Tables),
}

/// Which server to speak to, and as whom.
#[derive(Args)]
struct Remote {
    /// The server
    #[arg(
        long,
        env = "SLUICE_SERVER",
        default_value = "http://127.0.0.1:8000",
        value_name = "URL"
    )]
    server: String,
    /// The token that setting up the server gave you
    #[arg(
        long,
        env = "SLUICE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
}

impl Remote {
    fn client(&self) -> CliResult<Client> {
        Client::new(&self.server, self.token.as_deref())
    }
}

/// Runs the command line of this process: 0 it worked, 1 it failed, 2 it was used wrongly.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, everything else is a mistake.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // Refused only when there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            output::fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> CliResult<ExitCode> {
    match command {
        Command::Serve(serve) => serve::serve(serve).map(done),
        Command::Doctor(doctor) => doctor::doctor(&doctor),
        Command::Admin(admin) => wait(admin::admin(admin)),
        Command::Config(command) => config::config(&command),
        Command::Extensions(command) => wait(extensions::extensions(command)),
        Command::Connector(command) => connector::connector(command).map(done),
        Command::Publisher(command) => wait(publisher::publisher(command)).map(done),
        Command::Source(command) => wait(source::source(command)).map(done),
        Command::Run(run) => wait(run::run(run)),
        Command::Runs(runs) => wait(run::list(runs)).map(done),
        Command::Log(log) => wait(run::log(log)).map(done),
        Command::Query(query) => wait(query::query(query)).map(done),
        Command::Rebuild(rebuild) => wait(rebuild::rebuild(rebuild)).map(done),
        Command::Tables(tables) => wait(query::tables(tables)).map(done),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Runs one asynchronous command on this thread.
fn wait<T>(command: impl Future<Output = CliResult<T>>) -> CliResult<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("no runtime could be started: {error}")))?
        .block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
