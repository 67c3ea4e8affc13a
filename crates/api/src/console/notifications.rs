//! The list of an app's notifications, by whatever an operator knows of the one that is looked for.

use std::{collections::BTreeSet, time::Duration};

use askama::Template;
use axum::extract::State;
use serde::Deserialize;
use stentor_archive::{ArchivedNotification, DeliveryCount, NotificationFilter};
use stentor_catalog::Listed;
use stentor_domain::{AppId, Channel, DeliveryState, NotificationId, RECALLED, Timestamp, Violation};

use super::{
    asked::Query,
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::{self, Badge, address, thousands},
};
use crate::{problem::ApiError, state::ApiState};

/// How many notifications a page has.
const PAGE: usize = 50;
/// How many templates are asked for their channels.
const TEMPLATES: usize = 1_000;
/// Of how many deliveries each is still counted for the list.
const COUNTED: u64 = 1_000;
/// The spans of time to choose from, by their names in the address.
const SPANS: [(&str, &str, Option<Duration>); 5] = [
    ("1h", "last hour", Some(Duration::from_hours(1))),
    ("24h", "last 24 hours", Some(Duration::from_hours(24))),
    ("", "last 7 days", Some(Duration::from_hours(7 * 24))),
    ("30d", "last 30 days", Some(Duration::from_hours(30 * 24))),
    ("all", "all time", None),
];

/// What the overview counts as failed, and what the address calls it.
pub(super) const TROUBLE: [DeliveryState; 3] = [DeliveryState::Failed, DeliveryState::Bounced, DeliveryState::Unknown];
pub(super) const IN_TROUBLE: &str = "trouble";

/// What is looked for: the fields of the form, which are those of the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    within: String,
    from: String,
    until: String,
    template: String,
    recipient: String,
    channel: String,
    state: String,
    reason: String,
    before: Option<NotificationId>,
}

/// A row of the list.
struct Row {
    id: NotificationId,
    at: Timestamp,
    title: String,
    audience: String,
    is_recalled: bool,
    outcome: Outcome,
}

/// What became of a notification.
enum Outcome {
    /// It is to be sent then.
    Scheduled(Timestamp),
    Badges(Vec<(Option<Channel>, Vec<Badge>)>),
    Many(String),
}

#[derive(Template)]
#[template(path = "notifications.html")]
pub(super) struct List {
    shell: Shell,
    wanted: Wanted,
    templates: Vec<String>,
    rows: Vec<Row>,
    older: Option<String>,
    filtered: bool,
}

impl List {
    fn spans(&self) -> &'static [(&'static str, &'static str, Option<Duration>)] {
        &SPANS
    }

    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    fn states(&self) -> &'static [DeliveryState] {
        &DeliveryState::ALL
    }

    fn in_trouble(&self) -> &'static str {
        IN_TROUBLE
    }

    /// No state of a delivery, and found among them all the same: what was withdrawn.
    fn recalled(&self) -> &'static str {
        RECALLED
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// A field, understood; a failure that names it otherwise.
fn read<T: std::str::FromStr>(name: &str, text: &str, right: &str) -> Result<Option<T>, Failure> {
    let wrong = || ApiError::invalid(vec![Violation::new("", "bad_filter", format!("{name} is not understood: {right}"))]);
    given(text).map(|text| text.parse().map_err(|_| wrong().into())).transpose()
}

/// A time as a date field of a browser writes it (in UTC), or as the API does.
fn time(name: &str, text: &str) -> Result<Option<Timestamp>, Failure> {
    let text = text.trim();
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    read(name, &whole, "write a time in UTC such as 2026-12-01T09:00")
}

impl Wanted {
    fn filter(&self, now: Timestamp) -> Result<NotificationFilter, Failure> {
        let states = match self.state.trim() {
            IN_TROUBLE => TROUBLE.to_vec(),
            RECALLED => Vec::new(),
            one => read("state", one, "one of the list")?.into_iter().collect(),
        };
        let recipient =
            read("recipient", &self.recipient, "an id has 1 to 128 bytes, no control characters, and is neither . nor ..")?;
        let channel = read("channel", &self.channel, "inbox, email or sms")?;
        // Of what waits for its time it is known for whom it is and on which channels, and not how that will end.
        let asks_others = recipient.is_some() || channel.is_some();
        let waits = given(&self.reason).is_none() && (states == [DeliveryState::Scheduled] || (states.is_empty() && asks_others));
        let exact = time("from", &self.from)?;
        let span = SPANS.iter().find(|(name, ..)| *name == self.within).and_then(|(.., span)| *span);
        let recent = span.map(|span| {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(span))
        });
        Ok(NotificationFilter {
            from: exact.or(recent),
            until: time("until", &self.until)?,
            template: given(&self.template).map(str::to_owned),
            recipient,
            channel,
            reason: given(&self.reason).map(str::to_owned),
            or_sent_after: waits.then_some(now),
            by_default: BTreeSet::new(),
            is_recalled: self.state.trim() == RECALLED,
            states,
        })
    }

    fn is_filtered(&self) -> bool {
        [&self.from, &self.until, &self.template, &self.recipient, &self.channel, &self.state, &self.reason]
            .iter()
            .any(|text| given(text).is_some())
    }

    /// The address of what follows `before`.
    fn older(&self, app: &AppId, before: NotificationId) -> String {
        let fields = [
            ("app", app.as_str()),
            ("within", &self.within),
            ("from", &self.from),
            ("until", &self.until),
            ("template", &self.template),
            ("recipient", &self.recipient),
            ("channel", &self.channel),
            ("state", &self.state),
            ("reason", &self.reason),
            ("before", &before.to_string()),
        ];
        address("/console/notifications", &fields)
    }
}

