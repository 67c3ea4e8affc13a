//! Dead letters: what was given up and waits for a decision; looked into, replayed, discarded, one by one or all that fit.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Deserialize;
use stentor_domain::{AppId, Timestamp};

use super::{
    asked::Query,
    page::{Failure, Page, Section, Shell},
    visit::{Entry, Visit},
    words::{address, thousands},
};
use crate::{
    problem::ApiError,
    rest::dead_letters::{DeadLetterView, LetterQuery, Verdict},
    state::ApiState,
};

/// How many letters a page has.
const PAGE: usize = 50;

/// Which letters: the fields of the form, which are those of the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    queue: String,
    reason: String,
    after: String,
}

impl Wanted {
    fn query(&self) -> LetterQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        LetterQuery { queue: given(&self.queue), reason: given(&self.reason), ..LetterQuery::default() }
    }

    fn place(&self, app: Option<&AppId>, after: &str) -> String {
        let app = app.map_or("", AppId::as_str);
        address("/console/dead-letters", &[("app", app), ("queue", &self.queue), ("reason", &self.reason), ("after", after)])
    }
}

/// A row of the list.
struct Row {
    letter: DeadLetterView,
    app: Option<String>,
    notification: Option<String>,
    payload: String,
}

impl Row {
    fn of(letter: DeadLetterView) -> Self {
        let field = |name: &str| letter.payload.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let payload = serde_json::to_string_pretty(&letter.payload).unwrap_or_default();
        Self { app: field("app"), notification: field("notification"), payload, letter }
    }

    fn died(&self) -> Timestamp {
        self.letter.died_at
    }
}

#[derive(Template)]
#[template(path = "dead_letters.html")]
pub(super) struct List {
    shell: Shell,
    wanted: Wanted,
    queues: Vec<String>,
    rows: Vec<Row>,
    action: String,
    next: Option<String>,
    filtered: bool,
}

/// The list, the oldest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Page<List>, Failure> {
    let app = visit.picked();
    let after = Some(wanted.after.as_str()).filter(|after| !after.is_empty());
    let page = state.letters(app, &wanted.query(), after, PAGE).await?;
    Ok(Page(List {
        shell: visit.shell_of_all(Section::DeadLetters, "Dead letters"),
        queues: state.queues().map(|queue| queue.name().to_owned()).collect(),
        rows: page.items.into_iter().map(Row::of).collect(),
        action: wanted.place(app, ""),
        next: page.next.map(|next| wanted.place(app, &next)),
        filtered: !wanted.queue.is_empty() || !wanted.reason.is_empty(),
        wanted,
    }))
}

/// Decides on those that are ticked, or on all that the address takes.
pub(super) async fn decide(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
    form: String,
) -> Result<Response, Failure> {
    let (mut act, mut ids) = (String::new(), Vec::new());
    for (name, value) in url::form_urlencoded::parse(form.as_bytes()) {
        match name.as_ref() {
            "act" => act = value.into_owned(),
            "id" => ids.push(value.into_owned()),
            _ => {}
        }
    }
    let (verdict, all) = match act.as_str() {
        "replay" => (Verdict::Replay, false),
        "discard" => (Verdict::Discard, false),
        "replay_all" => (Verdict::Replay, true),
        "discard_all" => (Verdict::Discard, true),
        _ => return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "choose what is to be done").into()),
    };
    let (action, done) = match verdict {
        Verdict::Replay => ("dead_letter.replay", "put back"),
        Verdict::Discard => ("dead_letter.discard", "discarded"),
    };
    let app = visit.picked();
    let place = wanted.place(app, "");
    if !all && ids.is_empty() {
        return Ok(visit.go(&state, &place, "Tick the letters that are meant first.").await);
    }
    let settled = if all {
        // Only what is there now: what dies meanwhile was not looked at.
        let query = LetterQuery { until: Some(state.now()), ..wanted.query() };
        let of = if wanted.queue.is_empty() { "every queue".to_owned() } else { format!("queue {:?}", wanted.queue) };
        let why = if wanted.reason.is_empty() { String::new() } else { format!(", reason with {:?}", wanted.reason) };
        let subject = format!("all that fit: {of}{why}");
        visit.on_record(&state, app, Entry::new(action, subject), state.settle_letters(app, &query, verdict)).await?
    } else {
        let mut settled = 0;
        for id in &ids {
            let entry = Entry::new(action, id.clone());
            match visit.on_record(&state, app, entry, state.settle_letter(app, id, verdict)).await {
                Ok(there) => settled += usize::from(there),
                // Somebody else has decided on it meanwhile.
                Err(failure) if failure.status() == StatusCode::NOT_FOUND => {}
                Err(failure) => return Err(failure),
            }
        }
        settled
    };
    let letters = if settled == 1 { "letter was" } else { "letters were" };
    Ok(visit.go(&state, &place, &format!("{} {letters} {done}.", thousands(settled as u64))).await)
}
