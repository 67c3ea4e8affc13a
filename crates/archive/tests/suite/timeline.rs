//! Topics, timelines and what people did with them, on record.

use std::collections::BTreeMap;

use serde_json::json;
use stentor_archive::{ArchivedReader, Stay};
use stentor_domain::{
    Entry, Event, EventKind, ItemState, RecipientId, Target, TopicId,
    event::{EntryChange, ItemChange},
    timeline::{EntryBody, Gone, ReadUpto},
};

use crate::support::{Fixture, app, at, card, id, item, notification, on_both, other, person, shuffled};

on_both! {
    members_come_leave_and_come_again
    entries_and_marks_are_right_in_whatever_order_they_are_written
    who_is_first_seen_keeps_when_that_was
    of_several_those_of_whom_nothing_is_on_record_are_registered
    what_is_recalled_or_said_otherwise_is_so_on_record
    what_is_said_otherwise_before_it_is_told_as_accepted_stays_so
}

fn topic(name: &str) -> TopicId {
    name.parse().unwrap()
}

fn stay(joined: u64, left: impl Into<Option<u64>>) -> Stay {
    Stay { joined, left: left.into() }
}

async fn members_come_leave_and_come_again(f: Fixture) {
    let (a, red) = (&f.archive, topic("red"));
    let people: Vec<RecipientId> = (0..5).map(|n| person(&format!("u{n}"))).collect();
    a.put_topic(&app(), &red, Some("Red"), at(1)).await.unwrap();
    let kept = a.put_topic(&app(), &red, None, at(2)).await.unwrap();
    assert_eq!((kept.name.as_deref(), kept.created_at), (Some("Red"), at(1)));
    for now in [10, 11] {
        let stays = a.set_members(&app(), &red, &people[..3], true, now).await.unwrap();
        assert!(stays.len() == 3 && stays.values().all(|s| *s == [stay(10, None)]), "{stays:?}");
    }
    assert_eq!(a.list_members(&app(), &red, None, 10).await.unwrap(), people[..3]);
    assert_eq!(a.list_members(&app(), &red, Some(&people[0]), 1).await.unwrap(), people[1..2]);
    let stays = a.set_members(&app(), &red, &people[1..], false, 20).await.unwrap();
    assert_eq!(stays, [(people[1].clone(), vec![stay(10, 20)]), (people[2].clone(), vec![stay(10, 20)])].into());
    let stays = a.set_members(&app(), &red, &people[2..3], true, 20).await.unwrap();
    assert_eq!(stays[&people[2]], [stay(10, 20), stay(20, None)]);
    assert_eq!(a.count_members(&app(), &red).await.unwrap(), 2);
    for (most, n) in [(10, 2), (2, 2), (1, 1)] {
        assert_eq!(a.count_members_up_to(&app(), &red, most).await.unwrap(), n);
    }
    assert_eq!(a.list_topics_of(&app(), &people[1], None, 10).await.unwrap(), []);
    assert_eq!(a.list_topics_of(&app(), &people[2], None, 10).await.unwrap(), std::slice::from_ref(&red));
    for (whose, expected) in [(app(), 1), (other(), 0)] {
        assert_eq!(a.list_topics(&whose, None, 10).await.unwrap().len(), expected);
        assert_eq!(a.list_members(&whose, &red, None, 10).await.unwrap().len(), 2 * expected);
    }
    assert!(a.delete_topic(&app(), &red).await.unwrap() && !a.delete_topic(&app(), &red).await.unwrap());
}

fn entry(n: u64, rev: u64, gone: Option<Gone>) -> Entry {
    let cards = BTreeMap::from([("en".to_owned(), card(n))]);
    let body = EntryBody { id: id(n), target: Target::Everyone, cards, default_variant: "en".into() };
    Entry { seq: n, rev, at: at(i64::try_from(n).unwrap()), gone, body }
}

