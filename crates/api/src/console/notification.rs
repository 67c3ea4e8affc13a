//! One notification: what it says, to whom it went, and everything that was decided; sent again, or withdrawn.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;
use stentor_domain::{
    AppId, Audience, Channel, Delivery, DeliveryId, NotificationId, ProfilePatch, RecipientId, Timestamp,
    notification::{NotificationStatus, RecipientRef},
};
use uuid::Uuid;

use super::{
    asked::{Form, Path, Query},
    page::{Failure, Page, Section, Shell},
    rendered::{Part, Rendered, Words, choices, render},
    visit::{Entry, Visit},
    words::{self, Badge, address, step, thousands},
};
use crate::{
    rest::{notifications::NotificationView, timeline::TimelineEntry},
    state::ApiState,
};

/// How many deliveries a page has.
const PAGE: usize = 50;
/// How many steps of the story a page has.
const STEPS: usize = 100;

/// Which part of it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Deliveries after this one.
    after: Option<DeliveryId>,
    /// The story after this event.
    story: Option<Uuid>,
}

impl Wanted {
    /// The address of this part; each list goes on by itself.
    fn place(&self, app: &AppId, id: NotificationId) -> String {
        let text = |part: Option<String>| part.unwrap_or_default();
        let (after, story) = (text(self.after.map(|id| id.to_string())), text(self.story.map(|id| id.to_string())));
        address(&place(id), &[("app", app.as_str()), ("after", &after), ("story", &story)])
    }
}

#[derive(Template)]
#[template(path = "notification.html")]
pub(super) struct One {
    shell: Shell,
    title: String,
    view: NotificationView,
    request: stentor_domain::NotificationRequest,
    audience: String,
    metadata: Option<String>,
    deliveries: Vec<Delivery>,
    more: Option<String>,
    steps: Vec<TimelineEntry>,
    later: Option<String>,
    as_of: Timestamp,
    /// What there is to be looked at: channel and language.
    choices: Vec<(Channel, String)>,
    first_rendering: Part,
    app: AppId,
}

impl One {
    fn status(&self) -> Badge {
        Badge::status(self.view.status)
    }

    /// True if it was withdrawn before anything went out.
    fn is_cancelled(&self) -> bool {
        self.view.status == NotificationStatus::Cancelled
    }

    fn is_to_named(&self) -> bool {
        matches!(self.request.audience, Audience::Recipients(_))
    }

    fn counts(&self) -> Vec<(Channel, Vec<Badge>)> {
        let badges = |states: &std::collections::BTreeMap<String, u64>| {
            states.iter().filter_map(|(state, n)| Some(Badge::count(state.parse().ok()?, *n))).collect()
        };
        self.view.counts.iter().map(|(channel, states)| (*channel, badges(states))).collect()
    }

    /// Where a form of the page goes.
    fn action(&self, what: &str) -> String {
        self.shell.link(&format!("{}/{what}", place(self.view.id)))
    }

    /// Where a rendering is looked at.
    fn look(&self, channel: &Channel, locale: &str) -> String {
        rendered_place(self.view.id, *channel, locale, &self.app, "rendered")
    }

    /// A person's page.
    fn recipient(&self, id: &RecipientId) -> String {
        self.shell.link_to("/console/recipients/", id.as_str())
    }
}

/// The address of a notification's page.
pub(super) fn place(id: NotificationId) -> String {
    format!("/console/notifications/{id}")
}

