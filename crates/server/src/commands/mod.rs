//! The command line: one file a command, each answering on standard output and complaining on standard error.

pub(crate) mod admin;
mod api_client;
pub(crate) mod configuration;
mod dead_letters;
mod doctor;
mod inbox;
pub(crate) mod operator;
mod record;
mod send;
mod serve;
mod templates;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::{config::Config, dev};

/// One call, and each person it is meant for is told: in the app, by email or by SMS.
#[derive(Debug, Parser)]
#[command(name = "stentor", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// A configuration file, laid over the defaults
    #[arg(long, global = true, env = "STENTOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the roles of the configuration: api, gateway, worker, bounce
    Serve(serve::Serve),
    /// Run everything in one process to try it out: its own Redis, SQLite, captured mail and SMS, a demo page
    Dev(dev::Dev),
    /// Send a notification
    Send(send::Send),
    /// Look into an inbox
    #[command(subcommand)]
    Inbox(inbox::Inbox),
    /// Create and list apps
    #[command(subcommand)]
    App(admin::App),
    /// Create, list and revoke app keys
    #[command(subcommand)]
    Key(admin::Key),
    /// Create, list and revoke the keys of operators, who may open the console
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Make an inbox token
    Token(admin::Token),
    /// Bring the SQL schema up to date
    Migrate,
    /// Show and check settings
    #[command(subcommand)]
    Config(configuration::Configuration),
    /// Write, check, look at, publish and take back templates
    #[command(subcommand)]
    Templates(templates::Templates),
    /// List, replay and discard dead letters
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    /// Check Redis, the archive, the providers and the DNS, and say what is to be done
    Doctor(doctor::Doctor),
}

impl Cli {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let out = Output { json: self.json };
        let config = || Config::from_environment(self.config.as_deref());
        match self.command {
            Command::Serve(command) => command.run(config()?).await,
            Command::Dev(command) => command.run(config()?, out).await,
            Command::Send(command) => command.run(out).await,
            Command::Inbox(command) => command.run(out).await,
            Command::App(command) => command.run(&config()?, out).await,
            Command::Key(command) => command.run(&config()?, out).await,
            Command::Operator(command) => command.run(&config()?, out).await,
            Command::Token(command) => command.run(&config()?, out).await,
            Command::Migrate => admin::migrate(&config()?, out).await,
            Command::Config(command) => command.run(config, out),
            Command::Templates(command) => command.run(out).await,
            Command::DeadLetters(command) => command.run(out).await,
            Command::Doctor(command) => command.run(&config()?, out).await,
        }
    }
}

impl Config {
    fn from_environment(file: Option<&std::path::Path>) -> anyhow::Result<Self> {
        Ok(crate::config::load(file, std::env::vars())?)
    }
}

/// How answers are written.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub json: bool,
}

impl Output {
    /// Writes an answer: as JSON on one line, or in the words that `text` makes of it.
    pub(crate) fn say<T: Serialize>(self, answer: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string(answer)? } else { text(answer) };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0), // as `| head` expects
            written => Ok(written?),
        }
    }
}

/// Says what went wrong, with its causes, and gives the exit code.
pub(crate) fn complain(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "stentor: {error:#}");
    ExitCode::FAILURE
}
