//! Providers: how each fares, as the workers that call it say, and a test by one of them.
//!
//! Only workers call providers. A test is a job on the channel's queue that names one; its record says what came of it.

use std::{collections::BTreeMap, time::Duration};

use askama::{Template, filters::HtmlSafe};
use axum::extract::State;
use serde::Deserialize;
use stentor_channels::ProviderHealth;
use stentor_domain::{AppId, Channel, DeliveryId, EmailAddress, PhoneNumber, Violation};
use stentor_queue::{Lane, NewJob, Queue};

use super::{
    asked::{Form, Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::{Entry, Visit},
    words::{Badge, address, span},
};
use crate::{problem::ApiError, state::ApiState};

/// How long a test may wait for a worker. What is older is not sent any more.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the record of a test is kept.
const KEPT: Duration = Duration::from_mins(10);

/// How a provider fares, over all workers.
pub(super) struct Fares {
    pub channel: Channel,
    pub provider: String,
    workers: usize,
    /// The worst that a worker says.
    failures: u32,
    left_alone: Option<Duration>,
    under_way: Option<(usize, usize)>,
    per_second: Option<f64>,
}

impl Fares {
    pub(super) fn badge(&self) -> Badge {
        match (self.left_alone, self.failures) {
            (Some(_), _) => Badge::bad("left alone"),
            (None, 0) => Badge::good("works"),
            (None, _) => Badge::warn("in trouble"),
        }
    }

    fn words(&self) -> String {
        match (self.left_alone, self.failures) {
            (Some(wait), n) => format!("{n} failures in a row; asked again in {}", span(wait)),
            (None, 0) => String::new(),
            (None, 1) => "the last call failed".to_owned(),
            (None, n) => format!("the last {n} calls failed"),
        }
    }

    fn limits(&self) -> String {
        let cap = self.under_way.map(|(now, cap)| format!("{now} of {cap} calls at once"));
        let rate = self.per_second.map(|rate| format!("{rate} a second"));
        [cap, rate].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// How each provider fares. Without Redis nothing is known of any.
pub(super) async fn health_of(state: &ApiState) -> Vec<Fares> {
    let mut all = Vec::new();
    for queue in &state.outside {
        let Ok(channel) = queue.name().parse::<Channel>() else { continue };
        let reports = queue.reports().await.unwrap_or_default();
        let mut by_name: BTreeMap<usize, Fares> = BTreeMap::new();
        for (_, words) in &reports {
            let said: Vec<ProviderHealth> = serde_json::from_slice(words).unwrap_or_default();
            for (place, health) in said.into_iter().enumerate() {
                let left_alone = health.left_alone_ms.map(Duration::from_millis);
                let fares = by_name.entry(place).or_insert_with(|| Fares {
                    channel,
                    provider: health.provider.clone(),
                    workers: 0,
                    failures: 0,
                    left_alone: None,
                    under_way: health.max_concurrency.map(|_| (0, 0)),
                    per_second: health.rate_per_second,
                });
                fares.workers += 1;
                fares.failures = fares.failures.max(health.failures);
                fares.left_alone = fares.left_alone.max(left_alone);
                if let (Some((now, cap)), Some(under_way)) = (&mut fares.under_way, health.under_way) {
                    (*now, *cap) = (*now + under_way, *cap + health.max_concurrency.unwrap_or(0));
                }
            }
        }
        all.extend(by_name.into_values());
    }
    all
}

#[derive(Template)]
#[template(path = "providers.html")]
pub(super) struct Providers {
    shell: Shell,
    channels: Vec<(Channel, Vec<Fares>)>,
    action: String,
}

/// The page.
pub(super) async fn list(State(state): State<ApiState>, visit: Visit) -> Result<Page<Providers>, Failure> {
    let app = visit.any_app()?;
    let mut all = health_of(&state).await;
    let of = |channel: Channel, all: &mut Vec<Fares>| {
        let (these, others) = std::mem::take(all).into_iter().partition(|f: &Fares| f.channel == channel);
        *all = others;
        (channel, these)
    };
    let channels = [Channel::Email, Channel::Sms].map(|channel| of(channel, &mut all)).into();
    let action = address("/console/providers/test", &[("app", app.as_str())]);
    Ok(Page(Providers { shell: visit.shell_of_none(Section::Providers, "Providers"), channels, action }))
}

/// What is to be tested.
#[derive(Deserialize)]
pub(super) struct Asked {
    channel: Channel,
    provider: String,
    to: String,
}

/// What came of a test, or that it is on its way.
#[derive(Template)]
#[template(path = "test_part.html")]
pub(super) struct Tested {
    /// Where to ask again; `None` once it has ended.
    again: Option<String>,
    badge: Badge,
    words: String,
}

impl HtmlSafe for Tested {}

fn queue_of(state: &ApiState, channel: Channel) -> Result<&Queue, Failure> {
    let queue = state.outside.iter().find(|queue| queue.name() == channel.as_str());
    queue.ok_or_else(|| ApiError::not_found_at_all("channel with providers").into())
}

fn asks(channel: Channel, test: DeliveryId, app: &AppId) -> String {
    address(&format!("/console/providers/test/{channel}/{test}"), &[("app", app.as_str())])
}

/// Asks a worker to send a test by one provider.
pub(super) async fn test(State(state): State<ApiState>, visit: Visit, Form(asked): Form<Asked>) -> Result<Page<Tested>, Failure> {
    let app = visit.any_app()?;
    let queue = queue_of(&state, asked.channel)?;
    let to = asked.to.trim();
    let wrong = |message: String| ApiError::invalid(vec![Violation::new("", "bad_address", message)]);
    match asked.channel {
        Channel::Email => _ = to.parse::<EmailAddress>().map_err(|e| wrong(e.to_string()))?,
        _ => _ = to.parse::<PhoneNumber>().map_err(|e| wrong(e.to_string()))?,
    }
    let mut random = [0; 16];
    rand::Rng::fill(&mut rand::rng(), &mut random);
    let test = DeliveryId::from_uuid(uuid::Builder::from_random_bytes(random).into_uuid());
    let payload = serde_json::json!({ "app": app, "provider": asked.provider, "test": test, "to": to });
    let payload = serde_json::to_vec(&payload).map_err(|e| ApiError::unavailable("the encoder", e))?;
    let id = format!("test:{test}");
    let expires = Some(state.now().after(PATIENCE).as_millis());
    let job = NewJob { id: &id, lane: Lane::High, payload: &payload, body: None, due: None, expires, is_new: false };
    let entry = Entry::new("provider.test", format!("{} {}", asked.channel, asked.provider));
    let enqueue = async {
        queue.enqueue(&[job]).await?;
        Ok(queue.expire_jobs(&[&id], KEPT).await?)
    };
    visit.on_record(&state, Some(app), entry, enqueue).await?;
    let words = "waits for a worker".to_owned();
    Ok(Page(Tested { again: Some(asks(asked.channel, test, app)), badge: Badge::live("queued"), words }))
}

/// When a test was asked for: after a while nobody waits for it any more.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    tries: u32,
}

/// What came of a test.
pub(super) async fn tested(
    State(state): State<ApiState>,
    visit: Visit,
    Path((channel, test)): Path<(Channel, DeliveryId)>,
    Query(since): Query<Since>,
) -> Result<Page<Tested>, Failure> {
    let app = visit.any_app()?;
    let queue = queue_of(&state, channel)?;
    let job = queue.find_job(&format!("test:{test}")).await?.ok_or_else(|| ApiError::not_found("test"))?;
    let outcome: serde_json::Value = job.outcome.as_deref().and_then(|o| serde_json::from_slice(o).ok()).unwrap_or_default();
    let said = |name: &str| outcome.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let ended = |badge, words| Tested { again: None, badge, words };
    Ok(Page(match job.state.as_str() {
        "sent" => {
            let id = said("message_id").map(|id| format!("; its id there is {id}")).unwrap_or_default();
            ended(Badge::good("sent"), format!("the provider took it{id}"))
        }
        "failed" | "unknown" => ended(Badge::bad(job.state.as_str()), said("error").unwrap_or_default()),
        _ if since.tries >= 90 => {
            let words = "no worker answered in 90 s. Is one running, with this provider in its settings?";
            ended(Badge::warn("no answer"), words.to_owned())
        }
        other => {
            let again = format!("{}&tries={}", asks(channel, test, app), since.tries + 1);
            Tested { again: Some(again), badge: Badge::live(other), words: "waits for its answer".to_owned() }
        }
    }))
}
