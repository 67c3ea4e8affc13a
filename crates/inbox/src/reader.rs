//! A person as a reader of their app's timeline: what is theirs, and what they did with it.

use std::collections::BTreeMap;

use stentor_domain::{
    Channel, Entry, Item, ItemState, Locale, NotificationId, Preferences, Target, Timestamp, TopicId,
    event::{EntryChange, ItemChange},
    timeline::ReadUpto,
};

use crate::{InboxError, RETENTION, reply};

/// A time in a topic: after revision `joined`, up to revision `left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Entries after this revision of the timeline are theirs.
    pub joined: u64,
    /// Up to this one; `None`: they are still a member.
    pub left: Option<u64>,
}

/// What a person did with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treated {
    /// The inbox's revision at which they did.
    pub rev: u64,
    /// The notification.
    pub id: NotificationId,
    /// What the entry is to them.
    pub state: ItemState,
}

/// What is needed to read a timeline as one person does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reader {
    /// What is written to everyone after this revision of the timeline is theirs.
    pub everyone: u64,
    /// Their topics, past ones among them.
    pub topics: BTreeMap<TopicId, Vec<Stay>>,
    /// Up to where all is read, and the inbox's revision at which that was said.
    pub read_upto: Option<(ReadUpto, u64)>,
    /// Entries that they treated by themselves, by place.
    pub treated: BTreeMap<u64, Treated>,
    /// Their language.
    pub locale: Option<Locale>,
    /// What they want to hear of.
    pub preferences: Preferences,
}

/// True if an entry is in the inboxes of those whom it is for: neither withdrawn nor expired, nor too old.
pub fn is_current(entry: &Entry, now: Timestamp) -> bool {
    entry.at.after(RETENTION) > now && entry.is_alive(now)
}

impl Reader {
    /// True if the entry was written to them.
    pub fn is_addressed(&self, entry: &Entry) -> bool {
        match &entry.body.target {
            Target::Everyone => entry.seq > self.everyone,
            Target::Topic(topic) => self
                .topics
                .get(topic)
                .is_some_and(|stays| stays.iter().any(|s| entry.seq > s.joined && s.left.is_none_or(|left| entry.seq <= left))),
        }
    }

    /// True if the entry is in their inbox, archived or not: theirs, not muted, and [current](is_current).
    pub fn holds(&self, entry: &Entry, now: Timestamp) -> bool {
        is_current(entry, now) && self.is_for(entry)
    }

    /// True if the entry was written to them, and is not muted.
    pub fn is_for(&self, entry: &Entry) -> bool {
        // Nearly nobody has chosen anything, and the category of an entry stands in its cards, which lie elsewhere in memory.
        let wants = || self.preferences.is_empty() || self.preferences.allows(entry.body.category(), Channel::Inbox);
        self.is_addressed(entry) && wants()
    }

    /// What the entry is to them.
    pub fn state(&self, entry: &Entry) -> ItemState {
        if let Some(treated) = self.treated.get(&entry.seq) {
            return treated.state;
        }
        match self.read_upto {
            Some((upto, _)) if entry.seq <= upto.seq => {
                ItemState { seen_at: Some(upto.at), read_at: Some(upto.at), archived_at: None }
            }
            _ => ItemState::default(),
        }
    }

    /// True if the entry counts as unread in their inbox.
    pub fn is_unread(&self, entry: &Entry, now: Timestamp) -> bool {
        let state = self.state(entry);
        state.read_at.is_none() && state.archived_at.is_none() && self.holds(entry, now)
    }

    /// The entry as an item of their inbox, with the variant in which they read it.
    ///
    /// Its revision is the sum of both that it depends on, so that it grows with either.
    pub fn item(&self, entry: &Entry) -> Option<(Item, String)> {
        let (variant, card) = entry.body.card_for(self.locale.as_ref())?;
        let read = || self.read_upto.filter(|(upto, _)| entry.seq <= upto.seq).map(|(_, rev)| rev);
        let own = self.treated.get(&entry.seq).map(|t| t.rev).or_else(read);
        let item = Item::new(card, self.state(entry), entry.rev + own.unwrap_or(0)).ok()?;
        Some((item, variant.to_owned()))
    }

