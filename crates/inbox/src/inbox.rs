//! The hot state of inboxes, and what changes it: one script a call.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use redis::{Script, Value};
use stentor_connection::{Call, Connection, Gathering, lua};
use stentor_domain::{AppId, Locale, NotificationId, Preferences, RecipientId, Timestamp, TopicId};

use crate::{
    Change, Hot, HotItem, HotMarked, InboxError, NewItem, Position, Reader, Recalled, Stay, WarmState, keys,
    reply::{self, Head},
    writing::{WRITING, Waiting},
};

/// How far seqs jump when an inbox is rebuilt: beyond anything that was written and never archived.
const SEQ_JUMP: u64 = 1_000_000;
/// The most calls, or items, of one pipeline.
pub(crate) const PIPELINE: usize = 500;

/// How scripts begin that go on beyond `maxmemory`.
pub(crate) const FLAGS: &str = "#!lua flags=allow-oom\n";
pub(crate) const HEAD: &str = lua!("#!lua flags=allow-oom\n", include_str!("scripts/_inbox.lua"));
pub(crate) const ITEMS: &str = lua!(include_str!("scripts/_items.lua"));
/// What scripts have that do something to items, and take a cursor.
pub(crate) const ITEMS_BY_CURSOR: &str =
    lua!(include_str!("scripts/_items.lua"), include_str!("scripts/_history.lua"), include_str!("scripts/_life.lua"));
pub(crate) const DO_TIDY: &str = lua!(include_str!("scripts/_tidy.lua"));

/// A script with the head that all inbox scripts share, and, if it works on items, with what is done to these. What was accepted is
/// delivered, read and trimmed also beyond Redis's `maxmemory`: intake stops there, and a full Redis could never become empty again
/// if this did too.
macro_rules! script {
    ($name:ident, $file:literal) => {
        script!($name, $file, "");
    };
    ($name:ident, $file:literal, on items) => {
        script!($name, $file, $crate::inbox::ITEMS);
    };
    ($name:ident, $file:literal, $items:expr) => {
        pub(crate) static $name: std::sync::LazyLock<redis::Script> = std::sync::LazyLock::new(|| {
            const OWN: &str = stentor_connection::lua!(include_str!(concat!("scripts/", $file)));
            redis::Script::new(
                &[
                    $crate::inbox::HEAD,
                    "if NOW >= DUE then\n",
                    $crate::inbox::ITEMS,
                    $crate::inbox::DO_TIDY,
                    "end\n",
                    $items,
                    OWN,
                ]
                .concat(),
            )
        });
    };
}
pub(crate) use script;
script!(MARK, "mark.lua", on items);
script!(MARK_ALL_READ, "mark_all_read.lua", ITEMS_BY_CURSOR);
script!(TIDY, "tidy.lua");
script!(RESTORE, "restore.lua", on items);
script!(EXCESS, "excess.lua", on items);
script!(TRIM, "trim.lua", on items);
script!(SET_READER, "set_reader.lua", on items);
script!(RECALL, "recall.lua", on items);
script!(UPDATE, "update.lua", on items);
static WARM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/_history.lua"), include_str!("scripts/warm.lua")))
});

/// What `mark.lua` answers: the inbox as a whole, the changed items, the ids that are not hot, the changed entries.
type MarkReply = (Value, Vec<String>, Vec<String>, Vec<String>);
/// What `mark_all_read.lua` answers: as above, with 1 if more may be left instead of the ids, and `read_upto`.
type MarkAllReply = (Value, Vec<String>, u8, Vec<String>, String);

/// A cheap handle to the hot state of all inboxes.
#[derive(Clone)]
pub struct Inbox {
    conn: Connection,
    pub(crate) gathering: Arc<Gathering<Waiting>>,
}

impl Inbox {
    /// The inboxes in the Redis behind `conn`.
    pub fn new(conn: Connection) -> Self {
        Self { conn, gathering: Arc::new(Gathering::new(WRITING)) }
    }

    pub(crate) fn connection(&self) -> Connection {
        self.conn.clone()
    }

    /// A call of `script` on one inbox, with the arguments that all have.
    pub(crate) fn call(&self, script: &'static Script, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Call {
        let mut call = keys::inbox_call(script, app, recipient);
        call.arg(now.as_millis()).arg(self.conn.publishing());
        call
    }

