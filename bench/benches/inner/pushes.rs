//! What is pushed: the body that many share, and the end that is one person's alone.

use std::{fmt::Write as _, hint::black_box};

use bytes::Bytes;
use stentor_api::realtime::frame::ServerFrame;
use stentor_domain::{Card, Item, ItemState, NotificationId, Priority, Timestamp, content::Image};
use stentor_inbox::{Cursor, Position};
use stentor_socket::Frame;

use crate::beside::Bench;

pub(crate) fn measure(bench: &mut Bench) {
    let (frame, cursor) = (frame(), cursor());
    let json = serde_json::to_vec(&frame).expect("JSON");
    bench
        .work("write a card as a frame", || serde_json::to_vec(black_box(&frame)).expect("JSON"))
        .beside("its bytes copied", || black_box(&json).clone());

    bench.work("write a cursor", || black_box(cursor).to_string()).beside("format", || {
        let Cursor { own, timeline } = black_box(cursor);
        format!("c{:x}-{:x}-{:x}-{:x}", own.epoch, own.rev, timeline.epoch, timeline.rev)
    });

    // As `realtime` puts a push together: a broadcast has one body, and each person their own count and place.
    let shared = Bytes::copy_from_slice(&json[..json.len() - 60]);
    let mut end = String::with_capacity(128);
    bench
        .work("make the push of one person", || {
            end.clear();
            write!(end, ",\"unread\":{},\"cursor\":\"{}\"}}", black_box(7), black_box(cursor))
                .expect("a String takes every write");
            Frame::shared_text(shared.clone(), end.as_bytes())
        })
        .beside("body and end copied into one", || {
            let mut whole = Vec::with_capacity(10 + json.len());
            whole.extend_from_slice(&[0x81, 126, 2, 0]);
            whole.extend_from_slice(black_box(&json));
            whole
        })
        .beside("serde for each person", || Frame::text(serde_json::to_vec(black_box(&frame)).expect("JSON")));
}

fn cursor() -> Cursor {
    let place = Position { epoch: 1_795_694_400, rev: 1_234_567 };
    Cursor { own: place, timeline: place }
}

fn frame() -> ServerFrame {
    let at = Timestamp::from_millis(1_795_694_400_000);
    let card = Card {
        id: NotificationId::new(at, &[7; 10]),
        title: "Your card repayment is due on December 5".to_owned(),
        summary: Some("CN¥1,234.50 will be taken from the account that ends in 6222.".to_owned()),
        image: Some(Image { url: "https://bank.example/images/card.png".to_owned(), alt: "A bank card".to_owned() }),
        link: Some("https://bank.example/cards/6222/repayments/42".to_owned()),
        actions: Vec::new(),
        category: Some("billing".to_owned()),
        priority: Priority::High,
        created_at: at,
        expires_at: None,
    };
    let item = Item::new(&card, ItemState::default(), 1_234_567).expect("JSON");
    ServerFrame::Item { item, unread: 7, cursor: cursor() }
}
