//! `sluice serve`: the configuration file, with flags and environment on top.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::config::load;
use super::output::{CliError, CliResult};
use crate::config::{Loaded, LogFormat};
use crate::{serve, telemetry};

#[derive(Args)]
pub(super) struct Serve {
    /// The folder of all data and state, created where it is missing [default: data]
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:8000]
    #[arg(long, env = "SLUICE_LISTEN", value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// A configuration file; config/instance.yaml.example shows every key
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look [default: text]
    #[arg(long, env = "SLUICE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

pub(super) fn serve(flags: Serve) -> CliResult<()> {
    let Loaded {
        mut config,
        warnings,
    } = load(flags.config.as_deref())?;
    if let Some(data_dir) = flags.data_dir {
        config.storage.data_dir = data_dir;
    }
    if let Some(listen) = flags.listen {
        config.http.listen = listen;
    }
    if let Some(format) = flags.log_format {
        config.log.format = format;
    }
    telemetry::start(&config.log).map_err(CliError::new)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    serve::serve(config)
}
