//! `sluice extensions`: fills and checks the folder from which DuckDB's extensions are loaded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use warehouse::{ExtensionFolder, Paths};

use super::output::{CliError, CliResult, print, say, table};
use crate::error::chain;
use crate::extensions::{INDEX, Origin, REPOSITORY};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Fetch extensions of this server's DuckDB, and write down their digests
    Install(Install),
    /// List what is installed
    List(Folder),
    /// Check the digests of what is installed, and that DuckDB takes it
    Verify(Folder),
}

#[derive(Args)]
pub(super) struct Install {
    /// Such as `postgres`, `sqlite` or `ducklake`
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Take this one extension from a file instead
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// DuckDB's repository, which is tried first; empty for none
    #[arg(long, default_value = REPOSITORY, value_name = "URL")]
    repository: String,
    /// The Python package index that is tried then
    #[arg(long, env = "PIP_INDEX_URL", default_value = INDEX, hide_env_values = true, value_name = "URL")]
    index_url: String,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Args)]
pub(super) struct Folder {
    /// The data folder of the server
    #[arg(long, env = "DATA_DIR", default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
}

impl Folder {
    fn open(&self) -> CliResult<ExtensionFolder> {
        let paths = Paths::new(&self.data_dir).map_err(|error| CliError::advised(&error))?;
        Ok(paths.extensions())
    }
}

pub(super) async fn extensions(command: Command) -> CliResult<ExitCode> {
    match command {
        Command::Install(install) => install_all(install).await,
        Command::List(folder) => list(&folder.open()?),
        Command::Verify(folder) => verify(&folder.open()?),
    }
}

async fn install_all(install: Install) -> CliResult<ExitCode> {
    let folder = install.folder.open()?;
    if install.file.is_some() && install.names.len() > 1 {
        return Err(CliError::new("--file is for one extension"));
    }
    let origin = Origin::new(&install.repository, &install.index_url);
    let origin = origin.map_err(|error| CliError::advised(&error))?;
    for name in &install.names {
        let (bytes, from) = match &install.file {
            Some(file) => (read(file)?, "a file".to_owned()),
            None => origin.fetch(name).await.map_err(|error| {
                CliError::new(format!("`{name}` could not be fetched: {}", chain(&error)))
                    .hint("where no server can be reached, take the file from another machine: `sluice extensions install NAME --file FILE`")
            })?,
        };
        let installed = folder.install(name, &bytes, &from);
        let installed = installed.map_err(|error| CliError::new(chain(&error)))?;
        say(format!("{name}: {} from {from}", installed.sha256));
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> CliResult<Vec<u8>> {
    std::fs::read(file)
        .map_err(|error| CliError::new(format!("`{}` cannot be read: {error}", file.display())))
}

fn list(folder: &ExtensionFolder) -> CliResult<ExitCode> {
    let installed = folder
        .list()
        .map_err(|error| CliError::new(chain(&error)))?;
    let rows = installed.into_iter().map(|(name, installed)| {
        let at = installed.installed_at.to_string();
        vec![name, installed.sha256.to_string(), installed.from, at]
    });
    print(&table(
        &["extension", "sha256", "from", "installed"],
        &rows.collect::<Vec<_>>(),
    ));
    Ok(ExitCode::SUCCESS)
}

fn verify(folder: &ExtensionFolder) -> CliResult<ExitCode> {
    let installed = folder
        .list()
        .map_err(|error| CliError::new(chain(&error)))?;
    let mut code = ExitCode::SUCCESS;
    for name in installed.keys() {
        match folder.verify(name).and_then(|()| folder.load(name)) {
            Ok(()) => say(format!("{name}: good")),
            Err(error) => {
                say(format!("{name}: {}", chain(&error)));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
