//! What is wrong with a request, said so that its author can mend it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// JSON pointer (RFC 6901) to the offending value; empty for the whole document.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// What is wrong and how to mend it, for people.
    pub message: String,
}

impl Violation {
    /// A violation at `pointer`.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), message: message.into() }
    }
}

/// Escapes one step of a JSON pointer (RFC 6901 section 3).
pub fn pointer_step(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
