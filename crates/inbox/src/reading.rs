//! Reading hot inboxes. Plain commands do it, which cost Redis a fifth of a script; the script comes where something is to be
//! tidied up first, or where an inbox changed between two of them.

use redis::{Pipeline, Value};
use stentor_domain::{AppId, NotificationId, RecipientId, Timestamp, item::Folder};

use crate::{
    Hot, HotChanges, HotItem, HotOverview, Inbox, InboxError, Page, Position, Reader,
    inbox::{ITEMS_BY_CURSOR, TIDY, script},
    keys,
    reply::{self, Head, Whole},
};

/// How many items are looked at at once where those of the other folder made a page too short.
const PAGE_ON: usize = 100;
/// How many items that were put back are looked at. They are trimmed again when their inbox next grows.
const PUT_BACK: usize = 1_000;

script!(PAGE, "page.lua", on items);
script!(FIND, "find.lua", on items);
script!(CHANGES_SINCE, "changes_since.lua", ITEMS_BY_CURSOR);

impl Inbox {
    /// How many own items are unread, and what the person is to the timeline.
    pub async fn overview(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<Hot<HotOverview>, InboxError> {
        let mut all = redis::cmd("HGETALL");
        all.arg(keys::inbox_part(app, recipient, keys::HEAD));
        let head = match Head::read(&all.query_async(&mut self.connection()).await?)? {
            Hot::Warm(head) if head.is_due(now) => match reply::hot(self.ask(&self.call(&TIDY, app, recipient, now)).await?)? {
                Hot::Warm(fields) => Head::read(&fields)?,
                Hot::Cold => Hot::Cold,
            },
            head => head,
        };
        Ok(head.map(Head::overview))
    }

    /// Hot items of `folder` below `before_seq`, or the newest; newest first.
    pub async fn page(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        folder: Folder,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Hot<Page>, InboxError> {
        let (mut items, mut before, mut ask) = (Vec::with_capacity(limit), before_seq, limit);
        loop {
            let listed = match self.list(app, recipient, before, ask, now).await? {
                Some(listed) => listed,
                None => self.list_by_script(app, recipient, before, None, ask, now).await?,
            };
            let Hot::Warm(listed) = listed else { return Ok(Hot::Cold) };
            before = listed.last.or(before);
            let there = listed.items.into_iter().filter(|found| folder.holds(&found.item.state));
            items.extend(there.take(limit - items.len()));
            if items.len() == limit || listed.seqs < ask {
                return Ok(Hot::Warm(Page { items, floor: listed.floor, reader: listed.reader }));
            }
            ask = PAGE_ON; // some are in the other folder
        }
    }

    /// The items below `before_seq` that were put back to be changed, archived ones among them: the record may not know yet how.
    pub async fn put_back(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        before_seq: u64,
        now: Timestamp,
    ) -> Result<Hot<Vec<HotItem>>, InboxError> {
        let listed = self.list_by_script(app, recipient, Some(before_seq), Some(0), PUT_BACK, now).await?;
        Ok(listed.map(|listed| listed.items))
    }

    /// What is hot below `before_seq` and not below the floor, newest first, archived items among it; `None` if something is due or to be
    /// filed, or was trimmed meanwhile.
    async fn list(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        before_seq: Option<u64>,
        most: usize,
        now: Timestamp,
    ) -> Result<Option<Hot<Listed>>, InboxError> {
        let mut conn = self.connection();
        let (head_key, max) =
            (keys::inbox_part(app, recipient, keys::HEAD), before_seq.map_or_else(|| "+inf".to_owned(), |seq| format!("({seq}")));
        let mut pipe = Pipeline::with_capacity(2);
        // The head first: what it calls filed is in a list that is read later. Others may come in between.
        pipe.cmd("HGETALL").arg(&head_key);
        pipe.cmd("ZREVRANGEBYSCORE").arg(keys::inbox_part(app, recipient, keys::ORDER));
        pipe.arg(max).arg("-inf").arg("LIMIT").arg(0).arg(most);
        let (fields, mut seqs): (Value, Vec<u64>) = pipe.query_async(&mut conn).await?;
        let Hot::Warm(head) = Head::read(&fields)? else { return Ok(Some(Hot::Cold)) };
        if head.is_due(now) || !head.whole.is_filed {
            return Ok(None);
        }
        seqs.retain(|seq| *seq >= head.whole.floor); // what lies below was put back
        if seqs.is_empty() {
            return Ok(None); // there are none, or they were trimmed or lost before the list was read: a script tells which
        }
        pipe.clear();
        pipe.cmd("HMGET").arg(keys::inbox_part(app, recipient, keys::ITEMS));
        for seq in &seqs {
            pipe.arg(seq);
        }
        pipe.cmd("HGET").arg(&head_key).arg("whole");
        let (found, whole): (Vec<Option<String>>, Option<String>) = pipe.query_async(&mut conn).await?;
        let whole = whole.map(|whole| Whole::read(&whole)).transpose()?;
        if whole.is_none_or(|whole| whole.floor != head.whole.floor) {
            return Ok(None);
        }
        Ok(Some(Hot::Warm(Listed::read(&seqs, &found, head)?)))
    }

    /// The same in one script; with `from`, it lists down to this seq.
    async fn list_by_script(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        before_seq: Option<u64>,
        from: Option<u64>,
        most: usize,
        now: Timestamp,
    ) -> Result<Hot<Listed>, InboxError> {
        type Answer = (Value, Vec<u64>, Vec<Option<String>>);
        let or_none = |seq: Option<u64>| seq.map_or_else(String::new, |seq| seq.to_string());
        let mut call = self.call(&PAGE, app, recipient, now);
        call.arg(or_none(before_seq)).arg(most).arg(or_none(from));
        let answer: Hot<Answer> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm((fields, seqs, found)) = answer else { return Ok(Hot::Cold) };
        let Hot::Warm(head) = Head::read(&fields)? else { return Ok(Hot::Cold) };
        Ok(Hot::Warm(Listed::read(&seqs, &found, head)?))
    }

    /// One item; `None` if it is not hot.
    pub async fn find(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        id: NotificationId,
        now: Timestamp,
    ) -> Result<Hot<Option<HotItem>>, InboxError> {
        let mut call = self.call(&FIND, app, recipient, now);
        call.arg(id.to_string());
        let answer: Hot<Vec<String>> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm(flat) = answer else { return Ok(Hot::Cold) };
        Ok(Hot::Warm(reply::items(&flat)?.pop()))
    }

    /// What changed since `position`, if it is at most `limit` items.
    pub async fn changes_since(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        position: Position,
        limit: usize,
        now: Timestamp,
    ) -> Result<Hot<HotChanges>, InboxError> {
        type Answer = (u8, Value, Vec<String>, Vec<String>);
        let mut call = self.call(&CHANGES_SINCE, app, recipient, now);
        call.arg(position.epoch).arg(position.rev).arg(limit);
        let answer: Hot<Answer> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm((recovered, fields, flat, left)) = answer else { return Ok(Hot::Cold) };
        let Hot::Warm(head) = Head::read(&fields)? else { return Ok(Hot::Cold) };
        Ok(Hot::Warm(HotChanges {
            recovered: recovered == 1,
            items: reply::items(&flat)?.into_iter().map(|i| i.item).collect(),
            removed: left.iter().map(|id| reply::id(id)).collect::<Result<_, _>>()?,
            overview: head.overview(),
        }))
    }
}

/// A part of the list of hot items.
struct Listed {
    /// Newest first, archived ones among them; without those that were lost.
    items: Vec<HotItem>,
    /// How many there were with these.
    seqs: usize,
    /// The lowest of them.
    last: Option<u64>,
    floor: u64,
    reader: Reader,
}

impl Listed {
    /// `found` has what is kept of each of `seqs`.
    fn read(seqs: &[u64], found: &[Option<String>], head: Head) -> Result<Self, InboxError> {
        let mut items = Vec::with_capacity(seqs.len());
        for (seq, kept) in seqs.iter().zip(found) {
            if let Some(kept) = kept {
                items.push(reply::item(*seq, kept)?);
            }
        }
        Ok(Self { items, seqs: seqs.len(), last: seqs.last().copied(), floor: head.whole.floor, reader: head.reader })
    }
}
