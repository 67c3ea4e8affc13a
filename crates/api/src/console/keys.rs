//! Keys: those of an app, made and revoked; and the operators, who are made on the command line.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use stentor_archive::{ApiKey, Operator};

use super::{
    asked::{Path, Query},
    page::{Failure, Page, Section, Shell},
    visit::{Entry, Visit},
    words::{Badge, address},
};
use crate::{
    auth::{SCOPES, new_key},
    problem::ApiError,
    state::ApiState,
};

/// How many keys a page has, and how many operators.
const PAGE: usize = 50;
const OPERATORS: usize = 20;

/// From where on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Keys after this one.
    keys: String,
    /// Operators after this one.
    operators: String,
}

#[derive(Template)]
#[template(path = "keys.html")]
#[expect(clippy::struct_field_names, reason = "the page of keys shows keys")]
pub(super) struct Keys {
    shell: Shell,
    keys: Vec<ApiKey>,
    more_keys: Option<String>,
    operators: Vec<Operator>,
    more_operators: Option<String>,
    /// A key that was made just now: it is shown this once.
    made: Option<String>,
}

impl Keys {
    async fn read(state: &ApiState, visit: &Visit, wanted: &Wanted, made: Option<String>) -> Result<Page<Self>, Failure> {
        let app = visit.app()?;
        let after = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let place = |keys: &str, operators: &str| {
            address("/console/keys", &[("app", app.as_str()), ("keys", keys), ("operators", operators)])
        };
        let mut keys = state.archive.page_of_keys(app, after(&wanted.keys).as_deref(), PAGE + 1).await?;
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let more_keys = keys.last().filter(|_| more).map(|last| place(&last.id, &wanted.operators));
        let mut operators = state.archive.page_of_operators(after(&wanted.operators).as_deref(), OPERATORS + 1).await?;
        let more = operators.len() > OPERATORS;
        operators.truncate(OPERATORS);
        let more_operators = operators.last().filter(|_| more).map(|last| place(&wanted.keys, &last.id));
        let shell = visit.shell(Section::Keys, "Keys");
        Ok(Page(Self { shell, keys, more_keys, operators, more_operators, made }))
    }

    fn scopes(&self) -> &'static [&'static str] {
        &SCOPES
    }
}

/// The page.
pub(super) async fn list(
    State(state): State<ApiState>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Page<Keys>, Failure> {
    Keys::read(&state, &visit, &wanted, None).await
}

/// Makes a key.
pub(super) async fn create(State(state): State<ApiState>, visit: Visit, form: String) -> Result<Response, Failure> {
    let app = visit.app()?;
    let (mut name, mut scopes) = (String::new(), Vec::new());
    for (field, value) in url::form_urlencoded::parse(form.as_bytes()) {
        match field.as_ref() {
            "name" => value.trim().clone_into(&mut name),
            "scope" if SCOPES.contains(&value.as_ref()) => scopes.push(value.into_owned()),
            _ => {}
        }
    }
    let invalid = |what: &str| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", what.to_owned());
    if scopes.is_empty() {
        return Err(invalid("tick at least one scope: a key without any opens nothing").into());
    }
    if let Err(wrong) = stentor_domain::text::check_line(&name, 64) {
        return Err(invalid(&format!("the name {wrong}")).into());
    }
    let (secret, record) = new_key(app, &name, scopes, state.now());
    let detail = format!("{name}: {}", record.scopes.join(", "));
    let entry = Entry::new("key.create", record.id.clone()).with(detail);
    visit.on_record(&state, Some(app), entry, async { Ok(state.archive.insert_key(&record).await?) }).await?;
    Ok(Keys::read(&state, &visit, &Wanted::default(), Some(secret)).await?.into_response())
}

/// Revokes a key.
pub(super) async fn revoke(State(state): State<ApiState>, visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let app = visit.app()?;
    let revoke = async {
        let revoked = state.archive.revoke_key(app, &id, state.now()).await?;
        if revoked { Ok(()) } else { Err(ApiError::not_found("valid key")) }
    };
    visit.on_record(&state, Some(app), Entry::new("key.revoke", id.clone()), revoke).await?;
    let place = format!("/console/keys?app={app}");
    Ok(visit.go(&state, &place, &format!("The key {id} is revoked. It may work for up to 10 seconds yet.")).await)
}
