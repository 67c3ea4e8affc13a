//! Accepting a request: everything that is checked before the 202, and the one write behind it.

use std::{
    collections::HashMap,
    sync::PoisonError,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};
use stentor_domain::{
    AppId, Audience, Event, EventKind, InvalidAddress, Locale, Notification, NotificationId, NotificationRequest, Priority,
    ProfilePatch, RecipientId, Timestamp, Violation, notification::NotificationStatus, text::check_line,
};
use stentor_queue::{Idempotency, Lane, NewJob, Submitted};

use crate::{problem::ApiError, state::ApiState};

/// How long a repeat of an idempotency key is recognised.
const IDEMPOTENCY_LIFE: Duration = Duration::from_hours(24);
/// How long a topic is believed to be there.
const TOPIC_LIFE: Duration = Duration::from_secs(10);
/// How many recipients go along with the job.
const FEW: usize = 4;
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;

/// A request that was checked and only waits to be written.
pub(crate) struct Checked {
    notification: Notification,
    body: Vec<u8>,
    payload: Vec<u8>,
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
    pub request: NotificationRequest,
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
        let (stored, silent) = match self.archive.find_profiles(app, &ids).await {
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

    /// Checks a request as far as that can be done without writing anything.
    ///
    /// `fingerprint` is what a repeat under the same idempotency key must equal.
    pub(crate) async fn check(
        &self,
        app: &AppId,
        mut request: NotificationRequest,
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
        let checked = self.number(app, asked, key.map(|k| (k, fingerprint())))?;
        Ok(Checked { asked_record, ..checked })
    }

    /// Gives an id to a request that was found good.
    pub(crate) fn number(&self, app: &AppId, asked: Asked, idempotency: Option<(&str, [u8; 32])>) -> Result<Checked, ApiError> {
        let Asked { request, template_version, locale, invalid_addresses } = asked;
        let now = self.now();
        let mut random = [0; 10];
        rand::Rng::fill(&mut rand::rng(), &mut random);
        let id = NotificationId::new(now, &random);
        let notification = Notification {
            id,
            app: app.clone(),
            accepted_at: now,
            request,
            updated_at: None,
            template_version,
            locale,
            invalid_addresses,
        };
        let written = |e| ApiError::unavailable("the encoder", e);
        Ok(Checked {
            body: serde_json::to_vec(&notification).map_err(written)?,
            payload: serde_json::to_vec(&Payload::of(&notification)).map_err(written)?,
            // The app is part of the key, so that two apps never share one.
            idempotency: idempotency.map(|(k, fingerprint)| (format!("{app}:{k}"), fingerprint)),
            asked_record: false,
            notification,
        })
    }

    /// Refuses a topic that was never made: nobody would be told, and nobody would learn why. With SQL down it is taken as it is.
    pub(crate) async fn check_topic(&self, checked: &Checked) -> Result<(), ApiError> {
        let n = &checked.notification;
        let Audience::Topic(topic) = &n.request.audience else { return Ok(()) };
        let key = (n.app.clone(), topic.clone());
        if self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(&key).is_some_and(|at| at.elapsed() < TOPIC_LIFE) {
            return Ok(());
        }
        match self.archive.find_topic(&n.app, topic).await {
            Ok(None) => {
                let message = format!("there is no topic {topic:?}: make it with PUT /v1/topics, or by its first member");
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
        let (job, idempotency) = (checked.job(&id), checked.idempotency());
        let n = &checked.notification;
        let is_few = few(n).next().is_some();
        let submitted = if is_few && job.due.is_none() && self.dispatch.has_place(job.lane) {
            let ahead = self.profiles.read_ahead(n.id, n.app.clone(), few(n).cloned().collect());
            self.dispatch.submit_along(&job, idempotency, ahead).await?
        } else {
            self.dispatch.submit(&job, idempotency).await?
        };
        if matches!(submitted, Submitted::Accepted) {
            self.tell_scheduled(std::iter::once(checked)).await;
        }
        self.as_at_first(checked, checked.answer(&submitted)?).await
    }

    /// The answer of the first to its repeat: what was set aside then was, whatever is on record since.
    async fn as_at_first(&self, checked: &Checked, answer: Accepted) -> Result<Accepted, ApiError> {
        if !(answer.replayed && checked.asked_record) {
            return Ok(answer);
        }
        let first = self.find_hot(&checked.notification.app, answer.id).await?;
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
        let scheduled = accepted.map(|c| &c.notification).filter(|n| n.due_at() > now);
        let facts: Vec<Vec<u8>> = scheduled.filter_map(fact).collect();
        if let Err(error) = self.events.append(&facts).await {
            tracing::warn!(%error, "what is scheduled is not on record before its time");
        }
    }

    /// Writes many checked requests in one round trip. Answers in order.
    pub(crate) async fn accept_many(&self, checked: &[Checked]) -> Result<Vec<Result<Accepted, ApiError>>, ApiError> {
        let ids: Vec<String> = checked.iter().map(|c| c.notification.id.to_string()).collect();
        let admitted: Vec<_> = checked.iter().map(|c| self.pressure.admit(c.notification.request.priority)).collect();
        let taken = checked.iter().zip(&ids).zip(&admitted).filter(|(_, admitted)| admitted.is_ok());
        let jobs: Vec<_> = taken.map(|((c, id), _)| (c.job(id), c.idempotency())).collect();
        let submitted = if jobs.is_empty() { Vec::new() } else { self.dispatch.submit_many(&jobs).await? };
        let taken = checked.iter().zip(&admitted).filter(|(_, admitted)| admitted.is_ok()).map(|(c, _)| c);
        let new = taken.zip(&submitted).filter(|(_, submitted)| matches!(submitted, Submitted::Accepted)).map(|(c, _)| c);
        self.tell_scheduled(new).await;
        let mut submitted = submitted.into_iter();
        let mut answers = Vec::with_capacity(checked.len());
        for (c, admitted) in checked.iter().zip(admitted) {
            let answer =
                admitted.and_then(|()| submitted.next().map_or_else(|| Err(ApiError::not_found("result")), |s| c.answer(&s)));
            answers.push(match answer {
                Ok(answer) => self.as_at_first(c, answer).await,
                Err(error) => Err(error),
            });
        }
        Ok(answers)
    }
}

impl Checked {
    /// What was checked.
    pub(crate) fn notification(&self) -> &Notification {
        &self.notification
    }

    fn job<'a>(&'a self, id: &'a str) -> NewJob<'a> {
        NewJob {
            id,
            lane: lane(self.notification.request.priority),
            payload: &self.payload,
            body: Some(&self.body),
            due: self.notification.request.send_at.map(Timestamp::as_millis),
            expires: None, // an expired notification is dispatched all the same: its deliveries are recorded as expired
        }
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
        metrics::counter!("stentor_notifications_accepted_total", "replayed" => if replayed { "true" } else { "false" })
            .increment(1);
        Ok(Accepted { id, status, replayed, warnings: warnings(&self.notification) })
    }
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
