//! What is measured, a file each.

pub(crate) mod accept;
pub(crate) mod archive;
pub(crate) mod broadcast;
pub(crate) mod growth;
pub(crate) mod inbox;
pub(crate) mod live;
pub(crate) mod mail;
pub(crate) mod queue;
pub(crate) mod start;
pub(crate) mod templates;

use std::pin::Pin;

use serde_json::Value;

use crate::report::Report;

/// A part of the benchmark.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn() -> Pin<Box<dyn Future<Output = Report>>>,
}

/// All parts, in the order of the table.
pub(crate) const ALL: [Part; 11] = [
    Part { name: "accept", about: "accepting notifications", run: || Box::pin(accept::run()) },
    Part { name: "queue", about: "the queue", run: || Box::pin(async { queue::run() }) },
    Part { name: "live", about: "pushes to sockets", run: || Box::pin(live::run()) },
    Part { name: "inbox", about: "hot inboxes", run: || Box::pin(async { inbox::run() }) },
    Part { name: "broadcast", about: "broadcasts to those who are not online", run: || Box::pin(broadcast::run()) },
    Part { name: "mail", about: "mails", run: || Box::pin(mail::run()) },
    Part { name: "archive", about: "facts into SQL", run: || Box::pin(archive::run()) },
    Part { name: "start", about: "starting", run: || Box::pin(start::run()) },
    Part { name: "templates", about: "writing messages", run: || Box::pin(async { templates::run() }) },
    Part { name: "growth", about: "how cost grows", run: || Box::pin(growth::run()) },
    Part { name: "sockets", about: "how pushes grow with the sockets", run: || Box::pin(growth::sockets()) },
];

/// What runs in a process of its own: see [`crate::subject`].
pub(crate) async fn subject(name: &str, args: &[String]) -> Value {
    match name.split_once('-').map_or(name, |(part, _)| part) {
        "archive" => archive::subject(name, args).await,
        "growth" => growth::subject(name, args).await,
        "inbox" => inbox::subject(name, args).await,
        "mail" => mail::subject(args).await,
        "queue" => queue::subject(name, args).await,
        _ => panic!("no subject {name}"),
    }
}
