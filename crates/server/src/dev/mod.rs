//! `stentor dev`: the whole product in one process, to be tried out and to be tested against.
//!
//! Its own `redis-server` (AOF on) and SQLite under one folder, mail and SMS captured as files, a demo app with
//! a key and a recipient, pages that show what happens. Settings given by file or environment are stronger than
//! its own, so that real providers can be tried.

mod demo;
mod neighbours;
mod outbox;
mod redis_child;
mod reload;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use axum::{Router, middleware::from_fn_with_state};
use clap::Args;
use serde::{Deserialize, Serialize};
use stentor_api::auth::{MAX_TOKEN_LIFE, SCOPES, issue_token};
use stentor_domain::{AppId, Clock, RecipientId, SystemClock};

use crate::{
    commands::{Output, admin, operator},
    config::Config,
    logging, shutdown, wiring,
};

use redis_child::RedisChild;

/// Run everything in one process to try it out.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where everything is kept
    #[arg(long, default_value = "var", value_name = "DIR")]
    data: PathBuf,
    /// A folder of templates, read anew whenever one changes [default: templates.dir, or `templates` where there is one]
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Written as JSON once requests are answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// What a client needs to know of a running `stentor dev`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ready {
    api_url: String,
    app: AppId,
    api_key: String,
    inbox_secret: String,
    recipient: RecipientId,
    inbox_token: String,
    operator_key: String,
    console_url: String,
    redis_url: String,
    database_url: String,
    /// The settings by which `stentor app`, `key` and `operator` find this Redis and this database.
    config: PathBuf,
    outbox: PathBuf,
}

/// The demo's credentials, kept in the data folder, so that a restart prints the same curl line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Credentials {
    app: AppId,
    api_key: String,
    inbox_secret: String,
    recipient: RecipientId,
    operator_key: String,
}

impl Dev {
    pub(crate) async fn run(self, mut config: Config, out: Output) -> anyhow::Result<()> {
        logging::start(&config.log)?;
        let stop = shutdown::on_signal()?;
        std::fs::create_dir_all(&self.data).with_context(|| format!("{} cannot be made", self.data.display()))?;
        let data = self.data.canonicalize().with_context(|| format!("{} cannot be found", self.data.display()))?;
        let outbox = outbox::Outbox::create(&data.join("outbox"))?;
        let redis = RedisChild::start(&data.join("redis")).await?;
        std::fs::write(data.join("pid"), std::process::id().to_string())?;
        self.set_up(&mut config, &data, &redis, &outbox)?;
        let templates = self.templates(&mut config)?;
        let stopped = stop.clone();

        let archive = wiring::open_archive(&config).await?;
        let credentials = Credentials::load_or_create(&data.join("dev.json"), &archive).await?;
        drop(archive);
        let (redis_url, database_url, outbox_dir) =
            (config.redis.url.clone(), config.archive.url.clone(), outbox.dir().to_owned());
        let own_config = data.join("stentor.toml");
        let settings = format!("redis.url = {redis_url:?}\narchive.url = {database_url:?}\n");
        write_whole(&own_config, settings.as_bytes())?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let page_credentials = credentials.clone();
        let public_url: Arc<str> = config.http.public_url.as_str().into();
        let served = wiring::serve(
            config,
            stop,
            metrics,
            move |state| {
                if let Some(dir) = templates {
                    tokio::spawn(reload::watch(state.templates.clone(), dir, stopped));
                }
                let pages = Router::new().merge(demo::routes(page_credentials)).merge(outbox.routes());
                pages.route_layer(from_fn_with_state(public_url, neighbours::admit))
            },
            async |address: SocketAddr| {
                let token = issue_token(
                    credentials.inbox_secret.as_bytes(),
                    &credentials.app,
                    &credentials.recipient,
                    SystemClock.now().after(MAX_TOKEN_LIFE),
                )?;
                let ready = Ready {
                    api_url: format!("http://{address}"),
                    app: credentials.app.clone(),
                    api_key: credentials.api_key.clone(),
                    inbox_secret: credentials.inbox_secret.clone(),
                    recipient: credentials.recipient.clone(),
                    inbox_token: token,
                    operator_key: credentials.operator_key.clone(),
                    // Behind the #, the key is sent to nobody: the page takes it from there.
                    console_url: format!("http://{address}/console/login#{}", credentials.operator_key),
                    redis_url,
                    database_url,
                    config: own_config,
                    outbox: outbox_dir,
                };
                out.say(&ready, Ready::in_words)?;
                if let Some(file) = &self.ready_file {
                    write_whole(file, &serde_json::to_vec_pretty(&ready)?)?;
                }
                Ok(())
            },
        )
        .await;
        redis.stop().await;
        served
    }