/// The page.
pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<NotificationId>,
    Query(wanted): Query<Wanted>,
) -> Result<Page<One>, Failure> {
    let app = visit.app()?;
    let notification = state.find_sent(app, id).await?;
    let view = state.notification_view(app, id).await?;
    let mut deliveries = state.archive.list_deliveries(app, id, wanted.after, PAGE + 1).await?;
    let more = (deliveries.len() > PAGE).then(|| {
        deliveries.truncate(PAGE);
        Wanted { after: deliveries.last().map(|d| d.id), ..wanted }.place(app, id)
    });
    let story = state.timeline(app, id, wanted.story, STEPS).await?;
    let later = story.next.and_then(|next| next.parse().ok()).map(|next| Wanted { story: Some(next), ..wanted }.place(app, id));
    let (as_of, steps) = (story.as_of, story.events);
    let said = Words::of(&state, &notification).await?;
    let choices = choices(&said);
    let (channel, locale) = choices.first().cloned().unwrap_or((Channel::Inbox, String::new()));
    let rendered = render(&said, channel, &locale, state.now());
    let metadata = Some(&notification.request.metadata).filter(|m| !m.is_empty());
    let metadata = metadata.map(|m| serde_json::to_string_pretty(m).unwrap_or_default());
    let title = match &rendered {
        Rendered::Inbox { title, .. } => title.clone(),
        _ => words::title(&notification).to_owned(),
    };
    Ok(Page(One {
        shell: visit.shell(Section::Notifications, title.clone()),
        title,
        audience: words::audience(&notification.request.audience),
        request: notification.request,
        view,
        metadata,
        deliveries,
        more,
        steps,
        later,
        as_of,
        choices,
        first_rendering: rendered.part(rendered_place(id, channel, &locale, app, "html")),
        app: app.clone(),
    }))
}

/// Withdraws it.
pub(super) async fn recall(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<NotificationId>,
) -> Result<Response, Failure> {
    let app = visit.app()?;
    state.find_sent(app, id).await?;
    let recalled =
        visit.on_record(&state, Some(app), Entry::new("notification.recall", id.to_string()), state.recall(app, id)).await?;
    let left: Vec<String> = recalled.already_left.iter().map(|(channel, n)| format!("{} {channel}", thousands(*n))).collect();
    let note = if left.is_empty() {
        "Recalled: it vanishes from every inbox, and what was not sent yet is cancelled.".to_owned()
    } else {
        format!("Recalled. What had left already cannot be taken back: {}.", left.join(", "))
    };
    Ok(visit.go(&state, &address(&place(id), &[("app", app.as_str())]), &note).await)
}

/// To whom, if not to all.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Again {
    recipient: Option<RecipientId>,
    channel: Option<Channel>,
}

/// Sends the same once more, as a notification of its own.
pub(super) async fn send_again(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<NotificationId>,
    Form(again): Form<Again>,
) -> Result<Response, Failure> {
    let app = visit.app()?;
    let mut request = state.find_sent(app, id).await?.request;
    request.send_at = None;
    request.expires_at = request.expires_at.filter(|at| *at > state.now());
    // Addresses that came with the request were of its time; the profile has those of today.
    let now = |id: RecipientId| RecipientRef { id, profile: ProfilePatch::default() };
    request.audience = match (again.recipient, request.audience) {
        (Some(recipient), _) => Audience::Recipients(vec![now(recipient)]),
        (None, Audience::Recipients(all)) => Audience::Recipients(all.into_iter().map(|r| now(r.id)).collect()),
        (None, other) => other,
    };
    if let Some(channel) = again.channel {
        request.channels = Some(vec![channel]);
    }
    let to = words::audience(&request.audience);
    let checked = state.check(app, state.next_id(), Box::new(request), None, || [0; 32]).await?;
    state.check_topic(&checked).await?;
    let detail = again.channel.map_or_else(|| format!("to {to}"), |channel| format!("to {to} by {channel}"));
    let entry = Entry::new("notification.send_again", id.to_string()).with(detail);
    let accepted = visit.on_record(&state, Some(app), entry, state.accept(&checked)).await?;
    let note = format!("Sent again to {to}. This is the new notification.");
    Ok(visit.go(&state, &address(&place(accepted.id), &[("app", app.as_str())]), &note).await)
}

/// A step of a path to a part of the page.
pub(super) fn rendered_place(id: NotificationId, channel: Channel, locale: &str, app: &AppId, what: &str) -> String {
    address(&format!("{}/{}", place(id), step(what)), &[("app", app.as_str()), ("channel", channel.as_str()), ("locale", locale)])
}
