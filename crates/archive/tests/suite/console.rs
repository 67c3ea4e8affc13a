//! What operators look for and what is put on record of them.

use std::collections::BTreeMap;

use stentor_archive::{AuditFilter, Deed, NotificationFilter, Operator};
use stentor_domain::{
    Audience, Channel, DeliveryState, Entry, Event, EventKind, NotificationId, ProfilePatch, RecipientId, Target, TopicId,
    event::DeliveryReport, notification::RecipientRef, timeline::EntryBody,
};

use crate::support::{Fixture, accepted, app, at, card, delivery, id, notification, on_both, other, person, report};

on_both! {
    operators_are_made_found_and_revoked
    deeds_are_listed_newest_first_by_filter_and_in_pages
    notifications_are_searched_by_what_they_say_and_by_their_deliveries
    a_notification_with_many_deliveries_is_found_once
    what_went_to_a_topic_or_to_everyone_is_found_by_whose_it_is
    what_is_to_be_sent_later_is_found_as_scheduled
    what_is_to_be_sent_later_is_found_by_whose_it_will_be
    what_is_to_be_sent_later_is_found_by_the_channels_it_asks_for
    deliveries_are_counted_by_minute_each_event_once
}

async fn operators_are_made_found_and_revoked(f: Fixture) {
    let operator = |id: &str, n: i64| Operator {
        id: id.into(),
        name: format!("é {id}"),
        secret_sha256: [u8::try_from(n).unwrap(); 32],
        created_at: at(n),
        revoked_at: None,
    };
    for (id, n) in [("b", 1), ("a", 2)] {
        f.archive.insert_operator(&operator(id, n)).await.unwrap();
    }
    assert!(f.archive.find_operator("a").await.unwrap() == Some(operator("a", 2)));
    assert!(f.archive.find_operator("c").await.unwrap().is_none());
    assert!(f.archive.revoke_operator("a", at(9)).await.unwrap());
    assert!(!f.archive.revoke_operator("a", at(10)).await.unwrap(), "it is revoked already");
    let names: Vec<_> = f.archive.list_operators().await.unwrap().into_iter().map(|o| (o.id, o.revoked_at)).collect();
    assert_eq!(names, [("b".to_owned(), None), ("a".to_owned(), Some(at(9)))]);
    let page =
        async |after| -> Vec<String> { f.archive.page_of_operators(after, 1).await.unwrap().into_iter().map(|o| o.id).collect() };
    assert_eq!((page(None).await, page(Some("b")).await, page(Some("a")).await), (vec!["b".into()], vec!["a".into()], vec![]));
}

async fn deeds_are_listed_newest_first_by_filter_and_in_pages(f: Fixture) {
    let deed = |n: i64| Deed {
        at: at(n),
        operator: (n % 2 == 0).then(|| "o1".to_owned()),
        name: "é".into(),
        app: (n % 3 == 0).then(app),
        action: if n % 5 == 0 { "key.create" } else { "session.begin" }.into(),
        subject: n.to_string(),
        detail: None,
    };
    for n in 0..30 {
        f.archive.insert_audit(&deed(n)).await.unwrap();
    }
    let count = async |filter: AuditFilter| f.archive.list_audit(&filter, None, 100).await.unwrap().len();
    assert_eq!(count(AuditFilter { app: Some(app()), ..Default::default() }).await, 10);
    assert_eq!(count(AuditFilter { app: Some(other()), ..Default::default() }).await, 0);
    assert_eq!(count(AuditFilter { operator: Some("o1".into()), ..Default::default() }).await, 15);
    assert_eq!(count(AuditFilter { action: Some("key.create".into()), operator: Some("o1".into()), app: None }).await, 3);
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = f.archive.list_audit(&AuditFilter::default(), before, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.into_iter().map(|entry| entry.deed));
    }
    assert_eq!(seen, (0..30).rev().map(deed).collect::<Vec<_>>());
    // what came of one is added, once
    let id = f.archive.insert_audit(&deed(31)).await.unwrap();
    for outcome in ["done", "not done"] {
        f.archive.end_audit(id, outcome).await.unwrap();
    }
    let newest = f.archive.list_audit(&AuditFilter::default(), None, 2).await.unwrap();
    let outcomes: Vec<_> = newest.iter().map(|entry| entry.outcome.as_deref()).collect();
    assert_eq!((newest[0].id, outcomes), (id, vec![Some("done"), None]));
}

