//! Faults of mail servers and SMS gateways.

use std::time::{Duration, Instant};

use serde_json::json;
use stentor_testkit::{Answer, Fault, FaultProxy};
use stentor_tests::device::Device;

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
    let count = scale.of(2, 5);
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

/// An SMS gateway that takes requests and never answers, with a queue before it: how long others wait for their items.
pub async fn stalled(scale: Scale) -> Row {
    let stack = Stack::start(&["api,gateway,worker"]).await;
    let token = stack.api.token("p0").await;
    let (mut device, _) = Device::open(&stack.api.url, &token, None).await;
    let count = scale.of(200, 2_000);
    let alone = p99(&stack, &mut device, count).await;
    stack.sms.answer(&[Answer::Stall]);
    let mut load = Load::begin(&stack.api, scale.of(100, 400), by_sms, json!({}));
    load.end().await;
    stack.sms.wait_for(10, Duration::from_secs(20)).await; // most places of the SMS worker are taken
    let beside = p99(&stack, &mut device, count).await;
    // The gateway is left alone after five failures, and its places are free.
    let note = format!(
        "p99 of POST to frame {:.1} ms alone, {:.1} ms beside it: {:.2}x",
        alone.as_secs_f64() * 1e3,
        beside.as_secs_f64() * 1e3,
        beside.as_secs_f64() / alone.as_secs_f64()
    );
    Row { accepted: 2 * count, arrived: 2 * count, notes: vec![note], ..Row::default() }
}

/// The 99th percentile of the time from a request to its frame on a device.
async fn p99(stack: &Stack, device: &mut Device, count: usize) -> Duration {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let began = Instant::now();
        let title = format!("n-{n}");
        stack.api.send(&json!({"audience": {"recipients": ["p0"]}, "content": {"title": title}})).await;
        assert_eq!(device.until("item").await["item"]["title"], title);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[count * 99 / 100]
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
