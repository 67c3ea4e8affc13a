//! The check of a POST: from the bytes of its body to a request in which nothing is wrong.

use std::hint::black_box;

use serde_json::{Value, json};
use stentor_domain::{NotificationRequest, Timestamp};
use stentor_templates::Library;

use crate::beside::Bench;

pub(crate) fn measure(bench: &mut Bench) {
    let library = Library::builtin().unwrap_or_else(|e| panic!("{e}"));
    let template = library.find("card-repayment-due").expect("it ships");
    let now = Timestamp::from_millis(1_795_694_400_000);
    let many: Vec<Value> = (0..1_000).map(|n| json!({ "id": format!("u{n}"), "email": format!("u{n}@example.com") })).collect();
    for (name, recipients) in [("check a POST", json!(["ada"])), ("check a POST for 1000 people", json!(many))] {
        let body = json!({
            "audience": { "recipients": recipients }, "template": "card-repayment-due", "channels": ["inbox", "email", "sms"],
            "data": { "amount": { "value": "1234.50", "currency": "CNY" }, "due_date": "2026-12-05", "card": "6222" },
            "priority": "high", "metadata": { "order": "42" },
        });
        let body = serde_json::to_vec(&body).expect("JSON");
        let typed = |body| serde_json::from_slice::<NotificationRequest>(body).expect("a request");
        bench
            .work(name, || {
                let mut request = typed(black_box(&body));
                let mut found = request.check(now);
                found.extend(template.check_data(&request.data));
                let invalid = request.set_aside_invalid_addresses(&mut found);
                assert!(found.is_empty() && invalid.is_empty(), "{found:?}");
                request
            })
            .beside("serde into the same request", || typed(black_box(&body)))
            .beside("serde into any value", || serde_json::from_slice::<Value>(black_box(&body)).expect("JSON"));
    }
}
