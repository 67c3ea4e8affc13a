//! What a dispatch will need, done ahead of it: in the round trip that submits its notification, if both are of one process.
//!
//! Profiles are read. Where one notification goes to one person, and nothing but their wishes could keep it from their inbox, its item
//! is written as well: the push leaves Redis with the 202, and not a round trip and a job later. Whatever is not done here, or not known
//! to be, its dispatch does; what is done, it finds done, whoever dispatches it.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use redis::{FromRedisValue, Script, Value};
use stentor_connection::{Call, lua};
use stentor_domain::{AppId, Card, NotificationId, RecipientId, Timestamp, item::ItemContent};
use tokio::sync::OnceCell;

use crate::{
    Hot, HotProfile, Inbox, InboxError, NewItem, Profiles, Written,
    inbox::FLAGS,
    keys, reply,
    writing::{WRITE_ONE, encoded, expiry, words, written},
};

/// How many notifications may have something done ahead that nobody asked for yet.
const MOST: usize = 256;

static AHEAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FLAGS, WRITE_ONE, lua!(include_str!("scripts/ahead.lua"))].concat()));

/// A cheap handle to what is done ahead in this process.
#[derive(Clone)]
pub struct Ahead {
    inbox: Inbox,
    profiles: Profiles,
    begun: Arc<Mutex<HashMap<NotificationId, Begun>>>,
}

/// Who asks before it is there does it too, or waits.
type Begun = Arc<OnceCell<Done>>;

/// What was done ahead of a dispatch.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The profiles of those whom it is for, in order.
    pub profiles: Vec<HotProfile>,
    /// The item, if it was written.
    pub item: Option<(ItemAhead, Written)>,
}

/// The item of a notification to one person, who alone decides whether they get it.
#[derive(Clone, Debug)]
pub struct ItemAhead {
    /// The key of the job's record, without which it is not written.
    pub record: String,
    /// Its card.
    pub card: Card,
    /// Which content belongs to it.
    pub variant: String,
    /// That content.
    pub content: ItemContent,
}

impl Ahead {
    /// What is done ahead of dispatches that work with these.
    pub fn new(inbox: Inbox, profiles: Profiles) -> Self {
        Self { inbox, profiles, begun: Arc::default() }
    }

    /// True if items can be written ahead: on a Cluster, a job and an inbox may be on two nodes.
    pub fn can_write(&self) -> bool {
        self.inbox.is_on_one_node()
    }

    /// Begins what the dispatch of a notification will ask for. `item` is written if the notification goes to one recipient, its job is
    /// queued by then, and they take whatever comes.
    pub fn begin(
        &self,
        id: NotificationId,
        app: AppId,
        recipients: Vec<RecipientId>,
        item: Option<ItemAhead>,
        now: Timestamp,
    ) -> BoxFuture<'static, ()> {
        let cell = Begun::default();
        {
            let mut begun = self.begun();
            if begun.len() >= MOST {
                begun.clear(); // of notifications that were dispatched elsewhere
            }
            begun.insert(id, cell.clone());
        }
        let this = self.clone();
        Box::pin(async move {
            let done = || async {
                match (item, &recipients[..]) {
                    (Some(item), [recipient]) => this.write(&app, recipient, item, now).await,
                    _ => this.read(&app, &recipients).await,
                }
            };
            // What fails here is tried again by whoever asks.
            let _ = cell.get_or_try_init(done).await;
        })
    }

    /// What was done ahead of the dispatch of a notification; what only had to be read is read now if it was not.
    pub async fn take(&self, id: NotificationId, app: &AppId, recipients: &[RecipientId]) -> Result<Done, InboxError> {
        let begun = self.begun().remove(&id);
        let Some(cell) = begun else { return self.read(app, recipients).await };
        cell.get_or_try_init(|| self.read(app, recipients)).await?;
        Ok(Arc::try_unwrap(cell).map_or_else(|cell| cell.get().cloned(), OnceCell::into_inner).unwrap_or_default())
    }

    /// What is so now, for a dispatch that comes late: what was done ahead may not be true any more. What is still being done ends first.
    pub async fn read_anew(&self, id: NotificationId, app: &AppId, recipients: &[RecipientId]) -> Result<Done, InboxError> {
        let begun = self.begun().remove(&id);
        if let Some(cell) = begun {
            let _ = cell.get_or_try_init(|| self.read(app, recipients)).await;
        }
        self.read(app, recipients).await
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<NotificationId, Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, app: &AppId, recipients: &[RecipientId]) -> Result<Done, InboxError> {
        Ok(Done { profiles: self.profiles.read(app, recipients).await?, item: None })
    }

    async fn write(&self, app: &AppId, recipient: &RecipientId, item: ItemAhead, now: Timestamp) -> Result<Done, InboxError> {
        let content = encoded(&item.content)?;
        let new = NewItem { recipient, card: &item.card, variant: &item.variant };
        let expires = (expiry(&new) != 0).then(|| keys::inbox_part(app, recipient, keys::EXPIRES));
        let keys = keys::written(app, recipient);
        let mut call = Call::new(&AHEAD, keys.iter().len() + 3 + usize::from(expires.is_some()));
        call.args(keys.iter()).arg(&item.record).arg(keys::profile(app, recipient));
        call.arg(keys::content(app, item.card.id, &item.variant)).args(expires).arg(self.inbox.publishing());
        call.args(words(&new, &content, now)?.iter());
        let (fields, outcome): (Vec<(String, String)>, Value) =
            FromRedisValue::from_redis_value(self.inbox.ask(&call).await?).map_err(redis::RedisError::from)?;
        let item = match outcome {
            // The person is to be asked, or the inbox is to be tidied up first.
            outcome if reply::is(&outcome, "") || reply::is(&outcome, "due") => None,
            outcome => match written(&outcome)? {
                Hot::Warm(written) => Some((item, written)),
                Hot::Cold => None,
            },
        };
        Ok(Done { profiles: vec![HotProfile::of(&fields)], item })
    }
}
