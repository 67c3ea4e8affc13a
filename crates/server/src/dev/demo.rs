//! The demo: a bank and a news site with the real widget in them, and a form that sends over the real API.

use std::sync::LazyLock;

use axum::{
    Json, Router,
    extract::Query,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use stentor_api::{
    auth::{MAX_TOKEN_LIFE, issue_token},
    pages::{page, script, style},
};
use stentor_domain::{Clock, RecipientId, SystemClock};

use super::Credentials;

/// The pages, and what they need to begin: tokens of those who are "signed in", and the key with which the form sends.
pub(crate) fn routes(credentials: Credentials) -> Router {
    Router::new()
        .route("/", get(async || axum::response::Redirect::temporary("/demo")))
        .route("/demo", get(async || page(include_str!("pages/demo.html"))))
        .route("/demo.js", get(async || script(include_str!("pages/demo.js"))))
        .route("/demo.css", get(async || style(include_str!("pages/demo.css"))))
        .route("/demo/bank", get(async || page(include_str!("pages/bank.html"))))
        .route("/demo/news", get(async || page(include_str!("pages/news.html"))))
        .route("/demo/example", get(async || page(&EXAMPLE)))
        .route("/demo/inbox", get(async || page(include_str!("pages/inbox.html"))))
        .route("/demo/site.js", get(async || script(include_str!("pages/site.js"))))
        .route("/demo/site.css", get(async || style(include_str!("pages/site.css"))))
        .route("/demo/picture.svg", get(async || picture(include_str!("pages/picture.svg"))))
        .route("/demo/icon.svg", get(async || picture(include_str!("pages/icon.svg"))))
        .route("/demo/icon-unread.svg", get(async || picture(include_str!("pages/icon-unread.svg"))))
        .route("/demo/session", get(async move |Query(who): Query<Who>| session(&credentials, &who)))
}

/// The page that the docs give to copy, as it is but for where Stentor is: here.
static EXAMPLE: LazyLock<String> =
    LazyLock::new(|| include_str!("../../../../docs/examples/inbox.html").replace("http://127.0.0.1:8080", ""));

fn picture(svg: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], svg)
}

/// Who is signed in; the demo's recipient if it is not said.
#[derive(Deserialize)]
struct Who {
    person: Option<RecipientId>,
}

/// Only `stentor dev` answers this, and only on the loopback unless it was told otherwise: it gives the demo's key away.
fn session(credentials: &Credentials, who: &Who) -> Result<Json<Value>, StatusCode> {
    let Credentials { app, api_key, inbox_secret, recipient, .. } = credentials;
    let recipient = who.person.as_ref().unwrap_or(recipient);
    let expires_at = SystemClock.now().after(MAX_TOKEN_LIFE);
    let token =
        issue_token(inbox_secret.as_bytes(), app, recipient, expires_at).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "app": app, "recipient": recipient, "token": token, "expires_at": expires_at, "api_key": api_key })))
}
