//! A hot inbox: writing an item, asking for the unread count and for the first page, beside the commands of Redis that this takes.

use std::time::Instant;

use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use stentor_connection::Place;
use stentor_domain::{AppId, Card, NotificationId, Priority, RecipientId, Timestamp, item::Folder};
use stentor_inbox::{Hot, Inbox, NewItem, WarmState};

use crate::{
    floors::inbox as floor,
    measure::{median, rounds, sized},
    report::{Goal, Report},
    stentor::redis,
    subject,
};

/// Calls that wait at the same time.
const AT_ONCE: usize = 64;
/// Whose inboxes.
const PEOPLE: usize = 1_000;
/// Items in an inbox that is read; a page has 20.
const ITEMS: usize = 40;
const PAGE: usize = 20;

pub(crate) fn run() -> Report {
    let n = sized(100_000, 4_000);
    let mut report = Report::default();
    for (step, work) in [("write", "inbox write of one item"), ("unread", "unread"), ("page", "first page (20 cards)")] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds() {
            for (kind, found) in [("stentor", &mut ours), ("floor", &mut theirs)] {
                let redis = redis();
                found.push(subject::run(&format!("inbox-{step}-{kind}"), &[redis.url(), n.to_string()]));
            }
        }
        let middle = |found: &[Value], name: &str| median(found.iter().map(|f| subject::figure(f, name)).collect());
        if step == "write" {
            let floor = ("one script of the same commands", middle(&theirs, "per_second"));
            report.ratio(work, middle(&ours, "per_second"), floor, "items/s", Goal::AtLeast(0.75));
            report.figure("inbox write of one item, of Redis", middle(&ours, "redis_us"), "µs", Goal::AtMost(12.0));
            let floor = ("one script of the same commands", middle(&theirs, "redis_us"));
            report.ratio("inbox write of one item, of Redis", middle(&ours, "redis_us"), floor, "µs", Goal::None);
        } else {
            let name = if step == "unread" { "HGET" } else { "ZRANGE, MGET" };
            let micros = |found| 1e6 / middle(found, "per_second");
            report.ratio(work, micros(&ours), (name, micros(&theirs)), "µs", Goal::AtMost(2.0));
            report.ratio(
                format!("{work}, of Redis"),
                middle(&ours, "redis_us"),
                (name, middle(&theirs, "redis_us")),
                "µs",
                Goal::None,
            );
        }
    }
    report.note(format!(
        "The crate by itself, {AT_ONCE} calls at once over one connection, {PEOPLE} people. \"Of Redis\" is the time of the commands by its own \
         account (INFO commandstats)."
    ));
    report
}

/// What runs in a process of its own.
pub(crate) async fn subject(name: &str, args: &[String]) -> Value {
    let (url, n) = (&args[0], args[1].parse().expect("a number"));
    let mut redis = floor::connect(url).await;
    let (step, kind) = name.trim_start_matches("inbox-").split_once('-').expect("inbox-STEP-KIND");
    let items = if step == "write" { 0 } else { ITEMS };
    let step = Step::of(step);
    if kind == "floor" {
        for person in 0..PEOPLE {
            floor::lay(&mut redis, person, items, &serde_json::to_string(&card(0)).expect("a card")).await;
        }
        let conn = redis.clone();
        return calls(redis, n, move |i| {
            let mut conn = conn.clone();
            async move {
                match step {
                    Step::Write => {
                        let card = card(i);
                        let text = serde_json::to_string(&card).expect("a card");
                        floor::write(&mut conn, i % PEOPLE, 1_795_694_400_000, &card.id.to_string(), &text).await;
                    }
                    Step::Unread => assert_eq!(floor::unread(&mut conn, i % PEOPLE).await, ITEMS as u64),
                    Step::Page => assert_eq!(floor::page(&mut conn, i % PEOPLE, PAGE).await.len(), PAGE),
                }
            }
        })
        .await;
    }
    let hot = Hotly::warm(url, &[items; PEOPLE]).await;
    calls(redis, n, move |i| {
        let hot = hot.clone();
        async move {
            match step {
                Step::Write => hot.write(i % PEOPLE, i).await,
                Step::Unread => hot.unread(i % PEOPLE).await,
                Step::Page => assert_eq!(hot.page(i % PEOPLE, PAGE).await, PAGE),
            }
        }
    })
    .await
}

#[derive(Clone, Copy)]
enum Step {
    Write,
    Unread,
    Page,
}

