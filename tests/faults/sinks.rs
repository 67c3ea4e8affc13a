//! What came: inboxes, mails, SMS and the archive, held against what was accepted.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use reqwest::Method;
use stentor_tests::{Api, is_archived};

use crate::{
    Row,
    load::{Load, PEOPLE},
    stack::Stack,
};

/// How long everything may take to come to rest after a fault.
const PATIENCE: Duration = Duration::from_mins(10);

/// Waits until nothing is left to do: no entry on a lane, nothing due, no event that is not archived.
pub async fn at_rest(stack: &Stack) {
    let client = redis::Client::open(stack.redis.url()).unwrap();
    let mut conn = client.get_multiplexed_async_connection().await.unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut pipe = redis::pipe();
        for queue in ["dispatch", "email", "sms"] {
            for lane in ["high", "normal", "bulk"] {
                pipe.cmd("XLEN").arg(format!("stentor:{{q:{queue}}}:{lane}"));
            }
            pipe.cmd("ZCARD").arg(format!("stentor:{{q:{queue}}}:due"));
        }
        let left: Vec<usize> = pipe.query_async(&mut conn).await.unwrap();
        let archived = is_archived(&mut conn).await.unwrap();
        if left.iter().sum::<usize>() == 0 && archived {
            return;
        }
        assert!(Instant::now() < end, "there is still work: {left:?}, all archived: {archived}");
        tokio::time::sleep(Duration::from_millis(100)).await; // Redis gives no event for it
    }
}

/// Holds what came against what was accepted.
pub async fn check(stack: &Stack, load: &Load) -> Row {
    at_rest(stack).await;
    let mut row = Row { accepted: load.count, ..Row::default() };
    let of = |channel: &str| -> HashSet<usize> { (0..load.count).filter(|n| (load.channels)(*n).contains(&channel)).collect() };
    let mut missing: HashSet<usize> = HashSet::new();

    let (inbox, mails, sms) = (inboxes(&stack.api).await, mails(stack), sms(stack));
    missing.extend(of("inbox").into_iter().filter(|n| !inbox.contains_key(n)));
    row.repeated += inbox.values().map(|times| times - 1).sum::<usize>();

    missing.extend(of("email").into_iter().filter(|n| !mails.contains_key(n)));
    let copies: usize = mails.values().map(|ids| ids.len() - 1).sum();
    if copies > 0 {
        row.notes.push(format!("{copies} mails twice, with the same Message-ID"));
    }
    // One copy more after a crash in mid-send is what we promise, and that it can be recognised.
    let unlike = |ids: &&Vec<String>| ids.len() > 2 || ids.iter().any(|id| *id != ids[0]);
    row.repeated += mails.values().filter(unlike).count();

    let unknown = in_state(stack, "sms", "unknown");
    let unsent = of("sms").into_iter().filter(|n| !sms.contains_key(n)).count();
    if unknown > 0 {
        row.notes.push(format!("{unknown} SMS unknown, of which {} came", unknown.saturating_sub(unsent)));
    }
    row.lost = missing.len() + unsent.saturating_sub(unknown);
    row.repeated += sms.values().map(|times| times - 1).sum::<usize>();
    row.arrived = load.count - missing.len() - unsent;

    // The archive has each once, and says so.
    let archived = |sql: &str| stack.postgres.query(sql)[0].parse::<usize>().unwrap();
    for (table, expected) in [("notifications", load.count), ("inbox_items", of("inbox").len())] {
        assert_eq!(archived(&format!("SELECT count(*) FROM {table}")), expected, "{table}");
    }
    let deliveries: usize = (0..load.count).map(|n| (load.channels)(n).len()).sum();
    assert_eq!(archived("SELECT count(*) FROM deliveries"), deliveries, "deliveries");
    assert_eq!(archived("SELECT count(*) FROM buried_events"), 0, "buried events");
    row
}

/// How many deliveries the archive has in a state.
pub fn in_state(stack: &Stack, channel: &str, state: &str) -> usize {
    let sql = format!("SELECT count(*) FROM deliveries WHERE channel = '{channel}' AND state = '{state}'");
    stack.postgres.query(&sql)[0].parse().unwrap()
}

fn number(title: &str) -> usize {
    title.trim().strip_prefix("n-").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("not ours: {title:?}"))
}

/// How often each notification is in an inbox; and unread is told exactly.
async fn inboxes(api: &Api) -> HashMap<usize, usize> {
    let mut found = HashMap::new();
    for person in 0..PEOPLE {
        let token = api.token(&format!("p{person}")).await;
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let (_, page) = api.as_person(Method::GET, &format!("/v1/inbox?limit=100{after}"), &token, None).await;
            for item in page["items"].as_array().unwrap() {
                *found.entry(number(item["title"].as_str().unwrap())).or_insert(0) += 1;
                count += 1;
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let (_, unread) = api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
        assert_eq!(unread["unread"], count, "unread of p{person}");
    }
    found
}

/// The Message-IDs under which each notification came by mail.
fn mails(stack: &Stack) -> HashMap<usize, Vec<String>> {
    let mut found: HashMap<usize, Vec<String>> = HashMap::new();
    for mail in stack.mail.mails() {
        let header = |name: &str| mail.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        found.entry(number(&header("Subject:"))).or_default().push(header("Message-ID:"));
    }
    found
}

/// How often each notification came by SMS.
fn sms(stack: &Stack) -> HashMap<usize, usize> {
    let mut found = HashMap::new();
    for request in stack.sms.requests() {
        *found.entry(number(request["query"]["text"].as_str().unwrap())).or_insert(0) += 1;
    }
    found
}
