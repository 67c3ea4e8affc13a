//! Reading JSON bodies: strict, and precise about what is wrong.

use std::sync::LazyLock;

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use bytes::BytesMut;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use memchr::memmem::Finder;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::error::Category;
use stentor_domain::{Violation, violation::pointer_step};

use crate::problem::ApiError;

/// The largest body of one request, in bytes.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A JSON body of at most `LIMIT` bytes.
///
/// 400 if it is not JSON, 413 if it is too large, 415 if it does not call itself JSON, 422 if it is JSON of
/// another shape. Nothing is taken in part.
pub(crate) struct JsonBody<T, const LIMIT: usize = MAX_BODY>(pub T);

impl<T: DeserializeOwned, S: Sync, const LIMIT: usize> FromRequest<S> for JsonBody<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, LIMIT).await?;
        parse(&bytes).map(Self)
    }
}

/// The raw bytes of a JSON body, not [parsed](parse) yet: for handlers that borrow from it.
pub(crate) struct JsonBytes<const LIMIT: usize>(pub Bytes);

impl<S: Sync, const LIMIT: usize> FromRequest<S> for JsonBytes<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        read(&parts.headers, body, LIMIT).await.map(Self)
    }
}

/// The raw bytes of a JSON body and what they say: for handlers that keep a fingerprint of the body.
pub(crate) struct RawJson<T>(pub T, pub Bytes);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for RawJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, MAX_BODY).await?;
        Ok(Self(parse(&bytes)?, bytes))
    }
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "send the body as Content-Type: application/json";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
    }
    match whole(Limited::new(body, limit)).await {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("the body is larger than {limit} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
        }
        Err(_) => Err(ApiError::new(StatusCode::BAD_REQUEST, "incomplete", "the body ended early")),
    }
}

/// All bytes of a body.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else { continue }; // trailers
        if whole.is_empty() && body.is_end_stream() {
            return Ok(bytes); // as nearly all are: in one piece, which is not copied
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.freeze())
}

/// U+0000 as JSON writes it. To make ready for a search takes longer than to search a short request.
static NUL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r"\u0000"));

/// Parses a document; the error says where it is wrong by a JSON pointer.
pub(crate) fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ApiError> {
    // PostgreSQL cannot store U+0000, and nobody means it: it is refused at the door.
    if NUL.find(bytes).is_some() {
        refuse_nul(bytes)?;
    }
    // To keep track of the place costs as much as to parse: that is done only for what is wrong.
    serde_json::from_slice(bytes).or_else(|_| find_wrong(bytes))
}

/// Parses what cannot be, to find the place where it is wrong. By itself, and once a type: it is large, and rarely needed.
#[cold]
#[inline(never)]
fn find_wrong<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        refusal(error.inner(), &pointer)
    })?;
    deserializer.end().map_err(|error| refusal(&error, ""))?;
    Ok(value)
}

fn refusal(error: &serde_json::Error, pointer: &str) -> ApiError {
    // Its own position is left out of the words: the pointer says it better.
    let words = error.to_string();
    let words = plain(words.split(" at line ").next().unwrap_or_default());
    if error.classify() == Category::Data {
        return ApiError::invalid(vec![Violation::new(pointer, code_of(&words), words)]);
    }
    let detail = format!("the body is not JSON: {words} at line {} column {}", error.line(), error.column());
    ApiError::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

/// What the parser says, in the words of JSON rather than those of our types.
fn plain(words: &str) -> String {
    let words = match words.find("expected struct ").or_else(|| words.find("expected internally tagged enum ")) {
        // Of an array its length is found fault with, since its elements could be the fields in turn.
        Some(_) if words.starts_with("invalid length") => "invalid type: array, expected an object".to_owned(),
        Some(at) => format!("{}expected an object", &words[..at]),
        None => words.to_owned(),
    };
    let names =
        [("type: sequence", "type: array"), ("type: map", "type: object"), ("a sequence", "an array"), ("a map", "an object")];
    let words = names.into_iter().fold(words, |words, (from, to)| words.replace(from, to));
    words.replace("unknown variant", "unknown value")
}

fn code_of(words: &str) -> &'static str {
    if words.starts_with("unknown field") {
        "unknown_field"
    } else if words.starts_with("missing field") {
        "missing_field"
    } else {
        "wrong_value"
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let step = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => pointer_step(key),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&step);
    }
    pointer
}

