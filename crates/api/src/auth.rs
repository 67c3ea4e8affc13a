//! Who calls: app keys with scopes for business systems, short-lived tokens for people with an inbox.
//!
//! Authorisation is an extractor: a handler that takes [`Key`] cannot run without it, and asks for the scope
//! that it needs in its type.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stentor_archive::{ApiKey, App, Archive, ArchiveError, Operator};
use stentor_domain::{AppId, RecipientId, Timestamp};
use subtle::ConstantTimeEq;

use crate::{console::Visit, problem::ApiError, state::ApiState};

/// The longest that an inbox token may be valid.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_mins(15);
/// How far the clocks of issuer and verifier may differ.
/// How many characters the id of a key has.
pub(crate) const ID_LENGTH: usize = 12;
const LEEWAY: Duration = Duration::from_secs(30);
/// How long a key or app is taken from memory before it is asked for again: the longest that a revoked key still works.
const CACHE_LIFE: Duration = Duration::from_secs(10);
const AUDIENCE: &str = "stentor-inbox";

/// What a key may do.
pub trait Scope: std::marker::Send + Sync + 'static {
    /// Its name in a key's list of scopes.
    const NAME: &'static str;
}

macro_rules! scope {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;
        impl Scope for $name {
            const NAME: &'static str = $text;
        }
    };
}
scope! { /** Send notifications. */ Send = "send" }
scope! { /** Every GET. */ Read = "read" }
scope! { /** What templates say, their previews and tests. */ Templates = "templates" }
scope! { /** Recipients, tokens, preferences, dead letters, keys. */ Manage = "manage" }

/// Every scope that a key can have.
pub const SCOPES: [&str; 4] = ["send", "read", "manage", "templates"];

/// A new secret key: what the caller keeps, and what we keep of it.
pub fn new_key(app: &AppId, name: &str, scopes: Vec<String>, now: Timestamp) -> (String, ApiKey) {
    let id = random_text(ID_LENGTH);
    let secret = random_text(40);
    let record = ApiKey {
        id: id.clone(),
        app: app.clone(),
        name: name.to_owned(),
        secret_sha256: Sha256::digest(secret.as_bytes()).into(),
        scopes,
        created_at: now,
        revoked_at: None,
    };
    (format!("stn_live_{id}_{secret}"), record)
}

/// What an operator's key begins with.
pub(crate) const OPERATOR_PREFIX: &str = "stn_oper_";

/// A new operator's key: what they keep, and what we keep of it.
pub fn new_operator(name: &str, now: Timestamp) -> (String, Operator) {
    let (id, secret) = (random_text(ID_LENGTH), random_text(40));
    let secret_sha256 = Sha256::digest(secret.as_bytes()).into();
    let record = Operator { id: id.clone(), name: name.to_owned(), secret_sha256, created_at: now, revoked_at: None };
    (format!("{OPERATOR_PREFIX}{id}_{secret}"), record)
}

/// Random letters and digits, 5 bits of the operating system's randomness each.
pub(crate) fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0u8; length];
    rand::Rng::fill(&mut rand::rng(), bytes.as_mut_slice());
    bytes.into_iter().map(|b| char::from(LETTERS[usize::from(b) % LETTERS.len()])).collect()
}

/// A caller with an app key that has the scope `S`.
pub(crate) struct Key<S: Scope> {
    pub app: AppId,
    scope: PhantomData<S>,
}

impl<S: Scope> FromRequestParts<ApiState> for Key<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        // An operator whom the console's guard has let in: no header can say so.
        if let Some(visit) = parts.extensions.get::<Visit>() {
            return Ok(Self { app: visit.app_or_error()?.clone(), scope: PhantomData });
        }
        let token = bearer(&parts.headers).ok_or_else(|| {
            ApiError::new(StatusCode::UNAUTHORIZED, "no_key", "send an app key as Authorization: Bearer stn_live_…")
        })?;
        let wrong = || ApiError::new(StatusCode::UNAUTHORIZED, "bad_key", "this app key is not valid (any more)");
        let (id, secret) = token.strip_prefix("stn_live_").and_then(|rest| rest.split_once('_')).ok_or_else(wrong)?;
        let key = state.credentials.key(id).await?.ok_or_else(wrong)?;
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        if !bool::from(hash.ct_eq(&key.secret_sha256)) || key.revoked_at.is_some() {
            return Err(wrong());
        }
        if !key.scopes.iter().any(|s| s == S::NAME) {
            let detail = format!("this app key lacks the scope {}", S::NAME);
            return Err(ApiError::new(StatusCode::FORBIDDEN, "scope", detail));
        }
        Ok(Self { app: key.app.clone(), scope: PhantomData })
    }
}

/// A person with an inbox token.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub app: AppId,
    pub recipient: RecipientId,
    pub expires_at: Timestamp,
}

