//! An inbox with nothing but what must be: one script of the commands that writing takes; a count that is read by HGET; a page that is a
//! ZRANGE and an MGET.

use std::sync::LazyLock;

use redis::{Script, aio::MultiplexedConnection};

static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("inbox_write.lua")));
const PARTS: [&str; 3] = ["head", "items", "live"];

/// Connects to the Redis at `url`.
pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("an address");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

/// Writes an item.
pub(crate) async fn write(redis: &mut MultiplexedConnection, person: usize, now: i64, id: &str, card: &str) {
    let mut call = WRITE.prepare_invoke();
    for part in PARTS {
        call.key(format!("floor:{{{person}}}:{part}"));
    }
    call.arg(now).arg(id).arg(card);
    let _: (u64, u64, u64) = call.invoke_async(redis).await.expect("it is written");
}

/// Lays down what the two reads below read: so many cards.
pub(crate) async fn lay(redis: &mut MultiplexedConnection, person: usize, cards: usize, card: &str) {
    let mut pipe = redis::pipe();
    pipe.hset(format!("floor:{{{person}}}:counts"), "unread", cards).ignore();
    for seq in 0..cards {
        pipe.zadd(format!("floor:{{{person}}}:list"), seq, seq).ignore();
        pipe.set(format!("floor:{{{person}}}:card:{seq}"), card).ignore();
    }
    pipe.query_async::<()>(redis).await.expect("it is laid down");
}

/// The count.
pub(crate) async fn unread(redis: &mut MultiplexedConnection, person: usize) -> u64 {
    redis::cmd("HGET").arg(format!("floor:{{{person}}}:counts")).arg("unread").query_async(redis).await.expect("a count")
}

/// The newest cards.
pub(crate) async fn page(redis: &mut MultiplexedConnection, person: usize, limit: usize) -> Vec<String> {
    let list = format!("floor:{{{person}}}:list");
    let mut newest = redis::cmd("ZRANGE");
    newest.arg(list).arg(0).arg(limit - 1).arg("REV");
    let seqs: Vec<u64> = newest.query_async(redis).await.expect("a list");
    let keys: Vec<String> = seqs.iter().map(|seq| format!("floor:{{{person}}}:card:{seq}")).collect();
    redis::cmd("MGET").arg(keys).query_async(redis).await.expect("cards")
}
