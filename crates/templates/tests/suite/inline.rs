//! Content that came with a request.

use crate::support::input;
use serde_json::{Value, json};
use stentor_domain::{Locale, content::Content};
use stentor_templates::{Input, inline};

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

#[test]
fn it_is_written_for_every_channel_like_a_template() {
    let data = serde_json::Map::new();
    let content = content(json!({
        "title": "Title <b>", "summary": "Summary", "body_markdown": "# Head\n\nText with **bold** and <script>x</script> {{braces}}.\n",
        "image": {"url": "https://x.example/i.png", "alt": "A <picture>"}, "link": "https://x.example/a?b=1&c=2",
        "actions": [{"label": "Call", "url": "tel:+123"}, {"label": "Read", "url": "https://x.example"}],
    }));
    let item = inline::render_inbox(&content, &input(&data)).unwrap();
    assert_eq!((item.title.as_str(), item.summary.as_deref(), item.actions.len()), ("Title <b>", Some("Summary"), 2));
    assert_eq!(
        item.content.body_html,
        "<h1>Head</h1>\n<p>Text with <strong>bold</strong> and &lt;script&gt;x&lt;/script&gt; {{braces}}.</p>\n"
    );
    let mail = inline::render_email(&content, &input(&data)).unwrap();
    assert!(mail.html.contains(&item.content.body_html) && mail.html.contains("Title &lt;b&gt;"), "{}", mail.html);
    assert!(mail.html.contains("alt=\"A &lt;picture&gt;\"") && mail.html.contains("href=\"tel:+123\""));
    assert!(mail.text.starts_with("Title <b>\n\n# Head\n\nText with bold"), "{}", mail.text);
    assert!(mail.text.contains("Call\ntel:+123\n\nRead\nhttps://x.example"));
    let sms = inline::render_sms(&content, &input(&data)).unwrap();
    assert_eq!((sms.text.as_str(), sms.segments), ("Summary https://x.example/a?b=1&c=2", 1));
}

#[test]
fn a_title_alone_is_enough() {
    let data = serde_json::Map::new();
    let content = content(json!({ "title": "Only this" }));
    assert_eq!(inline::render_inbox(&content, &input(&data)).unwrap().content.body_text, "");
    assert_eq!(inline::render_sms(&content, &input(&data)).unwrap().text, "Only this");
    assert!(inline::render_email(&content, &input(&data)).unwrap().html.contains("Only this"));
}

#[test]
fn without_a_body_the_summary_is_what_opens() {
    let data = serde_json::Map::new();
    let content = content(json!({ "title": "t", "summary": "*not* _Markdown_" }));
    let item = inline::render_inbox(&content, &input(&data)).unwrap();
    assert_eq!(item.content.body_html, "<p>*not* _Markdown_</p>\n");
}

#[test]
fn a_channel_can_have_words_of_its_own_and_its_html_is_sanitised() {
    let data = serde_json::Map::new();
    let html = "<html><head><style>p{}</style></head><body><p style=\"color:red\" onclick=x>Hi <a href=\"javascript:x\">there</a><script>y</script></p></body></html>";
    let content = content(json!({
        "title": "t", "email": {"subject": "Own & subject", "html": html, "text": "own text"}, "sms": {"text": "own\nSMS"},
    }));
    let mail = inline::render_email(&content, &input(&data)).unwrap();
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("Own & subject", "own text"));
    assert!(mail.html.contains("<title>Own &amp; subject</title>"));
    assert!(
        mail.html.contains("<body>\n<p style=\"color:red\">Hi <a rel=\"noopener noreferrer\">there</a></p>\n</body>"),
        "{}",
        mail.html
    );
    assert_eq!(inline::render_sms(&content, &input(&data)).unwrap().text, "own SMS");
}

#[test]
fn the_pictures_of_a_mail_are_named_only_where_the_request_says_that_it_brings_them_along() {
    let data = serde_json::Map::new();
    let pictured = |email: Value| {
        let content = content(json!({
            "title": "t", "body_markdown": "![a](https://x.example/body)", "email": email,
            "image": {"url": "https://x.example/card"}, "articles": [{"title": "a", "image": {"url": "https://x.example/story"}}],
        }));
        inline::render_email(&content, &input(&data)).unwrap()
    };
    assert_eq!(pictured(json!({})).images, []);
    assert_eq!(pictured(json!({"images": "linked"})).images, []);
    let urls = |email: Value| pictured(email).images.into_iter().map(|image| image.url).collect::<Vec<_>>();
    assert_eq!(urls(json!({"images": "inline"})), ["card", "body", "story"].map(|name| format!("https://x.example/{name}")));
    let own = "<p><img src=\"https://x.example/own\" alt=\"a\"></p>";
    assert_eq!(urls(json!({"images": "inline", "html": own})), ["https://x.example/own"]);
    assert_eq!(urls(json!({"html": own})), Vec::<String>::new());
}

#[test]
fn the_mail_tells_its_language_and_direction() {
    let data = serde_json::Map::new();
    let content = content(json!({ "title": "مرحبا", "body_markdown": "نص" }));
    for (locale, direction, side) in [("ar", "rtl", "right"), ("he-IL", "rtl", "right"), ("de", "ltr", "left")] {
        let locale: Locale = locale.parse().unwrap();
        let mail = inline::render_email(&content, &Input { locale: Some(&locale), ..input(&data) }).unwrap();
        assert!(mail.html.contains(&format!("<html lang=\"{locale}\" dir=\"{direction}\"")), "{}", &mail.html[..200]);
        assert!(mail.html.contains(&format!("text-align:{side}")));
    }
}