fn step(n: u64, recipient: &str, channel: Channel, state: DeliveryState, reason: Option<&str>) -> Event {
    let recipient: RecipientId = person(recipient);
    let delivery = stentor_domain::DeliveryId::new(id(n), &recipient, channel);
    let of = report(n, recipient.as_str(), state, 1);
    let report = DeliveryReport { delivery, channel, reason: reason.map(str::to_owned), ..of };
    Event::new(app(), at(i64::try_from(n).unwrap()), EventKind::Delivery(report))
}

fn said_by_template(n: u64) -> Event {
    let mut notification = Box::new(notification(n));
    (notification.request.template, notification.request.content) = (Some("welcome".into()), None);
    Event::new(app(), notification.accepted_at, EventKind::Accepted { notification })
}

async fn search(f: &Fixture, filter: NotificationFilter, limit: usize) -> Vec<NotificationId> {
    let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = f.archive.search_notifications(&app(), &filter, before, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.iter().map(|n| n.notification.id));
        before = page.next;
        pages += 1;
        assert!(pages < 200, "it never ends");
        if before.is_none() {
            assert!(found.is_sorted_by(|a, b| a > b), "the newest first, each once");
            return found;
        }
    }
}

async fn notifications_are_searched_by_what_they_say_and_by_their_deliveries(f: Fixture) {
    use Channel::{Email, Inbox, Sms};
    use DeliveryState::{Failed, Sent, Skipped};
    let mut events = Vec::new();
    for n in 0..60 {
        events.push(if n % 4 == 0 { said_by_template(n) } else { accepted(n) });
        let recipient = format!("u{}", n % 3);
        events.push(step(n, &recipient, Inbox, Sent, None));
        if n % 2 == 0 {
            events.push(step(
                n,
                &recipient,
                Email,
                if n % 10 == 0 { Failed } else { Sent },
                (n % 10 == 0).then_some("550 50% full"),
            ));
        } else {
            events.push(step(n, &recipient, Sms, Skipped, Some("no_address")));
        }
    }
    f.write(&events).await;
    let all = |takes: fn(u64) -> bool| -> Vec<NotificationId> { (0..60).rev().filter(|n| takes(*n)).map(id).collect() };
    let none = NotificationFilter::default;
    let cases = [
        (none(), all(|_| true)),
        (NotificationFilter { template: Some("welcome".into()), ..none() }, all(|n| n % 4 == 0)),
        (NotificationFilter { recipient: Some(person("u1")), ..none() }, all(|n| n % 3 == 1)),
        (NotificationFilter { recipient: Some(person("u1")), channel: Some(Sms), ..none() }, all(|n| n % 3 == 1 && n % 2 == 1)),
        (NotificationFilter { channel: Some(Email), ..none() }, all(|n| n % 2 == 0)),
        (NotificationFilter { states: vec![Sent], ..none() }, all(|_| true)),
        (NotificationFilter { states: vec![Failed], ..none() }, all(|n| n % 10 == 0)),
        (NotificationFilter { states: vec![Failed, Skipped], ..none() }, all(|n| n % 10 == 0 || n % 2 == 1)),
        (
            NotificationFilter { recipient: Some(person("u1")), states: vec![Failed, Skipped], ..none() },
            all(|n| n % 3 == 1 && (n % 10 == 0 || n % 2 == 1)),
        ),
        (NotificationFilter { channel: Some(Sms), states: vec![Sent], ..none() }, vec![]),
        (NotificationFilter { reason: Some("50% f".into()), ..none() }, all(|n| n % 10 == 0)),
        (NotificationFilter { reason: Some("no%address".into()), ..none() }, vec![]),
        (NotificationFilter { channel: Some(Email), template: Some("welcome".into()), ..none() }, all(|n| n % 4 == 0)),
        (NotificationFilter { from: Some(at(20)), until: Some(at(30)), ..none() }, all(|n| (20..30).contains(&n))),
        (
            NotificationFilter { from: Some(at(20)), until: Some(at(30)), channel: Some(Sms), ..none() },
            all(|n| (20..30).contains(&n) && n % 2 == 1),
        ),
        (NotificationFilter { recipient: Some(person("nobody")), ..none() }, vec![]),
    ];
    for (filter, expected) in cases {
        for limit in [1, 7, 100] {
            assert_eq!(search(&f, filter.clone(), limit).await, expected, "{filter:?} by {limit}");
        }
        let found = f.archive.search_notifications(&other(), &filter, None, 10).await.unwrap();
        assert_eq!((found.items.len(), found.next), (0, None), "another app's");
    }
    let counts = f.archive.delivery_counts_of(&app(), &[id(10), id(11), id(99)]).await.unwrap();
    let words = |n| counts[&id(n)].iter().map(|c| format!("{} {} {}", c.channel, c.state, c.n)).collect::<Vec<_>>();
    assert_eq!(
        (counts.len(), words(10), words(11)),
        (2, vec!["inbox sent 1".into(), "email failed 1".into()], vec!["inbox sent 1".into(), "sms skipped 1".into()])
    );
    let to = f.archive.list_deliveries_to(&app(), &person("u1"), Some(id(10)), 3).await.unwrap();
    assert_eq!(to.iter().map(|d| d.notification_id).collect::<Vec<_>>(), [id(7), id(7), id(4)]);
}