    pub(crate) fn publishing(&self) -> &'static str {
        self.conn.publishing()
    }

    pub(crate) fn is_on_one_node(&self) -> bool {
        self.conn.is_one_node()
    }

    pub(crate) async fn ask(&self, call: &Call) -> Result<Value, InboxError> {
        Ok(call.ask(&mut self.connection()).await?)
    }

    /// Changes the state of items (at most 100), each with its place in the timeline if it is an entry there. What is so already
    /// changes nothing.
    pub async fn mark(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        change: Change,
        ids: &[(NotificationId, Option<u64>)],
        now: Timestamp,
    ) -> Result<Hot<HotMarked>, InboxError> {
        let mut call = self.call(&MARK, app, recipient, now);
        call.arg(change.as_str());
        for (id, place) in ids {
            call.arg(id.to_string()).arg(place.map_or_else(String::new, |seq| seq.to_string()));
        }
        let answer: Hot<MarkReply> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm((fields, changed, missing, entries)) = answer else { return Ok(Hot::Cold) };
        let Hot::Warm(head) = Head::read(&fields)? else { return Ok(Hot::Cold) };
        Ok(Hot::Warm(HotMarked {
            position: head.whole.position(),
            unread: head.whole.unread,
            items: changed.iter().map(|line| reply::change(line)).collect::<Result<_, _>>()?,
            missing: missing.iter().map(|id| reply::id(id)).collect::<Result<_, _>>()?,
            entries: entries.iter().map(|line| reply::entry_change(line)).collect::<Result<_, _>>()?,
            read_upto: None,
            reader: head.reader,
        }))
    }

    /// Marks everything unread as read; with `up_to`, only what has not changed after it. The newest inbox life counts:
    /// a position of another epoch marks nothing. `timeline` is the place in the timeline up to which it is read.
    pub async fn mark_all_read(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        up_to: Option<Position>,
        timeline: u64,
        now: Timestamp,
    ) -> Result<Hot<HotMarked>, InboxError> {
        let mut all: Option<HotMarked> = None;
        loop {
            let mut call = self.call(&MARK_ALL_READ, app, recipient, now);
            match up_to {
                Some(position) => call.arg(position.epoch).arg(position.rev),
                None => call.arg("").arg(""),
            };
            call.arg(timeline);
            let answer: Hot<MarkAllReply> = reply::hot(self.ask(&call).await?)?;
            let Hot::Warm((fields, changed, more, entries, upto)) = answer else { return Ok(Hot::Cold) };
            let Hot::Warm(head) = Head::read(&fields)? else { return Ok(Hot::Cold) };
            let mut part = HotMarked {
                position: head.whole.position(),
                unread: head.whole.unread,
                items: changed.iter().map(|line| reply::change(line)).collect::<Result<_, _>>()?,
                missing: Vec::new(),
                entries: entries.iter().map(|line| reply::entry_change(line)).collect::<Result<_, _>>()?,
                read_upto: if upto.is_empty() { None } else { Some(reply::read_upto(&upto)?) },
                reader: head.reader,
            };
            if let Some(before) = all.take() {
                part.items.splice(0..0, before.items);
                part.entries.splice(0..0, before.entries);
                part.read_upto = part.read_upto.or(before.read_upto);
            }
            if more == 0 {
                return Ok(Hot::Warm(part));
            }
            all = Some(part);
        }
    }

    /// Withdraws a notification from inboxes, each with its place there if the record knows it; in one round trip per 500. Answers
    /// in order.
    pub async fn recall(
        &self,
        app: &AppId,
        id: NotificationId,
        recipients: &[(&RecipientId, Option<u64>)],
        now: Timestamp,
    ) -> Result<Vec<Hot<Recalled>>, InboxError> {
        let call = |(recipient, place): &(&RecipientId, Option<u64>)| {
            let mut call = self.call(&RECALL, app, recipient, now);
            call.arg(id.to_string()).arg(place.map_or_else(String::new, |seq| seq.to_string()));
            call
        };
        let replies = self.ask_many(recipients.iter().map(call).collect()).await?;
        let recalled = |value| {
            let answer: Hot<(i8, u64)> = reply::hot(value)?;
            Ok(answer.map(|(what, rev)| match what {
                1 => Recalled::Now { rev },
                0 => Recalled::Before,
                _ => Recalled::Unknown,
            }))
        };
        replies.into_iter().map(recalled).collect()
    }

    /// Says a notification otherwise in inboxes, in one round trip per 500; where it is not hot, nothing is done. Answers in order
    /// with the revision of the item, if it is hot.
    pub async fn update(&self, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Result<Vec<Hot<Option<u64>>>, InboxError> {
        let mut calls = Vec::with_capacity(items.len());
        for item in items {
            let card = serde_json::to_string(item.card).map_err(|e| InboxError::Malformed(e.to_string()))?;
            let mut call = self.call(&UPDATE, app, item.recipient, now);
            call.arg(item.card.id.to_string()).arg(item.variant);
            call.arg(item.card.expires_at.map_or(0, Timestamp::as_millis)).arg(card);
            calls.push(call);
        }
        let updated = |value| Ok(reply::hot::<(u8, u64)>(value)?.map(|(updated, rev)| (updated == 1).then_some(rev)));
        self.ask_many(calls).await?.into_iter().map(updated).collect()
    }

    /// Lets items whose time is over leave, and tells the devices; in one round trip per 500.
    pub async fn purge<'a>(
        &self,
        app: &AppId,
        recipients: impl IntoIterator<Item = &'a RecipientId>,
        now: Timestamp,
    ) -> Result<(), InboxError> {
        let calls = recipients.into_iter().map(|recipient| self.call(&TIDY, app, recipient, now)).collect();
        self.ask_many(calls).await.map(drop)
    }

    async fn ask_many(&self, mut calls: Vec<Call>) -> Result<Vec<Value>, InboxError> {
        let mut replies = Vec::with_capacity(calls.len());
        while !calls.is_empty() {
            let rest = calls.split_off(calls.len().min(PIPELINE));
            replies.extend(Call::ask_all(calls, &mut self.connection()).await?);
            calls = rest;
        }
        Ok(replies)
    }

    /// Tells the times at which people were in a topic, in one round trip per 500. Of two that were told in another order, the one
    /// that knows more stays.
    pub async fn set_topic(
        &self,
        app: &AppId,
        topic: &TopicId,
        members: &[(RecipientId, Vec<Stay>)],
        now: Timestamp,
    ) -> Result<(), InboxError> {
        let fields: Vec<_> = members.iter().map(|(recipient, stays)| (recipient, Reader::topic_field(topic, stays))).collect();
        self.set_readers(app, &fields, now).await
    }

    /// Sets the languages in which people read the timeline, in one round trip per 500.
    pub async fn set_locales(
        &self,
        app: &AppId,
        locales: &[(&RecipientId, Option<&Locale>)],
        now: Timestamp,
    ) -> Result<(), InboxError> {
        let fields: Vec<_> = locales.iter().map(|(recipient, locale)| (*recipient, Reader::locale_field(*locale))).collect();
        self.set_readers(app, &fields, now).await
    }

    /// Sets what a person wants to hear of.
    pub async fn set_preferences(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        preferences: &Preferences,
        now: Timestamp,
    ) -> Result<(), InboxError> {
        self.set_readers(app, &[(recipient, Reader::preferences_field(preferences))], now).await
    }

    /// An inbox that is cold is left so: it will be warmed from the record, which was written first.
    async fn set_readers(
        &self,
        app: &AppId,
        fields: &[(&RecipientId, (String, String))],
        now: Timestamp,
    ) -> Result<(), InboxError> {
        let call = |(recipient, (field, value)): &(&RecipientId, (String, String))| {
            let mut call = self.call(&SET_READER, app, recipient, now);
            call.arg(field).arg(value);
            call
        };
        self.ask_many(fields.iter().map(call).collect()).await.map(drop)
    }

    /// Builds a cold inbox from its record; does nothing if somebody else was faster.
    ///
    /// Revisions begin at the present time in ms: beyond any that the record may hold, since no inbox changes a
    /// thousand times a second for long.
    pub async fn warm(&self, app: &AppId, recipient: &RecipientId, state: &WarmState, now: Timestamp) -> Result<(), InboxError> {
        self.ask(&warm_call(app, recipient, state, now)?).await.map(drop)
    }

    /// Builds the empty inboxes of people who were registered now, at revision `joined` of the timeline.
    pub(crate) async fn warm_new(
        &self,
        app: &AppId,
        recipients: &HashSet<RecipientId>,
        joined: u64,
        now: Timestamp,
    ) -> Result<(), InboxError> {
        let reader = Some(Reader { everyone: joined, ..Reader::default() });
        let state = WarmState { reader, ..WarmState::default() };
        let calls = recipients.iter().map(|recipient| warm_call(app, recipient, &state, now)).collect::<Result<_, _>>()?;
        self.ask_many(calls).await.map(drop)
    }

    /// Puts trimmed items back, so that they can be changed.
    pub async fn restore(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        items: &[HotItem],
        now: Timestamp,
    ) -> Result<Hot<usize>, InboxError> {
        let mut call = self.call(&RESTORE, app, recipient, now);
        for item in items {
            push_item(&mut call, item)?;
        }
        reply::hot(self.ask(&call).await?)
    }

    /// Hot items beyond the newest `keep` of each inbox, at most 500, oldest first; in order, in one round trip per 500 inboxes.
    pub async fn excess(
        &self,
        app: &AppId,
        recipients: &[RecipientId],
        keep: usize,
        now: Timestamp,
    ) -> Result<Vec<Vec<HotItem>>, InboxError> {
        let call = |recipient| {
            let mut call = self.call(&EXCESS, app, recipient, now);
            call.arg(keep);
            call
        };
        let items = |reply| match reply::hot::<Vec<String>>(reply)? {
            Hot::Warm(flat) => reply::items(&flat),
            Hot::Cold => Ok(Vec::new()),
        };
        self.ask_many(recipients.iter().map(call).collect()).await?.into_iter().map(items).collect()
    }

    /// Drops items that the record holds at the given revision, but for the newest `keep`. Returns how many.
    pub async fn trim(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        archived: &[(u64, u64)],
        keep: usize,
        now: Timestamp,
    ) -> Result<usize, InboxError> {
        let mut call = self.call(&TRIM, app, recipient, now);
        call.arg(keep);
        for (seq, rev) in archived {
            call.arg(*seq).arg(*rev);
        }
        match reply::hot(self.ask(&call).await?)? {
            Hot::Warm(n) => Ok(n),
            Hot::Cold => Ok(0),
        }
    }

    /// Removes everything hot of a recipient.
    pub async fn forget(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        let keys = keys::inbox(app, recipient);
        Ok(redis::cmd("DEL").arg(&keys).query_async(&mut self.connection()).await?)
    }
}

