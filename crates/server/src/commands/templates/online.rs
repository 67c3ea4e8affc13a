//! The commands that speak to a server: publish, bring back, compare, take back, test.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value, json};
use stentor_catalog::{Files, diff, normalised};
use stentor_domain::Locale;

use super::{DirArgs, Output, new::write, render::On};
use crate::commands::api_client::{ApiArgs, findings, segment};

fn path(key: &str, rest: &str) -> String {
    format!("/v1/templates/{}{rest}", segment(key))
}

fn short(hash: &Value) -> &str {
    let hash = hash.as_str().unwrap_or("the shared template");
    hash.get(..12).filter(|_| hash.len() == 64).unwrap_or(hash)
}

/// The files of a template as it lies in the folder, with the folder's own layouts and partials.
fn local(dir: &DirArgs, key: &str) -> anyhow::Result<Files> {
    let folder = dir.folder()?;
    if let Some(finding) = folder.unreadable.iter().find(|f| f.file.starts_with(&format!("{key}/"))) {
        bail!("{finding}");
    }
    let mut files =
        folder.templates.get(key).cloned().with_context(|| format!("there is no template {key} in {}", dir.dir.display()))?;
    files.extend(folder.base);
    Ok(files)
}

/// The files of a version on the server: its own, and those that templates share.
async fn remote(api: &ApiArgs, key: &str, version: Option<&str>) -> anyhow::Result<(Value, Files, Files)> {
    let mut request = api.request(Method::GET, &path(key, ""))?;
    if let Some(version) = version {
        request = request.query(&[("version", version)]);
    }
    let answer = api.call(request).await?;
    let files = |field: &str| {
        let files = answer[field].as_object().cloned().unwrap_or_default();
        let files = files.into_iter().filter_map(|(path, text)| Some((path, text.as_str()?.to_owned())));
        normalised(files.collect())
    };
    let (own, shared) = (files("files"), files("shared_files"));
    Ok((answer, own, shared))
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    dir: DirArgs,
    /// Which templates
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Only put them on record: they are not live by that
    #[arg(long)]
    draft: bool,
    /// Publish only if this version is live: its hash, or shared
    #[arg(long, value_name = "HASH")]
    base: Option<String>,
}