async fn a_notification_with_many_deliveries_is_found_once(f: Fixture) {
    let mut events = vec![accepted(1), accepted(2), accepted(3)];
    events.push(step(1, "u1", Channel::Email, DeliveryState::Sent, None));
    events.extend((0..500).map(|n| step(2, &format!("u{n}"), Channel::Email, DeliveryState::Sent, None)));
    events.push(step(3, "u1", Channel::Email, DeliveryState::Sent, None));
    f.write(&events).await;
    let mail = NotificationFilter { channel: Some(Channel::Email), ..Default::default() };
    for limit in [1, 2, 50] {
        assert_eq!(search(&f, mail.clone(), limit).await, [id(3), id(2), id(1)], "by {limit}");
    }
}

fn in_timeline(n: u64, target: Target) -> [Event; 2] {
    let cards = BTreeMap::from([("en".to_owned(), card(n))]);
    let body = EntryBody { id: id(n), target, cards, default_variant: "en".into() };
    let entry = Box::new(Entry { seq: n, rev: n, at: at(i64::try_from(n).unwrap()), gone: None, body });
    [accepted(n), Event::new(app(), entry.at, EventKind::TimelineEntry { entry })]
}

async fn what_went_to_a_topic_or_to_everyone_is_found_by_whose_it_is(f: Fixture) {
    let red: TopicId = "red".parse().unwrap();
    let mut events: Vec<Event> = Vec::new();
    for n in 1..=60 {
        events.extend(match n % 3 {
            0 => in_timeline(n, Target::Everyone).to_vec(),
            1 => in_timeline(n, Target::Topic(red.clone())).to_vec(),
            _ => vec![accepted(n), step(n, "u1", Channel::Email, DeliveryState::Sent, None)],
        });
    }
    f.write(&events).await;
    // u1 is there from 10 on, and in the topic from 20 to 40 and from 50 on; u2 was never seen
    f.archive.register_recipient(&app(), &person("u1"), 10).await.unwrap();
    f.archive.put_topic(&app(), &red, None, at(1)).await.unwrap();
    for (member, now) in [(true, 20), (false, 40), (true, 50)] {
        f.archive.set_members(&app(), &red, &[person("u1")], member, now).await.unwrap();
    }
    let theirs = |n: u64| match n % 3 {
        0 => n > 10,
        1 => (21..=40).contains(&n) || n > 50,
        _ => true,
    };
    let all = |takes: &dyn Fn(u64) -> bool| -> Vec<NotificationId> { (1..=60).rev().filter(|n| takes(*n)).map(id).collect() };
    let by = |recipient: &str| NotificationFilter { recipient: Some(person(recipient)), ..Default::default() };
    let inbox = Some(Channel::Inbox);
    for limit in [1, 7, 100] {
        assert_eq!(search(&f, by("u1"), limit).await, all(&theirs), "by {limit}");
        let in_inbox = NotificationFilter { channel: inbox, ..by("u1") };
        assert_eq!(search(&f, in_inbox, limit).await, all(&|n| n % 3 != 2 && theirs(n)), "by {limit}");
        let sent = NotificationFilter { states: vec![DeliveryState::Sent], ..by("u1") };
        assert_eq!(search(&f, sent, limit).await, all(&|n| n % 3 == 2), "by {limit}");
        let of_anyone = NotificationFilter { channel: inbox, ..Default::default() };
        assert_eq!(search(&f, of_anyone, limit).await, all(&|n| n % 3 != 2), "by {limit}");
        let of_span = NotificationFilter { from: Some(at(30)), until: Some(at(45)), ..by("u1") };
        assert_eq!(search(&f, of_span, limit).await, all(&|n| (30..45).contains(&n) && theirs(n)), "by {limit}");
    }
    assert_eq!(search(&f, by("u2"), 10).await, []);
    assert_eq!(f.archive.search_notifications(&other(), &by("u1"), None, 10).await.unwrap().items, []);
}

