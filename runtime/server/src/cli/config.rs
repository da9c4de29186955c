//! `sluice config`: checks a configuration without starting anything, prints what holds, and the
//! schema by which editors complete it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{CliError, CliResult, plain, print, remark, say};
use crate::config::{Config, ConfigError, Loaded, schema_text, show};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Tell everything that is wrong with a configuration, with file, line and column
    Check(File),
    /// Print the configuration that holds: defaults, file and environment; secrets are masked
    Show(File),
    /// Print the JSON Schema of the configuration
    Schema,
}

#[derive(Args)]
pub(super) struct File {
    /// The configuration file; without one, the defaults and the environment
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn config(command: &Command) -> CliResult<ExitCode> {
    match command {
        Command::Check(file) => check(file),
        Command::Show(file) => {
            let loaded = load(file.config.as_deref())?;
            print(&show(&loaded.config));
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            print(&schema_text());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads a configuration for a command that needs a good one.
pub(super) fn load(file: Option<&Path>) -> CliResult<Loaded> {
    Config::load(file).map_err(|error| {
        CliError::new(error.to_string())
            .hint("config/instance.yaml.example shows every key with its default; `sluice config check` tells what is wrong without starting anything")
    })
}

/// Problems are the result of this command, so they go to standard output, a line each.
fn check(file: &File) -> CliResult<ExitCode> {
    match Config::load(file.config.as_deref()) {
        Err(ConfigError::Wrong(problems)) => {
            let count = problems.list.len();
            say(plain(&problems.to_string()));
            let plural = if count == 1 { "" } else { "s" };
            remark(format!("{count} problem{plural}"));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(CliError::new(error.to_string())),
        Ok(loaded) => {
            for warning in &loaded.warnings {
                remark(format!("warning: {warning}"));
            }
            let name = file.config.as_ref();
            let name = name.map_or_else(|| "no file".into(), |file| file.display().to_string());
            say(format!("{name}: good\n{}", summary(&loaded.config)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What people look for first.
fn summary(config: &Config) -> String {
    let providers = config.auth.oidc.iter();
    let providers: Vec<_> = providers.map(|provider| &*provider.name).collect();
    let mut ways = vec![];
    ways.extend(config.auth.password.enabled.then_some("password"));
    let mails = config.mail.smtp.host.as_deref();
    ways.extend((config.auth.magic_link.enabled && mails.is_some()).then_some("magic link"));
    ways.extend(providers);
    let origins = match config.http.cors_origins.len() {
        0 => "closed".into(),
        count => format!("{count} origins"),
    };
    format!(
        "  listens   {}\n  data      {}\n  sign-in   {}\n  mail      {}\n  CORS      {origins}",
        config.http.listen,
        config.storage.data_dir.display(),
        if ways.is_empty() {
            "by tokens only".into()
        } else {
            ways.join(", ")
        },
        mails.unwrap_or("none is sent"),
    )
}
