//! Writing items: in scripts that take several, of several people, since a third of what one costs Redis is the call.
//!
//! A few calls are under way at most; what comes meanwhile goes together in the next. On a Cluster, where two people may be on two nodes,
//! each item has a call of its own.

use std::{borrow::Borrow, sync::LazyLock};

use redis::{ErrorKind, RedisError, RedisResult, Script, Value};
use stentor_connection::{Call, CallsAtOnce, Turn, Words, broken_off, lua};
use stentor_domain::{AppId, Timestamp, item::ItemContent};
use tokio::sync::oneshot;

use crate::{
    Hot, Inbox, InboxError, NewItem, Written,
    inbox::{FLAGS, PIPELINE},
    keys, reply,
};

/// The most items that one script writes: 0.2 ms of Redis's single thread, and more would save no more.
const TOGETHER: usize = 16;
/// How many calls write at once: a few, and more if they fill their scripts.
pub(crate) const WRITING: CallsAtOnce = CallsAtOnce { any: 2, full: 8, fill: TOGETHER };

/// The function that writes an item, behind [`FLAGS`].
pub(crate) const WRITE_ONE: &str = lua!(include_str!("scripts/_write.lua"));
static WRITE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&[FLAGS, WRITE_ONE, lua!(include_str!("scripts/write.lua"))].concat()));

/// An item as its script is told of it.
pub(crate) struct ToWrite {
    keys: Words,
    words: Words,
}

/// Items that wait for a call.
pub(crate) struct Waiting {
    items: Vec<ToWrite>,
    tell: oneshot::Sender<RedisResult<Vec<Value>>>,
}

