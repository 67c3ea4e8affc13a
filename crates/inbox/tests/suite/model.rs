//! Whatever is done in whatever order: inboxes say what a plain list of items says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use stentor_domain::{AppId, Item, ItemState, NotificationId, RecipientId, Timestamp, event::ItemChange};
use stentor_inbox::{Change, Cursor, Filter, HotItem, Inbox, Inboxes, NewItem, Position};
use stentor_testkit::RedisServer;

use crate::support::{FULL, Record, Written, at, card, expiring, found, id, is_alive, is_unread, place, recorded};

#[derive(Clone, Debug)]
enum Op {
    /// New items; some expire after so many seconds.
    Write(Vec<Option<u8>>),
    /// Items that the inbox knows.
    Repeat(Vec<usize>),
    Mark(Change, Vec<usize>, bool),
    /// Everything, or up to a cursor that was given out.
    ReadAll(Option<usize>),
    /// Down to so many hot ones.
    Trim(usize),
    /// Redis loses the inbox.
    Lose,
    Pass(u8),
    /// A device that was away catches up.
    CatchUp,
}

fn op() -> impl Strategy<Value = Op> {
    let change = prop::sample::select(vec![Change::Read, Change::Unread, Change::Archive, Change::Unarchive, Change::Seen]);
    prop_oneof![
        6 => vec(prop::option::weighted(0.3, 1..40_u8), 1..6).prop_map(Op::Write),
        2 => vec(any::<usize>(), 1..4).prop_map(Op::Repeat),
        8 => (change, vec(any::<usize>(), 1..6), any::<bool>()).prop_map(|(c, picks, stranger)| Op::Mark(c, picks, stranger)),
        2 => prop::option::weighted(0.7, any::<usize>()).prop_map(Op::ReadAll),
        4 => (0..8_usize).prop_map(Op::Trim),
        1 => Just(Op::Lose),
        1 => (1..30_u8).prop_map(Op::Pass),
        3 => Just(Op::CatchUp),
    ]
}

/// The plain list, and what of it is hot.
struct Model {
    items: BTreeMap<u64, HotItem>,
    hot: BTreeSet<u64>,
    /// Those that a repeated write must recognise.
    known: BTreeSet<u64>,
    /// Unread ones whose state the hot part was never told.
    untold: BTreeSet<u64>,
    seq: u64,
    cursor: Cursor,
    given: Vec<Cursor>,
    now: Timestamp,
    named: u32,
}

impl Model {
    fn alive(&self) -> impl DoubleEndedIterator<Item = &HotItem> {
        self.items.values().filter(|i| is_alive(i, self.now))
    }

    fn unread(&self) -> u64 {
        self.alive().filter(|i| is_unread(i)).count() as u64
    }

    fn listed(&self) -> Vec<HotItem> {
        self.alive().rev().filter(|i| i.item.state.archived_at.is_none()).cloned().collect()
    }

    fn pass(&mut self, seconds: u8) {
        self.now = self.now.after(Duration::from_secs(seconds.into()));
        let over: Vec<u64> = self.items.values().filter(|i| !is_alive(i, self.now)).map(|i| i.seq).collect();
        for seq in over {
            self.hot.remove(&seq);
            self.untold.remove(&seq);
        }
    }

    /// It was lost and is read from the record.
    fn rebuilt(&mut self) {
        self.hot = self.alive().rev().take(FULL).map(|i| i.seq).collect();
        self.known = self.hot.clone();
        self.untold = self.alive().filter(|i| is_unread(i) && !self.hot.contains(&i.seq)).map(|i| i.seq).collect();
        self.seq = self.items.keys().next_back().map_or(0, |seq| seq + 1_000_000);
    }

    /// The places of some items, each once.
    fn pick(of: &[u64], picks: &[usize]) -> Vec<u64> {
        let mut picked = Vec::new();
        for pick in picks.iter().filter(|_| !of.is_empty()) {
            let seq = of[pick % of.len()];
            if !picked.contains(&seq) {
                picked.push(seq);
            }
        }
        picked
    }

