//! A notification is said otherwise: in inboxes, hot and on record, and in the timeline; mails and SMS that left stay as they are.
//!
//! An update rewrites the notification's job first, then works through everyone it went to. A dispatch that is under way looks at the
//! end whether it was rewritten meanwhile, and then says again itself what it wrote, so that nobody keeps the old words.

use stentor_catalog::Words;
use stentor_domain::{Audience, Channel, Event, EventKind, Notification, Profile, RecipientId, Target};
use stentor_inbox::{EntryEdit, NewItem};
use stentor_queue::{JobRecord, Lease, Outcome};

use crate::{
    dispatch::{Dispatch, DispatchError, KEPT, PAGE, Written},
    page::Page,
    profiles::look_up,
    recall::UNDER_WAY,
};

impl Dispatch {
    /// Says a notification as the record of this job has it.
    pub(crate) async fn update(&self, lease: &Lease) -> Result<Outcome, DispatchError> {
        let Some(record) = self.queue.find_job(lease.job_id()).await? else { return Ok(gone()) };
        let Some(own) = record.body.as_deref() else { return Ok(gone()) };
        let Ok(mut n) = serde_json::from_slice::<Notification>(own) else { return Ok(gone()) };
        // Of two updates the later stays, whichever is worked on first.
        if let Some(newest) = self.rewritten(&n).await? {
            n = newest;
        } else {
            self.queue.rewrite(&n.id.to_string(), own).await?;
        }
        let words = match Words::of(&n, &self.templates).await? {
            Ok(words) => words,
            Err(reason) => return Ok(Outcome::Dead { reason }),
        };
        let updated = EventKind::Updated { notification: Box::new(n.clone()) };
        self.facts.write(&[Event::new(n.app.clone(), self.clock.now(), updated)]).await?;
        if is_expanded(&n, &words) {
            let whole = self.is_dispatched(&n).await?;
            // Once for those whom it has reached, and once when it has reached all.
            if whole || record.progress.is_none() {
                self.update_expanded(&n, &words).await?;
            }
            if !whole && n.due_at() <= self.clock.now() {
                lease.keep_progress(b"begun").await?;
                return Ok(Outcome::HoldFor { wait: UNDER_WAY });
            }
        } else {
            self.say(&n, &words).await?;
        }
        self.announce_expiry(&n).await?;
        self.queue.expire_jobs(&[lease.job_id()], KEPT).await?;
        Ok(Outcome::Done)
    }

    /// The notification as it was said otherwise since, if it was.
    pub(crate) async fn rewritten(&self, n: &Notification) -> Result<Option<Notification>, DispatchError> {
        Ok(self.queue.find_job(&n.id.to_string()).await?.and_then(|record| newer(record, n)))
    }

    /// Says again what a dispatch wrote, which was said otherwise meanwhile: whoever said so may have been too early to see it.
    pub(crate) async fn say_rewritten(&self, newest: &Notification) -> Result<(), DispatchError> {
        match Words::of(newest, &self.templates).await? {
            // Of these the update itself waits for the end of the dispatch.
            Ok(words) if !is_expanded(newest, &words) => self.say(newest, &words).await,
            _ => Ok(()),
        }
    }

    /// Says a notification anew to those who are named, or in its one entry.
    async fn say(&self, n: &Notification, words: &Words<'_>) -> Result<(), DispatchError> {
        match &n.request.audience {
            Audience::Recipients(named) => {
                let ids: Vec<RecipientId> = named.iter().map(|r| r.id.clone()).collect();
                for page in ids.chunks(PAGE) {
                    self.update_page(n, words, page).await?;
                }
                Ok(())
            }
            Audience::Topic(topic) => self.update_entry(n, words, Target::Topic(topic.clone())).await,
            Audience::Everyone => self.update_entry(n, words, Target::Everyone).await,
        }
    }

    async fn update_entry(&self, n: &Notification, words: &Words<'_>, target: Target) -> Result<(), DispatchError> {
        let now = self.clock.now();
        let body = match self.write_languages(n, words, target, now).await? {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(%error, "an update cannot be written out; what was there stays");
                return Ok(());
            }
        };
        let edit = EntryEdit::Update(Box::new(body));
        if let Some((entry, _)) = self.inboxes.timelines().edit(&n.app, n.id, &edit, now).await? {
            let kind = EventKind::TimelineEntry { entry: Box::new(entry) };
            self.facts.write(&[Event::new(n.app.clone(), now, kind)]).await?;
        }
        Ok(())
    }

    /// A personal one went to each of a large audience: to whom is on record.
    async fn update_expanded(&self, n: &Notification, words: &Words<'_>) -> Result<(), DispatchError> {
        let mut after = None;
        loop {
            let page = self.archive.list_deliveries(&n.app, n.id, after, PAGE).await?;
            let of_inbox = page.iter().filter(|d| d.channel == Channel::Inbox);
            let ids: Vec<RecipientId> = of_inbox.map(|d| d.recipient.clone()).collect();
            self.update_page(n, words, &ids).await?;
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }

    async fn update_page(&self, n: &Notification, words: &Words<'_>, ids: &[RecipientId]) -> Result<(), DispatchError> {
        let profiles: Vec<Profile> = look_up(&self.profiles, &self.archive, &n.app, ids).await?;
        let page = Page { n, words, channels: &[], first: 0, now: self.clock.now() };
        let readers: Vec<(&RecipientId, &Profile)> = ids.iter().zip(&profiles).collect();
        let mut facts = Vec::new();
        let (cards, contents) = Self::write_out(&page, &readers, &mut Written::default(), &mut facts);
        self.inboxes.hot().put_contents(&n.app, n.id, &contents).await?;
        page.tell_contents(contents, &mut facts);
        let items: Vec<NewItem<'_>> =
            cards.iter().map(|(recipient, card, variant)| NewItem { recipient, card, variant }).collect();
        let revs = self.inboxes.update(&n.app, &items, page.now).await?;
        for ((recipient, card, variant), rev) in cards.iter().zip(revs) {
            let kind = EventKind::ItemUpdated {
                recipient: (*recipient).clone(),
                card: Box::new((**card).clone()),
                variant: variant.clone(),
                rev,
                version: n.version(),
            };
            facts.push(Event::new(n.app.clone(), page.now, kind));
        }
        Ok(self.facts.write(&facts).await?)
    }
}

/// What was said of a notification while a page of it was written.
#[derive(Default)]
pub(crate) struct Seen {
    pub is_withdrawn: bool,
    /// What it says now, if that is something else.
    pub rewritten: Option<Notification>,
}

/// What a record says, if it was said later than `n`.
pub(crate) fn newer(record: JobRecord, n: &Notification) -> Option<Notification> {
    let newest = serde_json::from_slice::<Notification>(&record.body?).ok()?;
    (newest.version() > n.version()).then_some(newest)
}

/// True if each of a large audience has an item of their own.
fn is_expanded(n: &Notification, words: &Words<'_>) -> bool {
    words.is_personal() && !matches!(n.request.audience, Audience::Recipients(_))
}

fn gone() -> Outcome {
    Outcome::Dead { reason: "its record is gone".into() }
}