fn marked(rev: u64, n: u64, read: bool, upto: Option<u64>) -> Event {
    let state = ItemState { read_at: read.then(|| at(9)), ..ItemState::default() };
    let change = EntryChange { seq: n, item: ItemChange { notification: id(n), state } };
    let read_upto = upto.map(|seq| ReadUpto { seq, at: at(9) });
    Event::new(app(), at(9), EventKind::TimelineMarked { recipient: person("u1"), rev, read_upto, entries: vec![change] })
}

async fn entries_and_marks_are_right_in_whatever_order_they_are_written(f: Fixture) {
    let written = |entry: Entry| Event::new(app(), entry.at, EventKind::TimelineEntry { entry: Box::new(entry) });
    let recalled = entry(1, 7, Some(Gone::Recalled));
    let events = vec![
        written(entry(1, 1, None)),
        written(recalled.clone()),
        written(entry(2, 2, None)),
        marked(101, 1, true, Some(1)),
        marked(102, 1, false, None),
        marked(103, 2, true, Some(2)),
    ];
    f.archive.register_recipient(&app(), &person("u1"), 0).await.unwrap();
    let expected = ArchivedReader {
        read_upto: Some((ReadUpto { seq: 2, at: at(9) }, 103)),
        treated: vec![
            (102, EntryChange { seq: 1, item: ItemChange { notification: id(1), state: ItemState::default() } }),
            (
                103,
                EntryChange {
                    seq: 2,
                    item: ItemChange { notification: id(2), state: ItemState { read_at: Some(at(9)), ..ItemState::default() } },
                },
            ),
        ],
        ..ArchivedReader::default()
    };
    for seed in 0..8 {
        let events = shuffled(events.clone(), seed);
        let (first, second) = events.split_at(usize::try_from(seed).unwrap() % 6);
        for batch in [first, second, first] {
            f.write(batch).await;
        }
        assert_eq!(f.archive.load_timeline(&app(), at(0)).await.unwrap(), [recalled.clone(), entry(2, 2, None)]);
        let mut reader = f.archive.load_reader(&app(), &person("u1"), at(0)).await.unwrap().unwrap();
        reader.treated.sort_by_key(|(rev, _)| *rev);
        assert_eq!(reader, expected, "in order {seed}");
    }
    assert_eq!(f.archive.load_timeline(&app(), at(100)).await.unwrap().len(), 1, "the newest in any case");
    assert_eq!(f.archive.load_timeline(&other(), at(0)).await.unwrap(), []);
    let late = f.archive.load_reader(&app(), &person("u1"), at(2)).await.unwrap().unwrap();
    assert_eq!(late.treated.len(), 1, "of what is too old nothing is kept");
}

async fn who_is_first_seen_keeps_when_that_was(f: Fixture) {
    let (a, who) = (&f.archive, person("u1"));
    assert_eq!(a.load_reader(&app(), &who, at(0)).await.unwrap(), None);
    // An event of an earlier time that did not know, one that did, and a registration after it.
    let upserted = |joined, millis| {
        let patch = Box::new(serde_json::from_value(json!({"locale": "de"})).unwrap());
        Event::new(app(), at(millis), EventKind::RecipientUpserted { recipient: person("u1"), patch, joined })
    };
    f.write(&[upserted(None, 1)]).await;
    assert_eq!(a.load_reader(&app(), &who, at(0)).await.unwrap(), None, "when is not known yet");
    f.write(&[upserted(Some(5), 2)]).await;
    a.register_recipient(&app(), &who, 9).await.unwrap();
    a.upsert_recipients(&app(), &[(who.clone(), serde_json::from_value(json!({"locale": "fr"})).unwrap())], at(3), 12)
        .await
        .unwrap();
    let reader = a.load_reader(&app(), &who, at(0)).await.unwrap().unwrap();
    assert_eq!((reader.joined, reader.locale.unwrap().as_str()), (5, "fr"));
    a.delete_recipient(&app(), &who).await.unwrap();
    assert_eq!(a.load_reader(&app(), &who, at(0)).await.unwrap(), None);
}

