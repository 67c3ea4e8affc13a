//! The live feed: each mutation is heard once and in order, and whoever may have missed one is told so.

use std::sync::Arc;

use stentor_domain::{NotificationId, RecipientId};
use stentor_inbox::{Change, LiveEvent, LiveFeed, LiveMessage, NewItem, WarmState};
use tokio::sync::mpsc::Receiver;

use crate::support::{Fixture, Marked, at, card, eventually, expiring, id, ids, in_time, place, warm};

struct Live {
    f: Fixture,
    feed: LiveFeed,
    events: Receiver<LiveEvent>,
}

impl Live {
    async fn new() -> Self {
        let f = Fixture::new().await;
        let (feed, events) = LiveFeed::connect(place(&f.redis)).await.unwrap();
        feed.subscribe(&f.app, &f.me).await.unwrap();
        Self { f, feed, events }
    }

    async fn event(&mut self) -> LiveEvent {
        in_time(self.events.recv()).await.expect("the feed goes on")
    }

    /// The next message, and whose it is.
    async fn heard_of(&mut self) -> (RecipientId, Arc<LiveMessage>) {
        match self.event().await {
            LiveEvent::Message { app, recipient, message } if app == self.f.app => (recipient, message),
            other => panic!("{other:?}"),
        }
    }

    async fn heard(&mut self) -> Arc<LiveMessage> {
        let (recipient, message) = self.heard_of().await;
        assert_eq!(recipient, self.f.me);
        message
    }

    /// Writes an item, whether or not Redis has lost the inbox, and hears of it.
    async fn writes_and_hears(&mut self, n: u32) {
        let (f, now) = (&self.f, at(n));
        eventually("Redis is back", async || f.inbox.warm(&f.app, &f.me, &WarmState::default(), now).await.ok()).await;
        let written = self.f.write([n], now).await[0];
        let heard = self.heard().await;
        assert!(matches!(&*heard, LiveMessage::Item { item, .. } if item.id == id(n)), "{heard:?}");
        assert_eq!((heard.position().rev, heard.unread()), (written.rev, written.unread));
    }
}

fn told(change: Change, marked: &Marked) -> LiveMessage {
    let (items, epoch) = (marked.items.clone(), marked.cursor.epoch);
    LiveMessage::State { change, items, entries: Vec::new(), read_upto: None, unread: marked.unread, rev: marked.rev, epoch }
}

fn ids_of(message: &LiveMessage) -> Vec<NotificationId> {
    match message {
        LiveMessage::Item { item, .. } | LiveMessage::Updated { item, .. } => vec![item.id],
        LiveMessage::Reader { .. } => Vec::new(),
        LiveMessage::State { items, .. } => items.iter().map(|i| i.notification).collect(),
    }
}

#[tokio::test]
async fn each_mutation_is_heard_once_and_in_order() {
    let mut live = Live::new().await;
    let begin = live.f.overview(at(1)).await.cursor;
    let written = live.f.write_cards(&[card(1), card(2), expiring(3, at(90))], at(1)).await;
    for (n, written) in (1..).zip(&written) {
        let heard = live.heard().await;
        let LiveMessage::Item { item, unread, rev, epoch } = &*heard else { panic!("{heard:?}") };
        assert_eq!((*unread, *rev, *epoch, item.rev), (written.unread, written.rev, begin.epoch, written.rev));
        assert_eq!(item.card.read().unwrap(), if n == 3 { expiring(3, at(90)) } else { card(n) });
    }
    for change in [Change::Seen, Change::Read, Change::Unread, Change::Archive, Change::Unarchive] {
        let marked = live.f.mark(change, [1, 2], at(5)).await;
        assert_eq!(*live.heard().await, told(change, &marked));
    }
    let marked = warm(live.f.inbox.mark_all_read(&live.f.app, &live.f.me, None, 0, at(6)).await.unwrap());
    assert_eq!(*live.heard().await, told(Change::Read, &marked.into()));
    let after = live.f.overview(at(90)).await;
    let heard = live.heard().await;
    assert!(matches!(&*heard, LiveMessage::State { change: Change::Expire, .. }), "{heard:?}");
    assert_eq!(
        (ids_of(&heard), heard.position().rev, heard.unread(), heard.position().epoch),
        (ids([3]), after.cursor.rev, 0, begin.epoch)
    );
    assert_eq!(after.cursor.rev, begin.rev + 10, "every revision was heard");
}

