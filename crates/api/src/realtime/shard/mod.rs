//! A share of the connected people, on a thread of its own.
//!
//! The thread owns its people, their sockets and what these were told, so that nothing of it is locked, and a push is
//! a walk over memory with one write a socket: no task is woken for it. Whatever has to be awaited (Redis, SQL) is done by the
//! runtime of the process, which sends back what came of it.

mod message;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use slab::Slab;
use stentor_domain::{AppId, Clock, RecipientId, Timestamp};
use stentor_inbox::{Changes, Cursor, Inboxes, LiveMessage, Marked, Presence, TimelineView, Timelines};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::yield_now,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    frame::CloseCode,
    outlet::Outlet,
    present::{Now, Present, Reads},
    progress::{Logged, What},
    receipts::Receipts,
    session::{MAX_CATCH_UP, bye},
    socket,
    told::Told,
};

pub(crate) use message::{Arriving, Attach, Census, Message, Place};

/// The most connections that one person may have: ten devices with a few tabs each.
pub(crate) const MAX_CONNECTIONS: usize = 64;
/// From how many connections to one process on those to other processes are counted too. Whoever has fewer costs no round trip.
pub(crate) const CROWD: usize = 8;
/// How many messages may wait for a shard. Beyond it the feed waits, and in the end Redis.
const WAITING: usize = 4_096;
/// How many people are told of the timeline before it is looked what else happened.
const STRIDE: usize = 64;
/// For how many people at once what a push reads is fetched from memory.
const AHEAD: usize = 8;
/// How often it is looked who is silent, who reads nothing and whose token ran out.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// In how many parts: to ask thousands at once whether they are there would hold up whoever is told something.
const LOOK_PARTS: u32 = 20;
/// How often some connections are ended, once the process stops.
const CLOSE_EVERY: Duration = Duration::from_millis(5);
/// How many connections are ended in a millisecond, over all shards: those who come back must be received elsewhere.
const CLOSINGS_A_MS: usize = 2;
/// The longest that ending them takes.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// How long what a connection missed is asked for again before the connection is ended: Redis restarting, or one node of a
/// Cluster that fails over, sends nobody away.
const READ_FOR: Duration = Duration::from_secs(20);
/// The first pause before it is asked for again, and the longest.
const READ_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What a shard needs of the process.
#[derive(Clone)]
pub(crate) struct ShardParts {
    pub inboxes: Inboxes,
    pub timelines: Timelines,
    pub receipts: Receipts,
    pub clock: Arc<dyn Clock>,
    /// The runtime of the process.
    pub main: Handle,
    pub closing: CancellationToken,
    /// How many shards there are.
    pub shards: usize,
    /// How many connections the process has.
    pub sockets: Arc<AtomicUsize>,
    /// Where it is told who is gone.
    pub gone: mpsc::UnboundedSender<(AppId, RecipientId)>,
}

/// A handle to a shard's thread.
#[derive(Clone)]
pub(crate) struct Shard {
    tx: mpsc::Sender<Message>,
    runtime: Handle,
}

impl Shard {
    /// Starts a thread. It ends with the process.
    pub(crate) fn start(number: usize, parts: ShardParts) -> std::io::Result<Self> {
        let (tx, rx) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = Self { tx, runtime: runtime.handle().clone() };
        let own = handle.tx.clone();
        std::thread::Builder::new().name(format!("sockets-{number}")).spawn(move || {
            let state =
                Rc::new(RefCell::new(State { parts, own: own.downgrade(), apps: HashMap::new(), memory: Memory::default() }));
            drop(own);
            let serve = || tokio::task::LocalSet::new().block_on(&runtime, run(state, rx));
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(serve)).is_err() {
                // Its people would be told nothing more, and not know it. Who starts the process again mends that.
                tracing::error!("a thread of the sockets failed: the process ends");
                std::process::abort();
            }
        })?;
        Ok(handle)
    }

    /// Tells the shard; waits while too much waits for it.
    pub(crate) async fn tell(&self, message: Message) {
        // Closed only at the end of the process.
        let _ = self.tx.send(message).await;
    }

    /// What runs on its thread.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

/// All that a shard knows.
pub(crate) struct State {
    parts: ShardParts,
    own: mpsc::WeakSender<Message>,
    apps: HashMap<AppId, Here>,
    memory: Memory,
}

