//! From settings to running parts: who is given what. Nothing is decided here.

use std::{collections::HashSet, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use stentor_api::{
    ApiParts, ApiState, Feed, Pressure,
    realtime::{Hub, HubParts, Manners, Receipts},
};
use stentor_archive::{Archive, ArchivedItem, ArchivedReader};
use stentor_catalog::{Catalog, Finding, SharedTemplates};
use stentor_channels::{
    MailEvents, Providers, SmsCallbacks,
    outbound::{HttpClient, Reach},
};
use stentor_connection::{Connection, Place};
use stentor_domain::{
    AppId, Clock, Entry, NotificationId, RecipientId, SystemClock, Timestamp, event::EntryChange, item::Folder,
};
use stentor_inbox::{
    Ahead, ColdFuture, ColdStore, HotItem, Inbox, Inboxes, Presences, Profiles, RETENTION, Reader, Stay, Suppressions, Treated,
    UnreadItem, WarmState,
};
use stentor_queue::{EventLog, Queue};
use stentor_worker::{Links, Parts, Settings, Worker};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    commands::configuration::masked,
    config::{Config, Durability, Role},
    http,
};

/// The archive as the record behind hot inboxes.
struct SqlInboxes(Archive);

fn hot(item: ArchivedItem) -> HotItem {
    HotItem { item: item.item, seq: item.seq, variant: item.variant, at: item.at }
}

fn reader(archived: ArchivedReader) -> Reader {
    let treated =
        |(rev, change): (u64, EntryChange)| (change.seq, Treated { rev, id: change.item.notification, state: change.item.state });
    let stays = |stays: Vec<stentor_archive::Stay>| stays.iter().map(|s| Stay { joined: s.joined, left: s.left }).collect();
    Reader {
        everyone: archived.joined,
        topics: archived.topics.into_iter().map(|(topic, s)| (topic, stays(s))).collect(),
        read_upto: archived.read_upto,
        treated: archived.treated.into_iter().map(treated).collect(),
        locale: archived.locale,
        preferences: archived.preferences,
    }
}

/// Entries older than this are in no inbox.
fn oldest(now: Timestamp) -> Timestamp {
    let retention = i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(retention))
}

impl ColdStore for SqlInboxes {
    fn load<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, now: Timestamp) -> ColdFuture<'a, WarmState> {
        Box::pin(async move {
            let archived = self.0.load_inbox(app, recipient, now).await?;
            let reader = self.0.load_reader(app, recipient, oldest(now)).await?.map(reader);
            let unread = archived.unread.into_iter().map(|u| UnreadItem { seq: u.seq, id: u.id, expires_at: u.expires_at });
            Ok(WarmState {
                max_seq: archived.max_seq,
                reader,
                items: archived.items.into_iter().map(hot).collect(),
                unread: unread.collect(),
            })
        })
    }

    fn register<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, joined: u64, now: Timestamp) -> ColdFuture<'a, Reader> {
        Box::pin(async move {
            self.0.register_recipient(app, recipient, joined).await?;
            Ok(self.0.load_reader(app, recipient, oldest(now)).await?.map(reader).unwrap_or_default())
        })
    }

    fn register_new<'a>(
        &'a self,
        app: &'a AppId,
        recipients: &'a [&'a RecipientId],
        joined: u64,
    ) -> ColdFuture<'a, HashSet<RecipientId>> {
        Box::pin(async move { Ok(self.0.register_new(app, recipients, joined).await?) })
    }

    fn timeline<'a>(&'a self, app: &'a AppId, now: Timestamp) -> ColdFuture<'a, Vec<Entry>> {
        Box::pin(async move { Ok(self.0.load_timeline(app, oldest(now)).await?) })
    }

    fn page<'a>(
        &'a self,
        app: &'a AppId,
        recipient: &'a RecipientId,
        folder: Folder,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> ColdFuture<'a, Vec<HotItem>> {
        Box::pin(async move {
            let page = self.0.inbox_page(app, recipient, folder, before_seq, limit, now).await?;
            Ok(page.into_iter().map(hot).collect())
        })
    }

    fn find<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, ids: &'a [NotificationId]) -> ColdFuture<'a, Vec<HotItem>> {
        Box::pin(async move { Ok(self.0.find_items(app, recipient, ids).await?.into_iter().map(hot).collect()) })
    }
}

/// Connects to SQL and, if the settings say so, brings its schema up to date.
pub(crate) async fn open_archive(config: &Config) -> anyhow::Result<Archive> {
    let archive = Archive::connect(&config.archive.url).await.context("the archive (archive.url) does not answer")?;
    if config.archive.migrate {
        archive.migrate().await.context("the schema cannot be brought up to date")?;
    } else if archive.pending_migrations().await.context("the schema's version cannot be read")? > 0 {
        bail!("the schema is not up to date: run `stentor migrate`, or set archive.migrate = true");
    }
    Ok(archive)
}