fn refuse_nul(bytes: &[u8]) -> Result<(), ApiError> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return Ok(()) }; // said better by the typed parse
    match find_nul(&value, &mut Vec::new()) {
        None => Ok(()), // an escaped backslash before `u0000`, or where others judge it
        Some(pointer) => {
            let message = "must not contain U+0000 (NUL)";
            Err(ApiError::invalid(vec![Violation::new(pointer, "control_character", message)]))
        }
    }
}

/// The first place with a NUL in it; `path` is that of `value`.
fn find_nul(value: &serde_json::Value, path: &mut Vec<String>) -> Option<String> {
    use serde_json::Value;
    let pointer = |path: &[String]| path.iter().flat_map(|step| ["/".to_owned(), pointer_step(step)]).collect();
    if is_judged_elsewhere(path) {
        return None;
    }
    match value {
        Value::String(text) => text.contains('\0').then(|| pointer(path)),
        Value::Array(list) => list.iter().enumerate().find_map(|(i, value)| find_nul_in(&i.to_string(), value, path)),
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            if key.contains('\0') {
                return Some(pointer(path));
            }
            find_nul_in(key, value, path)
        }),
        _ => None,
    }
}

fn find_nul_in(step: &str, value: &serde_json::Value, path: &mut Vec<String>) -> Option<String> {
    path.push(step.to_owned());
    let found = find_nul(value, path);
    path.pop();
    found
}

/// Each request of a batch by itself; and an address with a NUL is none, which refuses that address alone.
fn is_judged_elsewhere(path: &[String]) -> bool {
    match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["notifications", _] => true,
        ["audience", "recipients", _, field] => matches!(field, "email" | "phone"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stentor_domain::NotificationRequest;

    fn error(body: &str) -> crate::problem::Problem {
        parse::<NotificationRequest>(body.as_bytes()).unwrap_err().problem()
    }

    #[test]
    fn malformed_is_400_and_wrong_is_422_with_a_pointer() {
        assert_eq!((error("{").status, error("{").code.as_str()), (400, "malformed"));
        assert_eq!(error("{} x").status, 422); // the missing field is met first
        let wrong = error(r#"{"audience":{"recipients":["a",{"id":"b","locale":"klingon-and-more"}]}}"#);
        assert_eq!((wrong.status, wrong.errors[0].pointer.as_str()), (422, "/audience/recipients/1/locale"));
        let unknown = error(r#"{"audience":{"recipients":["a"]},"templat":"x"}"#);
        assert_eq!((unknown.status, unknown.errors[0].code.as_str()), (422, "unknown_field"));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_json() {
        let message = |body: &str| error(body).errors[0].message.clone();
        assert_eq!(message("[]"), "invalid type: array, expected an object");
        assert_eq!(message(r#"{"audience":"everyone","channels":{}}"#), "invalid type: object, expected an array");
        let priority = message(r#"{"audience":"everyone","priority":"urgent"}"#);
        assert!(priority.starts_with("unknown value `urgent`, expected one of `high`"), "{priority}");
    }

    #[test]
    fn a_depth_bomb_is_malformed_and_costs_nothing() {
        let bomb = format!(r#"{{"data":{}"#, r#"{"a":"#.repeat(100_000));
        assert_eq!(error(&bomb).status, 400);
    }

    #[test]
    fn nul_is_refused_wherever_it_stands() {
        let body = r#"{"audience":{"recipients":["a"]},"content":{"title":"x","body_markdown":"a\u0000b"}}"#;
        assert_eq!(error(body).errors[0].pointer, "/content/body_markdown");
        let body = r#"{"audience":{"recipients":["a",{"id":"b","attributes":{"email":"a\u0000"}}]},"template":"t"}"#;
        assert_eq!(error(body).errors[0].pointer, "/audience/recipients/1/attributes/email");
    }

    #[test]
    fn an_address_that_is_none_is_left_to_those_who_check_addresses() {
        let body = r#"{"audience":{"recipients":["a",{"id":"b","email":"a\u0000@example.com","phone":"x"}]},"template":"t"}"#;
        let mut request = parse::<NotificationRequest>(body.as_bytes()).unwrap();
        let invalid = request.set_aside_invalid_addresses(&mut Vec::new());
        let pointers: Vec<_> = invalid.iter().map(|i| i.violation().pointer).collect();
        assert_eq!(pointers, ["/audience/recipients/1/email", "/audience/recipients/1/phone"]);
        let number = error(r#"{"audience":{"recipients":["a",{"id":"b","email":5}]},"template":"t"}"#);
        assert_eq!((number.status, number.errors[0].pointer.as_str()), (422, "/audience/recipients/1/email"));
    }
}
