//! What becomes of a template and its data in each channel.

use crate::support::{input, library, map, template};
use serde_json::{Value, json};
use stentor_domain::{Locale, RecipientId};
use stentor_templates::{Input, RecipientFields, RenderError};

const SCRIPT: &str = "<script>alert(1)</script> & \"quotes\"";

#[test]
fn data_is_escaped_for_where_it_goes() {
    let template = template(
        "title = \"{{v}}\"\nsummary = \"{{v}}\"\nimage = {url = \"https://x.example/i.png\", alt = \"{{v}}\"}\n\
         actions = [{label = \"{{short}}\", url = \"https://x.example/?q={{v}}\"}]",
        "A {{v}}\n\n`{{v}}`\n",
    );
    let data = map(json!({ "v": SCRIPT, "short": "<b>Go</b>" }));
    let item = template.render_inbox(&input(&data)).unwrap();
    assert_eq!((item.title.as_str(), item.summary.as_deref()), (SCRIPT, Some(SCRIPT)), "a card is text, not HTML");
    assert_eq!(item.actions[0].url, "https://x.example/?q=%3Cscript%3Ealert%281%29%3C%2Fscript%3E%20%26%20%22quotes%22");
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \"quotes\"";
    assert_eq!(item.content.body_html, format!("<p>A {escaped}</p>\n<p><code>{escaped}</code></p>\n"));
    assert_eq!(item.content.body_text, format!("A {SCRIPT}\n\n{SCRIPT}"));

    let mail = template.render_email(&Input { app_name: "<i>App</i>", ..input(&data) }).unwrap();
    assert_eq!(mail.subject, SCRIPT);
    assert!(mail.text.contains(SCRIPT) && mail.text.contains("-- \n<i>App</i>"), "{}", mail.text);
    for raw in ["<script", "<b>Go", "<i>App", "alt=\"<", "& \"quotes\"<"] {
        assert!(!mail.html.contains(raw), "{raw}");
    }
    assert!(mail.html.contains("alt=\"&lt;script&gt;") && mail.html.contains("&lt;b&gt;Go&lt;/b&gt;"));
    assert_eq!(template.render_sms(&input(&data)).unwrap().text, SCRIPT);
}

#[test]
fn data_is_never_read_as_markdown() {
    let template = template("title = \"t\"", "Dear {{v}}\n\n- {{v}}\n\n| {{v}} | b |\n|---|---|\n| c | d |\n");
    let value = "x\n\n# Heading\n\n- item\n\n[click](https://evil.example) ![i](https://evil.example/i) **bold** | cell";
    let html = template.render_inbox(&input(&map(json!({ "v": value })))).unwrap().content.body_html;
    for tag in ["<h1", "<a ", "<img", "<strong"] {
        assert!(!html.contains(tag), "{tag} in {html}");
    }
    assert_eq!((html.matches("<li>").count(), html.matches("<th>").count()), (1, 2), "{html}");
}

#[test]
fn titles_subjects_and_sms_are_one_line_without_control_characters() {
    let template = template("title = \"{{v}}\"\nsummary = \"{{v}}\"", "");
    let data = map(json!({ "v": "a\r\nBcc: x@y.example\u{0}\u{85}\u{2028}b" }));
    let line = "a Bcc: x@y.example b";
    assert_eq!(template.render_email(&input(&data)).unwrap().subject, line);
    assert_eq!(template.render_inbox(&input(&data)).unwrap().title, line);
    assert_eq!(template.render_sms(&input(&data)).unwrap().text, line);
}

#[test]
fn a_missing_variable_is_a_permanent_error_that_names_it_and_its_place() {
    let data = map(json!({ "a": {} }));
    for (front, body, place) in [
        ("title = \"x {{a.b}}\"", "", "t/en/content.md:2:12: the variable `a.b` is missing from the data"),
        ("title = \"x\"", "one\ntwo {{a.b}}", "t/en/content.md:5:5: the variable `a.b` is missing from the data"),
        ("title = \"x\"\nlink = \"https://x/{{a.b}}\"", "", "t/en/content.md:3:19: the variable `a.b` is missing from the data"),
    ] {
        let error = template(front, body).render_inbox(&input(&data)).unwrap_err();
        assert!(matches!(error, RenderError::MissingVariable { .. }));
        assert_eq!(error.to_string(), place);
    }
}

