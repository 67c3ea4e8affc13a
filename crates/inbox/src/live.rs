//! The live feed: one pub/sub connection of its own that stays subscribed, whatever happens to Redis.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{PushInfo, PushKind};
use stentor_connection::{Place, Subscriber};
use stentor_domain::{
    AppId, Entry, Item, ItemState, RecipientId,
    event::{EntryChange, ItemChange},
    timeline::ReadUpto,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use crate::{Change, InboxError, Position, Reader, keys, reply, timeline};

/// How many events may wait for their reader.
const WAITING: usize = 4_096;
/// The longest pause between two attempts to reach Redis.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an answer to a subscription, or to a sign of life, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a silent connection is asked for a sign of life.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What happened in an inbox.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveMessage {
    /// An item was written.
    Item {
        /// The item.
        item: Box<Item>,
        /// How many own items are unread now.
        unread: u64,
        /// The revision.
        rev: u64,
        /// The inbox's life.
        epoch: u64,
    },
    /// Items changed.
    State {
        /// How.
        change: Change,
        /// Which, and what they are now.
        items: Vec<ItemChange>,
        /// Which entries of the timeline, and what they are to this person now.
        entries: Vec<EntryChange>,
        /// Up to where the timeline is read from now on, if that changed.
        read_upto: Option<ReadUpto>,
        /// How many own items are unread now.
        unread: u64,
        /// The revision.
        rev: u64,
        /// The inbox's life.
        epoch: u64,
    },
    /// An item says something else now.
    Updated {
        /// The item as it is now.
        item: Box<Item>,
        /// How many own items are unread now.
        unread: u64,
        /// The revision.
        rev: u64,
        /// The inbox's life.
        epoch: u64,
    },
    /// What the person is to the timeline changed.
    Reader {
        /// Field and value, as [`LiveMessage::apply_to`] takes them.
        fields: Vec<(String, String)>,
        /// How many own items are unread now.
        unread: u64,
        /// The revision.
        rev: u64,
        /// The inbox's life.
        epoch: u64,
    },
}

impl LiveMessage {
    /// The life and revision that it leads to.
    pub fn position(&self) -> Position {
        match self {
            Self::Item { epoch, rev, .. }
            | Self::State { epoch, rev, .. }
            | Self::Updated { epoch, rev, .. }
            | Self::Reader { epoch, rev, .. } => Position { epoch: *epoch, rev: *rev },
        }
    }

    /// How many own items are unread now.
    pub fn unread(&self) -> u64 {
        match self {
            Self::Item { unread, .. }
            | Self::State { unread, .. }
            | Self::Updated { unread, .. }
            | Self::Reader { unread, .. } => *unread,
        }
    }

    /// Takes into `reader` what the message says of it. True if the inbox looks otherwise now, beyond the items that it names.
    pub fn apply_to(&self, reader: &mut Reader) -> bool {
        match self {
            Self::Item { .. } | Self::Updated { .. } => false,
            Self::State { entries, read_upto, rev, .. } => {
                reader.treat(*rev, entries, *read_upto);
                false
            }
            Self::Reader { fields, .. } => {
                for (field, value) in fields {
                    if let Err(error) = reader.set(field, value) {
                        tracing::error!(%error, "a live message cannot be understood");
                    }
                }
                fields.iter().any(|(field, _)| field == "l" || field == "p")
            }
        }
    }

