//! Signing in with an operator key, and signing out.

use std::net::IpAddr;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use stentor_archive::{DONE, Deed, Operator};
use subtle::ConstantTimeEq;

use super::{
    asked::{Form, Query},
    assets,
    page::{Failure, Page},
    session::{Session, Sql},
    visit::{Entry, Visit},
};
use crate::{
    auth::{ID_LENGTH, OPERATOR_PREFIX},
    problem::ApiError,
    state::ApiState,
};

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    css: String,
    tokens: String,
    js: String,
    icon: String,
    next: String,
    /// Why they are not let in.
    refused: Option<&'static str>,
}

impl Login {
    fn new(next: &str, refused: Option<&'static str>) -> Self {
        let address = assets::address;
        Self {
            css: address("console.css"),
            tokens: address("tokens.css"),
            js: address("console.js"),
            icon: address("icon.svg"),
            next: inside(next).to_owned(),
            refused,
        }
    }
}

/// Where to go afterwards, if that is in the console.
fn inside(next: &str) -> &str {
    let ours = next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    // What is to go into a header is plain ASCII; browsers read a backslash as a slash.
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if ours && plain && !next.starts_with("/console/logout") { next } else { "/console" }
}

/// Where somebody wanted to go.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    next: String,
}

/// The form.
pub(super) async fn show(Query(wanted): Query<Wanted>) -> Response {
    Page(Login::new(&wanted.next, None)).into_response()
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Shown {
    key: String,
    #[serde(default)]
    next: String,
}

/// Whether a browser keeps a cookie that is for TLS alone: over TLS, or from the machine itself.
fn keeps_cookie(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let Some(uri) = origin.starts_with("http://").then(|| origin.parse::<Uri>().ok()).flatten() else { return true };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets in who shows a valid key.
pub(super) async fn begin(State(state): State<ApiState>, headers: HeaderMap, Form(shown): Form<Shown>) -> Response {
    if !keeps_cookie(&headers) {
        let why = "This page came over plain HTTP, over which no browser keeps a session. Put TLS in front of the console, or open it \
                   on the machine itself, by http://localhost.";
        return (StatusCode::FORBIDDEN, Page(Login::new(&shown.next, Some(why)))).into_response();
    }
    match let_in(&state, &shown).await {
        Ok(Some(response)) => response,
        Ok(None) => {
            let page =
                Login::new(&shown.next, Some("This key is not valid, or was revoked. Make a new one with the command below."));
            (StatusCode::UNAUTHORIZED, Page(page)).into_response()
        }
        Err(failure) => failure.alone(),
    }
}

async fn let_in(state: &ApiState, shown: &Shown) -> Result<Option<Response>, Failure> {
    let Some(operator) = find(state, shown.key.trim()).await? else {
        tracing::warn!("somebody was not let into the console");
        return Ok(None);
    };
    let deed = Deed {
        at: state.now(),
        operator: Some(operator.id.clone()),
        name: operator.name.clone(),
        app: None,
        action: "session.begin".into(),
        subject: "console".into(),
        detail: None,
    };
    let entry = state.archive.insert_audit(&deed).await?;
    let (_, cookie) = Session::begin(state, operator.id, operator.name).await?;
    if let Err(error) = state.archive.end_audit(entry, DONE).await {
        tracing::warn!(%error, "the audit log does not say that a session began");
    }
    Ok(Some(([(header::SET_COOKIE, cookie)], Redirect::to(inside(&shown.next))).into_response()))
}

/// The operator whose key it is, if it is valid.
async fn find(state: &ApiState, key: &str) -> Result<Option<Operator>, ApiError> {
    let Some((id, secret)) = key.strip_prefix(OPERATOR_PREFIX).and_then(|rest| rest.split_once('_')) else { return Ok(None) };
    if id.len() != ID_LENGTH {
        return Ok(None);
    }
    let Some(operator) = state.archive.find_operator(id).await? else { return Ok(None) };
    let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let valid = bool::from(hash.ct_eq(&operator.secret_sha256)) && operator.revoked_at.is_none();
    Ok(valid.then_some(operator))
}

/// Signs out. That is done even if it cannot be put on record: nobody is to be kept signed in by an archive that is down.
pub(super) async fn end(State(state): State<ApiState>, visit: Visit) -> Result<Response, Failure> {
    let recorded = match visit.sql {
        Sql::Answers => visit.on_record(&state, None, Entry::new("session.end", "console"), visit.session.end(&state)).await.ok(),
        Sql::IsAway => None,
    };
    let cookie = if let Some(cookie) = recorded {
        cookie
    } else {
        tracing::warn!("the end of a session is not on record");
        visit.session.end(&state).await?
    };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/console/login")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_begins_only_where_the_browser_keeps_it() {
        let keeps = |origin: &'static str| {
            let origin = axum::http::HeaderValue::from_static(origin);
            keeps_cookie(&[(header::ORIGIN, origin)].into_iter().collect())
        };
        for origin in
            ["https://ops.example", "http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://a.localhost"]
        {
            assert!(keeps(origin), "{origin}");
        }
        for origin in
            ["http://ops.example", "http://192.168.1.4:8080", "http://localhost.evil.example", "http://127.0.0.1.evil.example"]
        {
            assert!(!keeps(origin), "{origin}");
        }
    }

    #[test]
    fn nobody_is_led_out_of_the_console() {
        for place in ["/console", "/console/audit?app=demo", "/console?app=demo"] {
            assert_eq!(inside(place), place);
        }
        for place in [
            "",
            "https://evil.example",
            "//evil.example",
            "/consoles",
            "/console/\\evil",
            "/console/logout",
            "/console/\u{1}",
            "/console/a\nb",
        ] {
            assert_eq!(inside(place), "/console");
        }
    }
}
