//! Accepting a request: everything that is checked before the 202, and the one write behind it.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use metrics::Counter;
use serde::Serialize;
use sha2::{Digest, Sha256};
use stentor_catalog::{Reader, Words};
use stentor_domain::{
    AppId, Audience, Channel, Event, EventKind, InvalidAddress, Locale, Notification, NotificationId, NotificationRequest,
    Priority, ProfilePatch, RecipientId, Timestamp, Violation, notification::NotificationStatus, text::check_line,
};
use stentor_inbox::ItemAhead;
use stentor_queue::{Idempotency, Lane, NewJob, Submitted};

use crate::{problem::ApiError, state::ApiState};

/// How long a repeat of an idempotency key is recognised.
const IDEMPOTENCY_LIFE: Duration = Duration::from_hours(24);
/// How long a topic is believed to be there.
const TOPIC_LIFE: Duration = Duration::from_secs(10);
/// How many recipients go along with the job.
const FEW: usize = 4;
/// As many bytes of JSON as most notifications have at most.
const SHORT: usize = 1_024;
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;

/// A request that was checked and only waits to be written.
pub(crate) struct Checked {
    /// In a box, since it is large and handed on many times.
    notification: Box<Notification>,
    idempotency: Option<(String, [u8; 32])>,
    /// Whether the record was asked where phones are at home: it may say something else to a repeat.
    asked_record: bool,
}

/// What the job of a dispatch is given.
#[derive(Serialize)]
struct Payload<'a> {
    app: &'a AppId,
    notification: NotificationId,
    /// The [`few`] whom it is for: the worker reads their profiles along with the record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to: Vec<&'a RecipientId>,
}

impl<'a> Payload<'a> {
    fn of(n: &'a Notification) -> Self {
        Self { app: &n.app, notification: n.id, to: few(n).collect() }
    }
}

/// Whom a notification is for, if they are few and it says nothing else of them.
fn few(n: &Notification) -> impl Iterator<Item = &RecipientId> {
    let few = match &n.request.audience {
        Audience::Recipients(few) if few.len() <= FEW && few.iter().all(|r| r.profile.is_empty()) => few.as_slice(),
        _ => &[],
    };
    few.iter().map(|r| &r.id)
}

/// A request that was found good, and what is kept beside it.
pub(crate) struct Asked {
    pub request: Box<NotificationRequest>,
    /// The version of its template that it is written with.
    pub template_version: Option<String>,
    /// The language in which everybody gets it.
    pub locale: Option<Locale>,
    /// The addresses that were set aside.
    pub invalid_addresses: Vec<InvalidAddress>,
}

/// What became of it.
pub(crate) struct Accepted {
    pub id: NotificationId,
    pub status: NotificationStatus,
    pub replayed: bool,
    pub warnings: Vec<Violation>,
}

impl ApiState {
    /// Completes the phone numbers of a request that came without their country. Says whether the record was asked.
    pub(crate) async fn settle_phones(&self, app: &AppId, request: &mut NotificationRequest) -> Result<bool, ApiError> {
        let Audience::Recipients(recipients) = &mut request.audience else { return Ok(false) };
        self.settle(app, recipients.iter_mut().map(|r| (&r.id, &mut r.profile))).await
    }

