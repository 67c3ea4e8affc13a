//! People: who is known, and what one of them has, wants and was sent. Addresses are masked until somebody asks, and who asks
//! is on record.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use stentor_archive::{ArchivedSuppression, NotificationFilter, SuppressionFilter};
use stentor_domain::{
    AppId, Card, Channel, Delivery, DeliveryState, ItemState, Notification, NotificationId, Preferences, Profile, RecipientId,
    SuppressedAddress, SuppressionId, Timestamp, TopicId, Violation,
};

use super::{
    asked::{Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::{Entry, Visit},
    words::{self, Badge, address, step},
};
use crate::{
    problem::ApiError,
    rest::{inbox::InboxPage, page::InboxQuery, suppressions},
    state::ApiState,
};

/// How many people a page has.
const PAGE: usize = 50;
/// How many items of an inbox, deliveries, topics or suppressions are shown at a time.
const ITEMS: usize = 20;
/// How many of what is to come are shown; a list of all is one step away.
const SOON: usize = 5;

/// From where on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    after: Option<RecipientId>,
    /// An id to go to.
    id: String,
}

#[derive(Template)]
#[template(path = "recipients.html")]
pub(super) struct List {
    shell: Shell,
    people: Vec<(RecipientId, Profile)>,
    next: Option<String>,
    first: bool,
}

/// What is shown of an address that nobody asked for.
fn masked<T: std::fmt::Debug>(address: &T) -> String {
    // The Debug of an address is masked, as `EmailAddress(ma***@example.com)`.
    let text = format!("{address:?}");
    text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or("***").to_owned()
}

impl List {
    fn masked_email(&self, profile: &Profile) -> String {
        profile.email.as_ref().map(masked).unwrap_or_default()
    }

    fn masked_phone(&self, profile: &Profile) -> String {
        profile.phone.as_ref().map(masked).unwrap_or_default()
    }
}

/// The list, by id; or straight to the person that is asked for.
pub(super) async fn list(State(state): State<ApiState>, visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Failure> {
    let app = visit.app()?;
    if !wanted.id.trim().is_empty() {
        let wrong = |e| ApiError::invalid(vec![Violation::new("", "bad_id", format!("nobody has such an id: it {e}"))]);
        let id: RecipientId = wanted.id.trim().parse().map_err(wrong)?;
        return Ok(Redirect::to(&address(&place(id.as_str()), &[("app", app.as_str())])).into_response());
    }
    let mut people = state.archive.list_recipients(app, wanted.after.as_ref(), PAGE + 1).await?;
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    let last = people.last().filter(|_| more);
    let next = last.map(|(id, _)| address("/console/recipients", &[("app", app.as_str()), ("after", id.as_str())]));
    let shell = visit.shell(Section::Recipients, "Recipients");
    Ok(Page(List { shell, people, next, first: wanted.after.is_none() }).into_response())
}

fn place(id: &str) -> String {
    format!("/console/recipients/{}", step(id))
}

/// What of a person is asked for. Each list goes on by itself.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    /// What was archived, instead of what is in the inbox.
    archived: bool,
    /// Older items of these.
    inbox: String,
    /// Deliveries of notifications before this one.
    before: Option<NotificationId>,
    /// Topics after this one.
    topics: Option<TopicId>,
    /// Suppressions after this one.
    suppressions: String,
    /// Categories after this one.
    categories: String,
}

impl Part {
    fn place(&self, app: &AppId, id: &RecipientId) -> String {
        let before = self.before.map(|id| id.to_string()).unwrap_or_default();
        let fields = [
            ("app", app.as_str()),
            ("archived", if self.archived { "true" } else { "" }),
            ("inbox", self.inbox.as_str()),
            ("before", before.as_str()),
            ("topics", self.topics.as_ref().map_or("", TopicId::as_str)),
            ("suppressions", self.suppressions.as_str()),
            ("categories", self.categories.as_str()),
        ];
        address(&place(id.as_str()), &fields)
    }
}

/// Where somebody can be reached.
#[derive(Template)]
#[template(path = "addresses_part.html")]
pub(super) struct Addresses {
    email: Option<String>,
    phone: Option<String>,
    attributes: Option<String>,
    shown: bool,
    reveal: String,
}

impl HtmlSafe for Addresses {}

impl Addresses {
    fn masked(profile: &Profile, reveal: String) -> Self {
        Self {
            email: profile.email.as_ref().map(masked),
            phone: profile.phone.as_ref().map(masked),
            attributes: Some(profile.attributes.keys().cloned().collect::<Vec<_>>().join(", ")).filter(|a| !a.is_empty()),
            shown: false,
            reveal,
        }
    }