    /// Changes the items at `places` in one revision, if any of them is not so already.
    fn mark(&mut self, change: Change, places: &[u64]) -> Vec<ItemChange> {
        let mut changed = Vec::new();
        for seq in places {
            let Item { id, state, rev, .. } = &mut self.items.get_mut(seq).unwrap().item;
            let new = marked(*state, change, self.now);
            if new != *state {
                (*state, *rev) = (new, self.cursor.own.rev + 1);
                changed.push(ItemChange { notification: *id, state: new });
            }
        }
        self.cursor.own.rev += u64::from(!changed.is_empty());
        changed
    }

    fn read_all(&mut self, up_to: Option<&Cursor>) -> Vec<ItemChange> {
        if up_to.is_some_and(|c| c.own.epoch != self.cursor.own.epoch) {
            return Vec::new();
        }
        let open = |i: &&HotItem| is_unread(i) && up_to.is_none_or(|c| i.item.rev <= c.own.rev);
        let places: Vec<u64> = self.alive().filter(open).map(|i| i.seq).collect();
        for seq in &places {
            if self.untold.remove(seq) {
                self.items.get_mut(seq).unwrap().item.state.seen_at = None;
            }
        }
        self.mark(Change::Read, &places)
    }
}

fn marked(mut state: ItemState, change: Change, now: Timestamp) -> ItemState {
    match change {
        Change::Read if state.read_at.is_some() => {}
        Change::Read => (state.seen_at, state.read_at) = (state.seen_at.or(Some(now)), Some(now)),
        Change::Unread => state.read_at = None,
        Change::Archive => state.archived_at = state.archived_at.or(Some(now)),
        Change::Unarchive => state.archived_at = None,
        Change::Seen => state.seen_at = state.seen_at.or(Some(now)),
        Change::Expire | Change::Recall => panic!("never asked for"),
    }
    state
}

