//! What scripts answer, turned into types.

use redis::{FromRedisValue, Value};
use stentor_domain::{Card, Item, ItemState, NotificationId, Timestamp, event::ItemChange};

use crate::{Hot, HotItem, InboxError};

/// A script's answer, or `cold`.
pub(crate) fn hot<T: FromRedisValue>(value: Value) -> Result<Hot<T>, InboxError> {
    let cold = match &value {
        Value::BulkString(text) => text == b"cold",
        Value::SimpleString(text) => text == "cold",
        _ => false,
    };
    if cold {
        return Ok(Hot::Cold);
    }
    Ok(Hot::Warm(T::from_redis_value(value).map_err(redis::RedisError::from)?))
}

fn malformed(what: &str) -> InboxError {
    InboxError::Malformed(what.to_owned())
}

fn time(text: &str) -> Result<Option<Timestamp>, InboxError> {
    let millis: i64 = text.parse().map_err(|_| malformed(text))?;
    Ok((millis != 0).then(|| Timestamp::from_millis(millis)))
}

/// Reads "seen read archived id".
pub(crate) fn change(line: &str) -> Result<ItemChange, InboxError> {
    let mut parts = line.splitn(4, ' ');
    let mut part = || parts.next().ok_or_else(|| malformed(line));
    let state = ItemState { seen_at: time(part()?)?, read_at: time(part()?)?, archived_at: time(part()?)? };
    Ok(ItemChange { notification: id(part()?)?, state })
}

/// Reads a notification's id.
pub(crate) fn id(text: &str) -> Result<NotificationId, InboxError> {
    text.parse().map_err(|_| malformed(text))
}

/// Reads seq, "rev seen read archived id" and "variant LF card".
pub(crate) fn item(seq: &str, state: &str, card: &str) -> Result<HotItem, InboxError> {
    let (rev, rest) = state.split_once(' ').ok_or_else(|| malformed(state))?;
    let (variant, card) = card.split_once('\n').ok_or_else(|| malformed("a card without its variant"))?;
    let card: Card = serde_json::from_str(card).map_err(|e| InboxError::Malformed(e.to_string()))?;
    Ok(HotItem {
        item: Item { card, state: change(rest)?.state, rev: rev.parse().map_err(|_| malformed(state))? },
        seq: seq.parse().map_err(|_| malformed(seq))?,
        variant: variant.to_owned(),
    })
}

/// Reads a flat list of seq, state, card.
pub(crate) fn items(flat: &[String]) -> Result<Vec<HotItem>, InboxError> {
    flat.chunks_exact(3).map(|part| item(&part[0], &part[1], &part[2])).collect()
}

/// Writes "rev seen read archived id".
pub(crate) fn state_line(item: &Item) -> String {
    let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    let s = &item.state;
    format!("{} {} {} {} {}", item.rev, millis(s.seen_at), millis(s.read_at), millis(s.archived_at), item.card.id)
}