    /// The same for patches by themselves. What is on record of a recipient is asked only for those that do not say it.
    pub(crate) async fn settle<'a>(
        &self,
        app: &AppId,
        patches: impl Iterator<Item = (&'a RecipientId, &'a mut ProfilePatch)>,
    ) -> Result<bool, ApiError> {
        let settled = patches.map(|(id, patch)| {
            patch.settle_phone(None, None);
            (id, patch)
        });
        let mut patches: Vec<(&RecipientId, &mut ProfilePatch)> = settled.filter(|(_, patch)| patch.lacks_region()).collect();
        if patches.is_empty() {
            return Ok(false);
        }
        let ids: Vec<RecipientId> = patches.iter().map(|(id, _)| (*id).clone()).collect();
        let (stored, silent) = match Box::pin(self.archive.find_profiles(app, &ids)).await {
            Ok(stored) => (stored, None),
            Err(error) => (HashMap::new(), Some(error)),
        };
        for (id, patch) in &mut patches {
            patch.settle_phone(stored.get(*id), self.sms_region);
        }
        // Nobody's number is called wrong because the record that could complete it does not answer.
        match silent {
            Some(error) if patches.iter().any(|(_, patch)| patch.lacks_region()) => Err(error.into()),
            _ => Ok(true),
        }
    }

    /// Checks a request, which will have this id, as far as that can be done without writing anything.
    ///
    /// `fingerprint` is what a repeat under the same idempotency key must equal.
    pub(crate) async fn check(
        &self,
        app: &AppId,
        id: NotificationId,
        mut request: Box<NotificationRequest>,
        key: Option<&str>,
        fingerprint: impl FnOnce() -> [u8; 32],
    ) -> Result<Checked, ApiError> {
        let asked_record = self.settle_phones(app, &mut request).await?;
        let mut found = request.check(self.now());
        let mut template_version = None;
        if let Some(key) = &request.template {
            match self.templates.find(app, key).await? {
                Some(version) => {
                    found.extend(version.template.check_data(&request.data));
                    template_version = Some(version.hash.clone());
                }
                None => found.push(Violation::new("/template", "unknown_template", format!("there is no template {key:?}"))),
            }
        }
        if let Some(Err(e)) = key.map(|k| check_line(k, MAX_KEY)) {
            found.push(Violation::new("", "bad_idempotency_key", format!("the idempotency key {e}")));
        }
        let invalid_addresses = request.set_aside_invalid_addresses(&mut found);
        if !found.is_empty() {
            return Err(ApiError::invalid(found));
        }
        let asked = Asked { request, template_version, locale: None, invalid_addresses };
        let checked = Checked::new(app, id, asked, key.map(|k| (k, fingerprint())));
        Ok(Checked { asked_record, ..checked })
    }

    /// Refuses a topic that was never made: nobody would be told, and nobody would learn why. With SQL down it is taken as it is.
    pub(crate) async fn check_topic(&self, checked: &Checked) -> Result<(), ApiError> {
        let n = &checked.notification;
        let Audience::Topic(topic) = &n.request.audience else { return Ok(()) };
        let key = (n.app.clone(), topic.clone());
        if self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(&key).is_some_and(|at| at.elapsed() < TOPIC_LIFE) {
            return Ok(());
        }
        match Box::pin(self.archive.find_topic(&n.app, topic)).await {
            Ok(None) => {
                let message = format!("there is no topic {topic}: make it with PUT /v1/topics/{{topic}}, or by its first member");
                Err(ApiError::invalid(vec![Violation::new("/audience/topic", "unknown_topic", message)]))
            }
            Ok(Some(_)) => {
                let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
                if topics.len() >= 10_000 {
                    topics.clear();
                }
                topics.insert(key, Instant::now());
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%error, "a topic is not looked up");
                Ok(())
            }
        }
    }

    /// Writes one checked request. Nothing is answered 202 before it is in Redis.
    pub(crate) async fn accept(&self, checked: &Checked) -> Result<Accepted, ApiError> {
        self.pressure.admit(checked.notification.request.priority)?;
        let id = checked.notification.id.to_string();
        let mut buffer = Vec::with_capacity(SHORT);
        let (job, idempotency) = (checked.job(&id, &mut buffer)?, checked.idempotency());
        let n = &checked.notification;
        let is_few = few(n).next().is_some();
        let submitted = if is_few && job.due.is_none() && self.dispatch.has_place(job.lane) {
            let item = if self.dispatch.is_calm() { self.item_ahead(n, &job) } else { None };
            let ahead = self.ahead.begin(n.id, n.app.clone(), few(n).cloned().collect(), item, self.now());
            self.dispatch.submit_along(&job, idempotency, ahead).await?
        } else {
            self.dispatch.submit(&job, idempotency).await?
        };
        if matches!(submitted, Submitted::Accepted) {
            self.tell_scheduled(std::iter::once(checked)).await;
        }
        let answer = checked.answer(&submitted)?;
        count_accepted(answer.replayed, 1);
        self.as_at_first(checked, answer).await
    }

    /// The item of a short notification to one person that brings its words along: what can be written without asking who they are,
    /// and in no time.
    fn item_ahead(&self, n: &Notification, job: &NewJob<'_>) -> Option<ItemAhead> {
        let content = n.request.content.as_ref().filter(|_| n.request.template.is_none())?;
        let (words, is_short) = (Words::brought(content), job.body.is_some_and(|body| body.len() <= SHORT));
        if !(is_short && few(n).count() == 1 && words.channels(n).contains(&Channel::Inbox) && self.ahead.can_write()) {
            return None;
        }
        let nothing = serde_json::Map::new();
        let reader =
            Reader { recipient: None, locale: None, timezone: None, attributes: &nothing, now: self.now(), unsubscribe: None };
        let rendered = words.inbox(n, reader).ok()?; // why not is told by its dispatch
        let (record, card) = (self.dispatch.record_key(job.id), words.card(n, &rendered));
        Some(ItemAhead { record, card, variant: words.variant(reader), content: rendered.content })
    }

    /// The answer of the first to its repeat: what was set aside then was, whatever is on record since.
    async fn as_at_first(&self, checked: &Checked, answer: Accepted) -> Result<Accepted, ApiError> {
        if !(answer.replayed && checked.asked_record) {
            return Ok(answer);
        }
        let first = Box::pin(self.find_hot(&checked.notification.app, answer.id)).await?;
        let warnings = first.map_or(answer.warnings, |first| warnings(&first));
        Ok(Accepted { warnings, ..answer })
    }

    /// Puts what is to be sent later on record now. Everything else is told by its dispatch, which also tells these once more: that
    /// this fails loses nothing but their place in lists until then.
    async fn tell_scheduled(&self, accepted: impl Iterator<Item = &Checked>) {
        let now = self.now();
        let fact = |n: &Notification| {
            let accepted = EventKind::Accepted { notification: Box::new(n.clone()) };
            serde_json::to_vec(&Event::new(n.app.clone(), n.accepted_at, accepted)).ok()
        };
        let scheduled = accepted.map(|c| &*c.notification).filter(|n| n.due_at() > now);
        let facts: Vec<Vec<u8>> = scheduled.filter_map(fact).collect();
        if let Err(error) = self.events.append(&facts).await {
            tracing::warn!(%error, "what is scheduled is not on record before its time");
        }
    }

    /// Lets the dispatch of what was withdrawn come now, if it waits for its time: it ends what is on record and in the queue.
    pub(crate) async fn hasten(&self, n: &Notification) -> Result<(), ApiError> {
        if n.request.send_at.is_none() {
            return Ok(());
        }
        let (id, mut buffer) = (n.id.to_string(), Vec::new());
        Ok(self.dispatch.hasten(&job(n, &id, &mut buffer)?).await?)
    }

    /// Writes many checked requests. Answers in order.
    pub(crate) async fn accept_many(&self, checked: &[Checked]) -> Result<Vec<Result<Accepted, ApiError>>, ApiError> {
        let ids: Vec<String> = checked.iter().map(|c| c.notification.id.to_string()).collect();
        let mut answers: Vec<Result<Submitted, ApiError>> = Vec::with_capacity(checked.len());
        for c in checked {
            answers.push(self.pressure.admit(c.notification.request.priority).map(|()| Submitted::Accepted));
        }
        let admitted: Vec<usize> = (0..checked.len()).filter(|place| answers[*place].is_ok()).collect();
        let (mut batch, mut buffer) = (self.dispatch.batch(), Vec::new());
        for place in &admitted {
            batch.push(&checked[*place].job(&ids[*place], &mut buffer)?, checked[*place].idempotency());
        }
        for (place, submitted) in admitted.into_iter().zip(batch.submit().await?) {
            answers[place] = Ok(submitted);
        }
        let new = checked.iter().zip(&answers).filter(|(_, answer)| matches!(answer, Ok(Submitted::Accepted)));
        self.tell_scheduled(new.map(|(c, _)| c)).await;
        let mut accepted = Vec::with_capacity(checked.len());
        for (c, answer) in checked.iter().zip(answers) {
            accepted.push(match answer.and_then(|submitted| c.answer(&submitted)) {
                Ok(answer) => self.as_at_first(c, answer).await,
                Err(error) => Err(error),
            });
        }
        let repeated = accepted.iter().flatten().filter(|answer| answer.replayed).count();
        count_accepted(true, repeated);
        count_accepted(false, accepted.iter().flatten().count() - repeated);
        Ok(accepted)
    }
}

