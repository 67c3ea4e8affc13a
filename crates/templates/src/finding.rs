//! What lint finds: each finding has a place, a stable code, what is wrong and what to do.

use std::fmt;

use serde::Serialize;

use crate::error::LoadError;

/// One thing that lint found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the folder of templates: `welcome/en/content.md`.
    pub file: String,
    /// The line, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The column, from 1, in characters; 0 if it is the line as a whole.
    pub column: usize,
    /// Whether it must be mended before the template can be published.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl From<LoadError> for Finding {
    fn from(error: LoadError) -> Self {
        let LoadError { at, code, what, mend } = error;
        let (line, column) = (at.line, at.column);
        Self { file: at.file.to_string(), line, column, severity: code.severity(), code, message: what, advice: mend }
    }
}

impl fmt::Display for Finding {
    /// `welcome/en/content.md:2:9: error[unknown_variable]: … (advice)`, as compilers write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().take_while(|n| *n > 0) {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}[{}]: {}. {}.", self.severity, self.code, self.message, self.advice)
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It must be mended.
    Error,
    /// It may be meant so.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Makes [`Code`] and the word of each.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// What kind of mistake it is. The words are stable: scripts may look for them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The file cannot be read: it is absent, too large or not UTF-8.
    UnreadableFile = "unreadable_file",
    /// The file has no place in a template, so that it would have no effect.
    UnknownFile = "unknown_file",
    /// A file that every template needs is not there.
    MissingFile = "missing_file",
    /// `template.toml` or the front matter cannot be read, or has a field that does not exist.
    BadField = "bad_field",
    /// `schema.json` cannot be used.
    BadSchema = "bad_schema",
    /// A sample cannot be read or does not fit the schema.
    BadSample = "bad_sample",
    /// A `{{tag}}` cannot be read, or a block is not closed.
    Syntax = "syntax",
    /// There is no helper or block of this name.
    UnknownHelper = "unknown_helper",
    /// `{{{…}}}` where it is not allow-listed.
    RawOutput = "raw_output",
    /// More, deeper or larger than a template may be.
    TooComplex = "too_complex",
    /// An element that MJML does not have.
    UnknownMjmlTag = "unknown_mjml_tag",
    /// The MJML cannot be read.
    BadMjml = "bad_mjml",
    /// There is no partial of this name.
    UnknownPartial = "unknown_partial",
    /// A partial leads back to itself.
    PartialCycle = "partial_cycle",
    /// A message in `messages/` cannot be read.
    BadMessage = "bad_message",
    /// `{{t "key"}}` names no message, or lacks a value that the message needs.
    UnknownMessage = "unknown_message",
    /// A message that no text uses.
    UnusedMessage = "unused_message",
    /// A variable that `schema.json` does not describe.
    UnknownVariable = "unknown_variable",
    /// A variable that may be absent is used as if it were always there.
    OptionalVariable = "optional_variable",
    /// A variable is used as what it is not: a list, a text, an object.
    WrongType = "wrong_type",
    /// A field of `schema.json` that no text uses.
    UnusedField = "unused_field",
    /// A language in which the template is not written.
    MissingLocale = "missing_locale",
    /// There is no sample to see the template with.
    MissingSample = "missing_sample",
    /// The title is longer, as a subject, than a phone shows.
    LongSubject = "long_subject",
    /// The mail has no line that its list shows beside the subject.
    NoPreheader = "no_preheader",
    /// A mail of an author's own that shows no way to get no more of it.
    NoWayOut = "no_way_out",
    /// A picture that stays a link in mails that are to bring theirs along.
    LinkedPicture = "linked_picture",
    /// A picture without words for those who do not see it.
    MissingAlt = "missing_alt",
    /// A link that does not lead to the web, to mail or to a phone.
    UnsafeLink = "unsafe_link",
    /// A link that leads nowhere.
    EmptyLink = "empty_link",
    /// A mail is not written in the direction of its language.
    WrongDirection = "wrong_direction",
    /// The mail is so large that mail programs cut it off.
    LargeHtml = "large_html",
    /// The SMS needs more segments than it should cost.
    LongSms = "long_sms",
    /// A sample cannot be written with this template.
    RenderFailed = "render_failed",
}

impl Code {
    /// What is of no effect may be meant so, mails of some categories need no way out, and a background is a decoration; all else is
    /// wrong.
    pub fn severity(self) -> Severity {
        match self {
            Self::UnusedField | Self::UnusedMessage | Self::NoWayOut | Self::LinkedPicture => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
