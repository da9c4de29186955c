//! What each command does.

mod admin;
mod auth;
mod browse;
mod query;
mod status;

use clap::CommandFactory;

use crate::args::{Cli, Command, SetupCommand};
use crate::config::Config;
use crate::error::Error;
use crate::http::Api;
use crate::{output, snapshots, sync};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Error> {
    let json = cli.json;
    let config = Config::new(cli.server);
    let api = Api::new(&config);
    match cli.command {
        Command::Login(args) => auth::login(&config, &api, &args),
        Command::Auth(command) => auth::run(&config, &api, command, json),
        Command::Sync(args) => sync::run(&api, &args, json),
        Command::Query(args) => query::run(&api, &args, json),
        Command::Catalog { .. } => browse::catalog(&api, json),
        Command::Schema { table } => browse::schema(&api, &table, json),
        Command::Describe { table, n } => browse::describe(&api, &table, n, json),
        Command::Fetch(args) => snapshots::fetch(&api, &args, json),
        Command::Snapshot(command) => snapshots::run(&command, json),
        Command::Status => status::status(&api, json),
        Command::Metrics(command) => status::metrics(&api, &command, json),
        Command::Admin(command) => admin::run(&api, &command, json),
        Command::Setup(SetupCommand::Init) => {
            config.save_server(&config.server())?;
            output::note(&format!("Saved {}. Next: da login", config.server()));
            Ok(())
        }
        Command::Setup(SetupCommand::TestConnection) => status::status(&api, json),
        Command::Setup(SetupCommand::FirstSync) => status::first_sync(&api, json),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "da", &mut std::io::stdout());
            Ok(())
        }
    }
}