impl Row {
    fn of(found: ArchivedNotification, counts: Option<Vec<DeliveryCount>>, now: Timestamp) -> Self {
        let due = found.notification.due_at();
        let is_recalled = found.recalled_at.is_some();
        let outcome = match counts {
            _ if found.error.as_deref().is_some_and(|error| error != RECALLED) => {
                Outcome::Badges(vec![(None, vec![Badge::bad("not dispatched")])])
            }
            None => Outcome::Many(format!("{} deliveries", thousands(found.deliveries))),
            Some(counts) if counts.is_empty() && is_recalled => Outcome::Badges(Vec::new()),
            Some(counts) if counts.is_empty() && found.dispatched_at.is_none() && due > now => Outcome::Scheduled(due),
            Some(counts) if counts.is_empty() && found.dispatched_at.is_none() => {
                Outcome::Badges(vec![(None, vec![Badge::live("waits")])])
            }
            Some(counts) if counts.is_empty() => {
                Outcome::Badges(vec![(Some(Channel::Inbox), vec![Badge::good("on the timeline")])])
            }
            Some(counts) => Outcome::Badges(by_channel(&counts)),
        };
        let n = found.notification;
        Self {
            id: n.id,
            at: n.accepted_at,
            title: words::title(&n).to_owned(),
            audience: words::audience(&n.request.audience),
            is_recalled,
            outcome,
        }
    }
}

fn by_channel(counts: &[DeliveryCount]) -> Vec<(Option<Channel>, Vec<Badge>)> {
    let mut groups: Vec<(Option<Channel>, Vec<Badge>)> = Vec::new();
    for count in counts {
        if groups.last().is_none_or(|(channel, _)| *channel != Some(count.channel)) {
            groups.push((Some(count.channel), Vec::new()));
        }
        if let Some((_, badges)) = groups.last_mut() {
            badges.push(Badge::count(count.state, count.n));
        }
    }
    groups
}

impl ApiState {
    /// The templates that go out on `channel` where a request names no channels.
    async fn templates_on(&self, app: &AppId, channel: Channel) -> Result<BTreeSet<String>, ApiError> {
        let all = self.templates.list(app, None, TEMPLATES).await.map_err(ApiError::from)?;
        let on_it = |listed: &Listed| listed.live.as_ref().is_ok_and(|v| v.template.default_channels().contains(&channel));
        Ok(all.into_iter().filter(on_it).map(|listed| listed.key).collect())
    }
}

/// The list.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Page<List>, Failure> {
    let app = visit.app()?;
    let now = state.now();
    let mut filter = wanted.filter(now)?;
    if let (Some(channel), Some(_)) = (filter.channel, filter.or_sent_after) {
        filter.by_default = state.templates_on(app, channel).await?;
    }
    let found = state.archive.search_notifications(app, &filter, wanted.before, PAGE).await?;
    let few: Vec<NotificationId> = found.items.iter().filter(|n| n.deliveries <= COUNTED).map(|n| n.notification.id).collect();
    let mut counts = state.archive.delivery_counts_of(app, &few).await?;
    let older = found.next.map(|before| wanted.older(app, before));
    let row = |n: ArchivedNotification| {
        let counted = (n.deliveries <= COUNTED).then(|| counts.remove(&n.notification.id).unwrap_or_default());
        Row::of(n, counted, now)
    };
    let rows = found.items.into_iter().map(row).collect();
    let templates = state.templates.keys(app).await.map_err(ApiError::from)?.into_iter().collect();
    let filtered = wanted.is_filtered();
    Ok(Page(List { shell: visit.shell(Section::Notifications, "Notifications"), wanted, templates, rows, older, filtered }))
}