async fn what_is_to_be_sent_later_is_found_as_scheduled(f: Fixture) {
    let later = |n: u64, send_at| {
        let mut notification = Box::new(notification(n));
        notification.request.send_at = Some(send_at);
        Event::new(app(), notification.accepted_at, EventKind::Accepted { notification })
    };
    let recalled = Event::new(app(), at(50), EventKind::Recalled { notification: id(4) });
    let waits = step(6, "u1", Channel::Email, DeliveryState::Scheduled, Some("quiet_hours"));
    let events =
        [accepted(1), later(2, at(900)), later(3, at(100)), later(4, at(900)), recalled, later(5, at(901)), accepted(6), waits];
    f.write(&events).await;
    let scheduled = NotificationFilter { states: vec![DeliveryState::Scheduled], ..Default::default() };
    assert_eq!(search(&f, scheduled.clone(), 10).await, [id(6)]);
    for limit in [1, 10] {
        let now = NotificationFilter { or_sent_after: Some(at(500)), ..scheduled.clone() };
        assert_eq!(search(&f, now, limit).await, [id(6), id(5), id(2)]);
    }
    assert_eq!(search(&f, NotificationFilter::default(), 10).await.len(), 6, "they are listed before their time");
}

async fn what_is_to_be_sent_later_is_found_by_whose_it_will_be(f: Fixture) {
    let red: TopicId = "red".parse().unwrap();
    let to = |n: u64, audience: Audience, send_at| {
        let mut notification = Box::new(notification(n));
        (notification.request.audience, notification.request.send_at) = (audience, Some(at(send_at)));
        Event::new(app(), notification.accepted_at, EventKind::Accepted { notification })
    };
    let named = |id: &str| RecipientRef { id: person(id), profile: ProfilePatch::default() };
    let people = |ids: &[&str]| Audience::Recipients(ids.iter().map(|id| named(id)).collect());
    let events = [
        to(1, people(&["u1", "u2"]), 900),
        to(2, Audience::Topic(red.clone()), 900),
        to(3, Audience::Everyone, 900),
        to(4, people(&["u2"]), 900),
        to(5, people(&["u1"]), 900),
        Event::new(app(), at(50), EventKind::Recalled { notification: id(5) }),
        // its time has come and its dispatch is late; of what went to many the timeline will tell whose it is
        to(6, people(&["u1"]), 400),
        to(7, Audience::Everyone, 400),
        accepted(8),
        step(8, "u1", Channel::Email, DeliveryState::Sent, None),
    ];
    f.write(&events).await;
    f.write(&events).await; // told again, as by its dispatch
    f.archive.put_topic(&app(), &red, None, at(1)).await.unwrap();
    f.archive.set_members(&app(), &red, &[person("u1")], true, 1).await.unwrap();
    let by = |who: &str| NotificationFilter { recipient: Some(person(who)), or_sent_after: Some(at(500)), ..Default::default() };
    let scheduled = |who: &str| NotificationFilter { states: vec![DeliveryState::Scheduled], ..by(who) };
    for limit in [1, 3, 100] {
        assert_eq!(search(&f, by("u1"), limit).await, [id(8), id(6), id(5), id(3), id(2), id(1)], "by {limit}");
        assert_eq!(search(&f, scheduled("u1"), limit).await, [id(3), id(2), id(1)], "by {limit}");
        assert_eq!(search(&f, by("u2"), limit).await, [id(4), id(3), id(1)], "by {limit}");
    }
    assert_eq!(f.archive.search_notifications(&other(), &by("u1"), None, 10).await.unwrap().items, []);
    assert_eq!(f.archive.trim_scheduled(at(900)).await.unwrap(), 2);
    assert_eq!(search(&f, by("u1"), 10).await, [id(8), id(5), id(3), id(2), id(1)]);
}

