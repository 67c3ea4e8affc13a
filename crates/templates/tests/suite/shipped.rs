//! The templates that ship, word for word, in every channel and language.
//!
//! `STENTOR_SNAPSHOTS=write cargo test -p stentor-templates shipped` writes the files anew: read the difference.

use std::{fmt::Write as _, fs, path::Path};

use stentor_domain::{Channel, Locale, Timestamp, content::Article};
use stentor_templates::{Input, Library, Template};

fn check(name: &str, is: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("STENTOR_SNAPSHOTS").is_some_and(|v| v == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, is).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, (is, was))) = is.lines().zip(expected.lines()).enumerate().find(|(_, (is, was))| is != was) {
        panic!("{name}:{}\n is  {is}\n was {was}\nsee the head of shipped.rs", line + 1);
    }
    assert_eq!(is.len(), expected.len(), "{name} is longer or shorter; see the head of shipped.rs");
}

fn input<'a>(template: &'a Template, sample: &str, locale: &'a Locale) -> Input<'a> {
    Input {
        data: &template.samples()[sample],
        locale: Some(locale),
        timezone: Some("Asia/Shanghai"),
        recipient: None,
        app_name: "Example Bank",
        now: Timestamp::from_millis(1_795_694_400_000), // 2026-11-26T12:00:00Z
        unsubscribe: None,
    }
}

#[test]
fn every_template_says_what_it_said_in_every_channel_and_language() {
    let library = Library::builtin().unwrap_or_else(|e| panic!("{e}"));
    for template in library.list() {
        assert!(!template.is_personal() && !template.samples().is_empty());
        for locale in template.locales() {
            let mut text = String::new();
            for sample in template.samples().keys() {
                let input = input(template, sample, locale);
                let item = template.render_inbox(&input).unwrap_or_else(|e| panic!("{e}"));
                let mail = template.render_email(&input).unwrap_or_else(|e| panic!("{e}"));
                let sms = template.render_sms(&input).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(mail.subject, item.title);
                assert!(mail.subject.chars().count() <= 60, "a phone shows no longer subject: {}", mail.subject);
                assert!(sms.segments <= 2, "{}: {} segments", template.key(), sms.segments);
                write!(
                    text,
                    "=== {sample}: inbox\ntitle:   {}\nsummary: {}\nimage:   {}\nlink:    {}\nactions: {}\n{}\n{}\n--- as text\n{}\n\n\
                     === {sample}: SMS in {} segment(s)\n{}\n\n=== {sample}: mail as text\n{}\n",
                    item.title,
                    item.summary.unwrap_or_default(),
                    item.image.map(|i| format!("{} ({})", i.url, i.alt)).unwrap_or_default(),
                    item.link.unwrap_or_default(),
                    item.actions.iter().map(|a| format!("[{}] {}", a.label, a.url)).collect::<Vec<_>>().join(" "),
                    item.content.articles.iter().map(article).collect::<String>(),
                    item.content.body_html,
                    item.content.body_text,
                    sms.segments,
                    sms.text,
                    mail.text,
                )
                .unwrap();
            }
            check(&format!("{}.{locale}.txt", template.key()), &text);
            let richest = template.samples().iter().max_by_key(|(_, data)| data.len()).unwrap().0;
            let mail = template.render_email(&input(template, richest, locale)).unwrap();
            check(&format!("{}.{locale}.html", template.key()), &mail.html);
            assert!(mail.html.len() < 100_000, "mail programs clip what is longer");
        }
    }
}

fn article(article: &Article) -> String {
    let image = article.image.as_ref().map(|i| format!(" ({}: {})", i.alt, i.url)).unwrap_or_default();
    let (summary, link) = (article.summary.as_deref().unwrap_or_default(), article.link.as_deref().unwrap_or_default());
    format!("article: {} | {summary} | {link}{image}\n", article.title)
}

#[test]
fn every_template_is_written_in_four_languages_one_of_them_from_right_to_left() {
    let library = Library::builtin().unwrap();
    for template in library.list() {
        let locales: Vec<_> = template.locales().map(Locale::as_str).collect();
        assert_eq!(locales, ["ar", "de", "en", "zh-CN"], "{}", template.key());
        for locale in template.locales() {
            let sample = template.samples().keys().next().unwrap();
            let html = template.render_email(&input(template, sample, locale)).unwrap().html;
            let (direction, side) = if locale.as_str() == "ar" { ("rtl", "right") } else { ("ltr", "left") };
            assert!(html.contains(&format!("<html lang=\"{locale}\" dir=\"{direction}\"")), "{}", &html[..300]);
            // What mrml writes into each cell is stronger than the `dir` of the whole.
            let other = if direction == "rtl" { "direction:ltr" } else { "direction:rtl" };
            assert!(html.contains(&format!("direction:{direction}")) && !html.contains(other), "{html}");
            assert!(html.contains(&format!("text-align:{side}")) && html.contains("prefers-color-scheme: dark"));
        }
    }
}

#[test]
fn six_templates_ship_and_know_their_channels() {
    let library = Library::builtin().unwrap();
    let told: Vec<_> =
        library.list().map(|t| (t.key(), t.category(), t.channels().to_vec(), t.default_locale().as_str())).collect();
    assert_eq!(
        told,
        [
            ("breaking-news", Some("news"), vec![Channel::Inbox], "en"),
            ("card-repayment-due", Some("billing"), vec![Channel::Inbox, Channel::Email, Channel::Sms], "en"),
            ("daily-digest", Some("news"), vec![Channel::Inbox, Channel::Email], "en"),
            ("order-shipped", Some("orders"), vec![Channel::Inbox, Channel::Email, Channel::Sms], "en"),
            ("verification-code", Some("account"), vec![Channel::Sms, Channel::Email], "en"),
            ("welcome", Some("account"), vec![Channel::Inbox, Channel::Email], "en"),
        ]
    );
}
