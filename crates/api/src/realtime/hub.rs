//! Who is connected to this process, and the one subscription that feeds them all.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use stentor_domain::{AppId, RecipientId};
use stentor_inbox::{InboxError, LiveEvent, LiveFeed, LiveMessage};
use tokio::sync::{Notify, mpsc};

use super::Receipts;

/// The most connections that one person may have to one process: ten devices with a few tabs each.
pub(crate) const MAX_CONNECTIONS: usize = 64;
/// How many messages may wait for one connection before it has to catch up by itself.
const WAITING: usize = 256;

/// The connections of this process.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    feed: LiveFeed,
    people: Mutex<HashMap<Address, Person>>,
    /// Taken around each subscription and its end, so that who comes just as the last one leaves is not unsubscribed.
    /// By person, in shards: a subscription is a round trip, and strangers need not wait for one another.
    subscriptions: [tokio::sync::Mutex<()>; SHARDS],
    next: AtomicU64,
    receipts: Receipts,
    closing: tokio_util::sync::CancellationToken,
}

const SHARDS: usize = 64;

type Address = (AppId, RecipientId);

#[derive(Default)]
struct Person {
    connections: Vec<Member>,
}

struct Member {
    id: u64,
    tx: mpsc::Sender<Arc<LiveMessage>>,
    behind: Arc<Behind>,
}

/// Set when a message could not be handed over: the connection then catches up from its own cursor.
#[derive(Default)]
pub(crate) struct Behind {
    flag: AtomicBool,
    wake: Notify,
}

impl Behind {
    fn set(&self) {
        self.flag.store(true, Relaxed);
        self.wake.notify_one();
    }

    /// Waits until the connection is behind, and takes note.
    pub(crate) async fn wait(&self) {
        while !self.flag.swap(false, Relaxed) {
            self.wake.notified().await;
        }
    }
}

/// The person has too many connections already.
pub(crate) struct TooMany;

impl Hub {
    /// A hub fed by `feed` and its `events`, until `closing` is cancelled. What devices were shown is noted in `receipts`.
    pub fn start(
        feed: LiveFeed,
        mut events: mpsc::Receiver<LiveEvent>,
        receipts: Receipts,
        closing: tokio_util::sync::CancellationToken,
    ) -> Self {
        let hub = Self(Arc::new(Inner {
            feed,
            people: Mutex::default(),
            subscriptions: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            next: AtomicU64::new(0),
            receipts,
            closing,
        }));
        let fed = hub.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    LiveEvent::Message { app, recipient, message } => fed.push(&(app, recipient), &message),
                    LiveEvent::Resubscribed => fed.all_behind(),
                }
            }
        });
        hub
    }

    /// Where it is noted what devices were shown.
    pub(crate) fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.people().values().map(|p| p.connections.len()).sum()
    }

    /// Cancelled when the process wants its connections to end.
    pub(crate) fn closing(&self) -> &tokio_util::sync::CancellationToken {
        &self.0.closing
    }

    /// Joins a connection of `person`. When this returns, the subscription is confirmed: what is published from
    /// now on arrives, so that a snapshot read afterwards leaves no gap.
    pub(crate) async fn join(&self, app: &AppId, recipient: &RecipientId) -> Result<Result<Membership, TooMany>, InboxError> {
        let (tx, rx) = mpsc::channel(WAITING);
        let (id, behind) = (self.0.next.fetch_add(1, Relaxed), Arc::<Behind>::default());
        let address = (app.clone(), recipient.clone());
        {
            let mut people = self.people();
            let person = people.entry(address.clone()).or_default();
            if person.connections.len() >= MAX_CONNECTIONS {
                return Ok(Err(TooMany));
            }
            person.connections.push(Member { id, tx, behind: behind.clone() });
        }
        let membership = Membership { hub: self.clone(), address, id, rx, behind };
        let _guard = self.subscription(&membership.address).lock().await;
        // Also for the second connection: the first may have failed to subscribe.
        self.0.feed.subscribe(app, recipient).await?;
        Ok(Ok(membership))
    }

    fn subscription(&self, address: &Address) -> &tokio::sync::Mutex<()> {
        let mut hasher = std::hash::DefaultHasher::new();
        address.hash(&mut hasher);
        &self.0.subscriptions[hasher.finish() as usize % SHARDS]
    }

    async fn unsubscribe_if_gone(&self, address: &Address) {
        let _guard = self.subscription(address).lock().await;
        if !self.people().contains_key(address)
            && let Err(error) = self.0.feed.unsubscribe(&address.0, &address.1).await
        {
            tracing::debug!(%error, "a live channel stays subscribed until the next reconnect");
        }
    }

    fn push(&self, address: &Address, message: &Arc<LiveMessage>) {
        {
            let people = self.people();
            let Some(person) = people.get(address) else { return };
            for member in &person.connections {
                if member.tx.try_send(message.clone()).is_err() {
                    member.behind.set();
                }
            }
        }
        if let LiveMessage::Item { item, .. } = &**message {
            self.0.receipts.note(&address.0, &address.1, [item.card.id]);
        }
    }

    fn all_behind(&self) {
        for member in self.people().values().flat_map(|p| &p.connections) {
            member.behind.set();
        }
    }

    fn people(&self) -> MutexGuard<'_, HashMap<Address, Person>> {
        // A panic between two operations on the map cannot leave it half-changed.
        self.0.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place in the hub; it leaves when dropped.
pub(crate) struct Membership {
    hub: Hub,
    address: Address,
    id: u64,
    pub(crate) rx: mpsc::Receiver<Arc<LiveMessage>>,
    pub(crate) behind: Arc<Behind>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut people = self.hub.people();
        let Some(person) = people.get_mut(&self.address) else { return };
        person.connections.retain(|m| m.id != self.id);
        if person.connections.is_empty() {
            people.remove(&self.address);
            let (hub, address) = (self.hub.clone(), self.address.clone());
            tokio::spawn(async move { hub.unsubscribe_if_gone(&address).await });
        }
    }
}