    /// Reads what `publish` in `scripts/_inbox.lua` writes: kind, epoch, rev, unread, and the rest.
    fn parse(text: &str) -> Result<Self, InboxError> {
        let malformed = || InboxError::Malformed("a live message".into());
        let mut parts = text.splitn(5, ' ');
        let mut part = || parts.next().ok_or_else(malformed);
        let kind = part()?;
        let mut number = || part()?.parse::<u64>().map_err(|_| malformed());
        let (epoch, rev, unread) = (number()?, number()?, number()?);
        let rest = part()?;
        if kind == "item" {
            let card = reply::kept_card(rest)?;
            let id = card.id().map_err(|e| InboxError::Malformed(e.to_string()))?;
            return Ok(Self::Item { item: Box::new(Item { id, card, state: ItemState::default(), rev }), unread, rev, epoch });
        }
        if kind == "update" {
            let (state, card) = rest.split_once('\n').ok_or_else(malformed)?;
            let ItemChange { notification: id, state } = reply::change(state)?;
            let item = Box::new(Item { id, card: reply::kept_card(card)?, state, rev });
            return Ok(Self::Updated { item, unread, rev, epoch });
        }
        let mut lines = rest.split('\n');
        if kind == "reader" {
            let field = |line: &str| line.split_once('\t').map(|(f, v)| (f.to_owned(), v.to_owned())).ok_or_else(malformed);
            return Ok(Self::Reader { fields: lines.map(field).collect::<Result<_, _>>()?, unread, rev, epoch });
        }
        let change = lines.next().and_then(Change::of).ok_or_else(malformed)?;
        let (mut items, mut entries, mut read_upto) = (Vec::new(), Vec::new(), None);
        for line in lines {
            match line.as_bytes().first() {
                Some(b'@') => entries.push(reply::entry_change(&line[1..])?),
                Some(b'^') => read_upto = Some(reply::read_upto(&line[1..])?),
                _ => items.push(reply::change(line)?),
            }
        }
        Ok(Self::State { change, items, entries, read_upto, unread, rev, epoch })
    }
}

/// What the feed tells.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// Something happened in an inbox that is subscribed to.
    Message {
        /// Whose app.
        app: AppId,
        /// Whose inbox.
        recipient: RecipientId,
        /// What.
        message: Arc<LiveMessage>,
    },
    /// An entry of a timeline that is subscribed to was written or changed.
    Timeline {
        /// Whose app.
        app: AppId,
        /// The timeline's life.
        epoch: u64,
        /// The entry.
        entry: Arc<Entry>,
    },
    /// The connection was lost and is back: what was published meanwhile is lost, so catch up.
    Resubscribed,
}

/// A cheap handle to the feed. It ends when all handles and the reader of its events are gone.
#[derive(Clone)]
pub struct LiveFeed {
    tx: mpsc::Sender<Command>,
}

enum Command {
    Subscribe(String, oneshot::Sender<()>),
    Unsubscribe(String),
}

impl LiveFeed {
    /// Connects, and goes on connecting whenever the connection is lost.
    pub async fn connect(place: Place) -> Result<(Self, mpsc::Receiver<LiveEvent>), InboxError> {
        let (tx, commands) = mpsc::channel(WAITING);
        let (events, rx) = mpsc::channel(WAITING);
        let link = Link::open(&place).await?;
        tokio::spawn(run(place, link, commands, events));
        Ok((Self { tx }, rx))
    }

    /// Subscribes to an inbox; returns once Redis confirmed it, at once if it is subscribed to already.
    ///
    /// While Redis is away this waits: the subscription is made with the next connection.
    pub async fn subscribe(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        self.subscribe_channel(keys::live(app, recipient)).await
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        self.tx.send(Command::Unsubscribe(keys::live(app, recipient))).await.map_err(|_| ended())
    }

    /// Subscribes to a timeline, like [`subscribe`](Self::subscribe).
    pub async fn subscribe_timeline(&self, app: &AppId) -> Result<(), InboxError> {
        self.subscribe_channel(keys::live_timeline(app)).await
    }

    async fn subscribe_channel(&self, channel: String) -> Result<(), InboxError> {
        let (done, confirmed) = oneshot::channel();
        self.tx.send(Command::Subscribe(channel, done)).await.map_err(|_| ended())?;
        confirmed.await.map_err(|_| ended())
    }
}

fn ended() -> InboxError {
    InboxError::Malformed("the live feed has ended".into())
}

