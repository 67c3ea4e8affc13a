//! `stentor app`, `key`, `token`, `migrate`: what an operator sets up, straight in SQL.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use stentor_api::auth::{MAX_TOKEN_LIFE, SCOPES, issue_token, new_key};
use stentor_archive::{Archive, NewApp};
use stentor_domain::{AppId, Clock, RecipientId, SystemClock, text::check_line};

use super::{Output, record::on_record};
use crate::{config::Config, wiring::open_archive};

/// The longest name of an app, in bytes.
const MAX_NAME: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Create an app
    Create {
        /// Its id: 1 to 64 of a-z, 0-9, - and _
        id: AppId,
        /// What it is called in mails and on the page to unsubscribe; its id without
        #[arg(long)]
        name: Option<String>,
    },
    /// Call an app otherwise; its mails do so within a minute
    Rename {
        /// Its id
        id: AppId,
        /// What it is called
        name: String,
    },
    /// List the apps
    List,
}

impl App {
    pub(crate) async fn run(self, config: &Config, out: Output) -> anyhow::Result<()> {
        let archive = open_archive(config).await?;
        match self {
            Self::Create { id, name } => {
                if archive.find_app(&id).await?.is_some() {
                    bail!("there is an app {id} already");
                }
                let secret = create_app(&archive, &id, name.as_deref().unwrap_or(id.as_str())).await?;
                let answer = json!({ "app": id, "inbox_secret": secret });
                out.say(&answer, |_| {
                    format!("app {id}\ninbox_secret {secret}\n\nNext: stentor key create --app {id} --scopes send,read,manage")
                })
            }
            Self::Rename { id, name } => {
                let name = checked(&name)?;
                known(&archive, &id).await?;
                on_record(&archive, Some(&id), ("app.rename", id.as_str()), async { Ok(archive.rename_app(&id, name).await?) })
                    .await?;
                out.say(&json!({ "app": id, "name": name }), |_| format!("app {id} is called {name}"))
            }
            Self::List => {
                let apps: Vec<_> = archive
                    .list_apps()
                    .await?
                    .into_iter()
                    .map(|a| json!({ "app": a.id, "name": a.name, "created_at": a.created_at }))
                    .collect();
                out.say(&apps, |apps| {
                    let lines: Vec<String> = apps
                        .iter()
                        .map(|a| format!("{}\t{}\t{}", text(&a["app"]), text(&a["name"]), text(&a["created_at"])))
                        .collect();
                    if lines.is_empty() { "no apps yet: stentor app create NAME".to_owned() } else { lines.join("\n") }
                })
            }
        }
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name that an app may have.
fn checked(name: &str) -> anyhow::Result<&str> {
    check_line(name, MAX_NAME).map_err(|error| anyhow::anyhow!("the name {name:?} {error}"))?;
    Ok(name)
}

/// Creates an app; its inbox secret, as hexadecimal text, is what signs inbox tokens (HMAC-SHA-256 over these very characters).
pub(crate) async fn create_app(archive: &Archive, id: &AppId, name: &str) -> anyhow::Result<String> {
    let name = checked(name)?.to_owned();
    let mut bytes = [0; 32];
    rand::Rng::fill(&mut rand::rng(), &mut bytes);
    let secret = hex::encode(bytes);
    let app = NewApp { id: id.clone(), name, inbox_secret: secret.clone().into_bytes(), created_at: SystemClock.now() };
    on_record(archive, Some(id), ("app.create", id.as_str()), async {
        archive.insert_app(&app).await.with_context(|| format!("the app {id} cannot be created"))
    })
    .await?;
    Ok(secret)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Create a key; its secret is shown this once
    Create {
        /// The app that it is for
        #[arg(long)]
        app: AppId,
        /// What it may do, separated by commas: send, read, manage, templates
        #[arg(long, value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// What it is called
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List an app's keys
    List {
        /// The app
        #[arg(long)]
        app: AppId,
    },
    /// Revoke a key; takes effect within 10 seconds everywhere
    Revoke {
        /// The app
        #[arg(long)]
        app: AppId,
        /// The key's id: the part after `stn_live_`
        id: String,
    },
}

impl Key {
    pub(crate) async fn run(self, config: &Config, out: Output) -> anyhow::Result<()> {
        let archive = open_archive(config).await?;
        match self {
            Self::Create { app, scopes, name } => {
                let secret = create_key(&archive, &app, &name, scopes).await?;
                out.say(&json!({ "api_key": secret }), |_| secret.clone())
            }
            Self::List { app } => {
                known(&archive, &app).await?;
                let keys = archive.list_keys(&app).await?;
                let keys: Vec<_> = keys
                    .into_iter()
                    .map(|k| json!({ "id": k.id, "name": k.name, "scopes": k.scopes, "created_at": k.created_at, "revoked_at": k.revoked_at }))
                    .collect();
                out.say(&keys, |keys| {
                    let line = |k: &serde_json::Value| {
                        let revoked = if k["revoked_at"].is_null() { "" } else { "\trevoked" };
                        format!("{}\t{}\t{}{revoked}", text(&k["id"]), text(&k["name"]), k["scopes"])
                    };
                    keys.iter().map(line).collect::<Vec<_>>().join("\n")
                })
            }
            Self::Revoke { app, id } => {
                on_record(&archive, Some(&app), ("key.revoke", &id), async {
                    if !archive.revoke_key(&app, &id, SystemClock.now()).await? {
                        bail!("the app {app} has no valid key {id}; `stentor key list --app {app}` lists its keys");
                    }
                    Ok(())
                })
                .await?;
                out.say(&json!({ "revoked": id }), |_| format!("revoked {id}"))
            }
        }
    }
}

async fn known(archive: &Archive, app: &AppId) -> anyhow::Result<stentor_archive::App> {
    let found = archive.find_app(app).await?;
    found.with_context(|| format!("there is no app {app}: `stentor app list` lists them, `stentor app create {app}` makes it"))
}

/// Creates a key and gives the secret that its user keeps.
pub(crate) async fn create_key(archive: &Archive, app: &AppId, name: &str, scopes: Vec<String>) -> anyhow::Result<String> {
    if let Some(wrong) = scopes.iter().find(|s| !SCOPES.contains(&s.as_str())) {
        bail!("there is no scope {wrong:?}: use {}", SCOPES.join(", "));
    }
    known(archive, app).await?;
    let (secret, record) = new_key(app, name, scopes, SystemClock.now());
    let subject = format!("{} {name}: {}", record.id, record.scopes.join(", "));
    on_record(archive, Some(app), ("key.create", &subject), async {
        archive.insert_key(&record).await.context("the key cannot be stored")
    })
    .await?;
    Ok(secret)
}

/// Make a token that opens one person's inbox for 15 minutes
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The app
    #[arg(long)]
    app: AppId,
    /// Whose inbox
    #[arg(long)]
    recipient: RecipientId,
}

impl Token {
    pub(crate) async fn run(self, config: &Config, out: Output) -> anyhow::Result<()> {
        let archive = open_archive(config).await?;
        let app = known(&archive, &self.app).await?;
        let expires_at = SystemClock.now().after(MAX_TOKEN_LIFE);
        let token = issue_token(&app.inbox_secret, &self.app, &self.recipient, expires_at)?;
        out.say(&json!({ "token": token, "expires_at": expires_at }), |_| token.clone())
    }
}

/// `stentor migrate`
pub(crate) async fn migrate(config: &Config, out: Output) -> anyhow::Result<()> {
    let archive = Archive::connect(&config.archive.url).await.context("the archive (archive.url) does not answer")?;
    let pending = archive.pending_migrations().await?;
    archive.migrate().await?;
    out.say(&json!({ "applied": pending }), |_| format!("{pending} migrations applied; the schema is up to date"))
}
