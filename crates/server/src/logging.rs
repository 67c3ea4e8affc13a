//! Structured logs, to standard error: standard output belongs to what a command answers.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{LogConfig, LogFormat};

/// Starts logging. Never an address, token or body: those who log see to that.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    // Ours comes first: the operator's own word on the same target outweighs it.
    let level = format!("sea_orm_migration=warn,{}", config.level);
    let filter = EnvFilter::try_new(level).with_context(|| format!("log.level {:?} is no filter", config.level))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = match config.format {
        LogFormat::Text => registry
            .with(fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false))
            .try_init(),
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init(),
    };
    started.context("logging was started before")
}
