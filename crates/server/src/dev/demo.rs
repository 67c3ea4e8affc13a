//! The demo page: the inbox of the demo's recipient, live, as a device would show it.

use axum::{
    Json, Router,
    http::{StatusCode, header},
    routing::get,
};
use serde_json::{Value, json};
use stentor_api::{
    auth::{MAX_TOKEN_LIFE, issue_token},
    pages::{page, script},
};
use stentor_domain::{Clock, SystemClock};

use super::Credentials;

/// The page, and what it needs to begin: whose inbox, a token, and the key with which its buttons send.
pub(crate) fn routes(credentials: Credentials) -> Router {
    Router::new()
        .route("/", get(async || axum::response::Redirect::temporary("/demo")))
        .route("/demo", get(async || page(include_str!("pages/demo.html"))))
        .route("/demo.js", get(async || script(include_str!("pages/demo.js"))))
        .route("/demo/picture.svg", get(async || ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("pages/picture.svg"))))
        .route("/demo/session", get(async move || session(&credentials)))
}

/// Only `stentor dev` answers this, and only on the loopback unless it was told otherwise: it gives the demo's key away.
fn session(credentials: &Credentials) -> Result<Json<Value>, StatusCode> {
    let Credentials { app, api_key, inbox_secret, recipient, .. } = credentials;
    let expires_at = SystemClock.now().after(MAX_TOKEN_LIFE);
    let token =
        issue_token(inbox_secret.as_bytes(), app, recipient, expires_at).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "app": app, "recipient": recipient, "token": token, "expires_at": expires_at, "api_key": api_key })))
}
