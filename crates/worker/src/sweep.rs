//! The sweep: keeps hot inboxes small. What SQL holds in the very state that Redis has is trimmed; unread never is.
//!
//! Once an hour it forgets what charts do not show any more, and for whom something was to be sent whose time has come long since.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use stentor_archive::Archive;
use stentor_domain::{AppId, Clock, Event, EventKind, RecipientId, Timestamp, event::ItemChange};
use stentor_inbox::{HotItem, Inbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{dispatch::chain, facts::Facts};

/// How many items stay hot: as many as Redis packs tightly.
pub(crate) const KEEP: usize = 128;
/// How long an inbox may grow before it is looked at: many items in a row cost one look.
const GATHER: Duration = Duration::from_secs(2);

/// How often old activity is forgotten, and how old it is then.
const FORGET_EVERY: Duration = Duration::from_hours(1);
const ACTIVITY_LIFE: Duration = Duration::from_hours(8 * 24);
/// How long after its time it is still known for whom a notification was scheduled.
const SCHEDULED_LIFE: Duration = Duration::from_hours(24);

/// How many inboxes are asked at once for what is too much in them: nearly always it is nothing.
const AT_ONCE: usize = 50;

type SweepError = Box<dyn std::error::Error + Send + Sync>;

/// What the sweep works with.
pub(crate) struct Sweep {
    pub inbox: Inbox,
    pub archive: Archive,
    pub facts: Facts,
    pub clock: std::sync::Arc<dyn Clock>,
    pub grown: mpsc::Receiver<(AppId, RecipientId)>,
}

impl Sweep {
    /// Sweeps until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut inboxes: HashMap<AppId, HashSet<RecipientId>> = HashMap::new();
        let mut forget = tokio::time::interval(FORGET_EVERY);
        loop {
            tokio::select! {
                _ = forget.tick() => {
                    self.forget_activity().await;
                    continue;
                }
                grown = self.grown.recv() => match grown {
                    Some((app, recipient)) => inboxes.entry(app).or_default().insert(recipient),
                    None => return,
                },
                () = stop.cancelled() => return,
            };
            tokio::select! { () = tokio::time::sleep(GATHER) => {} () = stop.cancelled() => return }
            while let Ok((app, recipient)) = self.grown.try_recv() {
                inboxes.entry(app).or_default().insert(recipient);
            }
            for (app, recipients) in inboxes.drain() {
                let recipients: Vec<RecipientId> = recipients.into_iter().collect();
                for some in recipients.chunks(AT_ONCE) {
                    if let Err(error) = self.sweep(&app, some).await {
                        tracing::warn!(error = %chain(&*error), "inboxes stay as they are until they next grow");
                    }
                }
            }
        }
    }

    async fn forget_activity(&self) {
        let life = i64::try_from(ACTIVITY_LIFE.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(life));
        if let Err(error) = self.archive.trim_activity(before).await {
            tracing::warn!(error = %chain(&error), "old activity is forgotten later");
        }
        let life = i64::try_from(SCHEDULED_LIFE.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.clock.now().as_millis().saturating_sub(life));
        if let Err(error) = self.archive.trim_scheduled(before).await {
            tracing::warn!(error = %chain(&error), "for whom something was scheduled is forgotten later");
        }
    }

    async fn sweep(&self, app: &AppId, recipients: &[RecipientId]) -> Result<(), SweepError> {
        let excess = self.inbox.excess(app, recipients, KEEP, self.clock.now()).await?;
        for (recipient, excess) in recipients.iter().zip(&excess).filter(|(_, excess)| !excess.is_empty()) {
            self.sweep_one(app, recipient, excess).await?;
        }
        Ok(())
    }

    async fn sweep_one(&self, app: &AppId, recipient: &RecipientId, excess: &[HotItem]) -> Result<(), SweepError> {
        let ids: Vec<_> = excess.iter().map(|item| item.item.id).collect();
        let archived = self.archive.find_items(app, recipient, &ids).await?;
        let in_sql = |hot: &HotItem| archived.iter().find(|a| a.seq == hot.seq).map(|a| a.item.rev);
        let mut same = Vec::new();
        for hot in excess {
            match in_sql(hot) {
                // What changed several items is told with its last revision for all; trimming compares the hot one again.
                Some(rev) if rev >= hot.item.rev => same.push((hot.seq, hot.item.rev)),
                // A change whose fact was lost (its writer died in between) is told again, and trimmed next time.
                Some(_) => {
                    let items = vec![ItemChange { notification: hot.item.id, state: hot.item.state }];
                    let kind = EventKind::ItemsChanged { recipient: recipient.clone(), rev: hot.item.rev, items };
                    self.facts.write(&[Event::new(app.clone(), self.clock.now(), kind)]).await?;
                }
                None => {}
            }
        }
        let trimmed = self.inbox.trim(app, recipient, &same, KEEP, self.clock.now()).await?;
        metrics::counter!("stentor_inbox_items_trimmed_total").increment(trimmed as u64);
        Ok(())
    }
}