async fn write(inboxes: &Inboxes, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Vec<Written> {
    inboxes.write(app, items, now).await.unwrap().into_iter().map(Written::from).collect()
}

fn by_id(mut changes: Vec<ItemChange>) -> Vec<ItemChange> {
    changes.sort_by_key(|c| c.notification);
    changes
}

/// What a device shows.
#[derive(Default)]
struct Device {
    cursor: Option<Cursor>,
    shown: BTreeMap<NotificationId, Item>,
}

struct Run {
    app: AppId,
    me: RecipientId,
    inboxes: Inboxes,
    record: Arc<Record>,
    model: Model,
    device: Device,
}

impl Run {
    fn new(inbox: Inbox, n: u32, begin: &[bool]) -> Self {
        let record = Arc::new(Record::default());
        let item = |(n, read): (u32, &bool)| {
            let mut item = recorded(n, n.into(), n.into());
            item.item.state.read_at = read.then(|| at(0));
            (item.seq, item)
        };
        let mut model = Model {
            items: (1..).zip(begin).map(item).collect(),
            hot: BTreeSet::new(),
            known: BTreeSet::new(),
            untold: BTreeSet::new(),
            seq: 0,
            cursor: Cursor { own: Position { epoch: 0, rev: begin.len() as u64 }, timeline: Position::default() },
            given: Vec::new(),
            now: at(0),
            named: begin.len() as u32,
        };
        model.rebuilt();
        let inboxes = Inboxes::new(inbox, record.clone());
        let run = Self {
            app: format!("app-{n}").parse().unwrap(),
            me: format!("u {n}").parse().unwrap(),
            inboxes,
            record,
            model,
            device: Device::default(),
        };
        run.archive();
        run
    }

    fn archive(&self) {
        self.record.set(&self.app, &self.me, self.model.items.values().cloned());
    }

    /// Time passes; what expires takes at most one revision, and a lost inbox begins a new life.
    async fn tick(&mut self, seconds: u8, lost: bool) {
        self.model.pass(seconds);
        let (m, overview) = (&self.model, self.inboxes.overview(&self.app, &self.me, self.model.now).await.unwrap());
        assert_eq!(overview.unread, m.unread());
        if lost {
            assert!(overview.cursor.own.epoch > m.cursor.own.epoch && overview.cursor.own.rev > m.cursor.own.rev);
            self.model.rebuilt();
        } else {
            assert!(
                overview.cursor.own.epoch == m.cursor.own.epoch
                    && (0..=1).contains(&(overview.cursor.own.rev - m.cursor.own.rev))
            );
        }
        self.model.cursor = overview.cursor;
    }

    async fn act(&mut self, op: &Op) {
        let (app, me) = (&self.app, &self.me);
        let (inboxes, m) = (&self.inboxes, &mut self.model);
        match op {
            Op::Write(lives) => {
                let mut cards = Vec::new();
                for life in lives {
                    m.named += 1;
                    let end = life.map(|life| m.now.after(Duration::from_secs(life.into())));
                    cards.push(end.map_or_else(|| card(m.named), |end| expiring(m.named, end)));
                }
                let new: Vec<_> = cards.iter().map(|card| NewItem { recipient: me, card, variant: "en" }).collect();
                let mut expected = Vec::new();
                for card in &cards {
                    (m.seq, m.cursor.own.rev) = (m.seq + 1, m.cursor.own.rev + 1);
                    let item = Item::new(card, ItemState::default(), m.cursor.own.rev).unwrap();
                    m.items.insert(m.seq, HotItem { item, seq: m.seq, variant: "en".into(), at: at(0) });
                    m.hot.insert(m.seq);
                    m.known.insert(m.seq);
                    expected.push(Written { seq: m.seq, rev: m.cursor.own.rev, unread: m.unread(), new: true });
                }
                assert_eq!(write(inboxes, app, &new, m.now).await, expected);
            }
            Op::Repeat(picks) => {
                let picked = Model::pick(&m.known.iter().copied().collect::<Vec<_>>(), picks);
                let cards: Vec<_> = picked.iter().map(|seq| m.items[seq].item.card.read().unwrap()).collect();
                let again: Vec<_> = cards.iter().map(|card| NewItem { recipient: me, card, variant: "en" }).collect();
                let of_hot = |item: &Item| if item.state == ItemState::default() { item.rev } else { 0 };
                let rev = |seq| if m.hot.contains(seq) { of_hot(&m.items[seq].item) } else { m.cursor.own.rev };
                let expected: Vec<_> =
                    picked.iter().map(|seq| Written { seq: *seq, rev: rev(seq), unread: m.unread(), new: false }).collect();
                assert_eq!(write(inboxes, app, &again, m.now).await, expected);
            }
            Op::Mark(change, picks, stranger) => {
                let picked = Model::pick(&m.alive().map(|i| i.seq).collect::<Vec<_>>(), picks);
                let mut asked: Vec<_> = picked.iter().map(|seq| m.items[seq].item.id).collect();
                let strangers: Vec<_> = stranger.then(|| id(1_000_000)).into_iter().collect();
                asked.extend(&strangers);
                let answer = inboxes.mark(app, me, *change, &asked, m.now).await.unwrap();
                let (hot, old): (Vec<u64>, Vec<u64>) = picked.iter().partition(|seq| m.hot.contains(*seq));
                let mut changed = m.mark(*change, &hot);
                changed.extend(m.mark(*change, &old));
                for seq in old {
                    m.untold.remove(&seq);
                    m.hot.insert(seq);
                }
                assert_eq!((answer.items, answer.missing), (changed, strangers));
                assert_eq!((answer.unread, answer.rev, &answer.cursor), (m.unread(), m.cursor.own.rev, &m.cursor));
            }
            Op::ReadAll(up_to) => {
                let up_to = up_to.filter(|_| !m.given.is_empty()).map(|pick| m.given[pick % m.given.len()]);
                let answer = inboxes.mark_all_read(app, me, up_to.as_ref(), m.now).await.unwrap();
                assert_eq!(by_id(answer.items), by_id(m.read_all(up_to.as_ref())));
                assert_eq!((answer.unread, answer.rev, &answer.cursor), (m.unread(), m.cursor.own.rev, &m.cursor));
            }
            Op::Trim(keep) => {
                let excess = inboxes.hot().excess(app, std::slice::from_ref(me), *keep, m.now).await.unwrap().concat();
                let beyond = m.hot.len().saturating_sub(*keep);
                let expected: Vec<_> = m.hot.iter().take(beyond).map(|seq| m.items[seq].clone()).collect();
                let excess: Vec<_> = excess.into_iter().map(|i| HotItem { at: at(0), ..i }).collect();
                assert_eq!(excess, expected);
                let same: Vec<_> = excess.iter().map(|i| (i.seq, i.item.rev)).collect();
                assert_eq!(inboxes.hot().trim(app, me, &same, *keep, m.now).await.unwrap(), beyond);
                m.hot = m.hot.iter().copied().skip(beyond).collect();
            }
            Op::Lose => {
                inboxes.forget(app, me).await.unwrap();
                self.tick(1, true).await;
            }
            Op::Pass(seconds) => self.tick(*seconds, false).await,
            Op::CatchUp => self.catch_up().await,
        }
    }

    async fn catch_up(&mut self) {
        let (m, device) = (&self.model, &mut self.device);
        let listed = || m.listed().into_iter().map(|i| (i.item.id, i.item)).collect();
        if let Some(cursor) = &device.cursor {
            let told = self.inboxes.changes_since(&self.app, &self.me, cursor, 30, m.now).await.unwrap();
            assert_eq!((told.unread, &told.cursor), (m.unread(), &m.cursor));
            if told.recovered {
                told.removed.iter().for_each(|id| drop(device.shown.remove(id)));
                device.shown.extend(told.items.into_iter().map(|item| (item.id, item)));
                device.shown.retain(|_, item| item.card.read().unwrap().expires_at.is_none_or(|at| at > m.now));
                assert_eq!(device.shown, listed());
            } else {
                device.shown = listed();
            }
        } else {
            device.shown = listed();
        }
        device.cursor = Some(m.cursor);
    }

    async fn check(&mut self) {
        let m = &mut self.model;
        let overview = self.inboxes.overview(&self.app, &self.me, m.now).await.unwrap();
        assert_eq!((overview.unread, &overview.cursor), (m.unread(), &m.cursor));
        m.given.push(overview.cursor);
        let (expected, mut pages, mut place) = (m.listed(), Vec::new(), None);
        let limit = if expected.len() < 25 { 3 } else { 60 };
        loop {
            let page = self.inboxes.page(&self.app, &self.me, place, limit, m.now).await.unwrap();
            pages.extend(page.items);
            place = page.next;
            if place.is_none() {
                break;
            }
        }
        assert_eq!(pages, found(&expected));
        let archived = m.alive().rev().filter(|i| i.item.state.archived_at.is_some()).cloned().collect::<Vec<_>>();
        let page = self.inboxes.page_of(&self.app, &self.me, &Filter::new(true, None), None, 1_000, m.now).await.unwrap();
        assert_eq!(page.items, found(&archived));
        for item in archived {
            let of_record = self.inboxes.find(&self.app, &self.me, item.item.id, m.now).await.unwrap();
            assert_eq!(of_record, found(&[item]).pop());
        }
    }
}

#[test]
fn inboxes_say_what_a_plain_list_says() {
    let redis = RedisServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let inbox = runtime.block_on(async { Inbox::new(place(&redis).connect().await.unwrap()) });
    let begin = prop_oneof![Just(vec![]), vec(any::<bool>(), 1..5), vec(any::<bool>(), 125..150)];
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let case = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&(begin, vec(op(), 40)), |(begin, ops)| {
            case.set(case.get() + 1);
            runtime.block_on(async {
                let mut run = Run::new(inbox.clone(), case.get(), &begin);
                run.tick(1, true).await;
                for op in &ops {
                    run.tick(1, false).await;
                    run.act(op).await;
                    run.archive();
                    run.check().await;
                }
            });
            Ok(())
        })
        .unwrap();
}