    fn shown(profile: &Profile) -> Self {
        let attributes = Some(&profile.attributes).filter(|a| !a.is_empty());
        Self {
            email: profile.email.as_ref().map(|e| e.as_str().to_owned()),
            phone: profile.phone.as_ref().map(|p| p.as_str().to_owned()),
            attributes: attributes.and_then(|a| serde_json::to_string_pretty(a).ok()),
            shown: true,
            reveal: String::new(),
        }
    }
}

#[derive(Template)]
#[template(path = "recipient.html")]
pub(super) struct One {
    shell: Shell,
    id: RecipientId,
    profile: Profile,
    addresses: Addresses,
    choices: Vec<Choices>,
    more_choices: Option<String>,
    topics: Vec<TopicId>,
    more_topics: Option<String>,
    suppressions: Vec<ArchivedSuppression>,
    more_suppressions: Option<String>,
    /// What is to be sent to them later: when, and what it is called.
    soon: Vec<(Timestamp, Notification)>,
    more_soon: bool,
    archived: bool,
    items: Vec<(Card, ItemState)>,
    unread: u64,
    /// What is not shown of the inbox: what was archived, or the others.
    other_items: String,
    older_items: Option<String>,
    deliveries: Vec<Delivery>,
    older_deliveries: Option<String>,
}

/// What somebody chose for a category: on or off by channel, or nothing.
type Choices = (String, Vec<Option<bool>>);

/// What somebody chose, for every category and then for those after `after`, and after which there are more.
fn choices(preferences: &Preferences, after: &str) -> (Vec<Choices>, Option<String>) {
    let of = |choices: &BTreeMap<Channel, bool>| Channel::ALL.map(|c| choices.get(&c).copied()).to_vec();
    let every = (!preferences.channels.is_empty()).then(|| ("every category".to_owned(), of(&preferences.channels)));
    let mut left = preferences.categories.iter().filter(|(category, _)| category.as_str() > after);
    let page: Vec<Choices> = left.by_ref().take(ITEMS).map(|(category, choices)| (category.clone(), of(choices))).collect();
    let next = left.next().and(page.last()).map(|(category, _)| category.clone());
    (every.into_iter().chain(page).collect(), next)
}

impl One {
    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    /// Everything that is to be sent to the person later.
    fn all_soon(&self) -> String {
        let app = self.shell.app.as_ref().map_or("", AppId::as_str);
        let fields =
            [("app", app), ("recipient", self.id.as_str()), ("state", DeliveryState::Scheduled.as_str()), ("within", "all")];
        address("/console/notifications", &fields)
    }

    fn called(&self, n: &Notification) -> String {
        words::title(n).to_owned()
    }

    /// Where a suppression is lifted.
    fn lift(&self, s: &ArchivedSuppression) -> String {
        self.shell.link(&format!("{}/suppressions/{}/lift", place(self.id.as_str()), s.id))
    }

    /// What the person did with an item.
    fn engagement(&self, treated: &ItemState) -> Badge {
        match (treated.read_at, treated.seen_at) {
            (Some(_), _) => Badge::good("read"),
            (_, Some(_)) => Badge::live("seen"),
            _ => Badge::live("unread"),
        }
    }
}

/// A person's profile; 404 if nothing is known of them and nothing was sent to them.
async fn find(state: &ApiState, app: &AppId, id: &RecipientId) -> Result<Profile, ApiError> {
    let profile = match state.profiles.find(app, id).await? {
        Some(profile) => Some(profile),
        None => state.archive.find_recipient(app, id).await?,
    };
    match profile {
        Some(profile) => Ok(profile),
        None if !state.archive.list_deliveries_to(app, id, None, 1).await?.is_empty() => Ok(Profile::default()),
        None if !soon(state, app, id).await?.is_empty() => Ok(Profile::default()),
        None => Err(ApiError::not_found("recipient")),
    }
}

/// What is to be sent to somebody later, the latest asked for first; one more than is shown.
async fn soon(state: &ApiState, app: &AppId, id: &RecipientId) -> Result<Vec<(Timestamp, Notification)>, ApiError> {
    let filter = NotificationFilter {
        recipient: Some(id.clone()),
        states: vec![DeliveryState::Scheduled],
        or_sent_after: Some(state.now()),
        ..NotificationFilter::default()
    };
    let found = state.archive.search_notifications(app, &filter, None, SOON + 1).await?;
    Ok(found.items.into_iter().map(|n| (n.notification.due_at(), n.notification)).collect())
}

