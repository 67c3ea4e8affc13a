//! Pictures, articles and buttons in every channel; partials, messages and raw HTML.

use crate::support::{input, library, load, map, template};
use serde_json::{Value, json};
use stentor_domain::{Channel, Locale, Timestamp, content::Content};
use stentor_templates::{Input, RenderError, Rendered, inline};

const ARTICLES: &str = "title = \"News\"\nsummary = \"Two stories\"\n\n[[articles]]\neach = \"stories\"\ntitle = \"{{article.title}}\"\n\
    summary = \"{{#if article.summary}}{{article.summary}}{{/if}}\"\nlink = \"{{article.link}}\"\n\
    image = {url = \"{{#if article.image}}{{article.image}}{{/if}}\", alt = \"\"}\n\n\
    [[articles]]\ntitle = \"About {{app.name}}\"\nlink = \"https://x.example/about\"";

fn stories() -> Value {
    json!({"stories": [
        {"title": "One <b>", "summary": "First & best", "link": "https://x.example/1?a=1&b=2", "image": "https://x.example/1.png"},
        {"title": "Two", "link": "https://x.example/2"},
    ]})
}

#[test]
fn several_articles_travel_in_one_message() {
    let template = template(ARTICLES, "Today:");
    let data = map(stories());
    let item = template.render_inbox(&input(&data)).unwrap();
    let titles: Vec<_> = item.content.articles.iter().map(|a| a.title.as_str()).collect();
    assert_eq!(titles, ["One <b>", "Two", "About Example Bank"]);
    let first = &item.content.articles[0];
    assert_eq!(
        (first.summary.as_deref(), first.image.as_ref().unwrap().url.as_str()),
        (Some("First & best"), "https://x.example/1.png")
    );
    assert!(item.content.articles[1].image.is_none());

    let mail = template.render_email(&input(&data)).unwrap();
    for part in [
        "href=\"https://x.example/1?a&#x3D;1&amp;b&#x3D;2\"",
        "src=\"https://x.example/1.png\" alt=\"One &lt;b&gt;\"",
        "<span dir=\"auto\">One &lt;b&gt;</span></a>",
        "First &amp; best",
        "href=\"https://x.example/about\"",
    ] {
        assert!(mail.html.contains(part), "{part} is not in {}", mail.html);
    }
    assert!(!mail.html.contains("alt=\"\" src") && mail.html.matches("/1.png").count() == 1);
    assert!(
        mail.text.contains("One <b>\nFirst & best\nhttps://x.example/1?a=1&b=2\n\nTwo\nhttps://x.example/2\n"),
        "{}",
        mail.text
    );
    let sms = template.render_sms(&input(&data)).unwrap();
    assert_eq!(sms.text, "Two stories https://x.example/1?a=1&b=2", "the first story stands for the link that is not there");
}

