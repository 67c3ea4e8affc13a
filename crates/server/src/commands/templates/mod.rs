//! `stentor templates`: write, check, look, publish and take back, from the shell and in CI.
//!
//! `new`, `lint`, `render`, `preview` and `golden` work on a folder and need no server; the others speak to one. All end with
//! exit code 0 if all is well and 1 if not: mistakes found, files that differ, a request that was refused.

mod golden;
mod new;
mod online;
mod page;
mod render;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use stentor_catalog::{Checked, Finding, Folder, Severity, check, placed};

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Templates {
    /// Make a new template: its files, to be filled in
    New(new::New),
    /// Look for mistakes; 1 if there are errors
    Lint(Lint),
    /// Write one message out: what a recipient would get on one channel
    Render(render::Render),
    /// Make a page that shows a template on every channel, in every language, with every sample
    Preview(page::Preview),
    /// Keep what samples look like as files, and fail when they change unseen
    Golden(golden::Golden),
    /// Send a test to one person
    TestSend(online::TestSend),
    /// See what differs between the folder and what is live, or between two versions; 1 if anything does
    Diff(online::Diff),
    /// Publish templates of the folder
    Push(online::Push),
    /// Bring a published template into the folder
    Pull(online::Pull),
    /// Make the version before live again, or any other
    Rollback(online::Rollback),
}

impl Templates {
    pub(crate) async fn run(self, out: Output) -> anyhow::Result<()> {
        match self {
            Self::New(command) => command.run(out),
            Self::Lint(command) => command.run(out),
            Self::Render(command) => command.run(out),
            Self::Preview(command) => command.run(out),
            Self::Golden(command) => command.run(out),
            Self::TestSend(command) => command.run(out).await,
            Self::Diff(command) => command.run(out).await,
            Self::Push(command) => command.run(out).await,
            Self::Pull(command) => command.run(out).await,
            Self::Rollback(command) => command.run(out).await,
        }
    }
}

/// Where the templates are.
#[derive(Debug, Args)]
pub(crate) struct DirArgs {
    /// The folder of templates
    #[arg(long, default_value = "templates", env = "STENTOR_TEMPLATES_DIR", value_name = "DIR")]
    dir: PathBuf,
}

impl DirArgs {
    fn folder(&self) -> anyhow::Result<Folder> {
        read(&self.dir)
    }
}

/// The same, for commands that are about the folder as a whole.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The folder of templates, as --dir says it
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    dir: DirArgs,
}

impl FolderArgs {
    fn path(self) -> anyhow::Result<PathBuf> {
        let Self { folder, dir: DirArgs { dir } } = self;
        match folder {
            Some(key) if !key.is_dir() && dir.join(&key).is_dir() => {
                let key = key.display();
                bail!("{key} is a template in {}: --only {key} looks at it alone", dir.display())
            }
            Some(folder) => Ok(folder),
            None => Ok(dir),
        }
    }
}

/// `3 files`, `1 file`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The folder, with the layouts that ship where it has none of its own.
fn read(dir: &Path) -> anyhow::Result<Folder> {
    if !dir.is_dir() {
        bail!("there is no folder {}: name one with --dir, or make a template with `stentor templates new`", dir.display());
    }
    Ok(Folder::read(dir))
}

/// Looks at one template of the folder.
fn check_in(folder: &Folder, key: &str) -> anyhow::Result<Checked> {
    let files = folder.templates.get(key).with_context(|| {
        let keys: Vec<&str> = folder.templates.keys().map(String::as_str).collect();
        format!("there is no template {key}; there are: {}", keys.join(", "))
    })?;
    let mut base = Folder::builtin().base;
    base.extend(folder.base.clone());
    Ok(check(key, files, &base))
}

/// The template, or a complaint that names its mistakes.
fn usable(folder: &Folder, key: &str) -> anyhow::Result<std::sync::Arc<stentor_templates::Template>> {
    let checked = check_in(folder, key)?;
    checked.template.ok_or_else(|| {
        let lines: Vec<String> = checked.findings.into_iter().map(|f| placed(key, f).to_string()).collect();
        anyhow::anyhow!("{key} cannot be used:\n{}", lines.join("\n"))
    })
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    #[command(flatten)]
    folder: FolderArgs,
    /// Only this template; may be repeated
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Warnings are errors, too
    #[arg(long)]
    strict: bool,
}

/// What was looked at, and what was found.
#[derive(Serialize)]
struct Linted {
    templates: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Lint {
    fn run(self, out: Output) -> anyhow::Result<()> {
        let dir = self.folder.path()?;
        let folder = read(&dir)?;
        if let Some(unknown) = self.only.iter().find(|key| !folder.templates.contains_key(*key)) {
            bail!("there is no template {unknown} in {}", dir.display());
        }
        let mut findings: Vec<Finding> = stentor_templates::lint_dir(&dir).into_iter().map(Finding::from).collect();
        let templates = if self.only.is_empty() { folder.templates.len() } else { self.only.len() };
        let is_wanted = |f: &Finding| self.only.is_empty() || self.only.iter().any(|key| f.file.split('/').next() == Some(key));
        findings.retain(is_wanted);
        let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
        let warnings = findings.len() - errors;
        let linted = Linted { templates, errors, warnings, findings };
        out.say(&linted, |linted| {
            let mut lines: Vec<String> = linted.findings.iter().map(Finding::to_string).collect();
            let (templates, errors) = (count(linted.templates, "template"), count(errors, "error"));
            lines.push(format!("{templates}: {errors}, {}", count(warnings, "warning")));
            lines.join("\n")
        })?;
        if errors > 0 || self.strict && warnings > 0 {
            bail!("there is something to mend");
        }
        Ok(())
    }
}
