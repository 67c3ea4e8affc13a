//! The binary `stentor`: one program for every role and for those who run it.

mod commands;
mod config;
mod dev;
mod http;
mod logging;
mod shutdown;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    // lettre, reqwest and sqlx are built without a TLS provider of their own: this one serves all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return commands::complain(&error.into()),
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => commands::complain(&error),
    }
}