async fn of_several_those_of_whom_nothing_is_on_record_are_registered(f: Fixture) {
    let a = &f.archive;
    let people: Vec<RecipientId> = (0..6).map(|n| person(&format!("u{n}"))).collect();
    a.register_recipient(&app(), &people[0], 5).await.unwrap();
    a.upsert_recipients(&app(), &[(people[1].clone(), serde_json::from_value(json!({"locale": "de"})).unwrap())], at(1), 5)
        .await
        .unwrap();
    f.write(&[item("u2", 1)]).await;
    a.set_members(&app(), &topic("red"), &people[3..4], true, 7).await.unwrap();
    a.register_recipient(&other(), &people[4], 5).await.unwrap();
    let all: Vec<&RecipientId> = people.iter().collect();
    let mut new: Vec<_> = a.register_new(&app(), &all, 9).await.unwrap().into_iter().collect();
    new.sort_unstable();
    assert_eq!(new, people[4..]);
    let joined = async |who| a.load_reader(&app(), who, at(0)).await.unwrap().map(|reader| reader.joined);
    assert_eq!([joined(&people[0]).await, joined(&people[1]).await], [Some(5), Some(5)]);
    assert_eq!([joined(&people[4]).await, joined(&people[5]).await], [Some(9), Some(9)]);
    assert_eq!(a.register_new(&app(), &all, 10).await.unwrap().len(), 0, "nobody is new twice");
    assert_eq!(a.register_new(&app(), &[], 10).await.unwrap().len(), 0);
}

async fn what_is_recalled_or_said_otherwise_is_so_on_record(f: Fixture) {
    let accepted = |n| Event::new(app(), at(1), EventKind::Accepted { notification: Box::new(notification(n)) });
    f.write(&[accepted(1), accepted(2), item("u1", 1), item("u1", 2)]).await;
    let mut said = notification(2);
    said.updated_at = Some(at(5));
    let card = stentor_domain::Card { title: "said otherwise".into(), ..card(2) };
    let content = |text: &str, version| {
        let content = stentor_domain::item::ItemContent { body_html: text.into(), body_text: text.into(), articles: Vec::new() };
        let kind = EventKind::Content { notification: id(2), variant: "en".into(), content, version };
        Event::new(app(), at(5), kind)
    };
    let kind = EventKind::ItemUpdated {
        recipient: person("u1"),
        card: Box::new(card.clone()),
        variant: "en".into(),
        rev: Some(9),
        version: said.version(),
    };
    f.write(&[
        Event::new(app(), at(5), EventKind::Updated { notification: Box::new(said.clone()) }),
        Event::new(app(), at(5), kind),
        content("new", said.version()),
        content("old", 0),
        Event::new(app(), at(6), EventKind::ItemRecalled { recipient: person("u1"), rev: 10, notification: id(1) }),
        Event::new(app(), at(6), EventKind::Recalled { notification: id(1) }),
    ])
    .await;
    let inbox = f.archive.load_inbox(&app(), &person("u1"), at(7)).await.unwrap();
    let cards: Vec<_> = inbox.items.iter().map(|i| (i.item.card.read().unwrap().title, i.item.rev)).collect();
    assert_eq!((cards, inbox.unread.len(), inbox.max_seq), (vec![("said otherwise".to_owned(), 9)], 1, Some(2)));
    let ids = [id(1), id(2)];
    assert_eq!(f.archive.find_items(&app(), &person("u1"), &ids).await.unwrap().len(), 1);
    let found = f.archive.find_notification(&app(), id(2)).await.unwrap().unwrap();
    assert_eq!((found.notification, found.recalled_at), (said, None));
    assert_eq!(f.archive.find_content(&app(), id(2), "en").await.unwrap().unwrap().body_text, "new");
    assert_eq!(f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap().recalled_at, Some(at(6)));
}

async fn what_is_said_otherwise_before_it_is_told_as_accepted_stays_so(f: Fixture) {
    let mut said = notification(3);
    said.updated_at = Some(at(5));
    f.write(&[Event::new(app(), at(5), EventKind::Updated { notification: Box::new(said.clone()) })]).await;
    f.write(&[Event::new(app(), at(1), EventKind::Accepted { notification: Box::new(notification(3)) })]).await;
    let found = f.archive.find_notification(&app(), id(3)).await.unwrap().unwrap();
    assert_eq!(found.notification, said);
}