fn load_templates(config: &Config) -> anyhow::Result<SharedTemplates> {
    let dir = Some(config.templates.dir.as_path()).filter(|dir| !dir.as_os_str().is_empty());
    SharedTemplates::load(dir).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n")).context("the templates of templates.dir are broken")
    })
}

/// Refuses a Redis that would lose or evict what was accepted.
pub(crate) async fn check_redis(conn: &Connection) -> anyhow::Result<()> {
    let mut conn = conn.clone();
    let info: String = redis::cmd("INFO").query_async(&mut conn).await.context("Redis (redis.url) does not answer")?;
    let field = |name: &str| info.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let version = field("redis_version:").unwrap_or("0");
    let major: u32 = version.split('.').next().and_then(|v| v.parse().ok()).unwrap_or(0);
    if major < 7 {
        bail!("Redis {version} is too old: 7 or later is needed");
    }
    match field("maxmemory_policy:") {
        Some("noeviction") => {}
        Some(policy) => bail!("Redis evicts ({policy}), and what is evicted is lost: set maxmemory-policy noeviction"),
        None => tracing::warn!("Redis does not say its maxmemory-policy; it must be noeviction"),
    }
    if field("aof_enabled:") == Some("0") {
        tracing::warn!("Redis runs without AOF: what was accepted is lost if it stops. Set appendonly yes");
    }
    Ok(())
}

/// How long what an app names may take to be fetched.
const FETCH: Duration = Duration::from_secs(15);

/// Reads what providers report of mails.
pub(crate) fn mail_events(config: &Config) -> anyhow::Result<MailEvents> {
    /// How long Amazon may take to give a certificate, and how large one may be.
    const CERTIFICATE: (Duration, usize) = (Duration::from_secs(10), 64 * 1024);
    let client = HttpClient::new(Reach::public(&config.outbound.allow), CERTIFICATE.0, CERTIFICATE.1)
        .context("the client for certificates cannot be set up")?;
    MailEvents::new(&config.email, client).context("the settings under [email] cannot be used")
}

/// Where everybody reaches the API. A port of 0 stands for the one that is listened on: `dev` knows no other before.
fn public_url(config: &Config, address: SocketAddr) -> Option<String> {
    let url = config.http.public_url.trim_end_matches('/');
    let own = url.strip_suffix(":0").map(|host| format!("{host}:{}", address.port()));
    Some(own.unwrap_or_else(|| url.to_owned())).filter(|url| !url.is_empty())
}

