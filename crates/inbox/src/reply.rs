//! What scripts answer, turned into types.

use redis::{FromRedisValue, Value};
use stentor_domain::{
    Card, CardText, Item, ItemState, NotificationId, Timestamp,
    event::{EntryChange, ItemChange},
    timeline::ReadUpto,
};

use crate::{Hot, HotItem, HotOverview, InboxError, Position, Reader};

/// A script's answer, or `cold`.
pub(crate) fn hot<T: FromRedisValue>(value: Value) -> Result<Hot<T>, InboxError> {
    if is(&value, "cold") {
        return Ok(Hot::Cold);
    }
    Ok(Hot::Warm(T::from_redis_value(value).map_err(redis::RedisError::from)?))
}

/// True if a script answered with this word alone.
pub(crate) fn is(value: &Value, word: &str) -> bool {
    match value {
        Value::BulkString(text) => text == word.as_bytes(),
        Value::SimpleString(text) => text == word,
        _ => false,
    }
}

pub(crate) fn text(value: &Value) -> Result<&str, InboxError> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|_| malformed("a field that is no UTF-8")),
        _ => Err(malformed("a field that is no text")),
    }
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

/// Reads a seq.
fn seq(text: &str) -> Result<u64, InboxError> {
    text.parse().map_err(|_| malformed(text))
}

/// Reads a notification's id.
pub(crate) fn id(text: &str) -> Result<NotificationId, InboxError> {
    text.parse().map_err(|_| malformed(text))
}

/// Reads "seq seen read archived id" of an entry of the timeline.
pub(crate) fn entry_change(line: &str) -> Result<EntryChange, InboxError> {
    let (seq, rest) = line.split_once(' ').ok_or_else(|| malformed(line))?;
    Ok(EntryChange { seq: seq.parse().map_err(|_| malformed(line))?, item: change(rest)? })
}

/// Reads "seq at": up to where all is read.
pub(crate) fn read_upto(text: &str) -> Result<ReadUpto, InboxError> {
    let (seq, at) = text.split_once(' ').ok_or_else(|| malformed(text))?;
    let at = time(at)?.ok_or_else(|| malformed(text))?;
    Ok(ReadUpto { seq: seq.parse().map_err(|_| malformed(text))?, at })
}

/// An inbox as a whole.
pub(crate) struct Head {
    pub(crate) whole: Whole,
    /// What the person is to the timeline.
    pub(crate) reader: Reader,
}

/// What the scripts keep of an inbox in one word, as far as it concerns anybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    /// 0: the inbox is cold.
    epoch: u64,
    rev: u64,
    /// How many own items are unread.
    pub(crate) unread: u64,
    /// Items below this seq are the record's to list; 0: there are none.
    pub(crate) floor: u64,
    /// From when on there is something to tidy up, in ms; 0: there is nothing.
    due: i64,
    /// Whether all items are in its list.
    pub(crate) is_filed: bool,
}

impl Whole {
    /// Reads "epoch rev unread seq at base floor due filed"; the last is missing in what was kept before.
    pub(crate) fn read(text: &str) -> Result<Self, InboxError> {
        let mut parts = text.split(' ').map(|part| part.parse::<u64>().map_err(|_| malformed(text)));
        let mut part = |skipped| parts.nth(skipped).unwrap_or_else(|| Err(malformed(text)));
        let (epoch, rev, unread, seq) = (part(0)?, part(0)?, part(0)?, part(0)?);
        let (floor, due, filed) = (part(2)?, part(0)?, part(0).ok());
        Ok(Self { epoch, rev, unread, floor, due: due.cast_signed(), is_filed: filed == Some(seq) })
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch, rev: self.rev }
    }
}

impl Head {
    /// Reads what HGETALL answers, in place: it is asked for at each look at an inbox.
    pub(crate) fn read(fields: &Value) -> Result<Hot<Self>, InboxError> {
        // By itself it is a map, in a script's answer a list.
        let pairs: &mut dyn Iterator<Item = (&Value, &Value)> = match fields {
            Value::Map(pairs) => &mut pairs.iter().map(|(field, value)| (field, value)),
            Value::Array(flat) => &mut flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])),
            _ => return Err(malformed("a head that is no list of fields")),
        };
        let (mut whole, mut reader) = (Whole::default(), Reader::default());
        for (field, value) in pairs {
            let (field, value) = (text(field)?, text(value)?);
            match field {
                "whole" => whole = Whole::read(value)?,
                // As it was kept before: the scripts, which tidy up, put it into one word.
                "epoch" => whole = Whole { epoch: 1, due: 1, ..whole },
                "rev" | "unread" | "seq" | "at" | "base" | "floor" | "due" => {}
                _ => reader.set(field, value)?,
            }
        }
        Ok(if whole.epoch == 0 { Hot::Cold } else { Hot::Warm(Self { whole, reader }) })
    }

    /// What is shown of it at a glance.
    pub(crate) fn overview(self) -> HotOverview {
        HotOverview { unread: self.whole.unread, position: self.whole.position(), reader: self.reader }
    }

    /// True if something is to be tidied up before anybody is told of it.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.whole.due != 0 && self.whole.due <= now.as_millis()
    }
}

/// Takes a card that a script gave.
pub(crate) fn kept_card(json: &str) -> Result<CardText, InboxError> {
    CardText::kept(json).ok_or_else(|| malformed("a card that is no object"))
}

/// Reads a card, of which somebody needs a field.
pub(crate) fn card(item: &Item) -> Result<Card, InboxError> {
    item.card.read().map_err(|e| InboxError::Malformed(e.to_string()))
}

/// Reads "rev seen read archived id LF time variant LF card".
pub(crate) fn item(seq: u64, kept: &str) -> Result<HotItem, InboxError> {
    let (state, card) = kept.split_once('\n').ok_or_else(|| malformed("a state without its card"))?;
    let (rev, rest) = state.split_once(' ').ok_or_else(|| malformed(state))?;
    let (head, card) = card.split_once('\n').ok_or_else(|| malformed("a card without its variant"))?;
    let (at, variant) = head.split_once(' ').ok_or_else(|| malformed("a card without its time"))?;
    let card = kept_card(card)?;
    let ItemChange { notification: id, state: treated } = change(rest)?;
    Ok(HotItem {
        item: Item { id, card, state: treated, rev: rev.parse().map_err(|_| malformed(state))? },
        seq,
        variant: variant.to_owned(),
        at: time(at)?.ok_or_else(|| malformed("a card without its time"))?,
    })
}

/// Reads a flat list of seq and item.
pub(crate) fn items(flat: &[String]) -> Result<Vec<HotItem>, InboxError> {
    flat.chunks_exact(2).map(|part| item(seq(&part[0])?, &part[1])).collect()
}

/// Writes "rev seen read archived id".
pub(crate) fn state_line(item: &Item) -> String {
    state_of(item.rev, &item.state, item.id)
}

/// Writes "rev seen read archived id".
pub(crate) fn state_of(rev: u64, s: &ItemState, id: NotificationId) -> String {
    let millis = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    format!("{rev} {} {} {} {id}", millis(s.seen_at), millis(s.read_at), millis(s.archived_at))
}