#[tokio::test]
async fn what_changes_nothing_is_not_heard() {
    let mut live = Live::new().await;
    live.f.write([1, 2], at(1)).await;
    live.f.mark(Change::Read, [1, 2], at(1)).await;
    live.f.write([1], at(2)).await;
    live.f.mark(Change::Read, [1, 2, 9], at(2)).await;
    live.f.inbox.mark_all_read(&live.f.app, &live.f.me, None, 0, at(2)).await.unwrap();
    let trimmed = live.f.trim(0, at(2)).await;
    live.f.inbox.restore(&live.f.app, &live.f.me, &trimmed, at(2)).await.unwrap();
    live.f.write([3], at(3)).await;
    let mut revs = Vec::new();
    for expected in [vec![1], vec![2], vec![1, 2], vec![3]] {
        let heard = live.heard().await;
        assert_eq!(ids_of(&heard), ids(expected));
        revs.push(heard.position().rev);
    }
    assert!(revs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{revs:?}");
}

#[tokio::test]
async fn a_mark_of_more_than_one_script_is_heard_step_by_step() {
    let mut live = Live::new().await;
    live.f.write(1..=1_200, at(1)).await;
    for _ in 0..1_200 {
        live.heard().await;
    }
    live.f.inbox.mark_all_read(&live.f.app, &live.f.me, None, 0, at(2)).await.unwrap();
    let (one, two) = (live.heard().await, live.heard().await);
    assert_eq!((ids_of(&one).len(), one.unread(), ids_of(&two).len(), two.unread()), (1_000, 200, 200, 0));
    assert_eq!(two.position().rev, one.position().rev + 1);
}

#[tokio::test]
async fn two_people_are_apart_and_who_unsubscribed_is_left_in_peace() {
    let mut live = Live::new().await;
    let people: Vec<RecipientId> = ["a:b", "{x}"].map(|p| p.parse().unwrap()).into();
    let (inbox, app) = (live.f.inbox.clone(), live.f.app.clone());
    let write = async |recipient: &RecipientId, n: u32| {
        let now = at(0);
        inbox.warm(&app, recipient, &WarmState::default(), now).await.unwrap();
        inbox.write(&app, &[NewItem { recipient, card: &card(n), variant: "en" }], now).await.unwrap();
    };
    write(&people[0], 1).await;
    for person in &people {
        live.feed.subscribe(&app, person).await.unwrap();
        live.feed.subscribe(&app, person).await.unwrap();
    }
    for n in 2..6 {
        let person = &people[n as usize % 2];
        write(person, n).await;
        let (whose, message) = live.heard_of().await;
        assert_eq!((&whose, ids_of(&message)), (person, ids([n])));
    }
    live.feed.unsubscribe(&app, &people[0]).await.unwrap();
    live.feed.subscribe(&app, &"later".parse().unwrap()).await.unwrap(); // commands are done in order
    write(&people[0], 6).await;
    write(&people[1], 7).await;
    let (whose, message) = live.heard_of().await;
    assert_eq!((&whose, ids_of(&message)), (&people[1], ids([7])));
    live.feed.subscribe(&app, &people[0]).await.unwrap();
    write(&people[0], 8).await;
    assert_eq!(ids_of(&live.heard_of().await.1), ids([8]));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_made_good() {
    let mut live = Live::new().await;
    live.feed.subscribe(&live.f.app, &"gone".parse().unwrap()).await.unwrap();
    live.feed.unsubscribe(&live.f.app, &"gone".parse().unwrap()).await.unwrap();
    for round in 1..=3 {
        live.writes_and_hears(2 * round).await;
        let mut kill = redis::cmd("CLIENT");
        let killed: u32 = kill.arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut live.f.conn.clone()).await.unwrap();
        assert_eq!(killed, 1);
        assert_eq!(live.event().await, LiveEvent::Resubscribed);
        live.writes_and_hears(2 * round + 1).await;
    }
    let mut channels = redis::cmd("PUBSUB");
    let channels: Vec<String> = channels.arg("CHANNELS").query_async(&mut live.f.conn.clone()).await.unwrap();
    assert_eq!(channels, ["stentor:live:{demo:me}"], "who unsubscribed stays so");
}

#[tokio::test]
async fn a_redis_that_was_killed_and_started_again_is_told_and_made_good() {
    let mut live = Live::new().await;
    live.writes_and_hears(1).await;
    live.f.redis.kill();
    let (feed, app) = (live.feed.clone(), live.f.app.clone());
    let late = tokio::spawn(async move { feed.subscribe(&app, &"late".parse().unwrap()).await });
    live.f.redis.restart();
    assert_eq!(live.event().await, LiveEvent::Resubscribed);
    in_time(late).await.unwrap().unwrap();
    live.writes_and_hears(2).await;
    let late: RecipientId = "late".parse().unwrap();
    live.f.inbox.warm(&live.f.app, &late, &WarmState::default(), at(3)).await.unwrap();
    let new = [NewItem { recipient: &late, card: &card(3), variant: "en" }];
    live.f.inbox.write(&live.f.app, &new, at(3)).await.unwrap();
    assert_eq!(live.heard_of().await.0, late);
}

#[tokio::test]
async fn what_cannot_be_read_makes_devices_catch_up() {
    let mut live = Live::new().await;
    for text in ["item 1 2", "item 1 2 3 {}", "state 1 2 3 eaten\n0 0 0 x", "state 1 2 3 read\n0 0 zero 0"] {
        let mut publish = redis::cmd("PUBLISH");
        let heard: u32 = publish.arg("stentor:live:{demo:me}").arg(text).query_async(&mut live.f.conn.clone()).await.unwrap();
        assert_eq!(heard, 1);
        assert_eq!(live.event().await, LiveEvent::Resubscribed, "{text}");
    }
    live.writes_and_hears(1).await;
}

#[tokio::test]
async fn it_ends_with_its_handles_and_does_not_begin_without_a_redis() {
    let Live { mut f, feed, mut events } = Live::new().await;
    drop(feed);
    assert_eq!(in_time(events.recv()).await, None);
    f.redis.kill();
    assert!(in_time(LiveFeed::connect(place(&f.redis))).await.is_err());
}
