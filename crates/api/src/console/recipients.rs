//! People: who is known, and what one of them has, wants and was sent. Addresses are masked until somebody asks, and who asks
//! is on record.

use askama::{Template, filters::HtmlSafe};
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use stentor_archive::{ArchivedSuppression, SuppressionFilter};
use stentor_domain::{
    AppId, Channel, Delivery, Item, NotificationId, Profile, RecipientId, SuppressedAddress, SuppressionId, TopicId,
};

use super::{
    asked::{Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::{Badge, address, step},
};
use crate::{
    problem::ApiError,
    rest::{inbox::InboxPage, page::InboxQuery},
    state::ApiState,
};

/// How many people a page has.
const PAGE: usize = 50;
/// How many items of an inbox, and how many deliveries, are shown at a time.
const ITEMS: usize = 20;

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
        return Ok(Redirect::to(&address(&place(wanted.id.trim()), &[("app", app.as_str())])).into_response());
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

/// What of a person is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    /// Older items of the inbox.
    inbox: String,
    /// Deliveries of notifications before this one.
    before: Option<NotificationId>,
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
    topics: Vec<TopicId>,
    suppressions: Vec<ArchivedSuppression>,
    inbox: InboxPage,
    older_items: Option<String>,
    deliveries: Vec<Delivery>,
    older_deliveries: Option<String>,
}

impl One {
    fn choices(&self) -> Vec<(String, Vec<Option<bool>>)> {
        let of = |choices: &std::collections::BTreeMap<Channel, bool>| Channel::ALL.map(|c| choices.get(&c).copied()).to_vec();
        let preferences = &self.profile.preferences;
        let every = (!preferences.channels.is_empty()).then(|| ("every category".to_owned(), of(&preferences.channels)));
        let categories = preferences.categories.iter().map(|(category, choices)| (category.clone(), of(choices)));
        every.into_iter().chain(categories).collect()
    }

    fn channels(&self) -> &'static [Channel] {
        &Channel::ALL
    }

    /// Where a suppression is lifted.
    fn lift(&self, s: &ArchivedSuppression) -> String {
        self.shell.link(&format!("{}/suppressions/{}/lift", place(self.id.as_str()), s.id))
    }

    /// What the person did with an item.
    fn engagement(&self, item: &Item) -> Badge {
        match (item.state.archived_at, item.state.read_at, item.state.seen_at) {
            (Some(_), ..) => Badge::plain("archived"),
            (_, Some(_), _) => Badge::good("read"),
            (.., Some(_)) => Badge::live("seen"),
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
        None if state.archive.list_deliveries_to(app, id, None, 1).await?.is_empty() => Err(ApiError::not_found("recipient")),
        None => Ok(Profile::default()),
    }
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
    let (inbox, _) = InboxPage::read(&state, app, &id, InboxQuery::new(ITEMS, after)).await?;
    let mut deliveries = state.archive.list_deliveries_to(app, &id, part.before, ITEMS + 1).await?;
    let more = deliveries.len() > ITEMS;
    deliveries.truncate(ITEMS);
    let here = place(id.as_str());
    let older = |name: &str, value: &str| address(&here, &[("app", app.as_str()), (name, value)]);
    let older_deliveries = deliveries.last().filter(|_| more).map(|d| older("before", &d.notification_id.to_string()));
    Ok(Page(One {
        shell: visit.shell(Section::Recipients, id.to_string()),
        addresses: Addresses::masked(&profile, address(&format!("{here}/addresses"), &[("app", app.as_str())])),
        topics: state.archive.list_topics_of(app, &id).await?,
        suppressions: suppressions_of(&state, app, &profile).await?,
        older_items: inbox.next.as_deref().map(|next| older("inbox", next)),
        older_deliveries,
        inbox,
        deliveries,
        profile,
        id,
    }))
}

/// What keeps the person's addresses from being written to.
async fn suppressions_of(state: &ApiState, app: &AppId, profile: &Profile) -> Result<Vec<ArchivedSuppression>, ApiError> {
    let email = profile.email.as_ref().map(|email| (Channel::Email, email.as_str()));
    let phone = profile.phone.as_ref().map(|phone| (Channel::Sms, phone.as_str()));
    let mut all = Vec::new();
    for (channel, address) in email.into_iter().chain(phone) {
        let Ok(address) = SuppressedAddress::parse(channel, address) else { continue };
        let filter = SuppressionFilter { channel: Some(channel), address: Some(address) };
        all.extend(state.archive.list_suppressions(app, &filter, None, ITEMS).await?);
    }
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
    let of_theirs = suppressions_of(&state, app, &profile).await?.into_iter().find(|s| s.id == suppression);
    let found = of_theirs.ok_or_else(|| ApiError::not_found("suppression"))?;
    let detail = format!("{}, {}", found.suppression.address.channel(), found.suppression.reason.as_str());
    visit.audit(&state, Some(app), "suppression.lift", id.to_string(), Some(detail)).await?;
    state.lift(app, &found.suppression).await?;
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
    visit.audit(&state, Some(app), "address.reveal", id.to_string(), None).await?;
    Ok(Page(Addresses::shown(&profile)))
}
