//! Whatever the data and whatever the template: an answer, and never a script.

use std::collections::BTreeMap;

use proptest::{collection, prelude::*, sample};
use serde_json::{Map, Value, json};
use stentor_domain::content::Content;
use stentor_templates::{Input, Library, Template, inline, lint};

use crate::support::{input, library};

/// Texts that mean something somewhere.
const SHARP: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{name}}",
    "{{{name}}}",
    "{{#each list}}",
    "\r\nBcc: a@b.c",
    "\u{0}",
    "\u{F0041}\u{F0100}",
    "\u{100041}",
    "\u{202e}",
    "](javascript:x)",
    "|a|\n|-|",
    "# ",
    "```",
    "-1e999",
    "2026-02-30",
    "😀",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![sample::select(SHARP).prop_map(str::to_owned), ".{0,40}", "[a-z ]{0,20}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            collection::btree_map("name|list|value|currency|[a-z]{1,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Pieces of which templates are made, whole and broken.
fn source() -> impl Strategy<Value = String> {
    let pieces: &[&str] = &[
        "{{name}}",
        "{{list}}",
        "{{#each list}}",
        "{{/each}}",
        "{{#if name}}",
        "{{else}}",
        "{{else if list}}",
        "{{/if}}",
        "{{this}}",
        "{{../name}}",
        "{{money name}}",
        "{{date name}}",
        "{{t \"a\" n=name}}",
        "{{lookup list 0}}",
        "{{#with list}}",
        "{{/with}}",
        "{{> security}}",
        "{{> a}}",
        "{{{name}}}",
        "{{#*inline \"a\"}}",
        "{{",
        "}}",
        "{{!--",
        "--}}",
        "(",
        ")",
        "\"",
        "**",
        "[a](",
        ")",
        "![",
        "<b>",
        "\n\n",
        "- ",
        "| a | b |\n|---|---|\n",
        "text ",
        "{{@root.name}}",
        "{{len list}}",
        "{{#unless (not name)}}",
        "{{/unless}}",
        "\\",
        "é",
        "{{recipient.id}}",
    ];
    let piece = prop_oneof![8 => sample::select(pieces).prop_map(str::to_owned), 1 => text()];
    collection::vec(piece, 0..24).prop_map(|all| all.concat())
}

fn holds_a_script(html: &str) -> bool {
    let lower = html.to_ascii_lowercase();
    let tags = ["<script", "<iframe", "<object", "<embed", "<form", "<svg", "<base"];
    let inside_tags = lower.split('<').skip(1).map(|part| part.split('>').next().unwrap_or_default());
    tags.iter().any(|tag| lower.contains(tag))
        || inside_tags.clone().any(|tag| tag.contains(" on") && tag.contains("alert"))
        || inside_tags.clone().any(|tag| tag.contains("href=\"javascript:") || tag.contains("src=\"javascript:"))
}

fn check_all(template: &Template, input: &Input<'_>) -> Result<(), TestCaseError> {
    if let Ok(item) = template.render_inbox(input) {
        prop_assert!(!holds_a_script(&item.content.body_html), "{}", item.content.body_html);
        prop_assert!(!item.title.contains(['\r', '\n', '\0']) && item.title.len() <= 200);
        prop_assert!(item.link.is_none_or(|l| l.starts_with("http")));
    }
    if let Ok(mail) = template.render_email(input) {
        prop_assert!(!holds_a_script(&mail.html), "{}", mail.html);
        prop_assert!(!mail.subject.contains(['\r', '\n', '\0']));
    }
    if let Ok(sms) = template.render_sms(input) {
        prop_assert!(!sms.text.chars().any(char::is_control) && (1..=10).contains(&sms.segments));
    }
    Ok(())
}

fn every_helper() -> Library {
    let front = "title = \"{{name}}\"\nsummary = \"{{#if list}}{{#each list}}{{this}}{{/each}}{{/if}}\"\nlink = \"{{#if link}}{{link}}{{/if}}\"\n\n\
                 [[articles]]\neach = \"list\"\ntitle = \"{{article.name}}\"\nlink = \"{{article.name}}\"\n";
    let body =
        "{{name}} [a]({{name}}) [b](https://x.example/{{name}}) ![{{name}}]({{name}}) `{{name}}` {{{raw}}}\n\n- {{name}}\n";
    library(&[
        ("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\nraw = [\"raw\"]\n"),
        ("t/en/content.md", &format!("+++\n{front}+++\n{body}")),
        ("t/en/sms.txt", "{{name}} {{#if list}}{{len list}}{{/if}}"),
        ("u/template.toml", "title = \"U\"\ndefault_locale = \"en\"\n"),
        ("u/schema.json", "{\"type\": \"object\"}"),
        (
            "u/en/content.md",
            "+++\ntitle = \"x\"\n+++\n{{money name}} {{number name}} {{date name}} {{relative name}} {{phone name}} {{t \"m\" n=name}}",
        ),
        ("u/messages/en.toml", "m = \"{n, plural, one {#} other {#}} {n, select, a {b} other {c}}\""),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_data_makes_a_panic_or_a_script(
        name in value(), list in value(), link in value(), raw in prop_oneof![text(), (text(), text()).prop_map(|(a, b)| format!("<p>{a}<a href=\"{b}\">"))],
    ) {
        let library = every_helper();
        let data: Map<String, Value> = [("name", name), ("list", list), ("link", link), ("raw", json!(raw))].map(|(k, v)| (k.to_owned(), v)).into_iter().collect();
        for template in library.list() {
            check_all(template, &input(&data))?;
        }
    }

    #[test]
    fn no_template_makes_a_panic_or_a_script(title in source(), body in source(), partial in source(), name in value()) {
        let quoted = title.replace(['\'', '\n', '\0', '\r'], " ").replace(|c: char| c.is_control(), " ");
        let files: BTreeMap<String, String> = [
            ("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\n".to_owned()),
            ("t/schema.json", "{\"type\": \"object\", \"properties\": {\"name\": {}, \"list\": {\"type\": \"array\"}}}".to_owned()),
            ("t/samples/s.json", json!({"name": "x", "list": [1, 2]}).to_string()),
            ("t/en/content.md", format!("+++\ntitle = '{quoted}'\n+++\n{body}")),
            ("_partials/a.md", partial),
        ]
        .map(|(path, text)| (path.to_owned(), text))
        .into();
        for finding in lint(&files) {
            prop_assert!(!finding.message.is_empty() && !finding.advice.is_empty());
        }
        if let Ok(library) = Library::of_files(&files) {
            let data: Map<String, Value> = [("name".to_owned(), name), ("list".to_owned(), json!([1, "a"]))].into_iter().collect();
            check_all(&library.find("t").unwrap(), &input(&data))?;
        }
    }

    #[test]
    fn no_content_makes_a_panic_or_a_script(title in text(), body in source(), html in source()) {
        let content: Content = serde_json::from_value(json!({"title": title, "body_markdown": body, "email": {"html": format!("<p>{html}{body}")}})).unwrap();
        let data = Map::new();
        if let Ok(item) = inline::render_inbox(&content, &input(&data)) {
            prop_assert!(!holds_a_script(&item.content.body_html), "{}", item.content.body_html);
        }
        if let Ok(mail) = inline::render_email(&content, &input(&data)) {
            prop_assert!(!holds_a_script(&mail.html), "{}", mail.html);
        }
    }
}