/// One connection: commands go out on it, and its push messages come in.
struct Link {
    conn: Subscriber,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

impl Link {
    async fn open(place: &Place) -> Result<Self, InboxError> {
        let (tx, pushes) = mpsc::unbounded_channel();
        Ok(Self { conn: place.subscriber(PATIENCE, tx).await?, pushes })
    }
}

type Subscribed = Arc<Mutex<HashSet<String>>>;

async fn run(place: Place, mut link: Link, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<LiveEvent>) {
    let subscribed = Subscribed::default();
    loop {
        match serve(&mut link, &mut commands, &events, &subscribed).await {
            Ended::ByUs => return,
            Ended::Lost => {}
        }
        let mut pause = Duration::from_millis(50);
        link = loop {
            // Half of it is chance, so that not every process comes at once.
            let jitter = f64::from(std::process::id() % 100) / 100.0;
            sleep(pause.mul_f64(0.5 + 0.5 * jitter)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if events.is_closed() {
                return;
            }
            if let Ok(mut link) = Link::open(&place).await
                && resubscribe(&mut link, &subscribed).await.is_ok()
            {
                break link;
            }
        };
        if events.send(LiveEvent::Resubscribed).await.is_err() {
            return;
        }
    }
}

async fn resubscribe(link: &mut Link, subscribed: &Subscribed) -> Result<(), InboxError> {
    let channels: Vec<String> = subscribed.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    for chunk in channels.chunks(1_000) {
        link.conn.subscribe(chunk).await?;
    }
    Ok(())
}

enum Ended {
    ByUs,
    Lost,
}

async fn serve(
    link: &mut Link,
    commands: &mut mpsc::Receiver<Command>,
    events: &mpsc::Sender<LiveEvent>,
    subscribed: &Subscribed,
) -> Ended {
    let mut leaving = HashSet::new(); // what we end ourselves, until that is confirmed
    let mut ask = tokio::time::interval(ASK_EVERY);
    ask.reset();
    loop {
        tokio::select! {
            push = link.pushes.recv() => match push {
                None => return Ended::Lost,
                // In a Cluster: one of its nodes, or a slot that moved to another.
                Some(push) if push.kind == PushKind::Disconnection || is_taken_away(&push, &mut leaving) => return Ended::Lost,
                Some(push) => {
                    if let Some(event) = event(push)
                        && events.send(event).await.is_err()
                    {
                        return Ended::ByUs;
                    }
                }
            },
            command = commands.recv() => match command {
                None => return Ended::ByUs,
                Some(Command::Subscribe(channel, done)) => {
                    let new = subscribed.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.clone());
                    // Lost here, it is made good by `resubscribe`: it is in the set, and the caller then catches up.
                    let lost = new && link.conn.subscribe(std::slice::from_ref(&channel)).await.is_err();
                    let _ = done.send(());
                    if lost {
                        return Ended::Lost;
                    }
                }
                Some(Command::Unsubscribe(channel)) => {
                    subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel);
                    leaving.insert(channel.clone());
                    if link.conn.unsubscribe(&channel).await.is_err() {
                        return Ended::Lost;
                    }
                }
            },
            _ = ask.tick() => {
                // A peer that vanished without a word is noticed here.
                if link.conn.ping().await.is_err() {
                    return Ended::Lost;
                }
            }
        }
    }
}

/// True if a subscription was ended that we did not end.
fn is_taken_away(push: &PushInfo, leaving: &mut HashSet<String>) -> bool {
    matches!(push.kind, PushKind::Unsubscribe | PushKind::SUnsubscribe)
        && push.data.first().is_some_and(|channel| {
            let channel = redis::from_redis_value_ref::<String>(channel);
            channel.is_ok_and(|channel| !leaving.remove(&channel))
        })
}

fn event(push: PushInfo) -> Option<LiveEvent> {
    if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
        return None;
    }
    let mut data = push.data.into_iter();
    let channel: String = redis::from_redis_value(data.next()?).ok()?;
    let text: String = redis::from_redis_value(data.next()?).ok()?;
    if let Some(app) = keys::of_live_timeline(&channel) {
        let entry = text.split_once(' ').ok_or_else(|| InboxError::Malformed("a live entry".into()));
        let entry = entry.and_then(|(epoch, value)| {
            let epoch = epoch.parse().map_err(|_| InboxError::Malformed("a live entry".into()))?;
            Ok((epoch, Arc::new(timeline::entry(value)?)))
        });
        return Some(match entry {
            Ok((epoch, entry)) => LiveEvent::Timeline { app, epoch, entry },
            Err(error) => unreadable(&error),
        });
    }
    let (app, recipient) = keys::of_live(&channel)?;
    match LiveMessage::parse(&text) {
        Ok(message) => Some(LiveEvent::Message { app, recipient, message: Arc::new(message) }),
        Err(error) => Some(unreadable(&error)),
    }
}

fn unreadable(error: &InboxError) -> LiveEvent {
    tracing::error!(%error, "a live message cannot be read");
    LiveEvent::Resubscribed // the devices catch up instead
}
