//! The first page: what goes out, what waits, what is wrong. It is drawn anew while it is looked at.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use askama::{Template, filters::HtmlSafe};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use stentor_archive::Activity;
use stentor_domain::{AppId, Channel, DeliveryState, Timestamp};
use stentor_inbox::Presence;

use super::{
    asked::Query,
    chart::{Bar, Chart},
    live::{Step, What},
    notifications::{IN_TROUBLE, TROUBLE},
    page::{Failure, Page, Section, Shell},
    providers::{Fares, health_of},
    queues::{Waiting, waiting},
    session::Sql,
    visit::Visit,
    words::{Badge, address, thousands},
};
use crate::state::ApiState;

/// How often a page that is looked at is drawn anew, at the most and at the least.
const AT_MOST: Duration = Duration::from_secs(1);
const AT_LEAST: Duration = Duration::from_secs(5);
/// How often a silent stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many steps are listed.
const STEPS: usize = 12;

/// How far back the charts go.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Window {
    name: &'static str,
    words: &'static str,
    bar_minutes: i64,
    bars: i64,
}

const WINDOWS: [Window; 3] = [
    Window { name: "", words: "last hour", bar_minutes: 1, bars: 60 },
    Window { name: "24h", words: "last 24 hours", bar_minutes: 20, bars: 72 },
    Window { name: "7d", words: "last 7 days", bar_minutes: 120, bars: 84 },
];

/// Which window.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    window: String,
}

impl Wanted {
    fn window(&self) -> Window {
        WINDOWS.into_iter().find(|w| w.name == self.window).unwrap_or(WINDOWS[0])
    }
}

/// How one channel fares.
struct Lane {
    channel: Channel,
    /// What SQL knows of it, unless it is away.
    counts: Option<Counts>,
    waits: Option<Waiting>,
    chart: Chart,
}

/// What became of deliveries.
#[derive(Default)]
struct Counts {
    sent: u64,
    failed: u64,
    skipped: u64,
}

/// All that is live.
#[derive(Template)]
#[template(path = "overview_part.html")]
pub(super) struct Now {
    app: Option<AppId>,
    lanes: Vec<Lane>,
    dispatch: Option<Waiting>,
    dead: u64,
    presence: Option<Presence>,
    fares: Vec<Fares>,
    steps: Vec<Step>,
    /// What does not answer.
    troubles: Vec<&'static str>,
}

impl HtmlSafe for Now {}

impl Now {
    fn link(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let app = self.app.as_ref().map_or("", AppId::as_str);
        address(path, &[&[("app", app)], fields].concat())
    }

    fn in_trouble(&self) -> &'static str {
        IN_TROUBLE
    }

    fn dead_words(&self) -> String {
        thousands(self.dead)
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    shell: Shell,
    now: Now,
    window: Window,
    stream: String,
}

impl Overview {
    fn windows(&self) -> Vec<(Window, String)> {
        let app = self.shell.app.as_ref().map_or("", AppId::as_str);
        WINDOWS.into_iter().map(|w| (w, address("/console", &[("app", app), ("window", w.name)]))).collect()
    }
}

/// The page.
pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Page<Overview>, Failure> {
    let window = wanted.window();
    let app = visit.picked().cloned();
    let stream = address("/console/live", &[("app", app.as_ref().map_or("", AppId::as_str)), ("window", window.name)]);
    let now = look(&state, visit.sql, app, window).await;
    // That SQL is away is said by the part that is drawn anew, and no more once it is back.
    let shell = Shell { sql_down: false, ..visit.shell_of_all(Section::Overview, "Overview") };
    Ok(Page(Overview { shell, now, window, stream }))
}