    /// Takes in what a live message or an answer tells of entries that they treated at revision `rev` of the inbox.
    pub fn treat(&mut self, rev: u64, entries: &[EntryChange], read_upto: Option<ReadUpto>) {
        for change in entries {
            let treated = Treated { rev, id: change.item.notification, state: change.item.state };
            self.treated.insert(change.seq, treated);
        }
        if let Some(upto) = read_upto
            && self.read_upto.is_none_or(|(before, _)| before.seq < upto.seq)
        {
            self.read_upto = Some((upto, rev));
        }
    }

    /// Sets one field as the scripts keep it.
    pub(crate) fn set(&mut self, field: &str, value: &str) -> Result<(), InboxError> {
        let malformed = || InboxError::Malformed(format!("{field} of a reader"));
        let number = |text: &str| text.parse::<u64>().map_err(|_| malformed());
        match field {
            "e" => self.everyone = number(value)?,
            "l" => self.locale = value.parse().ok(),
            "p" => self.preferences = serde_json::from_str(value).map_err(|_| malformed())?,
            "u" => {
                let mut parts = value.split(' ');
                let mut part = || parts.next().ok_or_else(malformed).and_then(number);
                let (seq, at, rev) = (part()?, part()?, part()?);
                let at = Timestamp::from_millis(i64::try_from(at).map_err(|_| malformed())?);
                self.read_upto = Some((ReadUpto { seq, at }, rev));
            }
            _ => {
                if let Some(topic) = field.strip_prefix("t:") {
                    let stay = |text: &str| {
                        let (joined, left) = text.split_once('-').ok_or_else(malformed)?;
                        let left = if left.is_empty() { None } else { Some(number(left)?) };
                        Ok::<_, InboxError>(Stay { joined: number(joined)?, left })
                    };
                    let stays = value.split(' ').filter(|s| !s.is_empty()).map(stay).collect::<Result<_, _>>()?;
                    self.topics.insert(topic.parse().map_err(|_| malformed())?, stays);
                } else {
                    let (rev, rest) = value.split_once(' ').ok_or_else(malformed)?;
                    let ItemChange { notification, state } = reply::change(rest)?;
                    self.treated.insert(number(field)?, Treated { rev: number(rev)?, id: notification, state });
                }
            }
        }
        Ok(())
    }