#[test]
fn links_lead_only_to_the_web_to_mail_and_to_phones() {
    let template = template(
        "title = \"t\"\nlink = \"{{link}}\"\nimage = {url = \"{{image}}\", alt = \"\"}\nactions = [{label = \"a\", url = \"{{action}}\"}]",
        "[b]({{body}})",
    );
    let good = json!({"link": "https://x.example/a", "image": "", "action": "tel:+123", "body": "mailto:a@b.c"});
    let item = template.render_inbox(&input(&map(good.clone()))).unwrap();
    assert_eq!((item.link.as_deref(), item.image, item.actions[0].url.as_str()), (Some("https://x.example/a"), None, "tel:+123"));
    assert!(item.content.body_html.contains("href=\"mailto:a@b.c\""));
    for (field, bad) in [
        ("link", "javascript:alert(1)"),
        ("link", "tel:+1"),
        ("link", "//x"),
        ("image", "data:x"),
        ("action", "file:///x"),
        ("link", "https://a b"),
    ] {
        let mut data = good.clone();
        data[field] = json!(bad);
        let error = template.render_inbox(&input(&map(data))).unwrap_err();
        assert!(matches!(&error, RenderError::BadLink { part, .. } if part.contains(field)), "{bad}: {error:?}");
        assert!(!error.to_string().contains(bad), "a value is not repeated: {error}");
    }
    let mut data = good;
    data["body"] = json!("javascript:alert(1)");
    assert!(!template.render_inbox(&input(&map(data))).unwrap().content.body_html.contains("javascript"));
}

#[test]
fn the_language_falls_back_to_the_more_general_and_then_to_the_default() {
    let words = |title: &str| format!("+++\ntitle = \"{title}\"\n+++\n{{{{number 1234.5}}}}");
    let library =
        library(&[("t/en/content.md", &words("en")), ("t/de/content.md", &words("de")), ("t/zh-CN/content.md", &words("zh"))]);
    let template = library.find("t").unwrap();
    let data = map(json!({}));
    for (asked, given) in
        [("de-AT", "de"), ("de", "de"), ("zh-CN", "zh-CN"), ("zh", "zh-CN"), ("zh-TW", "en"), ("fr", "en"), ("en-GB", "en")]
    {
        let asked: Locale = asked.parse().unwrap();
        assert_eq!(template.locale_for(Some(&asked)).as_str(), given);
        assert_eq!(template.render_inbox(&Input { locale: Some(&asked), ..input(&data) }).unwrap().locale.as_str(), given);
    }
    assert_eq!(template.locale_for(None).as_str(), "en");
    let austrian: Locale = "de-AT".parse().unwrap();
    let item = template.render_inbox(&Input { locale: Some(&austrian), ..input(&data) }).unwrap();
    assert_eq!((item.title.as_str(), item.content.body_text.as_str()), ("de", "1.234,5"));
}

#[test]
fn times_are_written_on_the_readers_clock() {
    let template = template("title = \"{{date at time=true}}\"", "");
    let data = map(json!({ "at": "2026-12-31T23:30:00Z" }));
    let title = |zone| template.render_inbox(&Input { timezone: zone, ..input(&data) }).unwrap().title;
    assert_eq!(title(Some("Asia/Tokyo")), "January 1, 2027 at 8:30 AM");
    assert_eq!(title(None), "December 31, 2026 at 11:30 PM UTC");
}

#[test]
fn only_a_personal_template_is_told_who_reads() {
    let reader = RecipientFields { id: "u1".parse::<RecipientId>().unwrap(), attributes: map(json!({ "first_name": "Ada" })) };
    let data = map(json!({ "recipient": "forged" }));
    let personal = template("title = \"Hello {{recipient.attributes.first_name}} ({{recipient.id}})\"", "");
    assert!(personal.is_personal());
    let item = personal.render_inbox(&Input { recipient: Some(&reader), ..input(&data) }).unwrap();
    assert_eq!(item.title, "Hello Ada (u1)");
    assert!(matches!(personal.render_inbox(&input(&data)), Err(RenderError::MissingVariable { .. })));

    let shared = template("title = \"{{#each this}}{{@key}} {{/each}}\"", "");
    assert!(!shared.is_personal());
    let item = shared.render_inbox(&Input { recipient: Some(&reader), ..input(&data) }).unwrap();
    assert_eq!(item.title, "app", "neither the reader nor data in their name");
    assert!(library(&[("t/en/sms.txt", "{{recipient.id}}")]).find("t").unwrap().is_personal());
    assert!(library(&[("t/en/email.txt", "{{recipient.id}}")]).find("t").unwrap().is_personal());
}