#[test]
fn of_a_long_list_the_first_ten_are_shown_and_a_wrong_one_is_an_answer() {
    let template = template(ARTICLES, "");
    let many: Vec<Value> = (0..5_000).map(|i| json!({"title": format!("{i}"), "link": "https://x.example"})).collect();
    let item = template.render_inbox(&input(&map(json!({ "stories": many })))).unwrap();
    assert_eq!(item.content.articles.len(), 10);
    let item = template.render_inbox(&input(&map(json!({})))).unwrap();
    assert_eq!(item.content.articles.len(), 1, "only the one that is written out");
    for (data, expected) in [
        (json!({"stories": "x"}), "`stories` is not a list"),
        (json!({"stories": [{"title": "a"}]}), "the variable `article.link` is missing"),
        (json!({"stories": [{"title": "", "link": "https://x.example"}]}), "the article's title is empty"),
        (json!({"stories": [{"title": "a", "link": "javascript:x"}]}), "articles.link must be"),
        (json!({"stories": [1, null]}), "the variable `article.title` is missing"),
    ] {
        let error = template.render_inbox(&input(&map(data))).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn inline_content_brings_articles_as_well() {
    let data = serde_json::Map::new();
    let content: Content = serde_json::from_value(json!({
        "title": "News", "articles": [{"title": "One", "summary": "First", "link": "https://x.example/1", "image": {"url": "https://x.example/i.png"}}],
    }))
    .unwrap();
    let item = inline::render_inbox(&content, &input(&data)).unwrap();
    assert_eq!(item.content.articles, content.articles);
    let mail = inline::render_email(&content, &input(&data)).unwrap();
    assert!(mail.html.contains("alt=\"One\"") && mail.html.contains("href=\"https://x.example/1\""), "{}", mail.html);
    assert_eq!(inline::render_sms(&content, &input(&data)).unwrap().text, "News https://x.example/1");
}

#[test]
fn lists_and_tables_are_made_of_loops() {
    let body = "{{#each rows}}\n- {{this}}\n{{/each}}\n\n| a | b |\n| --- | --- |\n{{#each rows}}\n| {{@index}} | {{this}} |\n{{/each}}\n";
    let item = template("title = \"t\"", body).render_inbox(&input(&map(json!({"rows": ["x", ""]})))).unwrap();
    let html = item.content.body_html;
    assert!(html.starts_with("<ul>\n<li>x</li>\n<li></li>\n</ul>\n<table>"), "{html}");
    assert!(html.contains("<td>0</td>\n<td>x</td>") && html.contains("<td>1</td>\n<td></td>"), "{html}");
}

#[test]
fn the_pictures_of_a_mail_are_named_only_where_its_template_brings_them_along() {
    let content = "+++\ntitle = \"News\"\nsummary = \"S\"\nlink = \"https://x.example\"\nimage = { url = \"https://x.example/card?a=1&b=2\", alt = \"c\" }\n\n\
        [[articles]]\ntitle = \"One\"\nlink = \"https://x.example/1\"\nimage = { url = \"https://x.example/story\", alt = \"s\" }\n+++\n\
        ![b](https://x.example/body) ![b](https://x.example/card?a=1&b=2)";
    let (data, linked) = (map(json!({})), "title = \"T\"\ndefault_locale = \"en\"\n");
    let mail = |toml: &str| {
        let files = [("t/template.toml", toml), ("t/en/content.md", content)];
        library(&files).find("t").unwrap().render_email(&input(&data)).unwrap()
    };
    for toml in [linked.to_owned(), format!("{linked}images = \"linked\"\n")] {
        assert_eq!(mail(&toml).images, []);
    }
    let inline = mail(&format!("{linked}images = \"inline\"\n"));
    let urls: Vec<&str> = inline.images.iter().map(|image| image.url.as_str()).collect();
    assert_eq!(
        urls,
        ["card?a=1&b=2", "body", "story"].map(|name| format!("https://x.example/{name}")),
        "through the whole layout"
    );
    assert_eq!(inline.html, mail(linked).html, "previews show it with its links");
    let shown = inline.html_showing(|image| image.url.contains("card"));
    assert_eq!((shown.matches("src=\"cid:").count(), shown.matches("/card?").count()), (2, 0), "{shown}");
    assert!(shown.contains("src=\"https://x.example/story\"") && shown.contains("href=\"https://x.example/1\""));
    let wrong = load(&[("t/template.toml", &format!("{linked}images = \"attached\"\n"))]).unwrap_err().to_string();
    assert!(wrong.contains("t/template.toml:3:10") && wrong.contains("`linked`") && wrong.contains("`inline`"), "{wrong}");
}

#[test]
fn a_mail_of_its_own_says_every_sign_behind_every_letter() {
    let mjml = "<mjml><mj-head><mj-preview>p</mj-preview></mj-head><mj-body><mj-section><mj-column>\
        <mj-text>查看更多></mj-text><mj-text><p>Menü > {{#if (eq name \"更>\")}}ja>{{/if}}</p></mj-text></mj-column></mj-section></mj-body></mjml>";
    let library = library(&[("t/en/content.md", "+++\ntitle = \"t\"\n+++\n"), ("t/en/email.mjml", mjml)]);
    let mail = library.find("t").unwrap().render_email(&input(&map(json!({"name": "更>"})))).unwrap();
    assert!(mail.html.contains("查看更多>") && mail.html.contains("<p>Menü > ja></p>"), "{}", mail.html);
}

#[test]
fn one_face_renders_every_channel() {
    let template = template("title = \"T\"\nsummary = \"S\"", "B");
    let data = map(json!({}));
    let of = |channel| template.render(channel, &input(&data)).unwrap();
    assert!(matches!(of(Channel::Inbox), Rendered::Inbox(item) if item.title == "T"));
    assert!(matches!(of(Channel::Email), Rendered::Email(mail) if mail.subject == "T"));
    assert!(matches!(of(Channel::Sms), Rendered::Sms(sms) if sms.text == "S" && sms.forced_by.is_none()));
}

#[test]
fn partials_are_put_in_by_language_and_kind_of_file() {
    let mjml = "<mjml><mj-head><mj-preview>p</mj-preview></mj-head><mj-body>{{> foot}}</mj-body></mjml>";
    let foot = "<mj-section><mj-column><mj-text>FOOT {{name}}</mj-text></mj-column></mj-section>\n";
    let library = library(&[
        ("_partials/foot.mjml", foot),
        ("_partials/sign.md", "*Your {{app.name}}*\n\n{{> more}}\n"),
        ("_partials/de/sign.md", "*Ihre {{app.name}}*"),
        ("_partials/more.md", "More for **{{name}}**"),
        ("_partials/sign.txt", "-- {{name}}"),
        ("t/en/content.md", "+++\ntitle = \"t\"\n+++\nText\n\n{{> sign}}\n"),
        ("t/de/content.md", "+++\ntitle = \"t\"\n+++\nText\n\n{{> sign}}\n"),
        ("t/en/email.mjml", mjml),
        ("t/en/sms.txt", "sms {{> sign}}"),
    ]);
    let template = library.find("t").unwrap();
    let data = map(json!({ "name": "<Ada>" }));
    let item = template.render_inbox(&input(&data)).unwrap();
    assert_eq!(
        item.content.body_html,
        "<p>Text</p>\n<p><em>Your Example Bank</em></p>\n<p>More for <strong>&lt;Ada&gt;</strong></p>\n"
    );
    let german: Locale = "de".parse().unwrap();
    let item = template.render_inbox(&Input { locale: Some(&german), ..input(&data) }).unwrap();
    assert_eq!(item.content.body_text, "Text\n\nIhre Example Bank");
    assert!(template.render_email(&input(&data)).unwrap().html.contains("FOOT &lt;Ada&gt;"));
    assert_eq!(template.render_sms(&input(&data)).unwrap().text, "sms -- <Ada>");

    let error = template.render_inbox(&input(&map(json!({})))).unwrap_err();
    assert!(error.to_string().starts_with("_partials/more.md:1:12: the variable `name` is missing"), "{error}");
    let hash = |more: &str| {
        let own = [
            ("_partials/more.md", more),
            ("_partials/other.md", more),
            ("t/en/content.md", "+++\ntitle = \"t\"\n+++\n{{> more}}"),
        ];
        load(&own).unwrap().find("t").unwrap().content_hash().to_owned()
    };
    assert_ne!(hash("a"), hash("b"), "a template is made of its partials as well");
    let shared = load(&[("t/en/content.md", "+++\ntitle = \"t\"\n+++\n{{> security}}")]).unwrap();
    let text = shared.find("t").unwrap().render_inbox(&input(&data)).unwrap().content.body_text;
    assert!(text.contains("never ask you"), "the shipped partials are there for all: {text}");
}

#[test]
fn raw_output_is_sanitised_before_it_enters_anything() {
    let toml = "title = \"T\"\ndefault_locale = \"en\"\nraw = [\"html\"]\n";
    let mjml =
        "<mjml><mj-body><mj-section><mj-column><mj-text>OWN {{{html}}} END</mj-text></mj-column></mj-section></mj-body></mjml>";
    let library = library(&[
        ("t/template.toml", toml),
        ("t/en/content.md", "+++\ntitle = \"t\"\n+++\nBefore {{{html}}} *after*"),
        ("t/en/email.mjml", mjml),
    ]);
    let template = library.find("t").unwrap();
    let html = "<b>x</b> <em>a</em><script>alert(1)</script><a href=\"javascript:x\" onclick=y>l</a> *not Markdown* <img src=x onerror=alert(1)>";
    let data = map(json!({ "html": html }));
    let item = template.render_inbox(&input(&data)).unwrap().content.body_html;
    assert_eq!(item, "<p>Before x <em>a</em><a rel=\"noopener noreferrer\">l</a> *not Markdown* <img> <em>after</em></p>\n");
    let mail = template.render_email(&input(&data)).unwrap().html;
    assert!(mail.contains("OWN x <em>a</em><a rel=\"noopener noreferrer\">l</a>") && !mail.contains("<script"), "{mail}");
    for bad in [json!(1), json!(null), json!(["<p>"]), json!("<div>".repeat(5_000))] {
        let result = template.render_inbox(&input(&map(json!({ "html": bad }))));
        assert!(matches!(result, Err(RenderError::BadValue { .. })), "{result:?}");
    }
    for (path, text) in [
        ("t/en/sms.txt", "{{{html}}}"),
        ("t/en/content.md", "+++\ntitle = \"{{{html}}}\"\n+++\n"),
        ("t/en/email.txt", "{{{html}}}"),
    ] {
        let errors = load(&[("t/template.toml", toml), (path, text)]).unwrap_err().to_string();
        assert!(errors.contains("would let data write HTML"), "{path}: {errors}");
    }
}

#[test]
fn messages_phones_and_relative_dates_are_written_for_the_reader() {
    let library = library(&[
        (
            "t/en/content.md",
            "+++\ntitle = '{{t \"new\" n=(len list) who=name}}'\nsummary = '{{relative at}}, {{phone tel}}'\n+++\n**{{t \"new\" n=(len list) who=name}}**",
        ),
        (
            "t/ar/content.md",
            "+++\ntitle = '{{t \"new\" n=(len list) who=name}}'\nsummary = '{{relative at}} {{phone tel}}'\n+++\n",
        ),
        ("t/messages/en.toml", "new = \"{n, plural, one {# message} other {# messages}} from {who}\""),
        ("t/messages/ar.toml", "new = \"{n, plural, two {رسالتان} other {رسائل}} من {who}\""),
    ]);
    let template = library.find("t").unwrap();
    let data = map(json!({"list": [1, 2], "name": "*Bo* <b>", "at": "2026-11-27T12:00:00Z", "tel": "+966501234567"}));
    let now = Timestamp::from_millis(1_795_694_400_000); // 2026-11-26T12:00:00Z
    let item = template.render_inbox(&Input { now, ..input(&data) }).unwrap();
    assert_eq!(item.title, "2 messages from *Bo* <b>");
    assert_eq!(item.summary.as_deref(), Some("tomorrow, +966 50 123 4567"));
    assert_eq!(item.content.body_html, "<p><strong>2 messages from *Bo* &lt;b&gt;</strong></p>\n");
    let arabic: Locale = "ar".parse().unwrap();
    let item = template.render_inbox(&Input { now, locale: Some(&arabic), ..input(&data) }).unwrap();
    assert_eq!(item.title, "رسالتان من *Bo* <b>");
    assert!(item.summary.unwrap().ends_with("\u{2066}+966 50 123 4567\u{2069}"));

    for (body, message) in [
        ("{{t \"absent\"}}", "names a message that messages/ does not have"),
        ("{{t \"new\" n=1}}", "the message needs `who`"),
        ("{{t \"new\" n=name who=name}}", "wants values of another kind"),
        ("{{t list}}", "`t` wants the key of a message"),
        ("{{phone name}}", "`phone` wants a telephone number"),
        ("{{relative name}}", "`relative` wants a date"),
    ] {
        let files = [
            ("t/messages/en.toml", "new = \"{n, plural, other {#}} {who}\""),
            ("t/en/content.md", &format!("+++\ntitle = \"t\"\n+++\n{body}")),
        ];
        let error = load(&files).unwrap().find("t").unwrap().render_inbox(&input(&data)).unwrap_err();
        assert!(matches!(&error, RenderError::BadValue { message: m, .. } if m.contains(message)), "{body}: {error:?}");
    }
}
