//! Dispatch: from one accepted notification to inbox items and queued deliveries.
//!
//! Every id is derived from what it names, so a dispatch that is repeated, wholly or half-way, makes the same
//! items and deliveries and changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use stentor_archive::{Archive, ArchiveError};
use stentor_catalog::{Catalog, CatalogError, Reader, Words};
use stentor_domain::{
    Audience, Card, Channel, Clock, DeliveryState, Event, EventKind, Notification, Profile, ProfilePatch, RECALLED, RecipientId,
    Target, Timestamp,
    item::ItemContent,
    notification::RecipientRef,
    routing::{Route, route},
    timeline::EntryBody,
};
use stentor_inbox::{Ahead, Done, Hot, InboxError, Inboxes, ItemAhead, NewItem, Profiles};
use stentor_queue::{Lane, Lease, NewJob, Outcome, Queue, QueueError};
use stentor_templates::RenderError;

use crate::{
    facts::Facts,
    jobs::{DeliveryJob, DispatchJob, Task, lane},
    notifications::{Notifications, ReadError},
    page::Page,
    profiles::{ProfileError, look_up, resolve},
    suppressed::{Suppressed, SuppressedError},
    update::{Seen, newer},
};

/// The most recipients that are worked on at once.
pub(crate) const PAGE: usize = 500;
/// How long the record of a job that followed a dispatch is kept.
pub(crate) const KEPT: Duration = Duration::from_hours(24);
/// How long a dispatch waits that found Redis or SQL not answering. It counts as no attempt: what was accepted is not given up.
const PAUSE: Duration = Duration::from_secs(5);

/// How many pages of a large audience are worked on before others get a turn.
const PAGES_A_TURN: usize = 4;
/// How many deliveries may wait for a provider before a large audience waits too.
const MAX_WAITING: u64 = 2_000;
/// How long it then waits.
const CROWDED: Duration = Duration::from_secs(1);

/// What dispatch works with.
pub(crate) struct Dispatch {
    pub queue: Queue,
    pub email: Queue,
    pub sms: Queue,
    pub facts: Facts,
    pub inboxes: Inboxes,
    pub profiles: Profiles,
    pub ahead: Ahead,
    pub suppressed: Suppressed,
    pub archive: Archive,
    pub notifications: Notifications,
    pub templates: Catalog,
    pub clock: Arc<dyn Clock>,
}