/// One person.
pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<RecipientId>,
    Query(part): Query<Part>,
) -> Result<Page<One>, Failure> {
    let app = visit.app()?;
    let profile = find(&state, app, &id).await?;
    let after = Some(part.inbox.clone()).filter(|after| !after.is_empty());
    let (inbox, _) = InboxPage::read(&state, app, &id, InboxQuery::new(ITEMS, after, part.archived)).await?;
    let items: serde_json::Result<_> = inbox.items.iter().map(|item| Ok((item.card.read()?, item.state))).collect();
    let items = items.map_err(|e| ApiError::unavailable("the inbox", e))?;
    let mut deliveries = state.archive.list_deliveries_to(app, &id, part.before, ITEMS + 1).await?;
    let more = deliveries.len() > ITEMS;
    deliveries.truncate(ITEMS);
    let older = |part: Part| part.place(app, &id);
    let last = deliveries.last().filter(|_| more);
    let older_deliveries = last.map(|d| older(Part { before: Some(d.notification_id), ..part.clone() }));
    let mut topics = state.archive.list_topics_of(app, &id, part.topics.as_ref(), ITEMS + 1).await?;
    let more = topics.len() > ITEMS;
    topics.truncate(ITEMS);
    let more_topics = topics.last().filter(|_| more).map(|last| older(Part { topics: Some(last.clone()), ..part.clone() }));
    let mut suppressions = suppressions_of(&state, app, &profile, &part.suppressions).await?;
    let more = suppressions.len() > ITEMS;
    suppressions.truncate(ITEMS);
    let last = suppressions.last().filter(|_| more).map(suppressions::place);
    let more_suppressions = last.map(|suppressions| older(Part { suppressions, ..part.clone() }));
    let (choices, next) = choices(&profile.preferences, &part.categories);
    let more_choices = next.map(|categories| older(Part { categories, ..part.clone() }));
    let mut soon = soon(&state, app, &id).await?;
    let more_soon = soon.len() > SOON;
    soon.truncate(SOON);
    let reveal = address(&format!("{}/addresses", place(id.as_str())), &[("app", app.as_str())]);
    Ok(Page(One {
        shell: visit.shell(Section::Recipients, id.to_string()),
        addresses: Addresses::masked(&profile, reveal),
        choices,
        more_choices,
        topics,
        more_topics,
        suppressions,
        more_suppressions,
        soon,
        more_soon,
        archived: part.archived,
        other_items: older(Part { inbox: String::new(), archived: !part.archived, ..part.clone() }),
        older_items: inbox.next.clone().map(|inbox| older(Part { inbox, ..part.clone() })),
        older_deliveries,
        items,
        unread: inbox.unread,
        deliveries,
        profile,
        id,
    }))
}

/// The person's addresses, as suppressions name them.
fn suppressible(profile: &Profile) -> impl Iterator<Item = SuppressedAddress> {
    let email = profile.email.as_ref().map(|email| (Channel::Email, email.as_str()));
    let phone = profile.phone.as_ref().map(|phone| (Channel::Sms, phone.as_str()));
    email.into_iter().chain(phone).filter_map(|(channel, address)| SuppressedAddress::parse(channel, address).ok())
}

/// What keeps the person's addresses from being written to, the newest first, after the one at `after`; one more than is shown.
async fn suppressions_of(
    state: &ApiState,
    app: &AppId,
    profile: &Profile,
    after: &str,
) -> Result<Vec<ArchivedSuppression>, ApiError> {
    let after = Some(after).filter(|after| !after.is_empty()).map(suppressions::read_place).transpose()?;
    let mut all = Vec::new();
    for address in suppressible(profile) {
        let filter = SuppressionFilter { channel: Some(address.channel()), address: Some(address) };
        all.extend(state.archive.list_suppressions(app, &filter, after, ITEMS + 1).await?);
    }
    all.sort_by_key(|s| (std::cmp::Reverse(s.at), s.id));
    all.truncate(ITEMS + 1);
    Ok(all)
}

/// Lets a suppressed address be written to again.
pub(super) async fn lift(
    State(state): State<ApiState>,
    visit: Visit,
    Path((id, suppression)): Path<(RecipientId, SuppressionId)>,
) -> Result<Response, Failure> {
    let app = visit.app()?;
    // One of this person's addresses: the audit log says whose it was.
    let profile = find(&state, app, &id).await?;
    let found = state.archive.find_suppression(app, suppression).await?;
    let of_theirs = found.filter(|found| suppressible(&profile).any(|address| address == found.suppression.address));
    let found = of_theirs.ok_or_else(|| ApiError::not_found("suppression"))?.suppression;
    let entry = Entry::new("suppression.lift", id.to_string());
    let entry = entry.with(format!("{}, {}", found.address.channel(), found.reason.as_str()));
    visit.on_record(&state, Some(app), entry, state.lift(app, &found)).await?;
    let place = address(&place(id.as_str()), &[("app", app.as_str())]);
    Ok(visit.go(&state, &place, "Lifted: this address is written to again, unless another reason is left below.").await)
}

/// Shows a person's addresses, and puts on record who asked.
pub(super) async fn reveal(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<RecipientId>,
) -> Result<Page<Addresses>, Failure> {
    let app = visit.app()?;
    let profile = find(&state, app, &id).await?;
    let show = async { Ok(Page(Addresses::shown(&profile))) };
    visit.on_record(&state, Some(app), Entry::new("address.reveal", id.to_string()), show).await
}