/// The same, drawn anew for as long as it is looked at.
pub(super) async fn live(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (window, app) = (wanted.window(), visit.picked().cloned());
    let stop = state.stop.clone();
    // What is known of SQL, once the page was drawn: it is asked anew each time.
    let drawn = stream::unfold((state.feed.watch(), Some(visit.sql)), move |(mut news, first)| {
        let (state, stop, app) = (state.clone(), stop.clone(), app.clone());
        let session = visit.session.clone();
        async move {
            let sql = if let Some(sql) = first {
                sql
            } else {
                let pause = async {
                    tokio::time::sleep(AT_MOST).await;
                    let _ = tokio::time::timeout(AT_LEAST, news.changed()).await;
                };
                tokio::select! { () = pause => {} () = stop.cancelled() => return None }
                session.still_holds(&state).await? // who was signed out, or revoked, sees no more
            };
            let html = look(&state, sql, app, window).await.render().unwrap_or_default();
            Some((Ok(Event::default().data(html)), (news, None)))
        }
    });
    Sse::new(drawn).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Looks at everything. What does not answer is named, and the rest is shown.
async fn look(state: &ApiState, sql: Sql, app: Option<AppId>, window: Window) -> Now {
    let now = state.now();
    let bar_ms = window.bar_minutes * 60_000;
    let from = Timestamp::from_millis((now.as_millis().div_euclid(bar_ms) - window.bars + 1) * bar_ms);
    let activity = async {
        match sql {
            Sql::Answers => state.archive.list_activity(app.as_ref(), from).await.map(Some),
            Sql::IsAway => Ok(None),
        }
    };
    let (activity, queues, presence) = tokio::join!(activity, waiting(state, now), state.presences.count(app.as_ref()));
    let mut troubles = Vec::new();
    let activity = activity.unwrap_or_else(|error| {
        tracing::warn!(%error, "the charts are not drawn");
        None
    });
    if activity.is_none() {
        troubles.push(
            "The archive (SQL) does not answer. What is accepted waits in Redis and nothing is lost; what was sent and what failed is \
             not known until it is back.",
        );
    }
    let queues = queues.unwrap_or_else(|error| {
        error.log();
        troubles.push("Redis does not answer: nothing is accepted or delivered until it is back.");
        Vec::new()
    });
    let dead = queues.iter().map(|q| q.depth.dead).sum();
    let mut queues: BTreeMap<String, Waiting> = queues.into_iter().map(|q| (q.name.clone(), q)).collect();
    let lanes = Channel::ALL.map(|channel| lane(channel, activity.as_deref(), from, window, queues.remove(channel.as_str())));
    Now {
        lanes: lanes.into(),
        dispatch: queues.remove("dispatch"),
        dead,
        presence: presence.ok(),
        fares: health_of(state).await,
        steps: state.feed.latest(app.as_ref(), STEPS).await,
        app,
        troubles,
    }
}

fn lane(channel: Channel, activity: Option<&[Activity]>, from: Timestamp, window: Window, waits: Option<Waiting>) -> Lane {
    use DeliveryState::{Sent, Skipped};
    let mut bars = vec![Bar::default(); usize::try_from(window.bars).unwrap_or(0)];
    let counts = activity.map(|activity| {
        let mut counts = Counts::default();
        for a in activity.iter().filter(|a| a.channel == channel) {
            let bar = (a.minute.as_millis() - from.as_millis()) / (window.bar_minutes * 60_000);
            let Some(bar) = usize::try_from(bar).ok().and_then(|bar| bars.get_mut(bar)) else { continue };
            match a.state {
                Sent => (counts.sent, bar.sent) = (counts.sent + a.n, bar.sent + a.n),
                state if TROUBLE.contains(&state) => (counts.failed, bar.failed) = (counts.failed + a.n, bar.failed + a.n),
                Skipped => counts.skipped += a.n,
                _ => {}
            }
        }
        counts
    });
    let known = match &counts {
        Some(Counts { sent, failed, .. }) => format!("{} sent, {} failed", thousands(*sent), thousands(*failed)),
        None => "not known".to_owned(),
    };
    Lane { channel, counts, waits, chart: Chart::new(&bars, format!("{channel}, {}: {known}", window.words)) }
}
