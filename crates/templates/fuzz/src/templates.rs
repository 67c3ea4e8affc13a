//! Whatever files somebody uploads and whatever data comes with them: lint answers, what loads can be rendered or refused in
//! every channel, no script comes out, and nothing panics, hangs or overflows the stack.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use stentor_domain::{Channel, Timestamp, content::Content};
use stentor_templates::{Input, Library, Rendered, RenderedEmail, inline, lint};

/// The files, in the order in which the bytes give their texts, which NUL bytes part.
const FILES: [&str; 9] = [
    "t/en/content.md",
    "t/en/sms.txt",
    "t/en/email.mjml",
    "t/messages/en.toml",
    "t/schema.json",
    "t/samples/a.json",
    "_partials/a.md",
    "_partials/a.mjml",
    "t/template.toml",
];

fn check(html: &str) {
    let lower = html.to_ascii_lowercase();
    for bad in ["<script", "<iframe", "<object", "<form"] {
        assert!(!lower.contains(bad), "{html}");
    }
    let tags = lower.split('<').skip(1).map(|part| part.split('>').next().unwrap_or_default());
    for tag in tags {
        assert!(!tag.contains("href=\"javascript:") && !tag.contains("src=\"javascript:"), "{html}");
    }
}

/// A mail, and the same with all of its pictures come: each is shown as what came, and else nothing has changed.
fn check_mail(mail: &RenderedEmail) {
    check(&mail.html);
    let shown = mail.html_showing(|_| true);
    check(&shown);
    let links = |html: &str| html.matches("<a ").count() + html.matches("<img ").count();
    assert_eq!(links(&shown), links(&mail.html));
    for image in &mail.images {
        assert!(shown.contains(&format!("cid:{}", image.content_id)), "{shown}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (data, texts) = text.split_once('\0').unwrap_or(("{}", &text));
    let data: Map<String, Value> = serde_json::from_str(data).unwrap_or_default();
    let mut files: BTreeMap<String, String> = [
        ("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\nraw = [\"raw\"]\nimages = \"inline\"\n"),
        ("t/schema.json", "{\"type\": \"object\"}"),
        ("t/samples/a.json", "{\"a\": [1, {\"b\": \"c\"}], \"raw\": \"<b>x</b>\"}"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let mut content = None;
    for (path, text) in FILES.iter().zip(texts.split('\0')).filter(|(_, text)| !text.is_empty()) {
        let text = if path.ends_with("content.md") && !text.starts_with("+++") {
            content = Some(text);
            format!("+++\ntitle = \"t\"\n+++\n{text}")
        } else {
            text.to_owned()
        };
        files.insert((*path).to_owned(), text);
    }
    for finding in lint(&files) {
        assert!(!finding.advice.is_empty());
    }
    let input =
        Input { data: &data, locale: None, timezone: None, recipient: None, app_name: "App", now: Timestamp::UNIX_EPOCH, unsubscribe: None };
    if let Some(template) = Library::of_files(&files).ok().and_then(|library| library.find("t")) {
        for channel in [Channel::Inbox, Channel::Email, Channel::Sms] {
            match template.render(channel, &input) {
                Ok(Rendered::Inbox(item)) => check(&item.content.body_html),
                // What an author writes into MJML is his own; what enters it from the data has been escaped.
                Ok(Rendered::Email(mail)) if !files.contains_key("t/en/email.mjml") => check_mail(&mail),
                Ok(Rendered::Email(mail)) => _ = mail.html_showing(|_| true),
                Ok(_) | Err(_) => {}
            }
        }
    }
    if let Some(body) = content {
        let content: Content = serde_json::from_value(serde_json::json!({ "title": "t", "body_markdown": body, "email": { "html": body, "images": "inline" } }))
            .expect("it is content");
        if let Ok(item) = inline::render_inbox(&content, &input) {
            check(&item.content.body_html);
        }
        if let Ok(mail) = inline::render_email(&content, &input) {
            check_mail(&mail);
        }
    }
});
