//! `sluice admin verify`: every published file against its receipt, whether a server serves the folder or not.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use domain::SourceName;
use warehouse::{Paths, published_sources, verify_beside};

use crate::cli::output::{CliError, CliResult, bytes, counted, plain, say};

#[derive(Args)]
pub(super) struct Verify {
    /// Only these sources; all when none is named
    sources: Vec<String>,
}

pub(super) fn verify(data_dir: &Path, verify: &Verify) -> CliResult<ExitCode> {
    let paths = Paths::new(data_dir).map_err(|error| CliError::advised(&error))?;
    let mut sound = true;
    for source in sources(&paths, &verify.sources)? {
        sound &= one(&paths, &source);
    }
    Ok(match sound {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn sources(paths: &Paths, named: &[String]) -> CliResult<Vec<SourceName>> {
    if named.is_empty() {
        return published_sources(paths).map_err(|error| {
            let folder = paths.extracts();
            CliError::new(format!("cannot read `{}`: {error}", folder.display()))
                .hint("name the server's data folder with --data-dir or SLUICE_DATA_DIR")
        });
    }
    let parse = |name: &String| SourceName::parse(name);
    let parsed = named.iter().map(parse).collect::<Result<_, _>>();
    parsed.map_err(|error| CliError::advised(&error))
}

/// Whether the files of a source are what was written.
fn one(paths: &Paths, source: &SourceName) -> bool {
    match verify_beside(paths, source) {
        Ok(verified) => {
            for problem in &verified.problems {
                say(format!("{source}: problem: {}", plain(problem)));
            }
            let files = counted(verified.files as u64, "file");
            say(format!("{source}: {files}, {}", bytes(verified.bytes)));
            verified.problems.is_empty()
        }
        Err(failure) => {
            say(format!(
                "{source}: problem: {}",
                plain(&failure.to_string())
            ));
            false
        }
    }
}