impl Push {
    pub(super) async fn run(self, out: Output) -> anyhow::Result<()> {
        let mut receipts = Vec::new();
        for key in &self.keys {
            let files = local(&self.dir, key)?;
            let mut body = json!({ "files": files, "publish": !self.draft });
            if let Some(base) = &self.base {
                body["base"] = json!(base);
            }
            let pushed = self.api.call(self.api.request(Method::PUT, &path(key, ""))?.json(&body)).await;
            receipts.push(pushed.with_context(|| format!("{key} was not published"))?);
        }
        out.say(&receipts, |receipts| {
            let line = |r: &Value| {
                let key = r["key"].as_str().unwrap_or_default();
                let state = if r["live"] == true { "is live" } else { "is a draft" };
                let mut lines = vec![format!("{key} {state}: version {} ({})", r["number"], short(&r["version"]))];
                lines.extend(findings(r));
                lines.join("\n  ")
            };
            receipts.iter().map(line).collect::<Vec<_>>().join("\n")
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    dir: DirArgs,
    /// Which templates
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Which version: its number, its hash, shared or live
    #[arg(long, default_value = "live")]
    version: String,
    /// Also the layouts and partials that it was published with: the folder's templates share them
    #[arg(long)]
    layouts: bool,
    /// Write over files that say something else
    #[arg(long)]
    force: bool,
}

impl Pull {
    pub(super) async fn run(self, out: Output) -> anyhow::Result<()> {
        let mut written = Vec::new();
        for key in &self.keys {
            let version = Some(self.version.as_str()).filter(|version| *version != "live");
            let (_, own, shared) = remote(&self.api, key, version).await?;
            let folder = self.dir.dir.join(key);
            let mut wanted: BTreeMap<_, &String> = own.iter().map(|(path, text)| (folder.join(path), text)).collect();
            if self.layouts {
                wanted.extend(shared.iter().map(|(path, text)| (self.dir.dir.join(path), text)));
            }
            let differs = |(file, text): &(&std::path::PathBuf, &&String)| {
                std::fs::read_to_string(file).is_ok_and(|here| here.replace("\r\n", "\n") != ***text)
            };
            let different: Vec<String> = wanted.iter().filter(differs).map(|(file, _)| file.display().to_string()).collect();
            if !different.is_empty() && !self.force {
                bail!("these files say something else here; --force writes over them:\n  {}", different.join("\n  "));
            }
            for (file, text) in wanted {
                write(&file, text)?;
                written.push(file.display().to_string());
            }
        }
        out.say(&json!({ "files": written }), |_| written.join("\n"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    dir: DirArgs,
    /// Which template
    key: String,
    /// From this version: its number, its hash, shared or live
    #[arg(long, value_name = "VERSION")]
    from: Option<String>,
    /// To this version; the folder if absent and --from is, too; else live
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

impl Diff {
    pub(super) async fn run(self, out: Output) -> anyhow::Result<()> {
        let answer = match (&self.from, &self.to) {
            (None, None) => {
                let files = local(&self.dir, &self.key)?;
                let remote = remote(&self.api, &self.key, None).await;
                let (answer, mut live, shared) =
                    remote.with_context(|| format!("there is nothing to compare {} with", self.key))?;
                // Of layouts and partials, those that the folder has.
                live.extend(shared.into_iter().filter(|(path, _)| files.contains_key(path)));
                json!({ "from": answer["template"]["version"], "to": "folder", "files": diff(&live, &files) })
            }
            (from, to) => {
                let names = [("from", from.as_deref().unwrap_or("live")), ("to", to.as_deref().unwrap_or("live"))];
                self.api.call(self.api.request(Method::GET, &path(&self.key, "/diff"))?.query(&names)).await?
            }
        };
        let files = answer["files"].as_array().cloned().unwrap_or_default();
        out.say(&answer, |_| {
            let text: Vec<&str> = files.iter().filter_map(|f| f["diff"].as_str()).collect();
            if text.is_empty() { "nothing differs".to_owned() } else { text.concat().trim_end().to_owned() }
        })?;
        match files.len() {
            0 => Ok(()),
            1 => bail!("1 file differs"),
            n => bail!("{n} files differ"),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    api: ApiArgs,
    /// Which template
    key: String,
    /// To this version: its number, its hash or shared; what was live before if absent
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

impl Rollback {
    pub(super) async fn run(self, out: Output) -> anyhow::Result<()> {
        let body = self.to.map_or_else(|| json!({}), |to| json!({ "to": to }));
        let answer = self.api.call(self.api.request(Method::POST, &path(&self.key, "/rollback"))?.json(&body)).await?;
        out.say(&answer, |a| match &a["number"] {
            Value::Null => format!("{}: the shared template is live", self.key),
            number => format!("{}: version {number} ({}) is live", self.key, short(&a["version"])),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct TestSend {
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    dir: DirArgs,
    /// Which template
    key: String,
    /// To this recipient, by their id
    #[arg(long, value_name = "RECIPIENT")]
    to: String,
    /// This version on the server (its number, its hash, shared or live) instead of the folder's
    #[arg(long)]
    version: Option<String>,
    /// With this sample; the first if neither this nor --data is given
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    sample: Option<String>,
    /// With this, as JSON
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// In this language, whatever the recipient's own is
    #[arg(long)]
    locale: Option<Locale>,
    /// On which channels, separated by commas; the template's if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    channels: Vec<On>,
}

impl TestSend {
    pub(super) async fn run(self, out: Output) -> anyhow::Result<()> {
        let mut body = Map::from_iter([("to".to_owned(), json!(self.to))]);
        match &self.version {
            Some(version) => body.insert("version".to_owned(), json!(version)),
            None => body.insert("files".to_owned(), json!(local(&self.dir, &self.key)?)),
        };
        if let Some(sample) = &self.sample {
            body.insert("sample".to_owned(), json!(sample));
        }
        if let Some(data) = &self.data {
            body.insert("data".to_owned(), serde_json::from_str(data).context("--data is not JSON")?);
        }
        if let Some(locale) = &self.locale {
            body.insert("locale".to_owned(), json!(locale));
        }
        if !self.channels.is_empty() {
            let channels = self.channels.iter().map(|on| stentor_domain::Channel::from(*on));
            body.insert("channels".to_owned(), json!(channels.collect::<Vec<_>>()));
        }
        let mut answer = self.api.call(self.api.request(Method::POST, &path(&self.key, "/test"))?.json(&body)).await?;
        let deliveries = self.outcome(answer["id"].as_str().unwrap_or_default()).await;
        answer["deliveries"] = json!(deliveries);
        out.say(&answer, |a| {
            let mut lines = vec![format!("{}\tversion {}", a["id"].as_str().unwrap_or_default(), short(&a["version"]))];
            match &deliveries {
                None => lines.push("it is not known yet what became of it".to_owned()),
                Some(deliveries) => lines.extend(deliveries.iter().map(outcome)),
            }
            lines.join("\n")
        })?;
        let arrived = |delivery: &Value| matches!(delivery["state"].as_str(), Some("sent" | "delivered"));
        match deliveries {
            Some(deliveries) if !deliveries.iter().all(arrived) => bail!("not everything was sent"),
            _ => Ok(()),
        }
    }

    /// What became of each delivery of a notification; `None` if that is not known soon, or not to be known with this key.
    async fn outcome(&self, id: &str) -> Option<Vec<Value>> {
        let get = async |rest: &str| {
            let request = self.api.request(Method::GET, &format!("/v1/notifications/{}{rest}", segment(id))).ok()?;
            self.api.call(request).await.ok()
        };
        let until = Instant::now() + PATIENCE;
        while get("").await?["status"] != "completed" {
            if Instant::now() > until {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        get("/deliveries").await?["items"].as_array().cloned()
    }
}

/// How long a test is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// `sms: skipped, no_address`.
fn outcome(delivery: &Value) -> String {
    let [channel, state, reason] = ["channel", "state", "reason"].map(|field| delivery[field].as_str());
    let why = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    format!("{}: {}{why}", channel.unwrap_or_default(), state.unwrap_or_default())
}