#[test]
fn a_channel_can_have_words_of_its_own() {
    let mjml = "<mjml><mj-body><mj-section><mj-column>\n<mj-text>OWN {{v}} {{mail.title}} {{{mail.body}}} {{app.name}}</mj-text>\n\
                <mj-raw>{{#each list}}</mj-raw><mj-button href=\"{{this}}\">go</mj-button><mj-raw>{{/each}}</mj-raw>\n\
                </mj-column></mj-section></mj-body></mjml>";
    let template = library(&[
        ("t/en/content.md", "+++\ntitle = \"T {{v}}\"\nsummary = \"S\"\nlink = \"https://x.example\"\n+++\nB **{{v}}**"),
        ("t/en/email.mjml", mjml),
        ("t/en/email.txt", "plain {{v}} {{mail.text}}"),
        ("t/en/sms.txt", "sms {{v}}\n"),
    ])
    .find("t")
    .unwrap();
    let data = map(json!({ "v": "<v>", "list": ["https://x.example/1", "https://x.example/2"] }));
    let mail = template.render_email(&input(&data)).unwrap();
    assert!(mail.html.contains("OWN &lt;v&gt; T &lt;v&gt; <p>B <strong>&lt;v&gt;</strong></p>\n Example Bank"), "{}", mail.html);
    assert_eq!(mail.html.matches("href=\"https://x.example/").count(), 2);
    assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("T <v>", "plain <v> B <v>"));
    let sms = template.render_sms(&input(&data)).unwrap();
    assert_eq!((sms.text.as_str(), sms.segments), ("sms <v>", 1));
}

#[test]
fn an_sms_is_summary_and_link_or_the_title() {
    let sms = |front: &str| template(front, "Body").render_sms(&input(&map(json!({})))).unwrap();
    assert_eq!(sms("title = \"T\"\nsummary = \"S\"\nlink = \"https://x.example\"").text, "S https://x.example");
    assert_eq!(sms("title = \"T\"").text, "T");
    let sms = sms("title = \"T\"\nsummary = \"{{money 1234.5 'EUR'}} {{money 1234.5 'PLN'}}\"");
    assert_eq!((sms.text.as_str(), sms.segments), ("€1,234.50 PLN 1,234.50", 1), "no no-break space");
}

#[test]
fn what_is_optional_is_left_out_when_it_comes_out_empty() {
    let front = "title = \"t\"\nsummary = \"{{#if s}}{{s}}{{/if}}\"\nlink = \"{{#if l}}{{l}}{{/if}}\"\n\
                 actions = [{label = \"a\", url = \"{{#if l}}{{l}}{{/if}}\"}]";
    let written = template(front, "");
    let item = written.render_inbox(&input(&map(json!({})))).unwrap();
    assert_eq!((item.summary, item.link, item.actions), (None, None, vec![]));
    let empty = template("title = \"{{v}}\"", "").render_inbox(&input(&map(json!({ "v": " " })))).unwrap_err();
    assert!(matches!(empty, RenderError::Empty { part: "title", .. }));
}

#[test]
fn data_is_checked_against_the_schema_with_pointers_below_data() {
    let schema = json!({
        "type": "object", "required": ["amount"], "additionalProperties": false,
        "properties": {"amount": {"type": "object", "properties": {"value": {"type": "string"}}}},
    });
    let template = library(&[("t/schema.json", &schema.to_string())]).find("t").unwrap();
    let pointers = |data: Value| -> Vec<String> { template.check_data(&map(data)).into_iter().map(|v| v.pointer).collect() };
    assert_eq!(pointers(json!({"amount": {"value": "1"}})), Vec::<String>::new());
    assert_eq!(pointers(json!({"amount": {"value": 1}})), ["/data/amount/value"]);
    assert_eq!(pointers(json!({})), ["/data/amount"]);
    assert_eq!(pointers(json!({"amount": {}, "x/y": 1})), ["/data/x~1y"]);
}
