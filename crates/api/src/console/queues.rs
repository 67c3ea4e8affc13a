//! The queues: how much waits, on which lane, since when. They are those of all apps.

use askama::Template;
use axum::extract::State;
use stentor_domain::Timestamp;
use stentor_queue::{Depth, Queue};

use super::{
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::{span, thousands},
};
use crate::{problem::ApiError, state::ApiState};

/// How much waits in a queue.
pub(super) struct Waiting {
    pub name: String,
    pub depth: Depth,
    /// Since when the oldest entry stands on its lane.
    oldest: Option<std::time::Duration>,
    /// When the next is due.
    next_due: Option<Timestamp>,
    now: Timestamp,
}

impl Waiting {
    async fn of(queue: &Queue, now: Timestamp) -> Result<Self, ApiError> {
        let (depth, oldest) = (queue.depth().await?, queue.oldest().await?);
        Ok(Self {
            name: queue.name().to_owned(),
            depth,
            oldest: oldest.entry.map(|at| now.since(Timestamp::from_millis(at))),
            next_due: oldest.due.map(Timestamp::from_millis),
            now,
        })
    }

    pub(super) fn queued_words(&self) -> String {
        thousands(self.depth.high + self.depth.normal + self.depth.bulk)
    }

    pub(super) fn due_words(&self) -> String {
        thousands(self.depth.due)
    }

    pub(super) fn oldest_words(&self) -> Option<String> {
        self.oldest.map(span)
    }

    fn next_words(&self) -> String {
        match self.next_due {
            None => String::new(),
            Some(at) if at <= self.now => "due now".to_owned(),
            Some(at) => format!("next in {}", span(at.since(self.now))),
        }
    }

    fn lanes(&self) -> [(&'static str, u64); 3] {
        [("high", self.depth.high), ("normal", self.depth.normal), ("bulk", self.depth.bulk)]
    }
}

/// What waits in each queue.
pub(super) async fn waiting(state: &ApiState, now: Timestamp) -> Result<Vec<Waiting>, ApiError> {
    let mut all = Vec::new();
    for queue in state.queues() {
        all.push(Waiting::of(queue, now).await?);
    }
    Ok(all)
}

#[derive(Template)]
#[template(path = "queues.html")]
#[expect(clippy::struct_field_names, reason = "the page of queues shows queues")]
pub(super) struct Queues {
    shell: Shell,
    queues: Vec<Waiting>,
    /// How many there are in the events log, each of one fact or several.
    entries: u64,
}

/// The page.
pub(super) async fn show(State(state): State<ApiState>, visit: Visit) -> Result<Page<Queues>, Failure> {
    let queues = waiting(&state, state.now()).await?;
    let entries = state.events.depth().await?;
    Ok(Page(Queues { shell: visit.shell_of_none(Section::Queues, "Queues"), queues, entries }))
}
