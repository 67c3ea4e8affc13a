//! Keys: those of an app, made and revoked; and the operators, who are made on the command line.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use stentor_archive::{ApiKey, Operator};

use super::{
    asked::Path,
    page::{Failure, Page, Section, Shell},
    visit::Visit,
    words::Badge,
};
use crate::{
    auth::{SCOPES, new_key},
    problem::ApiError,
    state::ApiState,
};

#[derive(Template)]
#[template(path = "keys.html")]
#[expect(clippy::struct_field_names, reason = "the page of keys shows keys")]
pub(super) struct Keys {
    shell: Shell,
    keys: Vec<ApiKey>,
    operators: Vec<Operator>,
    /// A key that was made just now: it is shown this once.
    made: Option<String>,
}

impl Keys {
    async fn read(state: &ApiState, visit: &Visit, made: Option<String>) -> Result<Page<Self>, Failure> {
        let app = visit.app()?;
        let mut keys = state.archive.list_keys(app).await?;
        // Those that hold come first, the newest of them on top.
        keys.sort_by_key(|key| (key.revoked_at.is_some(), std::cmp::Reverse(key.created_at)));
        let operators = state.archive.list_operators().await?;
        Ok(Page(Self { shell: visit.shell(Section::Keys, "Keys"), keys, operators, made }))
    }

    fn scopes(&self) -> &'static [&'static str] {
        &SCOPES
    }
}

/// The page.
pub(super) async fn list(State(state): State<ApiState>, visit: Visit) -> Result<Page<Keys>, Failure> {
    Keys::read(&state, &visit, None).await
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
    visit.audit(&state, Some(app), "key.create", record.id.clone(), Some(detail)).await?;
    state.archive.insert_key(&record).await?;
    Ok(Keys::read(&state, &visit, Some(secret)).await?.into_response())
}

/// Revokes a key.
pub(super) async fn revoke(State(state): State<ApiState>, visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let app = visit.app()?;
    visit.audit(&state, Some(app), "key.revoke", id.clone(), None).await?;
    if !state.archive.revoke_key(app, &id, state.now()).await? {
        return Err(ApiError::not_found("valid key").into());
    }
    let place = format!("/console/keys?app={app}");
    Ok(visit.go(&state, &place, &format!("The key {id} is revoked. It may work for up to 10 seconds yet.")).await)
}