/// The people of one app.
struct Here {
    view: Arc<TimelineView>,
    people: Slab<Present>,
    index: HashMap<RecipientId, usize>,
    /// Entries that somebody was not handed yet; the first has number `base`.
    log: VecDeque<What>,
    base: u64,
    /// Whose turn it is to be handed the log, and how many have not had theirs.
    next: usize,
    left: usize,
    /// Whose connections were looked at last.
    looked: usize,
}

#[derive(Default)]
struct Memory {
    told: Vec<Told>,
    written: Vec<u8>,
}

async fn run(state: Rc<RefCell<State>>, mut rx: mpsc::Receiver<Message>) {
    let closing = state.borrow().parts.closing.clone();
    let mut looks = interval(LOOK_EVERY / LOOK_PARTS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closings = interval(CLOSE_EVERY);
    let mut farewells: Option<Farewells> = None;
    let mut batch = Vec::new();
    loop {
        let walking = state.borrow_mut().walk();
        if walking {
            // Between two strides others have their turn: a message to one person does not wait for a broadcast to all.
            while let Ok(message) = rx.try_recv() {
                State::take(&state, message);
            }
            yield_now().await;
            continue;
        }
        let is_somebody_here = state.borrow().parts.sockets.load(Relaxed) > 0;
        tokio::select! {
            received = rx.recv_many(&mut batch, 256) => {
                if received == 0 {
                    return;
                }
                batch.drain(..).for_each(|message| State::take(&state, message));
            }
            _ = looks.tick(), if is_somebody_here => state.borrow_mut().look(),
            () = closing.cancelled(), if farewells.is_none() => farewells = Some(state.borrow().all_in_any_order()),
            _ = closings.tick(), if farewells.is_some() => {
                if let Some(farewells) = &mut farewells {
                    state.borrow_mut().close_some(farewells);
                }
            }
        }
    }
}

impl State {
    fn take(state: &Rc<RefCell<Self>>, message: Message) {
        let mut this = state.borrow_mut();
        match message {
            Message::Join(place, may) => {
                let _ = may.send(this.join(&place));
            }
            Message::Attach(attach) => {
                drop(this);
                Self::attach(state, *attach);
            }
            Message::Leave(place) => this.leave(&place),
            Message::Live(app, recipient, message) => this.live(&app, &recipient, message),
            Message::Entries { app, epoch, entries, view } => {
                let Some(here) = this.apps.get_mut(&app) else { return };
                here.view = view;
                here.log.extend(entries.into_iter().map(|entry| What::Entry(Rc::new(Logged::new(epoch, entry)))));
                here.left = here.people.len();
                if here.left == 0 {
                    here.base = here.end();
                    here.log.clear();
                }
            }
            Message::Behind(None) => {
                let apps: Vec<AppId> = this.apps.keys().cloned().collect();
                for app in &apps {
                    this.all_behind(app);
                }
            }
            Message::Behind(Some((app, view))) => {
                if let Some(here) = this.apps.get_mut(&app) {
                    here.view = view;
                    this.all_behind(&app);
                }
            }
            Message::CaughtUp { app, recipient, who, changes } => this.caught_up(&app, &recipient, who, changes),
            Message::IsHere(app, recipient, reply) => {
                let _ = reply.send(this.apps.get(&app).is_some_and(|here| here.index.contains_key(&recipient)));
            }
            Message::Count(reply) => {
                let _ = reply.send(this.count());
            }
        }
    }

    fn join(&mut self, place: &Place) -> Option<usize> {
        if self.parts.closing.is_cancelled() {
            return None;
        }
        let at = self.parts.clock.now();
        let here = self.apps.entry(place.app.clone()).or_insert_with(|| Here::new(self.parts.timelines.known(&place.app)));
        let slot = here.slot_of(&place.recipient);
        // What came before is in the snapshot that the connection will be welcomed with.
        let reads = here.bring_up(slot, at, &mut self.memory);
        let person = here.people.get_mut(slot)?;
        let may = person.connections.len() < MAX_CONNECTIONS;
        if may {
            person.join(place.id);
            self.parts.sockets.fetch_add(1, Relaxed);
        }
        let connections = person.connections.len();
        self.read(&place.app, &place.recipient, &reads);
        may.then_some(connections)
    }

    fn attach(state: &Rc<RefCell<Self>>, attach: Attach) {
        let Attach { place, line, welcome, progress, view, token_end } = attach;
        let (outlet, reader) = match line {
            Arriving::Stream(stream) => (Outlet::Stream(stream), None),
            Arriving::Socket(socket) => {
                let (detached, api, person) = *socket;
                let socket = match detached.attach() {
                    Ok(socket) => socket,
                    Err(error) => {
                        tracing::warn!(%error, "a socket cannot be served");
                        state.borrow_mut().leave(&place);
                        return;
                    }
                };
                (Outlet::Socket(socket.sender()), Some((socket, api, person)))
            }
        };
        let mut this = state.borrow_mut();
        let this = &mut *this;
        let at = this.parts.clock.now();
        let Some(here) = this.apps.get_mut(&place.app) else { return };
        if here.view.position() < view.position() {
            here.view = view;
        }
        let Some((person, mut now)) = here.person(&place.recipient, at, &mut this.memory) else { return };
        let missing = person.welcome(place.id, outlet, &welcome, progress, token_end, &mut now);
        if this.parts.closing.is_cancelled() {
            person.end(place.id, CloseCode::Restart, "restart", Some(&bye("restart")));
        }
        if missing {
            this.read(&place.app, &place.recipient, &[Reads::Own(place.id)]);
        }
        if let Some((socket, api, person)) = reader {
            tokio::task::spawn_local(socket::serve(state.clone(), place, socket, api, person));
        }
    }

    /// A connection went, or does not come.
    pub(crate) fn leave(&mut self, place: &Place) {
        let Some(here) = self.apps.get_mut(&place.app) else { return };
        let Some(at) = here.index.get(&place.recipient).copied() else { return };
        let Some(person) = here.people.get_mut(at) else { return };
        if !person.leave(place.id) {
            return;
        }
        self.parts.sockets.fetch_sub(1, Relaxed);
        if person.connections.is_empty() {
            here.remove(&place.recipient, at);
            let _ = self.parts.gone.send((place.app.clone(), place.recipient.clone()));
        }
    }

    fn live(&mut self, app: &AppId, recipient: &RecipientId, message: Arc<LiveMessage>) {
        let at = self.parts.clock.now();
        let Some(here) = self.apps.get_mut(app) else { return };
        let Some(slot) = here.index.get(recipient).copied() else { return };
        let mut reads = here.bring_up(slot, at, &mut self.memory);
        if let LiveMessage::Item { item, .. } = &*message {
            self.parts.receipts.note(app, recipient, [item.id]);
        }
        if let Some((person, mut now)) = here.person_at(slot, at, &mut self.memory) {
            reads.extend(person.take(&[What::Message(message)], &mut now));
        }
        self.read(app, recipient, &reads);
    }

    /// Hands the log to some people of each app. True if there are more.
    fn walk(&mut self) -> bool {
        let mut more = false;
        let mut missing = Vec::new();
        let at = self.parts.clock.now();
        for (app, here) in self.apps.iter_mut().filter(|(_, here)| here.left > 0) {
            for turn in 0..STRIDE {
                if here.left == 0 {
                    break;
                }
                if turn % AHEAD == 0 {
                    here.prefetch();
                }
                let slot = here.next_slot();
                let reads = here.bring_up(slot, at, &mut self.memory);
                if !reads.is_empty() {
                    missing.extend(here.people.get(slot).map(|person| (app.clone(), person.recipient.clone(), reads)));
                }
            }
            more |= here.left > 0;
        }
        for (app, recipient, reads) in missing {
            self.read(&app, &recipient, &reads);
        }
        more
    }

    fn all_behind(&mut self, app: &AppId) {
        let Some(here) = self.apps.get_mut(app) else { return };
        let behind = |(_, person): (usize, &mut Present)| (person.recipient.clone(), person.all_behind());
        let all: Vec<_> = here.people.iter_mut().map(behind).collect();
        for (recipient, reads) in all {
            self.read(app, &recipient, &reads);
        }
    }

    /// Has what is missing read.
    fn read(&self, app: &AppId, recipient: &RecipientId, reads: &[Reads]) {
        let Some(here) = self.apps.get(app) else { return };
        let Some(person) = here.index.get(recipient).and_then(|at| here.people.get(*at)) else { return };
        for who in reads.iter().copied() {
            let (Some(progress), Some(own)) = (person.progress(who), self.own.upgrade()) else { continue };
            let (cursor, inboxes, clock) = (progress.cursor(), self.parts.inboxes.clone(), self.parts.clock.clone());
            let (app, recipient) = (app.clone(), recipient.clone());
            self.parts.main.spawn(async move {
                let changes = changes_since(&inboxes, &app, &recipient, &cursor, &*clock).await.map(Box::new);
                let _ = own.send(Message::CaughtUp { app, recipient, who, changes }).await;
            });
        }
    }

    fn caught_up(&mut self, app: &AppId, recipient: &RecipientId, who: Reads, changes: Option<Box<Changes>>) {
        let at = self.parts.clock.now();
        let Some(here) = self.apps.get_mut(app) else { return };
        let Some((person, mut now)) = here.person(recipient, at, &mut self.memory) else { return };
        match changes {
            None => person.lost(who, &bye("unavailable")),
            Some(changes) => {
                if person.caught_up(who, *changes, &mut now) {
                    self.read(app, recipient, &[who]);
                }
            }
        }
    }

    /// What time demands of the connections that are next.
    fn look(&mut self) {
        let now = Instant::now();
        for here in self.apps.values_mut() {
            let slots = here.people.capacity();
            for _ in 0..slots.div_ceil(LOOK_PARTS as usize) {
                here.looked = (here.looked + 1) % slots;
                if let Some(person) = here.people.get_mut(here.looked) {
                    person.connections.iter_mut().for_each(|connection| connection.look(now));
                }
            }
        }
    }

    fn all_in_any_order(&self) -> Farewells {
        let mut places = Vec::new();
        for (app, here) in &self.apps {
            for (_, person) in &here.people {
                let place = |id| Place { app: app.clone(), recipient: person.recipient.clone(), id };
                places.extend(person.connections.iter().map(|c| place(c.id)));
            }
        }
        rand::seq::SliceRandom::shuffle(&mut places[..], &mut rand::rng());
        let every = CLOSE_EVERY.as_millis() as usize;
        let gently = (CLOSINGS_A_MS * every).div_ceil(self.parts.shards);
        let in_time = places.len().div_ceil(CLOSE_WITHIN.as_millis() as usize / every);
        Farewells { places, at_once: gently.max(in_time) }
    }

    fn close_some(&mut self, farewells: &mut Farewells) {
        let rest = farewells.places.len().saturating_sub(farewells.at_once);
        for place in farewells.places.drain(rest..) {
            let Some(here) = self.apps.get_mut(&place.app) else { continue };
            let person = here.index.get(&place.recipient).and_then(|at| here.people.get_mut(*at));
            if let Some(person) = person {
                person.end(place.id, CloseCode::Restart, "restart", Some(&bye("restart")));
            }
        }
    }

    fn count(&self) -> Census {
        let mut census = Census::default();
        for (app, here) in &self.apps {
            let mut presence = Presence { connections: 0, people: here.people.len() as u64 };
            for (_, person) in &here.people {
                let connections = person.connections.len();
                presence.connections += connections as u64;
                if connections >= CROWD {
                    census.crowds.insert((app.clone(), person.recipient.clone()), connections);
                }
            }
            census.apps.insert(app.clone(), presence);
        }
        census
    }

    fn present(&mut self, place: &Place) -> Option<&mut Present> {
        let here = self.apps.get_mut(&place.app)?;
        here.people.get_mut(*here.index.get(&place.recipient)?)
    }

    /// The other side of a connection was heard; with a token, until when the connection is good now.
    pub(crate) fn heard(&mut self, place: &Place, token_end: Option<Instant>) {
        if let Some(connection) = self.present(place).and_then(|person| person.connection(place.id)) {
            connection.heard(token_end);
        }
    }

    /// A connection asks for something, which will be answered by [`tell`](Self::tell) or [`answer`](Self::answer).
    pub(crate) fn ask(&mut self, place: &Place) {
        if let Some(person) = self.present(place) {
            person.ask(place.id);
        }
    }

    /// Sends a frame to one connection.
    pub(crate) fn tell(&mut self, place: &Place, told: Told) {
        if let Some(person) = self.present(place) {
            person.tell(place.id, told);
        }
    }

    /// The answer to a change, in its turn.
    pub(crate) fn answer(&mut self, place: &Place, reference: Option<String>, change: &'static str, marked: &Marked) {
        if let Some(person) = self.present(place) {
            person.answer(place.id, reference, change, marked);
        }
    }

    /// The runtime of the process.
    pub(crate) fn main(&self) -> Handle {
        self.parts.main.clone()
    }
}

/// Whose connections are still to be ended, and how many of them at once.
struct Farewells {
    places: Vec<Place>,
    at_once: usize,
}

impl Here {
    fn new(view: Arc<TimelineView>) -> Self {
        let (people, index, log) = (Slab::new(), HashMap::new(), VecDeque::new());
        Self { view, people, index, log, base: 0, next: 0, left: 0, looked: 0 }
    }

    /// The number of the entry that will come next.
    fn end(&self) -> u64 {
        self.base + self.log.len() as u64
    }

    fn slot_of(&mut self, recipient: &RecipientId) -> usize {
        if let Some(slot) = self.index.get(recipient) {
            return *slot;
        }
        let slot = self.people.insert(Present::new(recipient.clone(), self.end()));
        self.index.insert(recipient.clone(), slot);
        slot
    }

    fn remove(&mut self, recipient: &RecipientId, slot: usize) {
        self.index.remove(recipient);
        let person = self.people.remove(slot);
        if person.handed < self.end() {
            self.one_is_up();
        }
    }

    fn one_is_up(&mut self) {
        self.left -= 1;
        if self.left == 0 {
            self.base = self.end();
            self.log.clear();
        }
    }

    fn next_slot(&mut self) -> usize {
        let slot = if self.next < self.people.capacity() { self.next } else { 0 };
        self.next = slot + 1;
        slot
    }

    /// Fetches from memory what the next pushes read.
    fn prefetch(&self) {
        (self.next..self.next + AHEAD).filter_map(|slot| self.people.get(slot)).for_each(Present::prefetch);
    }

    fn person_at<'a>(&'a mut self, slot: usize, at: Timestamp, memory: &'a mut Memory) -> Option<(&'a mut Present, Now<'a>)> {
        let person = self.people.get_mut(slot)?;
        Some((person, Now { view: &self.view, at, told: &mut memory.told, written: &mut memory.written }))
    }

    fn person<'a>(&'a mut self, who: &RecipientId, at: Timestamp, memory: &'a mut Memory) -> Option<(&'a mut Present, Now<'a>)> {
        let slot = *self.index.get(who)?;
        self.person_at(slot, at, memory)
    }

    /// Hands to one person what they have not had of the log, all of it in one write.
    fn bring_up(&mut self, slot: usize, at: Timestamp, memory: &mut Memory) -> Vec<Reads> {
        let end = self.end();
        let Some(person) = self.people.get_mut(slot).filter(|person| person.handed < end) else { return Vec::new() };
        let new = (person.handed - self.base) as usize;
        person.handed = end;
        let mut now = Now { view: &self.view, at, told: &mut memory.told, written: &mut memory.written };
        let reads = person.take(&self.log.make_contiguous()[new..], &mut now);
        self.one_is_up();
        reads
    }
}

/// Reads what changed since a cursor; if that fails, again and again for a while.
async fn changes_since(
    inboxes: &Inboxes,
    app: &AppId,
    recipient: &RecipientId,
    cursor: &Cursor,
    clock: &dyn Clock,
) -> Option<Changes> {
    let (until, mut pause) = (Instant::now() + READ_FOR, READ_AGAIN.0);
    loop {
        match inboxes.changes_since(app, recipient, cursor, MAX_CATCH_UP, clock.now()).await {
            Ok(changes) => return Some(changes),
            Err(error) if Instant::now() >= until => {
                tracing::warn!(%error, "what a connection missed cannot be read");
                return None;
            }
            Err(error) => tracing::debug!(%error, "what a connection missed is read again in a moment"),
        }
        // Not all who were cut off ask at once.
        let by_chance = rand::Rng::random_range(&mut rand::rng(), 0.5..1.5);
        tokio::time::sleep(pause.mul_f64(by_chance)).await;
        pause = (pause * 2).min(READ_AGAIN.1);
    }
}
