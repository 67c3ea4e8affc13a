//! What can be wrong with a template when it is loaded, and with its data when it is rendered.

use std::{fmt, sync::Arc};

use crate::finding::{Code, Finding};

/// Where in the files something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the folder of templates: `welcome/en/content.md`.
    pub file: Arc<str>,
    /// The line, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The column, from 1, in characters; 0 if it is the line as a whole.
    pub column: usize,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn file(file: &str) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }

    /// The place of byte `at` of `text`, the contents of `file`.
    pub(crate) fn of_byte(file: &Arc<str>, text: &str, at: usize) -> Self {
        let mut end = at.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
        Self { file: file.clone(), line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// One thing that is wrong with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Where.
    pub at: Place,
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl LoadError {
    pub(crate) fn new(at: Place, code: Code, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { at, code, what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}.", self.at, self.what, self.mend)
    }
}

/// Everything that is wrong with the files of a library, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(pub(crate) Vec<LoadError>);

impl LoadErrors {
    /// Each of them; there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &LoadError> {
        self.0.iter()
    }

    /// The same as findings of lint.
    pub fn into_findings(self) -> Vec<Finding> {
        self.0.into_iter().map(Finding::from).collect()
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Why a message could not be written. All of these are permanent: the same template and data fail again.
///
/// None of them repeats a value of the data, so that they may be logged and archived.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template uses a variable that the data does not have.
    #[error("{at}: the variable `{name}` is missing from the data")]
    MissingVariable {
        /// The variable, as the template writes it.
        name: String,
        /// Where it is used.
        at: Place,
    },
    /// A value cannot be written the way the template asks.
    #[error("{at}: {message}")]
    BadValue {
        /// Which helper wants what.
        message: String,
        /// Where.
        at: Place,
    },
    /// A link or an image is not a URL that may be sent.
    #[error("{at}: the {part} {message}")]
    BadLink {
        /// Which: `link`, `image.url`, `actions[0].url`.
        part: String,
        /// What is wrong with it.
        message: String,
        /// Where it is written.
        at: Place,
    },
    /// A part that must say something came out empty.
    #[error("{at}: the {part} is empty")]
    Empty {
        /// Which part: `title`, `sms`.
        part: &'static str,
        /// Where it is written.
        at: Place,
    },
    /// It would become larger, deeper or longer in the making than is allowed.
    #[error("{at}: {what}: the limit is {limit}")]
    TooLarge {
        /// What is too much.
        what: &'static str,
        /// How much there may be.
        limit: usize,
        /// In which text.
        at: Place,
    },
    /// It takes more work than a message may.
    #[error("{at}: it takes too long to write")]
    TooSlow {
        /// In which text.
        at: Place,
    },
    /// The template engine failed in another way.
    #[error("{at}: cannot be rendered")]
    Engine {
        /// Where.
        at: Place,
        /// The engine's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