    /// What the scripts keep of them.
    pub(crate) fn to_fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![("e".to_owned(), self.everyone.to_string())];
        fields.extend(self.topics.iter().map(|(topic, stays)| Self::topic_field(topic, stays)));
        if let Some((upto, rev)) = self.read_upto {
            fields.push(("u".to_owned(), format!("{} {} {rev}", upto.seq, upto.at.as_millis())));
        }
        fields.extend(self.treated.iter().map(|(seq, t)| (seq.to_string(), reply::state_of(t.rev, &t.state, t.id))));
        fields.extend(self.locale.as_ref().map(|l| Self::locale_field(Some(l))));
        if self.preferences != Preferences::default() {
            fields.push(Self::preferences_field(&self.preferences));
        }
        fields
    }

    pub(crate) fn topic_field(topic: &TopicId, stays: &[Stay]) -> (String, String) {
        let stay = |s: &Stay| format!("{}-{}", s.joined, s.left.map_or_else(String::new, |left| left.to_string()));
        (format!("t:{topic}"), stays.iter().map(stay).collect::<Vec<_>>().join(" "))
    }

    pub(crate) fn locale_field(locale: Option<&Locale>) -> (String, String) {
        ("l".to_owned(), locale.map_or_else(String::new, ToString::to_string))
    }

    pub(crate) fn preferences_field(preferences: &Preferences) -> (String, String) {
        ("p".to_owned(), serde_json::to_string(preferences).unwrap_or_else(|_| "{}".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stentor_domain::{Card, Priority, timeline::EntryBody};

    use super::*;

    fn entry(seq: u64, target: Target, category: Option<&str>) -> Entry {
        let id = NotificationId::new(Timestamp::from_millis(i64::try_from(seq).unwrap()), &[1; 10]);
        let card = Card {
            id,
            title: "x".into(),
            summary: None,
            image: None,
            link: None,
            actions: Vec::new(),
            category: category.map(str::to_owned),
            priority: Priority::Normal,
            created_at: Timestamp::from_millis(1),
            expires_at: (seq == 9).then(|| Timestamp::from_millis(1_000)),
        };
        let cards = BTreeMap::from([("en".to_owned(), card)]);
        let body = EntryBody { id, target, cards, default_variant: "en".into() };
        Entry { seq, rev: seq, at: Timestamp::from_millis(1), gone: None, body }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    #[test]
    fn what_was_written_before_one_came_or_after_one_left_is_not_theirs() {
        let vip: TopicId = "vip".parse().unwrap();
        let stays = vec![Stay { joined: 2, left: Some(4) }, Stay { joined: 6, left: None }];
        let reader = Reader { everyone: 3, topics: [(vip.clone(), stays)].into(), ..Reader::default() };
        let topic = |seq| reader.holds(&entry(seq, Target::Topic(vip.clone()), None), now());
        assert_eq!((1..=8).filter(|seq| topic(*seq)).collect::<Vec<_>>(), [3, 4, 7, 8]);
        let everyone = |seq| reader.holds(&entry(seq, Target::Everyone, None), now());
        assert_eq!((1..=8).filter(|seq| everyone(*seq)).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
        assert!(!reader.holds(&entry(5, Target::Topic("other".parse().unwrap()), None), now()));
    }

    #[test]
    fn muted_recalled_and_expired_entries_are_not_held() {
        let mut reader = Reader::default();
        let news = entry(1, Target::Everyone, Some("news"));
        assert!(reader.is_unread(&news, now()));
        reader.preferences = serde_json::from_str(r#"{"categories":{"news":{"inbox":false}}}"#).unwrap();
        assert!(!reader.is_unread(&news, now()));
        assert!(
            !reader.holds(
                &Entry { gone: Some(stentor_domain::timeline::Gone::Recalled), ..entry(2, Target::Everyone, None) },
                now()
            )
        );
        assert!(!reader.holds(&entry(9, Target::Everyone, None), now()));
    }

    #[test]
    fn what_was_done_to_an_entry_outweighs_read_upto() {
        let mut reader = Reader::default();
        let upto = ReadUpto { seq: 5, at: now() };
        let e = |seq| entry(seq, Target::Everyone, None);
        let unread = ItemChange { notification: e(4).body.id, state: ItemState::default() };
        reader.treat(7, &[EntryChange { seq: 4, item: unread }], Some(upto));
        assert_eq!((1..=7).filter(|seq| reader.is_unread(&e(*seq), now())).collect::<Vec<_>>(), [4, 6, 7]);
        reader.treat(8, &[], Some(ReadUpto { seq: 3, at: now() }));
        assert!(!reader.is_unread(&e(5), now()), "it never falls");
        let rev = |reader: &Reader, seq| reader.item(&e(seq)).unwrap().0.rev;
        assert_eq!((rev(&reader, 4), rev(&reader, 5), rev(&reader, 6)), (4 + 7, 5 + 7, 6), "it grows with what was done last");
    }

    #[test]
    fn it_is_read_back_as_it_was_kept() {
        let mut reader = Reader { everyone: 3, locale: "zh-CN".parse().ok(), ..Reader::default() };
        let stays = vec![Stay { joined: 2, left: Some(4) }, Stay { joined: 6, left: None }];
        reader.topics.insert("a topic".parse().unwrap(), stays);
        let read = ItemState { read_at: Some(now()), ..ItemState::default() };
        let item = ItemChange { notification: entry(4, Target::Everyone, None).body.id, state: read };
        reader.treat(8, &[EntryChange { seq: 4, item }], Some(ReadUpto { seq: 2, at: now() }));
        reader.preferences = serde_json::from_str(r#"{"categories":{"news":{"inbox":false}}}"#).unwrap();
        let mut again = Reader::default();
        for (field, value) in reader.to_fields() {
            again.set(&field, &value).unwrap();
        }
        assert_eq!(again, reader);
    }
}