    /// The folder of templates that is watched. What is broken in it keeps nothing from starting: it is said when it is read.
    fn templates(&self, config: &mut Config) -> anyhow::Result<Option<PathBuf>> {
        let set = Some(config.templates.dir.clone()).filter(|dir| !dir.as_os_str().is_empty());
        let here = PathBuf::from("templates");
        let dir = self.templates.clone().or(set).or_else(|| here.join("_layouts").is_dir().then_some(here));
        let Some(dir) = dir else { return Ok(None) };
        if !dir.is_dir() {
            bail!("there is no folder of templates {}", dir.display());
        }
        config.templates.dir = PathBuf::new();
        Ok(Some(dir))
    }

    /// What the settings do not say otherwise is this folder's.
    fn set_up(&self, config: &mut Config, data: &Path, redis: &RedisChild, outbox: &outbox::Outbox) -> anyhow::Result<()> {
        config.http.listen = self.listen;
        if config.http.public_url.is_empty() {
            config.http.public_url = format!("http://{}", self.listen);
        }
        redis.url().clone_into(&mut config.redis.url);
        config.archive.url = format!("sqlite:{}?mode=rwc", data.join("stentor.db").display());
        config.archive.migrate = true;
        if config.email.providers.is_empty() {
            outbox.capture_mail(&mut config.email)?;
        }
        if config.sms.providers.is_empty() {
            outbox.capture_sms(&mut config.sms)?;
        }
        Ok(())
    }
}

impl Credentials {
    async fn load_or_create(file: &Path, archive: &stentor_archive::Archive) -> anyhow::Result<Self> {
        if let Ok(json) = std::fs::read(file) {
            return serde_json::from_slice(&json).with_context(|| format!("{} is broken: delete it", file.display()));
        }
        let app: AppId = "demo".parse()?;
        let inbox_secret = match archive.find_app(&app).await? {
            Some(app) => String::from_utf8(app.inbox_secret).context("the demo app's secret is no text")?,
            None => admin::create_app(archive, &app, "Harbour Bank").await?,
        };
        let api_key = admin::create_key(archive, &app, "dev", SCOPES.map(str::to_owned).to_vec()).await?;
        let operator_key = operator::create_operator(archive, "dev").await?;
        let recipient: RecipientId = "ada".parse()?;
        let profile = serde_json::json!({
            "email": "ada@example.com", "phone": "+8613800138000", "locale": "zh-CN", "timezone": "Asia/Shanghai",
            "attributes": { "name": "Ada" },
        });
        archive.upsert_recipients(&app, &[(recipient.clone(), serde_json::from_value(profile)?)], SystemClock.now(), 0).await?;
        let credentials = Self { app, api_key, inbox_secret, recipient, operator_key };
        write_whole(file, &serde_json::to_vec_pretty(&credentials)?)?;
        Ok(credentials)
    }
}

/// Writes a file that nobody sees half-written and only its owner can read: it holds secrets.
fn write_whole(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let draft = file.with_extension("draft");
    let write = || {
        let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&draft, file)
    };
    write().with_context(|| format!("{} cannot be written", file.display()))
}

/// A path as it is shortest from the current folder.
fn from_here(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let path = here.as_ref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    path.display().to_string()
}

impl Ready {
    fn in_words(&self) -> String {
        let Self { api_url, api_key, recipient, outbox, console_url, config, .. } = self;
        let stentor = std::env::current_exe().map_or_else(|_| "stentor".to_owned(), |path| from_here(&path));
        let data = r#"{"amount":{"value":"1234.50","currency":"CNY"},"due_date":"2026-12-05","card":"6222"}"#;
        format!(
            "\nStentor is ready at {api_url}\n\n\
             \x20 inbox of {recipient}    {api_url}/demo\n\
             \x20 mail and SMS    {api_url}/outbox        (files under {outbox})\n\
             \x20 the API         {api_url}/docs\n\
             \x20 the console     {console_url}\n\n\
             Send a notification, from a second terminal:\n\n\
             curl -sS {api_url}/v1/notifications \\\n\
             \x20 -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' \\\n\
             \x20 -d '{{\"audience\":{{\"recipients\":[\"{recipient}\"]}},\"template\":\"card-repayment-due\",\"channels\":[\"inbox\",\"email\",\"sms\"],\"data\":{data}}}'\n\n\
             And see it arrive:\n\n\
             export STENTOR_API_URL={api_url} STENTOR_API_KEY={api_key} STENTOR_CONFIG={config}\n\
             {stentor} inbox tail --recipient {recipient}\n",
            outbox = outbox.display(),
            config = config.display(), // whole: whoever is told goes to another folder with it
        )
    }
}