fn push_item(call: &mut Call, item: &HotItem) -> Result<(), InboxError> {
    let (card, expires_at) = (item.item.card.as_json(), reply::card(&item.item)?.expires_at);
    let kept = format!("{}\n{} {}\n{card}", reply::state_line(&item.item), item.at.as_millis(), item.variant);
    call.arg(item.seq).arg(kept).arg(expires_at.map_or(0, Timestamp::as_millis));
    Ok(())
}

/// The call that builds an inbox from the record.
fn warm_call(app: &AppId, recipient: &RecipientId, state: &WarmState, now: Timestamp) -> Result<Call, InboxError> {
    let begin = now.as_millis();
    let seq = state.max_seq.map_or(0, |seq| seq + SEQ_JUMP);
    let all_hot = state.unread.iter().all(|u| state.items.iter().any(|i| i.seq == u.seq));
    let lowest = state.items.iter().map(|i| i.seq).min();
    // Fewer than a full list of items means that there are no others.
    let floor = if all_hot && state.items.len() < crate::inboxes::FULL { 0 } else { lowest.unwrap_or(0) };
    let mut call = keys::inbox_call(&WARM, app, recipient);
    let reader = state.reader.as_ref().map(Reader::to_fields).unwrap_or_default();
    call.arg(begin).arg(begin).arg(seq).arg(floor).arg(state.items.len()).arg(reader.len());
    for (field, value) in &reader {
        call.arg(field).arg(value);
    }
    for item in &state.items {
        push_item(&mut call, item)?;
    }
    for unread in state.unread.iter().filter(|u| state.items.iter().all(|i| i.seq != u.seq)) {
        call.arg(unread.seq).arg(unread.id.to_string()).arg(unread.expires_at.map_or(0, Timestamp::as_millis));
    }
    Ok(call)
}
