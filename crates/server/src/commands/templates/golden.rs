//! `stentor templates golden`: what every sample looks like, kept as files beside the templates. Who changes a word sees in the
//! next review what becomes of it, on every channel and in every language; what changes unseen fails.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Map;
use stentor_catalog::Folder;
use stentor_domain::Channel;
use stentor_templates::Input;

use super::{FolderArgs, Output, count, new::write, read, render, usable};

/// The time at which every sample is written, so that only templates make a difference.
const NOW: &str = "2026-01-15T12:00:00Z";

#[derive(Debug, Args)]
pub(crate) struct Golden {
    #[command(flatten)]
    folder: FolderArgs,
    /// Where the samples are kept; DIR-golden if absent
    #[arg(long, value_name = "DIR")]
    kept: Option<PathBuf>,
    /// Only this template; may be repeated
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Keep what they look like now
    #[arg(long)]
    update: bool,
}

/// What differs from what is kept.
#[derive(Default, Serialize)]
struct Compared {
    files: usize,
    changed: Vec<String>,
    new: Vec<String>,
    gone: Vec<String>,
}

impl Golden {
    pub(super) fn run(self, out: Output) -> anyhow::Result<()> {
        let dir = self.folder.path()?;
        let folder = read(&dir)?;
        let kept_in = self.kept.unwrap_or_else(|| {
            let mut name = dir.file_name().unwrap_or_default().to_owned();
            name.push("-golden");
            dir.with_file_name(name)
        });
        let keys: Vec<&String> = match self.only.as_slice() {
            [] => folder.templates.keys().collect(),
            only => only.iter().collect(),
        };
        let mut now = BTreeMap::new();
        for key in &keys {
            written(&folder, key, &mut now)?;
        }
        let kept = kept(&kept_in, self.only.as_slice())?;
        let mut compared = Compared { files: now.len(), ..Compared::default() };
        let mut shown = Vec::new();
        for (path, text) in &now {
            match kept.get(path) {
                Some(before) if before == text => {}
                Some(before) => {
                    shown.extend(stentor_catalog::diff(&one(path, before), &one(path, text)).into_iter().map(|d| d.diff));
                    compared.changed.push(path.clone());
                }
                None => compared.new.push(path.clone()),
            }
        }
        compared.gone = kept.keys().filter(|path| !now.contains_key(*path)).cloned().collect();
        if self.update {
            for path in compared.changed.iter().chain(&compared.new) {
                write(&kept_in.join(path), &now[path])?;
            }
            for path in &compared.gone {
                fs::remove_file(kept_in.join(path)).with_context(|| format!("{path} cannot be removed"))?;
            }
        }
        out.say(&compared, |c| {
            let list = |what: &str, paths: &[String]| paths.iter().fold(String::new(), |all, p| all + what + " " + p + "\n");
            let (changed, new, gone) = (list("changed", &c.changed), list("new", &c.new), list("gone", &c.gone));
            format!(
                "{}{changed}{new}{gone}{}, {} changed, {} new, {} gone",
                shown.concat(),
                count(c.files, "file"),
                c.changed.len(),
                c.new.len(),
                c.gone.len()
            )
        })?;
        let differs = compared.changed.len() + compared.new.len() + compared.gone.len();
        if differs > 0 && !self.update {
            bail!(
                "samples look otherwise than they are kept in {}: look at them, then keep them with --update",
                kept_in.display()
            );
        }
        Ok(())
    }
}

fn one(path: &str, text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(path.to_owned(), text.to_owned())])
}

/// Every sample of a template on every channel and in every language, by the path that it is kept under.
fn written(folder: &Folder, key: &str, all: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let template = usable(folder, key)?;
    let reader = render::reader(Map::new())?;
    for locale in template.locales() {
        for (name, data) in template.samples() {
            let input = Input {
                data,
                locale: Some(locale),
                timezone: None,
                recipient: Some(&reader),
                app_name: "app",
                now: NOW.parse()?,
                unsubscribe: None,
            };
            let at = |channel: &str| format!("{key}/{locale}/{name}.{channel}");
            for channel in [Channel::Inbox, Channel::Email, Channel::Sms] {
                let message = render::written(&template, channel, &input);
                let message = message.with_context(|| format!("{key}, {locale}, sample {name}, {channel}"))?;
                let text = |field: &str| message[field].as_str().unwrap_or_default();
                match channel {
                    Channel::Inbox => all.insert(at("inbox.json"), serde_json::to_string_pretty(&message)? + "\n"),
                    Channel::Email => {
                        all.insert(at("email.html"), text("html").to_owned());
                        all.insert(at("email.txt"), format!("{}\n\n{}", text("subject"), text("text")))
                    }
                    Channel::Sms => all.insert(at("sms.txt"), format!("{}\n\n{} segments\n", text("text"), message["segments"])),
                };
            }
        }
    }
    Ok(())
}

/// What is kept, by path; with `only`, of these templates.
fn kept(dir: &Path, only: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut kept = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(dir)?.to_string_lossy().replace('\\', "/");
                let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                kept.insert(name, text);
            }
        }
    }
    kept.retain(|path, _| only.is_empty() || only.iter().any(|key| path.split('/').next() == Some(key)));
    Ok(kept)
}