impl Inbox {
    /// Writes items, in one round trip per 500. Answers in order.
    ///
    /// A notification that an inbox knows changes nothing and is answered with the place that it has. An inbox that is broken keeps no
    /// other from its item; the error is told once all are written.
    pub async fn write(&self, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Result<Vec<Hot<Written>>, InboxError> {
        self.write_as_told(app, items, None, now).await
    }

    /// Writes an item along with its content: for those whose keys are on [one node](Self::is_on_one_node).
    pub(crate) async fn write_with_content(
        &self,
        app: &AppId,
        item: &NewItem<'_>,
        content: &ItemContent,
        now: Timestamp,
    ) -> Result<Vec<Hot<Written>>, InboxError> {
        self.write_as_told(app, std::slice::from_ref(item), Some(&encoded(content)?), now).await
    }

    /// Writes items, each with the content if there is one; tidies up where that is due.
    async fn write_as_told(
        &self,
        app: &AppId,
        items: &[NewItem<'_>],
        content: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Vec<Hot<Written>>, InboxError> {
        let told = |item: &NewItem<'_>| ToWrite::new(app, item, content, now);
        let mut answers = self.write_told(items.iter().map(told).collect::<Result<_, _>>()?).await?;
        loop {
            let due: Vec<usize> = (0..answers.len()).filter(|at| reply::is(&answers[*at], "due")).collect();
            if due.is_empty() {
                break;
            }
            self.purge(app, due.iter().map(|at| items[*at].recipient), now).await?;
            let again = due.iter().map(|at| told(&items[*at])).collect::<Result<_, _>>()?;
            for (at, answer) in due.into_iter().zip(self.write_told(again).await?) {
                answers[at] = answer;
            }
        }
        answers.iter().map(written).collect()
    }

    /// Writes items; a few go along with those of others.
    async fn write_told(&self, items: Vec<ToWrite>) -> RedisResult<Vec<Value>> {
        if items.len() > TOGETHER || !self.is_on_one_node() {
            return self.ask_to_write(&items).await;
        }
        let (tell, told) = oneshot::channel();
        if let Some(turn) = self.gathering.add(Waiting { items, tell }) {
            // In a task of its own: that the first goes away must not take the others along.
            let inbox = self.clone();
            tokio::spawn(async move { inbox.write_waiting(turn).await });
        }
        told.await.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Writes whatever waits, until nothing does.
    async fn write_waiting(&self, mut turn: Turn<Waiting>) {
        while let Some(mut waiting) = turn.next_call() {
            let items: Vec<&ToWrite> = waiting.iter().flat_map(|one| &one.items).collect();
            match self.ask_to_write(&items).await {
                Ok(answers) => {
                    let mut answers = answers.into_iter();
                    for Waiting { items, tell } in waiting {
                        let _ = tell.send(Ok(answers.by_ref().take(items.len()).collect())); // or nobody waits for it any more
                    }
                }
                Err(error) => {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    waiting.extend(turn.take_all());
                    for Waiting { tell, .. } in waiting {
                        let _ = tell.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Makes the calls. Answers in order.
    async fn ask_to_write(&self, items: &[impl Borrow<ToWrite>]) -> RedisResult<Vec<Value>> {
        let together = if self.is_on_one_node() { TOGETHER } else { 1 };
        let mut answers = Vec::with_capacity(items.len());
        for some in items.chunks(PIPELINE) {
            let calls = some.chunks(together).map(|some| self.call_to_write(some)).collect();
            for reply in Call::ask_all(calls, &mut self.connection()).await? {
                answers.append(&mut redis::from_redis_value(reply)?);
            }
        }
        if answers.len() == items.len() { Ok(answers) } else { Err(not_of_each()) }
    }

    fn call_to_write(&self, items: &[impl Borrow<ToWrite>]) -> Call {
        let mut call = Call::new(&WRITE, items.iter().map(|item| item.borrow().keys.iter().len()).sum());
        for item in items {
            call.args(item.borrow().keys.iter());
        }
        call.arg(self.publishing());
        for item in items {
            call.args(item.borrow().words.iter());
        }
        call
    }
}

impl ToWrite {
    fn new(app: &AppId, item: &NewItem<'_>, content: Option<&[u8]>, now: Timestamp) -> Result<Self, InboxError> {
        let mut keys = keys::written(app, item.recipient);
        if expiry(item) != 0 {
            keys.push(keys::inbox_part(app, item.recipient, keys::EXPIRES));
        }
        if content.is_some() {
            keys.push(keys::content(app, item.card.id, item.variant));
        }
        Ok(Self { keys, words: words(item, content.unwrap_or_default(), now)? })
    }
}

/// What the scripts that write an item are told of it: present time, id, variant, expiry, card, content.
pub(crate) fn words(item: &NewItem<'_>, content: &[u8], now: Timestamp) -> Result<Words, InboxError> {
    let card = serde_json::to_vec(item.card).map_err(|e| InboxError::Malformed(e.to_string()))?;
    let mut words = Words::with_capacity(6, card.len() + content.len() + 96);
    words.push(now.as_millis());
    words.push(item.card.id.to_string());
    words.push(item.variant);
    words.push(expiry(item));
    words.push_of(&[&card]);
    words.push_of(&[content]);
    Ok(words)
}

/// When an item expires, in ms; 0: never. If it does, its script is given one key more: who gives keys and who gives this must agree.
pub(crate) fn expiry(item: &NewItem<'_>) -> i64 {
    item.card.expires_at.map_or(0, Timestamp::as_millis)
}

/// A content as it is stored.
pub(crate) fn encoded(content: &ItemContent) -> Result<Vec<u8>, InboxError> {
    serde_json::to_vec(content).map_err(|e| InboxError::Malformed(e.to_string()))
}

/// Reads "new seq rev unread at", or `cold`, or what Redis says of an inbox that is broken.
pub(crate) fn written(answer: &Value) -> Result<Hot<Written>, InboxError> {
    if reply::is(answer, "cold") {
        return Ok(Hot::Cold);
    }
    let text = reply::text(answer)?;
    let mut parts = text.split(' ').map(|part| part.parse::<u64>().ok());
    let mut part = || parts.next().flatten().ok_or_else(|| InboxError::Malformed(text.to_owned()));
    let (new, seq, rev, unread, at) = (part()?, part()?, part()?, part()?, part()?);
    Ok(Hot::Warm(Written { seq, rev, unread, new: new == 1, at: Timestamp::from_millis(at.cast_signed()) }))
}

fn not_of_each() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "not as many answers as items"))
}