impl Step {
    fn of(name: &str) -> Self {
        match name {
            "write" => Self::Write,
            "unread" => Self::Unread,
            _ => Self::Page,
        }
    }
}

/// Makes `n` calls, some at once, and tells how many there were in a second, and what each took of Redis.
async fn calls<F>(mut redis: MultiplexedConnection, n: usize, call: impl Fn(usize) -> F + Clone + Send + 'static) -> Value
where
    F: Future<Output = ()> + Send + 'static,
{
    let reset: redis::RedisResult<()> = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await;
    reset.expect("Redis counts anew");
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let call = call.clone();
        callers.spawn(async move {
            for i in (first..n).step_by(AT_ONCE) {
                call(i).await;
            }
        });
    }
    callers.join_all().await;
    let seconds = begun.elapsed().as_secs_f64();
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.expect("Redis tells");
    json!({ "per_second": n as f64 / seconds, "redis_us": redis_micros(&info) / n as f64 })
}

/// The time of all commands; those inside of scripts are in the scripts' time.
fn redis_micros(info: &str) -> f64 {
    let of = |line: &str| -> Option<(String, f64)> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let micros = rest.split(',').find_map(|field| field.strip_prefix("usec="))?.trim().parse().ok()?;
        Some((name.to_owned(), micros))
    };
    let all: Vec<(String, f64)> = info.lines().filter_map(of).collect();
    let scripts: f64 = all.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, micros)| micros).sum();
    let plain = all.iter().filter(|(name, _)| !name.starts_with("config") && name != "info").map(|(_, micros)| micros).sum();
    if scripts > 0.0 { scripts } else { plain }
}

/// A card as banks send it.
pub(crate) fn card(i: usize) -> Card {
    let now = Timestamp::from_millis(1_795_694_400_000);
    let mut random = [7; 10];
    random[2..].copy_from_slice(&(i as u64).to_be_bytes());
    Card {
        id: NotificationId::new(now, &random),
        title: "Your card is due".to_owned(),
        summary: Some("Your card ending in 6222 is due for repayment on 5 December 2026.".to_owned()),
        image: None,
        link: Some("https://bank.example.com/cards/6222".to_owned()),
        actions: Vec::new(),
        category: Some("cards".to_owned()),
        priority: Priority::Normal,
        created_at: now,
        expires_at: None,
    }
}

/// Hot inboxes.
#[derive(Clone)]
pub(crate) struct Hotly {
    inbox: Inbox,
    app: AppId,
}

impl Hotly {
    /// People, each with so many items, at which they have looked: what was written is filed by the first look.
    pub(crate) async fn warm(url: &str, items: &[usize]) -> Self {
        let place: Place = url.parse().expect("an address");
        let inbox = Inbox::new(place.connect().await.expect("Redis answers"));
        let hot = Self { inbox, app: "bench".parse().expect("an id") };
        for (person, items) in items.iter().enumerate() {
            hot.inbox.warm(&hot.app, &recipient(person), &WarmState::default(), now()).await.expect("it is warm");
            let recipient = recipient(person);
            let cards: Vec<Card> = (0..*items).map(|i| card(10_000_000 + i)).collect();
            let new: Vec<NewItem<'_>> = cards.iter().map(|card| NewItem { recipient: &recipient, card, variant: "en" }).collect();
            hot.inbox.write(&hot.app, &new, now()).await.expect("they are written");
            hot.page(person, PAGE).await;
        }
        hot
    }

    pub(crate) async fn write(&self, person: usize, i: usize) {
        let (recipient, card) = (recipient(person), card(i));
        let item = NewItem { recipient: &recipient, card: &card, variant: "en" };
        let written = self.inbox.write(&self.app, &[item], now()).await.expect("it is written");
        assert!(matches!(written.first(), Some(Hot::Warm(written)) if written.new), "it is new: {written:?}");
    }

    pub(crate) async fn unread(&self, person: usize) {
        let overview = self.inbox.overview(&self.app, &recipient(person), now()).await.expect("an answer");
        assert!(matches!(overview, Hot::Warm(overview) if overview.unread == ITEMS as u64));
    }

    /// How many cards the first page has.
    pub(crate) async fn page(&self, person: usize, limit: usize) -> usize {
        match self.inbox.page(&self.app, &recipient(person), Folder::Inbox, None, limit, now()).await.expect("an answer") {
            Hot::Warm(page) => page.items.len(),
            Hot::Cold => 0,
        }
    }
}

fn recipient(person: usize) -> RecipientId {
    format!("p{person}").parse().expect("an id")
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_694_400_000)
}
