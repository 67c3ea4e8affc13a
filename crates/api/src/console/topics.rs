//! Topics: named groups of recipients, and who is in one.

use askama::Template;
use axum::extract::State;
use serde::Deserialize;
use stentor_archive::Topic;
use stentor_domain::{AppId, RecipientId, TopicId};

use super::{
    asked::{Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::{address, step, thousands},
};
use crate::{problem::ApiError, state::ApiState};

/// How many topics or members a page has.
const PAGE: usize = 50;

/// Up to how many members are counted: a page lists many topics, and each may have millions.
const COUNTED: u64 = 10_000;

impl ApiState {
    async fn members_in_words(&self, app: &AppId, topic: &TopicId) -> Result<String, ApiError> {
        let n = self.archive.count_members_up_to(app, topic, COUNTED + 1).await?;
        Ok(if n > COUNTED { format!("more than {}", thousands(COUNTED)) } else { thousands(n) })
    }
}

/// From where on.
#[derive(Deserialize)]
pub(super) struct Wanted<T> {
    after: Option<T>,
}

#[derive(Template)]
#[template(path = "topics.html")]
pub(super) struct List {
    shell: Shell,
    topics: Vec<(Topic, String)>,
    next: Option<String>,
}

/// The list, by id.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted<TopicId>>,
) -> Result<Page<List>, Failure> {
    let app = visit.app()?;
    let mut found = state.archive.list_topics(app, wanted.after.as_ref(), PAGE + 1).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| more);
    let next = last.map(|topic| address("/console/topics", &[("app", app.as_str()), ("after", topic.id.as_str())]));
    let mut topics = Vec::with_capacity(found.len());
    for topic in found {
        let members = state.members_in_words(app, &topic.id).await?;
        topics.push((topic, members));
    }
    Ok(Page(List { shell: visit.shell(Section::Topics, "Topics"), topics, next }))
}

#[derive(Template)]
#[template(path = "topic.html")]
pub(super) struct One {
    shell: Shell,
    topic: Topic,
    members: Vec<RecipientId>,
    count: String,
    next: Option<String>,
}

/// One topic and its members.
pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Path(id): Path<TopicId>,
    Query(wanted): Query<Wanted<RecipientId>>,
) -> Result<Page<One>, Failure> {
    let app = visit.app()?;
    let topic = state.archive.find_topic(app, &id).await?.ok_or_else(|| ApiError::not_found("topic"))?;
    let mut members = state.archive.list_members(app, &id, wanted.after.as_ref(), PAGE + 1).await?;
    let more = members.len() > PAGE;
    members.truncate(PAGE);
    let here = format!("/console/topics/{}", step(id.as_str()));
    let next = members.last().filter(|_| more).map(|last| address(&here, &[("app", app.as_str()), ("after", last.as_str())]));
    let count = state.members_in_words(app, &id).await?;
    Ok(Page(One { shell: visit.shell(Section::Topics, id.to_string()), topic, members, count, next }))
}