impl Checked {
    /// A request that was found good, as it will be written.
    pub(crate) fn new(app: &AppId, id: NotificationId, asked: Asked, idempotency: Option<(&str, [u8; 32])>) -> Self {
        let Asked { request, template_version, locale, invalid_addresses } = asked;
        let notification = Box::new(Notification {
            id,
            app: app.clone(),
            accepted_at: id.accepted_at(),
            request: *request,
            updated_at: None,
            template_version,
            locale,
            invalid_addresses,
        });
        // The app is part of the key, so that two apps never share one.
        let idempotency = idempotency.map(|(k, fingerprint)| (format!("{app}:{k}"), fingerprint));
        Self { notification, idempotency, asked_record: false }
    }

    /// What was checked.
    pub(crate) fn notification(&self) -> &Notification {
        &self.notification
    }

    fn job<'a>(&self, id: &'a str, buffer: &'a mut Vec<u8>) -> Result<NewJob<'a>, ApiError> {
        job(&self.notification, id, buffer)
    }

    fn idempotency(&self) -> Option<Idempotency<'_>> {
        self.idempotency.as_ref().map(|(key, fingerprint)| Idempotency { key, fingerprint, ttl: IDEMPOTENCY_LIFE })
    }

    fn answer(&self, submitted: &Submitted) -> Result<Accepted, ApiError> {
        let (id, replayed) = match submitted {
            Submitted::Accepted => (self.notification.id, false),
            Submitted::Replayed { id } => (id.parse().map_err(|e| ApiError::unavailable("the queue (Redis)", e))?, true),
            Submitted::Conflict { id } => {
                let detail = format!("this idempotency key was used with another body, for notification {id}");
                return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_conflict", detail));
            }
        };
        // A repeat is answered as the first was, even if `send_at` has passed since.
        let scheduled = self.notification.request.send_at.is_some_and(|at| at > id.accepted_at());
        let status = if scheduled { NotificationStatus::Scheduled } else { NotificationStatus::Accepted };
        Ok(Accepted { id, status, replayed, warnings: warnings(&self.notification) })
    }
}

