//! Faults of mail servers and SMS gateways.

use std::time::Duration;

use serde_json::json;
use stentor_testkit::{Answer, Fault, FaultProxy};

use crate::{
    Row, Scale,
    load::Load,
    sinks::{check, in_state},
    stack::Stack,
};

fn by_mail(_: usize) -> &'static [&'static str] {
    &["email"]
}

fn by_sms(_: usize) -> &'static [&'static str] {
    &["sms"]
}

/// The server takes each mail, and its 250 is lost: sent once more with the same Message-ID, then `unknown`.
pub async fn reset_after_data(scale: Scale) -> Row {
    let count = scale.of(2, 20);
    let stack = Stack::servers();
    let proxy = FaultProxy::before(stack.mail.port());
    let sms = stack.sms.port();
    let mut stack = stack.through(proxy.port(), sms);
    stack.add("api,worker").await;
    proxy.set(Fault::LoseAnswerTo(b"\r\n.\r\n"));
    let mut load = Load::begin(&stack.api, count, by_mail, json!({}));
    load.end().await;
    let row = check(&stack, &load).await;
    assert_eq!(in_state(&stack, "email", "unknown"), count);
    assert_eq!((proxy.lost_answers(), stack.mail.mails().len()), (2 * count, 2 * count));
    row
}

/// SMS through a proxy with this fault: each comes exactly once and is `unknown`.
async fn spoilt(count: usize, fault: Fault) -> Row {
    let stack = Stack::servers();
    let proxy = FaultProxy::before(stack.sms.port());
    let mail = stack.mail.port();
    let mut stack = stack.through(mail, proxy.port());
    stack.add("api,worker").await;
    proxy.set(fault);
    let mut load = Load::begin(&stack.api, count, by_sms, json!({}));
    load.end().await;
    let row = check(&stack, &load).await;
    assert_eq!(in_state(&stack, "sms", "unknown"), count);
    assert_eq!(stack.sms.requests().len(), count, "asked once each");
    row
}

pub async fn lost_answer(scale: Scale) -> Row {
    spoilt(scale.of(5, 10), Fault::LoseAnswerTo(b"\r\n\r\n")).await
}

pub async fn slow_answer(scale: Scale) -> Row {
    spoilt(scale.of(5, 10), Fault::Trickle(Duration::from_millis(500))).await
}

pub async fn too_many_requests(scale: Scale) -> Row {
    let stack = Stack::start(&["api,worker"]).await;
    stack.sms.answer(&[Answer::status(429).with_header("Retry-After", "1"), Answer::status(200)]);
    let mut load = Load::begin(&stack.api, scale.of(5, 100), by_sms, json!({}));
    load.end().await;
    // The one that was refused came twice to the gateway, and was taken once.
    crate::sinks::at_rest(&stack).await;
    assert_eq!((stack.sms.requests().len(), in_state(&stack, "sms", "sent")), (load.count + 1, load.count));
    Row { accepted: load.count, arrived: load.count, notes: vec!["1 asked again".into()], ..Row::default() }
}

pub async fn server_error(scale: Scale) -> Row {
    let stack = Stack::start(&["api,worker"]).await;
    stack.sms.answer(&[Answer::status(500)]);
    let mut load = Load::begin(&stack.api, scale.of(5, 10), by_sms, json!({}));
    load.end().await;
    let row = check(&stack, &load).await;
    assert_eq!(in_state(&stack, "sms", "unknown"), load.count);
    row
}