/// Something that is needed does not answer now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    #[error("the queue")]
    Queue(#[from] QueueError),
    #[error("the inbox store")]
    Inbox(#[from] InboxError),
    #[error("the archive")]
    Archive(#[from] ArchiveError),
    #[error("the profiles")]
    Profiles(#[from] ProfileError),
    #[error("the suppressions")]
    Suppressed(#[from] SuppressedError),
    #[error("the notification")]
    Notification(#[from] ReadError),
    #[error("the template")]
    Template(#[from] CatalogError),
}

impl Dispatch {
    /// Handles one job.
    #[tracing::instrument(name = "dispatch", skip_all, fields(notification.id = %job.notification))]
    pub(crate) async fn handle(&self, job: DispatchJob, lease: &Lease) -> Outcome {
        let done = match job.task {
            Task::Dispatch => self.dispatch(&job, lease).await,
            task => self.follow_up(&job, task, lease).await,
        };
        match done {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "dispatch waits");
                Outcome::HoldFor { wait: PAUSE }
            }
        }
    }

    async fn follow_up(&self, job: &DispatchJob, task: Task, lease: &Lease) -> Result<Outcome, DispatchError> {
        match (self.notifications.find(&job.app, job.notification).await?, task) {
            (Some(n), Task::Recall) => self.recall(&n, lease).await,
            (Some(n), Task::Expire) => self.expire(&n, lease).await,
            (_, Task::Update) => self.update(lease).await,
            (Some(_), Task::Dispatch) | (None, _) => Ok(Outcome::Dead { reason: "its notification is gone".into() }),
        }
    }

    async fn dispatch(&self, job: &DispatchJob, lease: &Lease) -> Result<Outcome, DispatchError> {
        let gone = || Ok(Outcome::Dead { reason: "its record is gone".into() });
        let (record, ahead) = if let Some(record) = lease.added() {
            (Ok(Some(record)), self.ahead.take(job.notification, &job.app, &job.to).await)
        } else {
            tokio::join!(lease.record(), self.ahead.read_anew(job.notification, &job.app, &job.to))
        };
        let Some(record) = record? else { return gone() };
        let Some(body) = &record.body else { return gone() };
        let notification: Notification = match serde_json::from_slice(body) {
            Ok(notification) => notification,
            Err(error) => return Ok(Outcome::Dead { reason: format!("its record cannot be read: {error}") }),
        };
        debug_assert_eq!(notification.id, job.notification);
        let accepted = EventKind::Accepted { notification: Box::new(notification.clone()) };
        // Facts wait for those that follow: a notification to one person writes all of its facts at once.
        let mut facts = vec![Event::new(notification.app.clone(), notification.accepted_at, accepted)];
        let progress: Progress = record.progress.as_deref().and_then(|p| serde_json::from_slice(p).ok()).unwrap_or_default();
        let resolved = if record.withdrawn.is_some() {
            // Whoever began this before, and died, may have written after the recall had looked.
            self.facts.flush(&mut facts).await?;
            self.recall_begun(&notification, progress.after.as_ref()).await?;
            let error = (progress.deliveries == 0).then(|| RECALLED.to_owned());
            Ok(Resolved::whole(progress.deliveries, error))
        } else {
            self.resolve(&notification, progress, lease, &mut facts, ahead.map_err(ProfileError::from)?).await
        };
        let (deliveries, error, last) = match resolved {
            Ok(Resolved::Whole { deliveries, error, last }) => (deliveries, error, last),
            Ok(Resolved::Part { pause }) => {
                self.facts.flush(&mut facts).await?;
                return Ok(Outcome::HoldFor { wait: pause });
            }
            Err(error) => {
                // That it was accepted goes on record all the same, if Redis takes it.
                let _ = self.facts.flush(&mut facts).await;
                return Err(error);
            }
        };
        let dispatched = EventKind::Dispatched { notification: notification.id, deliveries, error };
        facts.push(Event::new(notification.app.clone(), self.clock.now(), dispatched));
        if let Seen { rewritten: Some(newest), .. } = self.look_again(&notification, &last, lease, &mut facts).await? {
            self.say_rewritten(&newest).await?;
        }
        self.announce_expiry(&notification).await?;
        Ok(Outcome::Ended { state: "dispatched" })
    }

    async fn resolve(
        &self,
        n: &Notification,
        progress: Progress,
        lease: &Lease,
        facts: &mut Vec<Event>,
        ahead: Done,
    ) -> Result<Resolved, DispatchError> {
        match Words::of(n, &self.templates).await? {
            Ok(words) => self.deliver_to_all(n, &words, progress, lease, facts, ahead).await,
            Err(reason) => Ok(Resolved::whole(0, Some(reason))),
        }
    }

    /// Writes the facts that wait, and looks whether the notification was withdrawn or said otherwise while a page of it was written:
    /// whoever did so may have been too early to see the page. What is withdrawn is undone here.
    async fn look_again(
        &self,
        n: &Notification,
        page: &[RecipientId],
        lease: &Lease,
        facts: &mut Vec<Event>,
    ) -> Result<Seen, DispatchError> {
        let (written, seen) = tokio::join!(self.facts.flush(facts), lease.look_again());
        written?;
        let Some(record) = seen? else { return Ok(Seen::default()) };
        let is_withdrawn = record.withdrawn.is_some();
        if is_withdrawn && !page.is_empty() {
            self.recall_page(n, page).await?;
        }
        Ok(Seen { is_withdrawn, rewritten: newer(record, n) })
    }

    /// Whoever looks at an inbox finds no item whose time is over; this tells those who are looking already.
    pub(crate) async fn announce_expiry(&self, n: &Notification) -> Result<(), DispatchError> {
        let (Some(at), Audience::Recipients(_)) = (n.request.expires_at, &n.request.audience) else { return Ok(()) };
        let job = DispatchJob { app: n.app.clone(), notification: n.id, task: Task::Expire, to: Vec::new() };
        let (id, payload) = (format!("expire:{}:{}", n.id, at.as_millis()), serde_json::to_vec(&job).unwrap_or_default());
        let lane = lane(n.request.priority);
        let job =
            NewJob { id: &id, lane, payload: &payload, body: None, due: Some(at.as_millis()), expires: None, is_new: false };
        self.queue.enqueue(&[job]).await?;
        Ok(())
    }

    async fn deliver_to_all(
        &self,
        n: &Notification,
        words: &Words<'_>,
        progress: Progress,
        lease: &Lease,
        facts: &mut Vec<Event>,
        ahead: Done,
    ) -> Result<Resolved, DispatchError> {
        let target = match &n.request.audience {
            Audience::Recipients(recipients) => return self.deliver_to_named(n, words, recipients, lease, facts, ahead).await,
            Audience::Topic(topic) => Target::Topic(topic.clone()),
            Audience::Everyone => Target::Everyone,
        };
        self.facts.flush(facts).await?;
        let now = self.clock.now();
        let mut channels = words.channels(n).to_vec();
        // One entry for all, unless each reads something else.
        if channels.contains(&Channel::Inbox) && !words.is_personal() {
            channels.retain(|channel| *channel != Channel::Inbox);
            if progress.after.is_none()
                && !n.is_expired(now)
                && let Err(error) = self.write_entry(n, words, target, now).await?
            {
                return Ok(Resolved::whole(0, Some(error.to_string())));
            }
        }
        if channels.is_empty() {
            return Ok(Resolved::whole(progress.deliveries, None));
        }
        self.deliver_to_audience(n, words, &channels, progress, lease).await
    }

    async fn deliver_to_named(
        &self,
        n: &Notification,
        words: &Words<'_>,
        named: &[RecipientRef],
        lease: &Lease,
        facts: &mut Vec<Event>,
        ahead: Done,
    ) -> Result<Resolved, DispatchError> {
        let mut deliveries = 0;
        let Done { profiles: mut ahead, item } = ahead;
        let mut written = Written { ahead: item, ..Written::default() };
        let mut last: Vec<RecipientId> = Vec::new();
        for (chunk, first) in named.chunks(PAGE).zip((0..).step_by(PAGE)) {
            if !last.is_empty() && self.look_again(n, &last, lease, facts).await?.is_withdrawn {
                return Ok(Resolved::whole(deliveries, None));
            }
            let recipients: Vec<(RecipientId, ProfilePatch)> = chunk.iter().map(|r| (r.id.clone(), r.profile.clone())).collect();
            let ahead = std::mem::take(&mut ahead);
            let profiles = resolve(&self.profiles, &self.archive, &n.app, &recipients, n.accepted_at, ahead).await?;
            self.upsert(n, &recipients, facts).await?;
            let page = Page { n, words, channels: words.channels(n), first, now: self.clock.now() };
            last = recipients.into_iter().map(|(id, _)| id).collect();
            deliveries += self.deliver_to_page(&page, &last, &profiles, &mut written, facts).await?;
        }
        Ok(Resolved::Whole { deliveries, error: None, last })
    }

    /// Tells the record what the request said of its recipients.
    async fn upsert(
        &self,
        n: &Notification,
        recipients: &[(RecipientId, ProfilePatch)],
        facts: &mut Vec<Event>,
    ) -> Result<(), DispatchError> {
        let given: Vec<_> = recipients.iter().filter(|(_, patch)| !patch.is_empty()).collect();
        if given.is_empty() {
            return Ok(());
        }
        let joined = Some(self.inboxes.timelines().fresh(&n.app, self.clock.now()).await?.position().rev);
        let fact = |(recipient, patch): &&(RecipientId, ProfilePatch)| {
            let kind = EventKind::RecipientUpserted { recipient: recipient.clone(), patch: Box::new(patch.clone()), joined };
            Event::new(n.app.clone(), n.accepted_at, kind)
        };
        let locales: Vec<_> = given.iter().filter_map(|(id, patch)| Some((id, patch.locale.as_ref()?.as_ref()))).collect();
        self.inboxes.hot().set_locales(&n.app, &locales, self.clock.now()).await?;
        facts.extend(given.iter().map(fact));
        Ok(())
    }

    /// Writes the one entry that all of the audience read.
    async fn write_entry(
        &self,
        n: &Notification,
        words: &Words<'_>,
        target: Target,
        now: Timestamp,
    ) -> Result<Result<(), RenderError>, DispatchError> {
        let body = match self.write_languages(n, words, target, now).await? {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let entry = self.inboxes.timelines().append(&n.app, &body, now).await?;
        let written = EventKind::TimelineEntry { entry: Box::new(entry.clone()) };
        self.facts.write(&[Event::new(n.app.clone(), entry.at, written)]).await?;
        if self.is_recalled(n).await? {
            self.recall_entry(n).await?;
        }
        Ok(Ok(()))
    }

    /// Renders an entry in every language, and writes the content of each.
    pub(crate) async fn write_languages(
        &self,
        n: &Notification,
        words: &Words<'_>,
        target: Target,
        now: Timestamp,
    ) -> Result<Result<EntryBody, RenderError>, DispatchError> {
        let nothing = serde_json::Map::new();
        let page = Page { n, words, channels: &[], first: 0, now };
        let (mut cards, mut default_variant, mut contents) = (BTreeMap::new(), None, Vec::new());
        for locale in words.locales() {
            let reader =
                Reader { recipient: None, locale: locale.as_ref(), timezone: None, attributes: &nothing, now, unsubscribe: None };
            let variant = words.variant(reader);
            let rendered = match words.inbox(n, reader) {
                Ok(rendered) => rendered,
                Err(error) => return Ok(Err(error)),
            };
            cards.insert(variant.clone(), page.words.card(page.n, &rendered));
            default_variant.get_or_insert(variant.clone());
            contents.push((variant, rendered.content));
        }
        self.inboxes.hot().put_contents(&n.app, n.id, &contents).await?;
        let mut facts = Vec::with_capacity(contents.len());
        page.tell_contents(contents, &mut facts);
        self.facts.write(&facts).await?;
        Ok(Ok(EntryBody { id: n.id, target, cards, default_variant: default_variant.unwrap_or_default() }))
    }

    /// Expands an audience in pages by id. After each the place is kept, so that a crash goes on from there; after a few the
    /// job lines up anew, so that a million do not stand before one; and while much waits, it waits too.
    async fn deliver_to_audience(
        &self,
        n: &Notification,
        words: &Words<'_>,
        channels: &[Channel],
        mut progress: Progress,
        lease: &Lease,
    ) -> Result<Resolved, DispatchError> {
        let mut written = Written::default();
        for _ in 0..PAGES_A_TURN {
            if self.is_recalled(n).await? {
                self.recall_begun(n, progress.after.as_ref()).await?;
                return Ok(Resolved::whole(progress.deliveries, None));
            }
            if self.waiting(n.request.priority).await? > MAX_WAITING {
                return Ok(Resolved::Part { pause: CROWDED });
            }
            let ids = self.next_page(n, progress.after.as_ref()).await?;
            let profiles = look_up(&self.profiles, &self.archive, &n.app, &ids).await?;
            let page = Page { n, words, channels, first: 0, now: self.clock.now() };
            let mut facts = Vec::new();
            progress.deliveries += self.deliver_to_page(&page, &ids, &profiles, &mut written, &mut facts).await?;
            self.look_again(n, &ids, lease, &mut facts).await?;
            let Some(last) = ids.last().filter(|_| ids.len() == PAGE) else {
                return Ok(Resolved::whole(progress.deliveries, None));
            };
            progress.after = Some(last.clone());
            lease.keep_progress(&serde_json::to_vec(&progress).unwrap_or_default()).await?;
        }
        Ok(Resolved::Part { pause: Duration::ZERO })
    }

    /// The people of a large audience behind `after`; none of one whose people are named.
    pub(crate) async fn next_page(
        &self,
        n: &Notification,
        after: Option<&RecipientId>,
    ) -> Result<Vec<RecipientId>, DispatchError> {
        Ok(match &n.request.audience {
            Audience::Recipients(_) => Vec::new(),
            Audience::Topic(topic) => self.archive.list_members(&n.app, topic, after, PAGE).await?,
            Audience::Everyone => self.archive.list_recipient_ids(&n.app, after, PAGE).await?,
        })
    }

    async fn is_recalled(&self, n: &Notification) -> Result<bool, DispatchError> {
        Ok(self.queue.withdrawn(&n.id.to_string()).await?.is_some())
    }

    /// How many deliveries of a priority wait for a provider.
    async fn waiting(&self, priority: stentor_domain::Priority) -> Result<u64, DispatchError> {
        let (email, sms) = (self.email.depth().await?, self.sms.depth().await?);
        let of = |depth: &stentor_queue::Depth| match lane(priority) {
            Lane::High => depth.high,
            Lane::Normal => depth.normal,
            Lane::Bulk => depth.bulk,
        };
        Ok(of(&email) + of(&sms))
    }

    /// State first (items, then queued deliveries); the facts of the page are left in `facts`, for [`look_again`](Self::look_again).
    async fn deliver_to_page(
        &self,
        page: &Page<'_>,
        recipients: &[RecipientId],
        profiles: &[Profile],
        written: &mut Written,
        facts: &mut Vec<Event>,
    ) -> Result<u32, DispatchError> {
        let mut inbox = Vec::new();
        let (mut email, mut sms) = (Vec::new(), Vec::new());
        let mut deliveries = 0;
        let category = page.words.category(page.n);
        let suppressed = self.suppressed.of_page(&page.n.app, profiles, page.channels, category).await?;
        for (place, ((recipient, profile), suppressed)) in recipients.iter().zip(profiles).zip(&suppressed).enumerate() {
            let invalid = page.n.invalid_channels(page.first + place);
            for route in route(profile, page.channels, category, &invalid, suppressed) {
                deliveries += 1;
                match route {
                    _ if page.n.is_expired(page.now) => {
                        facts.push(page.report(recipient, channel(&route), DeliveryState::Expired, None));
                    }
                    Route::Skip(Channel::Inbox, _) if self.was_shown(page, recipient).await? => inbox.push((recipient, profile)),
                    Route::Skip(channel, reason) => {
                        facts.push(page.report(recipient, channel, DeliveryState::Skipped, Some(reason)));
                    }
                    Route::Inbox => inbox.push((recipient, profile)),
                    Route::Email(to) => email.push(page.job(recipient, profile, Channel::Email, to.as_str())),
                    Route::Sms(to) => sms.push(page.job(recipient, profile, Channel::Sms, to.as_str())),
                }
            }
        }
        self.write_items(page, &inbox, written, facts).await?;
        if !(email.is_empty() && sms.is_empty()) {
            self.facts.flush(facts).await?; // whoever delivers them tells of a notification that is on record
        }
        for (queue, jobs) in [(&self.email, email), (&self.sms, sms)] {
            self.enqueue(page, queue, &jobs, facts).await?;
        }
        Ok(deliveries)
    }

    /// True if the process that accepted it, or an attempt that died, has written the item already: then it is told as it is, whatever the
    /// person has chosen since.
    async fn was_shown(&self, page: &Page<'_>, recipient: &RecipientId) -> Result<bool, DispatchError> {
        if !page.may_be_written_ahead() {
            return Ok(false);
        }
        let found = self.inboxes.hot().find(&page.n.app, recipient, page.n.id, page.now).await?;
        Ok(matches!(found, Hot::Warm(Some(_))))
    }

    /// Writes a card for each reader out, and the content of each variant that is not `written` yet.
    pub(crate) fn write_out<'r>(
        page: &Page<'_>,
        readers: &[(&'r RecipientId, &Profile)],
        written: &mut Written,
        facts: &mut Vec<Event>,
    ) -> (Cards<'r>, Contents) {
        let (mut cards, mut contents) = (Vec::with_capacity(readers.len()), Vec::new());
        for &(recipient, profile) in readers {
            let reader = page.reader(recipient, profile);
            let variant = page.words.variant(reader);
            let card = match written.cards.get(&variant) {
                Some(card) => card.clone(),
                None => match page.words.inbox(page.n, reader) {
                    Ok(rendered) => {
                        let card = Arc::new(page.words.card(page.n, &rendered));
                        contents.push((variant.clone(), rendered.content));
                        if !page.words.is_personal() {
                            written.cards.insert(variant.clone(), card.clone());
                        }
                        card
                    }
                    Err(error) => {
                        facts.push(page.report_words(recipient, Channel::Inbox, DeliveryState::Failed, error.to_string()));
                        continue;
                    }
                },
            };
            cards.push((recipient, card, variant));
        }
        (cards, contents)
    }

    /// Writes the inbox items of a page: content once per variant, then one card per recipient.
    async fn write_items(
        &self,
        page: &Page<'_>,
        readers: &[(&RecipientId, &Profile)],
        written: &mut Written,
        facts: &mut Vec<Event>,
    ) -> Result<(), DispatchError> {
        if let (Some((item, outcome)), [(recipient, _)]) = (written.ahead.take(), readers) {
            let ItemAhead { card, variant, content, .. } = item;
            page.tell_contents(vec![(variant.clone(), content)], facts);
            page.tell_item(recipient, card, variant, outcome, facts);
            return Ok(());
        }
        let (cards, contents) = Self::write_out(page, readers, written, facts);
        let items: Vec<NewItem<'_>> =
            cards.iter().map(|(recipient, card, variant)| NewItem { recipient, card, variant }).collect();
        let outcomes = self.inboxes.write_with_contents(&page.n.app, page.n.id, &items, &contents, page.now).await?;
        page.tell_contents(contents, facts);
        for ((recipient, card, variant), outcome) in cards.into_iter().zip(outcomes) {
            page.tell_item(recipient, Card::clone(&card), variant, outcome, facts);
        }
        Ok(())
    }

    async fn enqueue(
        &self,
        page: &Page<'_>,
        queue: &Queue,
        jobs: &[DeliveryJob],
        facts: &mut Vec<Event>,
    ) -> Result<(), DispatchError> {
        let ids: Vec<String> = jobs.iter().map(|job| job.delivery.to_string()).collect();
        let payloads: Vec<Vec<u8>> = jobs.iter().map(|job| serde_json::to_vec(job).unwrap_or_default()).collect();
        let new = |(id, payload)| NewJob {
            id,
            lane: lane(page.n.request.priority),
            payload,
            body: None,
            due: None,
            expires: page.n.request.expires_at.map(Timestamp::as_millis),
            is_new: false,
        };
        let new: Vec<NewJob<'_>> = ids.iter().map(String::as_str).zip(payloads.iter().map(Vec::as_slice)).map(new).collect();
        queue.enqueue(&new).await?;
        facts.extend(jobs.iter().map(|job| page.report(&job.recipient, job.channel, DeliveryState::Queued, None)));
        Ok(())
    }
}

/// How far a large audience was expanded.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The last recipient who was delivered to.
    after: Option<RecipientId>,
    /// How many deliveries there are so far.
    deliveries: u32,
}

/// What came of resolving an audience.
enum Resolved {
    /// All of it was.
    Whole {
        deliveries: u32,
        error: Option<String>,
        /// Whom the last page was written to, if nobody has looked again since.
        last: Vec<RecipientId>,
    },
    /// There is more to do, after a pause.
    Part { pause: Duration },
}

impl Resolved {
    fn whole(deliveries: u32, error: Option<String>) -> Self {
        Self::Whole { deliveries, error, last: Vec::new() }
    }
}

/// The card of each reader, and the variant of its content.
type Cards<'r> = Vec<(&'r RecipientId, Arc<Card>, String)>;

/// Contents by variant.
type Contents = Vec<(String, ItemContent)>;

/// What was rendered and written so far, by variant.
#[derive(Default)]
pub(crate) struct Written {
    cards: HashMap<String, Arc<Card>>,
    /// What was written ahead: of a notification to one person.
    ahead: Option<(ItemAhead, stentor_inbox::Written)>,
}

fn channel(route: &Route) -> Channel {
    match route {
        Route::Inbox => Channel::Inbox,
        Route::Email(_) => Channel::Email,
        Route::Sms(_) => Channel::Sms,
        Route::Skip(channel, _) => *channel,
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |e| e.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
