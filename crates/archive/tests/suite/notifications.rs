//! Notifications, their stories and their deliveries.

use stentor_domain::{Channel, DeliveryState, Event, EventKind, content::Article, item::ItemContent};

use crate::support::{Fixture, accepted, app, at, changed, delivery, id, item, notification, on_both, other, report};

on_both! {
    a_notification_is_found_with_what_became_of_it
    its_story_is_told_in_order
    deliveries_are_counted_and_paged
}

async fn a_notification_is_found_with_what_became_of_it(f: Fixture) {
    let article = Article { title: "t".into(), summary: None, image: None, link: Some("https://x.example".into()) };
    let content = ItemContent { body_html: "<p>é 还</p>".into(), body_text: "é 还".into(), articles: vec![article] };
    let kind = EventKind::Content { notification: id(1), variant: "zh-CN".into(), content: content.clone(), version: 0 };
    f.write(&[accepted(1), accepted(2), Event::new(app(), at(2), kind)]).await;
    let found = f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap();
    assert_eq!((found.notification, found.dispatched_at, found.error), (notification(1), None, None));
    let gone = EventKind::Dispatched { notification: id(1), deliveries: 0, error: Some("its template is gone".into()) };
    f.write(&[Event::new(app(), at(5), gone)]).await;
    let found = f.archive.find_notification(&app(), id(1)).await.unwrap().unwrap();
    assert_eq!((found.dispatched_at, found.error.as_deref()), (Some(at(5)), Some("its template is gone")));
    assert_eq!(f.archive.find_content(&app(), id(1), "zh-CN").await.unwrap(), Some(content));
    for (app, id, variant) in [(app(), id(1), "en"), (app(), id(2), "zh-CN"), (other(), id(1), "zh-CN")] {
        assert_eq!(f.archive.find_content(&app, id, variant).await.unwrap(), None);
    }
    assert_eq!(f.archive.find_notification(&other(), id(1)).await.unwrap(), None);
    assert_eq!(f.archive.find_notification(&app(), id(3)).await.unwrap(), None);
}

async fn its_story_is_told_in_order(f: Fixture) {
    let read = stentor_domain::ItemState { read_at: Some(at(700)), ..Default::default() };
    let mut story = vec![
        accepted(1),
        item("u1", 1),
        delivery(report(1, "u1", DeliveryState::Queued, 1)),
        delivery(report(1, "u1", DeliveryState::Sent, 1)),
        changed("u1", 1, 700, read),
    ];
    story.reverse();
    f.write(&story).await;
    f.write(&[accepted(2), item("u1", 2)]).await;
    let names = async |limit| -> Vec<String> {
        let events = f.archive.list_events(&app(), id(1), None, limit).await.unwrap().0;
        assert!(events.is_sorted_by_key(|e| e.at));
        events.iter().map(|e| e.kind.name().to_owned()).collect()
    };
    assert_eq!(names(100).await, ["accepted", "item_written", "delivery", "delivery", "items_changed"]);
    assert_eq!(names(2).await, ["accepted", "item_written"]);
    assert_eq!(f.archive.list_events(&other(), id(1), None, 100).await.unwrap(), (vec![], None));
    // in pages, whatever their size, each once
    f.write(&(0..40).map(|n| delivery(report(1, &format!("u{n}"), DeliveryState::Skipped, 1))).collect::<Vec<_>>()).await;
    let (all, end) = f.archive.list_events(&app(), id(1), None, 1_000).await.unwrap();
    assert_eq!((all.len(), end), (45, None));
    for limit in [1, 4, 45] {
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = f.archive.list_events(&app(), id(1), after, limit).await.unwrap();
            assert!(page.len() <= limit);
            told.extend(page.into_iter().map(|e| e.id));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let ids = |mut ids: Vec<uuid::Uuid>| {
            ids.sort();
            ids
        };
        assert_eq!(ids(told), ids(all.iter().map(|e| e.id).collect()), "by {limit}");
    }
}

async fn deliveries_are_counted_and_paged(f: Fixture) {
    let state = |n: u32| if n.is_multiple_of(3) { DeliveryState::Failed } else { DeliveryState::Sent };
    let events: Vec<Event> = (0..100).map(|n| delivery(report(1, &format!("u{n}"), state(n), 1))).collect();
    f.write(&events).await;
    f.write(&[delivery(report(2, "u1", DeliveryState::Sent, 1))]).await;
    let mut counts = f.archive.delivery_counts(&app(), id(1)).await.unwrap();
    counts.sort_by_key(|(_, _, n)| *n);
    assert_eq!(counts, [(Channel::Email, DeliveryState::Failed, 34), (Channel::Email, DeliveryState::Sent, 66)]);
    assert_eq!(f.archive.delivery_counts(&other(), id(1)).await.unwrap(), []);
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = f.archive.list_deliveries(&app(), id(1), after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        ids.extend(page.iter().map(|d| d.id.to_string()));
    }
    assert_eq!(ids.len(), 100);
    ids.dedup();
    assert_eq!(ids.len(), 100, "in the order of their ids, each once");
    assert_eq!(f.archive.list_deliveries(&other(), id(1), None, 7).await.unwrap(), []);
}