async fn what_is_to_be_sent_later_is_found_by_the_channels_it_asks_for(f: Fixture) {
    use Channel::{Email, Inbox, Sms};
    let to = |n: u64, channels: Option<&[Channel]>, template: Option<&str>| {
        let mut notification = Box::new(notification(n));
        let request = &mut notification.request;
        (request.send_at, request.channels) = (Some(at(900)), channels.map(<[Channel]>::to_vec));
        (request.template, request.content) =
            (template.map(str::to_owned), request.content.take().filter(|_| template.is_none()));
        Event::new(app(), notification.accepted_at, EventKind::Accepted { notification })
    };
    let events = [
        to(1, Some(&[Email, Sms]), None),
        to(2, Some(&[Inbox]), None),
        to(3, None, None),
        to(4, None, Some("by-mail")),
        to(5, None, Some("other")),
        to(6, Some(&[Sms]), Some("by-mail")),
        to(7, Some(&[Email]), None),
        Event::new(app(), at(50), EventKind::Recalled { notification: id(7) }),
        accepted(8),
        step(8, "u1", Email, DeliveryState::Sent, None),
    ];
    f.write(&events).await;
    let on = |channel: Channel| NotificationFilter {
        channel: Some(channel),
        or_sent_after: Some(at(500)),
        by_default: if channel == Email { ["by-mail".to_owned()].into() } else { [].into() },
        ..Default::default()
    };
    for limit in [1, 2, 100] {
        assert_eq!(search(&f, on(Email), limit).await, [id(8), id(7), id(4), id(1)], "by {limit}");
        assert_eq!(search(&f, on(Sms), limit).await, [id(6), id(1)], "by {limit}");
        assert_eq!(search(&f, on(Inbox), limit).await, [id(3), id(2)], "by {limit}");
        let scheduled = NotificationFilter { states: vec![DeliveryState::Scheduled], ..on(Email) };
        assert_eq!(search(&f, scheduled, limit).await, [id(4), id(1)], "by {limit}");
    }
}

async fn deliveries_are_counted_by_minute_each_event_once(f: Fixture) {
    let minute = 60_000;
    let sent = |n: i64| {
        let of = report(u64::try_from(n).unwrap(), "u1", DeliveryState::Sent, 1);
        Event::new(app(), at(n * minute / 2), EventKind::Delivery(of))
    };
    let events: Vec<Event> = (0..10).map(sent).collect();
    f.write(&events[..6]).await;
    f.write(&events).await; // the first six again, as after a crash
    f.write(&[events[0].clone(), events[0].clone(), delivery(report(0, "u1", DeliveryState::Failed, 2))]).await;
    let activity = f.archive.list_activity(Some(&app()), at(0)).await.unwrap();
    let sum = |state| activity.iter().filter(|a| a.state == state).map(|a| a.n).sum::<u64>();
    assert_eq!((sum(DeliveryState::Sent), sum(DeliveryState::Failed)), (10, 1), "{activity:?}");
    assert!(activity.is_sorted_by_key(|a| a.minute) && activity.iter().all(|a| a.channel == Channel::Email));
    assert_eq!(f.archive.list_activity(None, at(0)).await.unwrap(), activity);
    assert_eq!(f.archive.list_activity(Some(&other()), at(0)).await.unwrap(), []);
    let late = f.archive.list_activity(None, at(4 * minute)).await.unwrap();
    assert!(late.len() < activity.len() && late[0].minute >= at(3 * minute));
    assert!(f.archive.trim_activity(at(4 * minute)).await.unwrap() > 0);
    assert_eq!(f.archive.list_activity(None, at(0)).await.unwrap(), late);
}
