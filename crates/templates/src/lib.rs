//! Loads, checks and renders the shared templates for every channel and locale.
//!
//! A template is a folder of files (`templates/KEY/…`). Its `content.md` serves every channel: the front matter is
//! the card of the inbox, the subject of the mail and, as summary and link, the SMS; the Markdown body is the page
//! in the inbox and the mail. `email.mjml`, `email.txt` and `sms.txt` replace one channel where it matters.
//!
//! What comes from outside is escaped for where it goes: values never pass through Markdown or HTML unescaped,
//! titles, subjects and SMS are one line, addresses are http(s), mailto or tel. Whatever a template or its data
//! hold, loading and rendering end soon and with an answer: see `limits`.

mod engine;
mod error;
mod finding;
mod front_matter;
pub mod inline;
mod layout;
mod library;
mod limits;
mod lint;
mod load;
mod locale;
mod mail_images;
mod markdown;
mod markup;
mod message;
mod messages;
mod plain;
mod sanitize;
mod schema;
mod syntax;
mod template;
mod way_out;
mod words;

pub use stentor_domain::sms;

pub use error::{LoadError, LoadErrors, Place, RenderError};
pub use finding::{Code, Finding, Severity};
pub use library::Library;
pub use lint::{lint, lint_dir};
pub use mail_images::MailImage;
pub use message::{Input, RecipientFields, Rendered, RenderedEmail, RenderedInbox, RenderedSms};
pub use template::Template;
