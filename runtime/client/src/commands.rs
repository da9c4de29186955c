//! What each command does.

mod admin;
mod analyst;
mod auth;
mod browse;
mod diagnose;
mod explore;
mod metrics;
mod query;
mod server;
mod setup;
mod skills;
mod status;

use clap::CommandFactory;

use crate::args::{AnalystCommand, Cli, Command};
use crate::config::Config;
use crate::error::Error;
use crate::http::Api;
use crate::{snapshots, sync, update};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Error> {
    let json = cli.json;
    let config = Config::new(cli.server.or_else(|| cli.command.server_url()));
    if matches!(cli.command, Command::UpdateCheck) {
        update::look(&config);
        return Ok(());
    }
    let done = perform(&config, cli.command, json);
    update::mention(&config);
    done
}

fn perform(config: &Config, command: Command, json: bool) -> Result<(), Error> {
    let api = Api::new(config);
    match command {
        Command::Login(args) => auth::login(config, &api, &args),
        Command::Auth(command) => auth::run(config, &api, command, json),
        Command::Sync(args) => sync::run(&api, &args, json),
        Command::Query(args) => query::run(&api, &args, json),
        Command::Catalog { .. } => browse::catalog(&api, json),
        Command::Schema { table } => browse::schema(&api, &table, json),
        Command::Describe { table, n } => browse::describe(&api, &table, n, json),
        Command::Fetch(args) => snapshots::fetch(&api, &args, json),
        Command::Explore { table, remote } => explore::run(&api, &table, remote, json),
        Command::Snapshot(command) => snapshots::run(&api, &command, json),
        Command::DiskInfo => snapshots::disk_info(json),
        Command::Status { local: true } => status::local(json),
        Command::Status { local: false } => status::status(&api, json),
        Command::Diagnose { symptom, component } => {
            let (symptom, component) = (symptom.as_deref(), component.as_deref());
            diagnose::run(config, &api, symptom, component, json)
        }
        Command::Metrics(command) => metrics::run(&api, &command, json),
        Command::Admin(command) => admin::run(&api, &command, json),
        Command::Setup(command) => setup::run(config, &api, &command, json),
        Command::Analyst(AnalystCommand::Setup(asked)) => analyst::setup(config, &asked, json),
        Command::Analyst(AnalystCommand::Status { workspace }) => {
            analyst::status(workspace.as_deref(), json)
        }
        Command::Skills(command) => skills::run(&command, json),
        Command::Server(command) => server::run(&command),
        Command::UpdateCheck => Ok(()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "da", &mut std::io::stdout());
            Ok(())
        }
    }
}