impl FromRequestParts<ApiState> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            ApiError::new(StatusCode::UNAUTHORIZED, "no_token", "send an inbox token as Authorization: Bearer …")
        })?;
        state.credentials.verify(token, state.now()).await
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    app: AppId,
    sub: RecipientId,
    exp: i64,
}

/// A token that opens the inbox of `recipient` until `expires_at`.
pub fn issue_token(
    secret: &[u8],
    app: &AppId,
    recipient: &RecipientId,
    expires_at: Timestamp,
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims { aud: AUDIENCE.into(), app: app.clone(), sub: recipient.clone(), exp: expires_at.as_millis() / 1_000 };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))
}

/// Keys and apps, kept in memory for a few seconds, and longer while SQL is down.
pub(crate) struct Credentials {
    archive: Archive,
    keys: Cache<String, ApiKey>,
    apps: Cache<AppId, App>,
}

type Cache<K, V> = Mutex<HashMap<K, (Instant, Option<Arc<V>>)>>;

impl Credentials {
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive, keys: Cache::default(), apps: Cache::default() }
    }

    async fn key(&self, id: &str) -> Result<Option<Arc<ApiKey>>, ApiError> {
        // What can be no id is neither asked for nor remembered: a header may be long, and guesses many.
        if id.len() != ID_LENGTH {
            return Ok(None);
        }
        cached(&self.keys, id, || self.archive.find_key(id)).await
    }

    pub(crate) async fn app(&self, id: &AppId) -> Result<Option<Arc<App>>, ApiError> {
        cached(&self.apps, id, || self.archive.find_app(id)).await
    }

    /// Whose inbox `token` opens.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Person, ApiError> {
        let wrong =
            |why: &str| ApiError::new(StatusCode::UNAUTHORIZED, "bad_token", format!("this inbox token is not valid: {why}"));
        // Which app's secret to verify with is read from the token itself, before it is verified.
        let claimed = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).map_err(|_| wrong("not a token"))?;
        let app = self.app(&claimed.app).await?.ok_or_else(|| wrong("unknown app"))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false; // by our own clock, below
        let verified = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&app.inbox_secret), &validation);
        let claims = verified.map_err(|_| wrong("wrong signature or audience"))?.claims;
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1_000));
        if expires_at.after(LEEWAY) <= now {
            return Err(wrong("expired"));
        }
        if expires_at > now.after(MAX_TOKEN_LIFE + LEEWAY) {
            return Err(wrong("exp lies more than 15 minutes ahead"));
        }
        Ok(Person { app: claims.app, recipient: claims.sub, expires_at: expires_at.after(LEEWAY) })
    }
}

/// The cached value, asked for anew once it is old. If asking fails, what is known stays true: with SQL down, keys that
/// were in use go on working. What was not found is remembered only as briefly, and the map is bounded.
async fn cached<K: Hash + Eq + Borrow<Q>, Q: Hash + Eq + ToOwned<Owned = K> + ?Sized, V>(
    cache: &Cache<K, V>,
    key: &Q,
    ask: impl AsyncFnOnce() -> Result<Option<V>, ArchiveError>,
) -> Result<Option<Arc<V>>, ApiError> {
    let known = cache.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
    if let Some((at, value)) = &known
        && at.elapsed() < CACHE_LIFE
    {
        return Ok(value.clone());
    }
    // In a box, as all that is rare on the way of a request: every request is moved with room for what it may have to wait for.
    match (Box::pin(ask()).await, known) {
        (Ok(value), _) => {
            let value = value.map(Arc::new);
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.len() >= 10_000 {
                cache.clear(); // guessed ids must not fill the memory
            }
            cache.insert(key.to_owned(), (Instant::now(), value.clone()));
            Ok(value)
        }
        (Err(_), Some((_, Some(value)))) => Ok(Some(value)),
        (Err(error), _) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stored_only_as_a_hash() {
        let app: AppId = "demo".parse().unwrap();
        let (text, record) = new_key(&app, "test", vec!["send".into()], Timestamp::UNIX_EPOCH);
        let (id, secret) = text.strip_prefix("stn_live_").unwrap().split_once('_').unwrap();
        assert_eq!(id, record.id);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(secret.as_bytes())), record.secret_sha256);
        assert_ne!(text, new_key(&app, "test", vec![], Timestamp::UNIX_EPOCH).0);
    }

    #[tokio::test]
    async fn what_can_be_no_id_fills_no_memory() {
        let credentials = Credentials::new(Archive::connect("sqlite::memory:").await.unwrap());
        assert!(credentials.key(&"x".repeat(380_000)).await.unwrap().is_none(), "nor is it asked for: there is no table");
        assert!(credentials.keys.lock().unwrap().is_empty());
    }
}
