//! Content given in a request instead of a template, and the parts of it that templates share.

use std::fmt::Arguments;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Violation, text::check_line};

/// What a notification says, written out in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The title: the card in the inbox, the subject of the mail. One line, at most 200 bytes.
    pub title: String,
    /// One or two sentences below the title, and the text of the SMS. At most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The body in Markdown, loaded when the item is opened and sent as the mail. At most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_markdown: Option<String>,
    /// An image for the card, by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Where the card leads, by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Up to 5 buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Up to 10 linked articles, shown below the body in the app and in the mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub articles: Vec<Article>,
    /// What the mail says instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailContent>,
    /// What the SMS says instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsContent>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// An `https` or `http` URL.
    pub url: String,
    /// What the picture shows, for those who cannot see it. In a mail the title stands for it if it is absent.
    #[serde(default)]
    pub alt: String,
}

/// One of several stories that a notification brings along, as news apps send them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Its headline. One line, at most 200 bytes.
    pub title: String,
    /// One or two sentences. At most 500 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// A picture, by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Where it can be read, by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The words on the button. One line, at most 60 bytes.
    pub label: String,
    /// Where it leads: `https`, `http`, `mailto` or `tel`.
    pub url: String,
}

/// The mail, where it is to differ from title and body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailContent {
    /// The subject. One line, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The whole HTML body; sanitised before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The plain-text alternative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether the mail brings its pictures along.
    #[serde(default, skip_serializing_if = "Images::are_linked")]
    pub images: Images,
}

/// What becomes of the pictures of mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// Programs load them from the web, if their reader lets them.
    #[default]
    Linked,
    /// The mail brings them along, as far as they can be fetched when it is sent.
    Inline,
}

impl Images {
    /// Whether they stay links.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's")]
    fn are_linked(&self) -> bool {
        *self == Self::Linked
    }
}

/// The SMS, where it is to differ from summary and link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmsContent {
    /// The text, at most 1,000 bytes.
    pub text: String,
}

impl Content {
    /// Adds to `found` what is wrong with this content; `at` is the JSON pointer at which it stands.
    pub fn check(&self, at: &str, found: &mut Vec<Violation>) {
        // Places are written only of what is wrong: nearly nothing is, and it is asked of every notification.
        let mut line = |pointer: Arguments<'_>, text: &str, max| {
            if let Err(e) = check_line(text, max) {
                found.push(Violation::new(pointer.to_string(), e.code(), e.to_string()));
            }
        };
        line(format_args!("{at}/title"), &self.title, 200);
        if let Some(subject) = self.email.as_ref().and_then(|e| e.subject.as_deref()) {
            line(format_args!("{at}/email/subject"), subject, 200);
        }
        for (i, action) in self.actions.iter().enumerate() {
            line(format_args!("{at}/actions/{i}/label"), &action.label, 60);
        }
        for (i, article) in self.articles.iter().enumerate() {
            line(format_args!("{at}/articles/{i}/title"), &article.title, 200);
        }
        let mut long = |pointer: Arguments<'_>, text: Option<&str>, max: usize| {
            if text.is_some_and(|t| t.len() > max) {
                found.push(Violation::new(pointer.to_string(), "too_long", format!("must be at most {max} bytes of UTF-8")));
            }
        };
        long(format_args!("{at}/summary"), self.summary.as_deref(), 500);
        long(format_args!("{at}/image/alt"), self.image.as_ref().map(|i| i.alt.as_str()), 500);
        for (i, article) in self.articles.iter().enumerate() {
            long(format_args!("{at}/articles/{i}/summary"), article.summary.as_deref(), 500);
            long(format_args!("{at}/articles/{i}/image/alt"), article.image.as_ref().map(|i| i.alt.as_str()), 500);
        }
        long(format_args!("{at}/body_markdown"), self.body_markdown.as_deref(), 65_536);
        long(format_args!("{at}/sms/text"), self.sms.as_ref().map(|s| s.text.as_str()), 1_000);
        if self.sms.as_ref().is_some_and(|s| s.text.trim().is_empty()) {
            found.push(Violation::new(format!("{at}/sms/text"), "empty", "must not be empty"));
        }
        if self.actions.len() > 5 {
            found.push(Violation::new(format!("{at}/actions"), "too_many", "at most 5 actions"));
        }
        if self.articles.len() > 10 {
            found.push(Violation::new(format!("{at}/articles"), "too_many", "at most 10 articles"));
        }
        let mut url = |pointer: Arguments<'_>, url: &str, schemes: &[&str]| {
            if let Err(message) = check_url(url, schemes) {
                found.push(Violation::new(pointer.to_string(), "bad_link", message));
            }
        };
        if let Some(image) = &self.image {
            url(format_args!("{at}/image/url"), &image.url, WEB);
        }
        if let Some(link) = &self.link {
            url(format_args!("{at}/link"), link, WEB);
        }
        for (i, action) in self.actions.iter().enumerate() {
            url(format_args!("{at}/actions/{i}/url"), &action.url, LINKS);
        }
        for (i, article) in self.articles.iter().enumerate() {
            if let Some(image) = &article.image {
                url(format_args!("{at}/articles/{i}/image/url"), &image.url, WEB);
            }
            if let Some(link) = &article.link {
                url(format_args!("{at}/articles/{i}/link"), link, WEB);
            }
        }
    }
}

/// Schemes that a picture or a card may have.
pub const WEB: &[&str] = &["https:", "http:"];
/// Schemes that a link or a button may have.
pub const LINKS: &[&str] = &["https:", "http:", "mailto:", "tel:"];

/// Checks that `url` is absolute, has one of `schemes`, at most 2,048 bytes, and no space, quote or control character.
pub fn check_url(url: &str, schemes: &[&str]) -> Result<(), String> {
    let begins = |scheme: &&str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !schemes.iter().any(begins) {
        let names: Vec<&str> = schemes.iter().map(|s| s.trim_end_matches(':')).collect();
        return Err(format!("must be an absolute URL with one of the schemes {}", names.join(", ")));
    }
    if url.len() > 2_048 {
        return Err("must be at most 2048 bytes".into());
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')) {
        return Err("must not contain spaces, quotes, angle brackets or control characters; percent-encode them".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_only_where_a_reader_expects() {
        assert!(check_url("https://example.com/a?b=1", WEB).is_ok());
        assert!(check_url("mailto:a@example.com", LINKS).is_ok());
        for bad in ["javascript:alert(1)", "/relative", "data:text/html,x", "https://a b", "https://a\"onload=", "é"] {
            assert!(check_url(bad, LINKS).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_wrong_part_is_named() {
        let content: Content = serde_json::from_value(serde_json::json!({
            "title": "a\r\nb", "link": "javascript:x", "sms": {"text": " "}, "email": {"subject": "x\ny"},
            "actions": [{"label": "", "url": "tel:1"}],
            "articles": [{"title": "a", "link": "/a"}, {"title": " ", "image": {"url": "data:x"}}],
        }))
        .unwrap();
        let mut found = Vec::new();
        content.check("/content", &mut found);
        let mut pointers: Vec<_> = found.iter().map(|v| v.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            [
                "/content/actions/0/label",
                "/content/articles/0/link",
                "/content/articles/1/image/url",
                "/content/articles/1/title",
                "/content/email/subject",
                "/content/link",
                "/content/sms/text",
                "/content/title"
            ]
        );
    }
}
