//! Errors as a caller sees them: RFC 9457 problem documents with a stable code.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use stentor_archive::ArchiveError;
use stentor_catalog::{CatalogError, Finding, Severity};
use stentor_domain::{Violation, violation::pointer_step};
use stentor_inbox::InboxError;
use stentor_queue::QueueError;
use utoipa::ToSchema;

/// What went wrong, as a problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells the kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What is wrong and how to mend it, for people.
    pub detail: String,
    /// Each thing that is wrong, by JSON pointer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    /// What is wrong with the files of a template, by file, line and column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// A request that cannot be answered as asked. The cause is for the log and never for the caller.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Violation>,
    /// Seldom there, so kept out of line: an error is carried by every `Result`.
    findings: Option<Box<[Finding]>>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), findings: None, retry_after: None, cause: None }
    }

    /// 404: there is no such thing, or it is another app's.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what} in this app"))
    }

    /// 422: well-formed and wrong.
    pub(crate) fn invalid(errors: Vec<Violation>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", if one.pointer.is_empty() { "the request" } else { &one.pointer }, one.message),
            many => format!("{} things are wrong; see errors", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// 422: the files make no template.
    pub(crate) fn bad_template(findings: Vec<Finding>) -> Self {
        let violation = |f: &Finding| {
            let pointer = format!("/files/{}", pointer_step(&f.file));
            Violation::new(pointer, f.code.clone(), format!("{}. {}", f.message, f.advice))
        };
        let errors: Vec<Violation> = findings.iter().filter(|f| f.severity == Severity::Error).map(violation).collect();
        let detail = findings.first().map(Finding::to_string).unwrap_or_default();
        let findings = Some(findings.into());
        Self { errors, findings, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_template", detail) }
    }

    /// 413: the body is larger than `most` bytes, or ended early.
    pub(crate) fn too_large(most: usize) -> Self {
        let detail = format!("the body is larger than {most} bytes, or ended early");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 503: a part that is needed does not answer; the same request may be repeated.
    pub(crate) fn unavailable(part: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            cause: Some(cause.into()),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("{part} does not answer; repeat the request"))
        }
    }

    /// 503: there is no room for it now; the same request may be repeated later.
    pub(crate) fn overloaded(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(Duration::from_secs(5)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail) }
    }

    /// 503: too many at once; the same request may be repeated after `wait`.
    pub(crate) fn busy(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail) }
    }

    /// 503: what it needs will be there in a moment.
    pub(crate) fn too_early(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(Duration::from_secs(5)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_early", detail) }
    }

    /// The problem document.
    pub(crate) fn problem(&self) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            code: self.code.into(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            findings: self.findings.as_deref().unwrap_or_default().to_vec(),
        }
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong with the request, place by place.
    pub(crate) fn errors(&self) -> &[Violation] {
        &self.errors
    }

    /// The stable word.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The words for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Writes the cause to the log; called once, where the error leaves the process by another way than as a response.
    pub(crate) fn log(&self) {
        if let Some(Unserved { code, error }) = self.unserved() {
            tracing::warn!(code, error, "a request was not served");
        }
    }

    fn unserved(&self) -> Option<Unserved> {
        let cause = self.cause.as_ref()?;
        Some(Unserved { code: self.code, error: Chain(cause.as_ref()).to_string() })
    }
}

/// Why a request was not served, for the log: an extension of its response.
#[derive(Clone, Debug)]
pub(crate) struct Unserved {
    pub code: &'static str,
    pub error: String,
}

/// An error with its sources, in one line.
pub(crate) struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem())).into_response();
        if let Some(unserved) = self.unserved() {
            response.extensions_mut().insert(unserved);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::OutOfMemory => Self::overloaded("Redis is full; repeat the request later"),
            QueueError::NotReplicated { have, want } => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "not_replicated",
                    format!("{have} of {want} replicas have it; repeat the request with the same Idempotency-Key"),
                )
            },
            error => Self::unavailable("the queue (Redis)", error),
        }
    }
}

impl From<InboxError> for ApiError {
    fn from(error: InboxError) -> Self {
        Self::unavailable("the inbox store", error)
    }
}

impl From<ArchiveError> for ApiError {
    fn from(error: ArchiveError) -> Self {
        Self::unavailable("the archive (SQL)", error)
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Invalid(findings) => Self::bad_template(findings),
            CatalogError::Conflict { live } => {
                let what =
                    live.map_or_else(|| "the shared template is live".to_owned(), |hash| format!("version {hash} is live"));
                let detail = format!("{what}: somebody published meanwhile. Look at the difference, then publish again");
                Self::new(StatusCode::CONFLICT, "conflict", detail)
            }
            CatalogError::Full { what, most } => {
                let detail = format!("there are {most} {what} already, which is the most there may be");
                Self::new(StatusCode::CONFLICT, "full", detail)
            }
            CatalogError::Gone { .. } => Self::not_found("version of this template"),
            error @ CatalogError::Unreadable { .. } => {
                Self::new(StatusCode::CONFLICT, "unreadable_template", format!("{error}; publish it again, or roll back"))
            }
            error @ CatalogError::Archive(_) => Self::unavailable("the archive (SQL)", error),
        }
    }
}