/// Runs the roles of `config` until `stop`. `ready` is called with the address once requests are answered.
pub(crate) async fn serve<R: Future<Output = anyhow::Result<()>>>(
    config: Config,
    stop: CancellationToken,
    metrics: PrometheusHandle,
    pages: impl FnOnce(&ApiState) -> Router,
    ready: impl FnOnce(SocketAddr) -> R,
) -> anyhow::Result<()> {
    let redis: Place = config.redis.url.parse().context("redis.url")?;
    let away = "Redis (redis.url) does not answer";
    let conn = redis.connect().await.context(away)?;
    check_redis(&conn).await?;
    let archive = open_archive(&config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shared = load_templates(&config)?;
    let templates = Catalog::start(redis.clone(), conn.clone(), archive.clone(), shared, clock.now(), stop.clone())
        .await
        .context("the templates cannot be put on record")?;
    let queue = |name| Queue::new(conn.clone(), name);
    let (mut dispatch, email, sms) = (queue("dispatch"), queue("email"), queue("sms"));
    if config.redis.durability == Durability::Replicated {
        if matches!(redis, Place::Cluster(_)) {
            bail!("redis.durability = \"replicated\" is for one node or Sentinel; a Cluster has no WAIT for a key");
        }
        let own = redis.connect().await.context(away)?;
        dispatch = dispatch.replicated(own, config.redis.replicas, Duration::from_millis(config.redis.replicated_within_ms));
    }
    let events = EventLog::new(conn.clone(), "0");
    let inboxes = Inboxes::new(Inbox::new(conn.clone()), Arc::new(SqlInboxes(archive.clone())));
    let profiles = Profiles::new(conn.clone());
    let ahead = Ahead::new(inboxes.hot().clone(), profiles.clone());
    let suppressions = Suppressions::new(conn.clone());

    let listener = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("{} (http.listen) cannot be listened on", config.http.listen))?;
    let address = listener.local_addr()?;
    let has = |role| config.roles.contains(&role);
    let mut worker = None;
    if has(Role::Worker) {
        let providers = |configured: bool, made: Result<Providers, stentor_channels::ConfigError>| {
            if configured { made.map(Some) } else { Ok(None) }
        };
        let parts = Parts {
            redis: redis.clone(),
            dispatch: dispatch.clone(),
            email: email.clone(),
            sms: sms.clone(),
            events: events.clone(),
            inboxes: inboxes.clone(),
            ahead: ahead.clone(),
            profiles: profiles.clone(),
            suppressions: suppressions.clone(),
            archive: archive.clone(),
            templates: templates.clone(),
            email_providers: providers(!config.email.providers.is_empty(), Providers::email(&config.email))
                .context("the settings under [email] cannot be used")?,
            sms_prices: config.sms.prices.clone(),
            sms_limits: config.sms.limits,
            sms_providers: providers(!config.sms.providers.is_empty(), Providers::sms(&config.sms))
                .context("the settings under [sms] cannot be used")?,
            links: Links { public_url: public_url(&config, address), essential: config.email.essential.clone() },
            outbound: HttpClient::new(Reach::public(&config.outbound.allow), FETCH, config.email.max_attachment_bytes)
                .context("the client for attachments cannot be set up")?,
            max_attachment_bytes: config.email.max_attachment_bytes,
            clock: clock.clone(),
        };
        let settings = Settings {
            dispatch_concurrency: config.worker.dispatch_concurrency,
            email_concurrency: config.worker.email_concurrency,
            sms_concurrency: config.worker.sms_concurrency,
        };
        worker = Some(tokio::spawn(Worker::new(parts, settings).run(stop.clone())));
    }

    // Every role answers /livez, /readyz and /metrics; only `api` and `gateway` the rest.
    let console = Feed::start(events.clone(), redis.clone(), stop.clone());
    let receipts = Receipts::start(events.clone(), clock.clone());
    let presences = Presences::new(conn.clone());
    let manners = Manners { origins: config.realtime.origins.clone(), connects_per_second: config.realtime.connects_per_second };
    let parts = HubParts { redis, inboxes: inboxes.clone(), presences: presences.clone(), receipts, clock: clock.clone() };
    let hub = Hub::start(parts, &manners, stop.clone()).await?;
    let state = ApiState::new(ApiParts {
        dispatch,
        outside: vec![email, sms],
        events,
        inboxes,
        profiles,
        ahead,
        suppressions,
        archive,
        templates,
        clock: clock.clone(),
        hub: hub.clone(),
        manners,
        presences,
        sms_callbacks: SmsCallbacks::new(&config.sms).context("the settings under [sms] cannot be used")?,
        mail_events: mail_events(&config)?,
        opt_out: config.sms.words.clone(),
        sms_prices: config.sms.prices.clone(),
        sms_limits: config.sms.limits,
        sms_region: config.sms.default_region,
        pressure: Pressure::watch(conn.clone(), stop.clone()),
        redis: conn,
        feed: console,
        settings: masked(&config)?,
        stop: stop.clone(),
        metrics: Arc::new(move || metrics.render()),
    });
    let mut bounces = None;
    if has(Role::Bounce) {
        let listener = TcpListener::bind(config.bounce.listen)
            .await
            .with_context(|| format!("{} (bounce.listen) cannot be listened on", config.bounce.listen))?;
        let served = stentor_api::bounces::serve(listener, state.clone(), config.bounce.max_bytes, stop.clone());
        bounces = Some(tokio::spawn(served));
    }
    let roles = stentor_api::Roles { api: has(Role::Api), gateway: has(Role::Gateway) };
    let pages = pages(&state);
    let service = stentor_api::service(state, roles, pages);
    let server = tokio::spawn(http::serve(listener, service, stop.clone()));
    tracing::info!(%address, roles = ?config.roles, "ready");
    ready(address).await?;

    let worked = async {
        let Some(worker) = worker else { return Ok(()) };
        // A worker that ends by itself takes the process with it: whoever watches starts it again.
        let worked = worker.await.context("the worker broke").and_then(|r| r.context("the worker ended"));
        stop.cancel();
        worked
    };
    let served = async {
        let served = server.await.context("the server broke").and_then(|served| served);
        stop.cancel();
        served
    };
    let bounced = async {
        let Some(bounces) = bounces else { return Ok(()) };
        bounces.await.context("the listener for bounces broke")
    };
    let drained = async {
        stop.cancelled().await;
        hub.drained().await; // sockets are not the server's any more: it does not wait for their farewell
    };
    let (worked, served, bounced, ()) = tokio::join!(worked, served, bounced, drained);
    worked.and(served).and(bounced)
}