/// The job that dispatches a notification; what is to be written of it goes into `buffer`.
fn job<'a>(n: &Notification, id: &'a str, buffer: &'a mut Vec<u8>) -> Result<NewJob<'a>, ApiError> {
    let written = |e| ApiError::unavailable("the encoder", e);
    buffer.clear();
    serde_json::to_writer(&mut *buffer, &Payload::of(n)).map_err(written)?;
    let end = buffer.len();
    serde_json::to_writer(&mut *buffer, n).map_err(written)?;
    let (payload, body) = buffer.split_at(end);
    Ok(NewJob {
        id,
        lane: lane(n.request.priority),
        payload,
        body: Some(body),
        due: n.request.send_at.map(Timestamp::as_millis),
        expires: None, // an expired notification is dispatched all the same: its deliveries are recorded as expired
        is_new: true,
    })
}

/// What counts notifications that were accepted, and those that were repeated: to find a counter takes longer than to check a short
/// request.
static ACCEPTED: LazyLock<[Counter; 2]> = LazyLock::new(|| {
    ["false", "true"].map(|replayed| metrics::counter!("stentor_notifications_accepted_total", "replayed" => replayed))
});

/// Counts at once what was accepted in one call.
fn count_accepted(replayed: bool, n: usize) {
    ACCEPTED[usize::from(replayed)].increment(n as u64);
}

/// What is wrong with a notification that goes all the same.
pub(crate) fn warnings(n: &Notification) -> Vec<Violation> {
    n.invalid_addresses.iter().map(InvalidAddress::violation).collect()
}

/// The lane of a priority.
fn lane(priority: Priority) -> Lane {
    match priority {
        Priority::High => Lane::High,
        Priority::Normal => Lane::Normal,
        Priority::Bulk => Lane::Bulk,
    }
}

/// The SHA-256 of a body.
pub(crate) fn fingerprint(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
