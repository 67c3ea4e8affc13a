//! Sessions: who is signed in, kept in Redis under the hash of what the browser holds.
//!
//! Redis never holds the cookie itself, so that whoever reads it cannot take a session over. That an operator's key is still
//! valid is asked of SQL at each request: revoking it ends its sessions at once.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use redis::{AsyncCommands, Expiry, RedisResult};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stentor_connection::Connection;
use stentor_domain::Timestamp;

use crate::{auth::random_text, problem::ApiError, state::ApiState};

/// The cookie. The prefix makes browsers refuse it from anything but this host over TLS (or the loopback).
const COOKIE: &str = "__Host-stentor-console";
/// A session that was not used for so long is over.
const IDLE: Duration = Duration::from_hours(12);
/// A session is over after so long, used or not.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// How long SQL may take to say whether a key still holds: after that a page says that it does not answer, and goes on without.
const PATIENCE: Duration = Duration::from_secs(2);

/// A session of an operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The operator's id.
    pub operator: String,
    /// What they are called.
    pub name: String,
    /// What each form must bring along.
    pub csrf: String,
    /// When they signed in.
    pub since: Timestamp,
    /// Its name in Redis.
    #[serde(skip)]
    id: String,
}

fn key(id: &str) -> String {
    format!("stentor:console:{{{id}}}:session")
}

/// What is to be said on the next page.
fn note_key(id: &str) -> String {
    format!("stentor:console:{{{id}}}:note")
}

fn hashed(cookie: &str) -> String {
    hex::encode(Sha256::digest(cookie.as_bytes()))
}

fn away(error: redis::RedisError) -> ApiError {
    ApiError::unavailable("the store of sessions (Redis)", error)
}

/// The cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

impl Session {
    /// Begins one; gives it with the cookie to set.
    pub(crate) async fn begin(state: &ApiState, operator: String, name: String) -> Result<(Self, HeaderValue), ApiError> {
        let secret = random_text(48);
        let session = Self { operator, name, csrf: random_text(32), since: state.now(), id: hashed(&secret) };
        let json = serde_json::to_string(&session).map_err(|e| ApiError::unavailable("the encoder", e))?;
        let mut redis = state.redis.clone();
        redis.set_ex::<_, _, ()>(key(&session.id), json, IDLE.as_secs()).await.map_err(away)?;
        Ok((session, set_cookie(&secret, IDLE.max(LONGEST).as_secs())))
    }

    /// The session that a request shows, if it is still one, and whether SQL answers.
    pub(crate) async fn find(state: &ApiState, headers: &HeaderMap) -> Result<Option<(Self, Sql)>, ApiError> {
        let Some(id) = cookie(headers).map(hashed) else { return Ok(None) };
        let mut redis = state.redis.clone();
        let json: Option<String> = redis.get_ex(key(&id), Expiry::EX(IDLE.as_secs())).await.map_err(away)?;
        let Some(session) = json.and_then(|json| serde_json::from_str::<Self>(&json).ok()) else { return Ok(None) };
        if state.now().since(session.since) > LONGEST {
            return Ok(None);
        }
        let sql = holds(state, &session.operator).await;
        Ok(sql.map(|sql| (Self { id, ..session }, sql)))
    }

    /// Ends it; gives the cookie that makes the browser forget it.
    pub(crate) async fn end(&self, state: &ApiState) -> Result<HeaderValue, ApiError> {
        let mut redis = state.redis.clone();
        redis.del::<_, ()>(key(&self.id)).await.map_err(away)?;
        Ok(set_cookie("", 0))
    }

    /// Whether it is still one, for who is shown something for long, and whether SQL answers.
    pub(crate) async fn still_holds(&self, state: &ApiState) -> Option<Sql> {
        let mut redis = state.redis.clone();
        // With Redis away nothing of it is shown anyway.
        if redis.exists::<_, bool>(key(&self.id)).await.unwrap_or(true) { holds(state, &self.operator).await } else { None }
    }

    /// Keeps what is to be said on the next page. It is a courtesy: that it is lost fails nothing.
    pub(crate) async fn leave_note(&self, mut redis: Connection, text: &str) {
        let _: RedisResult<()> = redis.set_ex(note_key(&self.id), text, 60).await;
    }

    /// What is to be said now, once.
    pub(crate) async fn take_note(&self, mut redis: Connection) -> Option<String> {
        redis.get_del(note_key(&self.id)).await.ok().flatten()
    }
}

/// Whether SQL answers. It is asked once for each page, so that one that is away is waited for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sql {
    Answers,
    IsAway,
}

/// Whether the operator's key still holds; `None`: it does not. With SQL down, who was let in stays in.
async fn holds(state: &ApiState, operator: &str) -> Option<Sql> {
    match tokio::time::timeout(PATIENCE, state.archive.find_operator(operator)).await {
        Ok(Ok(found)) => found.is_some_and(|o| o.revoked_at.is_none()).then_some(Sql::Answers),
        Ok(Err(error)) => {
            tracing::warn!(%error, "an operator's key is not looked up");
            Some(Sql::IsAway)
        }
        Err(_) => {
            tracing::warn!("an operator's key is not looked up: SQL takes too long");
            Some(Sql::IsAway)
        }
    }
}

fn set_cookie(value: &str, seconds: u64) -> HeaderValue {
    let cookie = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_never_leaves_its_host() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; __Host-stentor-console=secret; c"));
        assert_eq!(cookie(&headers), Some("secret"));
        headers.insert(header::COOKIE, HeaderValue::from_static("stentor-console=secret"));
        assert_eq!(cookie(&headers), None);
        let set = set_cookie("x", 5);
        for part in ["Path=/;", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(set.to_str().unwrap().contains(part), "{part}");
        }
        assert!(!set.to_str().unwrap().contains("Domain"));
    }
}
