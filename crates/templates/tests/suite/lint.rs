//! What lint says of templates: each kind of mistake with its place, and nothing of good ones.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;
use stentor_templates::{Code, Finding, Severity, lint, lint_dir};

use crate::support::files;

const SCHEMA: &str = r#"{"type": "object", "required": ["name", "list", "amount"], "properties": {
  "name": {"type": "string"},
  "list": {"type": "array", "items": {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}, "note": {"type": "string"}}}},
  "amount": {"type": "object", "required": ["value", "currency"], "properties": {"value": {"type": "string"}, "currency": {"type": "string"}}},
  "link": {"type": "string"}
}}"#;
const SAMPLE: &str = r#"{"name": "Ada", "list": [{"label": "one", "note": "n"}], "amount": {"value": "1", "currency": "EUR"}, "link": "https://x.example"}"#;
const FRONT: &str = "+++\ntitle = \"Hello {{name}}\"\nsummary = \"{{money amount}}\"\n+++\n";
/// A mail's way out.
const WAY_OUT: &str =
    "<mj-text>{{#if mail.unsubscribe}}<a href=\"{{mail.unsubscribe.url}}\">{{mail.unsubscribe.label}}</a>{{/if}}</mj-text>";
/// Uses what is left of the schema.
const REST: &str = "{{#each list}}{{label}}{{#if note}}{{note}}{{/if}}{{/each}}{{#if link}}{{link}}{{/if}}";

/// The findings of a template that is clean but for `own`.
fn findings(own: &[(&str, &str)]) -> Vec<Finding> {
    let content = format!("{FRONT}{REST}\n");
    let usual = [("t/schema.json", SCHEMA), ("t/samples/s.json", SAMPLE), ("t/en/content.md", content.as_str())];
    lint(&files(&usual.iter().chain(own).copied().collect::<Vec<_>>()))
}

fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{}:{}:{} {}", f.file, f.line, f.column, f.code)).collect()
}

/// What is found with `body` as the body of the content, which begins on line 5.
fn of_body(body: &str) -> Vec<String> {
    told(&findings(&[("t/en/content.md", &format!("{FRONT}{body}\n\n{REST}"))]))
}

/// What is found with `text` as sms.txt.
fn of_sms(text: &str) -> Vec<String> {
    told(&findings(&[("t/en/sms.txt", text)]))
}

#[test]
fn a_good_template_has_no_findings() {
    assert_eq!(told(&findings(&[])), Vec::<String>::new());
}

#[test]
fn the_shipped_templates_are_clean() {
    let all = lint_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates"));
    assert!(all.is_empty(), "{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_unknown_variable_is_found_wherever_it_stands() {
    for (text, at) in [
        ("{{nane}}", "1:1"),
        ("a {{name.first}}", "1:3"),
        ("{{#if nane}}x{{/if}}", "1:1"),
        ("{{#if name}}x{{else if nane}}y{{/if}}", "1:1"),
        ("{{#unless nane}}x{{/unless}}", "1:1"),
        ("{{#each list}}{{lable}}{{/each}}", "1:15"),
        ("{{#each list}}{{../nane}}{{/each}}", "1:15"),
        ("{{#each list as |item|}}{{item.lable}}{{/each}}", "1:25"),
        ("{{#each list}}{{this.lable}}{{/each}}", "1:15"),
        ("{{#with amount}}{{valve}}{{/with}}", "1:17"),
        ("{{lookup amount \"valve\"}}", "1:1"),
        ("{{#if (eq nane \"x\")}}y{{/if}}", "1:1"),
        ("{{money amout}}", "1:1"),
        ("{{@root.nane}}", "1:1"),
        ("{{app.nane}}", "1:1"),
        ("{{recipient.nane}}", "1:1"),
        ("{{mail.title}}", "1:1"),
    ] {
        let found = of_sms(text);
        let code = if text.contains("name.first") { "wrong_type" } else { "unknown_variable" };
        assert!(found.contains(&format!("t/en/sms.txt:{at} {code}")), "{text}: {found:?}");
    }
    let near = findings(&[("t/en/sms.txt", "{{nane}}")]);
    let finding = near.iter().find(|f| f.code == Code::UnknownVariable).unwrap();
    assert!(finding.advice.starts_with("Did you mean `name`?"), "{finding}");
    let text = "t/en/sms.txt:1:1: error[unknown_variable]: schema.json knows no variable `nane`. Did you mean `name`?";
    assert!(finding.to_string().starts_with(text), "{finding}");
    assert_eq!(
        serde_json::to_value(finding).unwrap(),
        json!({
            "file": "t/en/sms.txt", "line": 1, "column": 1, "severity": "error", "code": "unknown_variable",
            "message": finding.message, "advice": finding.advice,
        })
    );
}

#[test]
fn what_may_be_absent_must_be_asked_for_first() {
    for (text, fine) in [
        ("{{link}}", false),
        ("{{#if link}}{{link}}{{/if}}", true),
        ("{{#if link}}x{{else}}{{link}}{{/if}}", false),
        ("{{#unless link}}x{{else}}{{link}}{{/unless}}", true),
        ("{{#if (eq link \"a\")}}x{{/if}}", false),
        ("{{#each list}}{{note}}{{/each}}", false),
        ("{{#each list}}{{#if note}}{{note}}{{/if}}{{/each}}", true),
        ("{{#each list}}{{#if ../link}}{{@root.link}}{{/if}}{{/each}}", true),
        ("{{#with link}}{{this}}{{else}}-{{/with}}", true),
        ("{{#if recipient.attributes.vip}}{{recipient.attributes.vip}}{{/if}}", true),
        ("{{recipient.attributes.vip}}", false),
    ] {
        let found = of_sms(text);
        assert_eq!(found.iter().all(|f| !f.ends_with("optional_variable")), fine, "{text}: {found:?}");
    }
}

#[test]
fn a_value_is_used_as_what_it_is() {
    for text in
        ["{{amount}}", "{{list}}", "{{#each name}}x{{/each}}", "{{#with name}}{{x}}{{/with}}", "{{#each list}}{{this}}{{/each}}"]
    {
        assert!(of_sms(text).iter().any(|f| f.ends_with("wrong_type")), "{text}: {:?}", of_sms(text));
    }
}

#[test]
fn an_unused_field_is_a_warning_at_its_place_in_the_schema() {
    let found = findings(&[("t/en/content.md", &format!("{FRONT}{{{{#each list}}}}{{{{label}}}}{{{{/each}}}}"))]);
    assert_eq!(told(&found), ["t/schema.json:3:124 unused_field", "t/schema.json:5:3 unused_field"], "{found:?}");
    assert!(found.iter().all(|f| f.severity == Severity::Warning));
}

#[test]
fn what_a_template_lacks_is_named() {
    let missing = |path: &str| {
        let content = format!("{FRONT}{REST}\n");
        let usual = [("t/schema.json", SCHEMA), ("t/samples/s.json", SAMPLE), ("t/en/content.md", content.as_str())];
        let mut all = files(&usual);
        all.remove(path);
        told(&lint(&all))
    };
    assert_eq!(missing("t/samples/s.json"), ["t/samples:0:0 missing_sample"]);
    assert_eq!(missing("t/schema.json")[0], "t/schema.json:0:0 missing_file");
    assert_eq!(missing("t/en/content.md"), ["t/en/content.md:0:0 missing_locale"]);
    let named = "title = \"T\"\ndefault_locale = \"en\"\nlocales = [\"en\", \"de\"]\n";
    assert_eq!(told(&findings(&[("t/template.toml", named)])), ["t/de/content.md:0:0 missing_locale"]);
    let other = [("u/template.toml", "title = \"U\"\ndefault_locale = \"fr\"\n"), ("u/schema.json", "{\"type\": \"object\"}")];
    let words = ("u/fr/content.md", "+++\ntitle = \"a\"\nsummary = \"b\"\n+++\n");
    let found = told(&findings(&[other[0], other[1], words, ("u/samples/s.json", "{}")]));
    assert_eq!(found, ["t/fr/content.md:0:0 missing_locale", "u/en/content.md:0:0 missing_locale"]);
    let found = findings(&[("t/en/content.md", &format!("+++\ntitle = \"{{{{name}}}}{{{{money amount}}}}\"\n+++\n{REST}"))]);
    assert_eq!(told(&found), ["t/en/content.md:1:0 no_preheader"]);
}

#[test]
fn what_comes_out_too_long_is_named_with_sample_and_language() {
    let long = "x".repeat(61);
    let content = format!("+++\ntitle = \"{long}\"\nsummary = \"{{{{name}}}}{{{{money amount}}}}\"\n+++\n{REST}");
    let found = findings(&[("t/en/content.md", &content)]);
    assert_eq!(told(&found), ["t/en/content.md:2:0 long_subject"]);
    assert!(found[0].message.contains("61 characters long in en with the sample `s`"), "{}", found[0]);

    let found = findings(&[("t/en/sms.txt", &("’".to_owned() + &"word ".repeat(40)))]);
    assert_eq!(told(&found), ["t/en/sms.txt:1:0 long_sms"]);
    assert!(found[0].message.contains("because of `’`"), "{}", found[0]);
    assert_eq!(of_sms(&"word ".repeat(60)), Vec::<String>::new(), "306 septets fit two segments");
    assert_eq!(of_sms(&"word ".repeat(62)), ["t/en/sms.txt:1:0 long_sms"]);

    let body = "*a*\n\n".repeat(7_000);
    let found = findings(&[("t/en/content.md", &format!("{FRONT}{body}{REST}"))]);
    assert_eq!(told(&found), ["t/en/content.md:5:0 large_html"]);
}

#[test]
fn links_and_pictures_are_looked_at_where_they_stand() {
    for (body, expected) in [
        ("ä [a](https://x.example) ![alt](https://x.example/i.png)", None),
        ("[a](https://x.example/?q={{name}}) [b](mailto:a@x.example)", None),
        ("ä [a]()", Some("5:3 empty_link")),
        ("ä [a](javascript:alert)", Some("5:3 unsafe_link")),
        ("[a](/relative)", Some("5:1 unsafe_link")),
        ("{{name}} [a](ftp://{{name}})", Some("5:10 unsafe_link")),
        ("x\n![](https://x.example/i.png)", Some("6:1 missing_alt")),
        ("![{{name}}](https://x.example/i.png)", None),
        ("![a](data:image/png;base64,AA)", Some("5:1 unsafe_link")),
    ] {
        let found = of_body(body);
        match expected {
            Some(at) => assert!(found.contains(&format!("t/en/content.md:{at}")), "{body}: {found:?}"),
            None => assert_eq!(found, Vec::<String>::new(), "{body}"),
        }
    }
    let front = "+++\ntitle = \"{{name}}\"\nsummary = \"{{money amount}}\"\nlink = \"\"\n\n[image]\nurl = \"javascript:x\"\nalt = \" \"\n\n\
                 [[actions]]\nlabel = \"a\"\nurl = \"tel:+1\"\n\n[[actions]]\nlabel = \"b\"\nurl = \"data:x\"\n+++\n";
    let found = told(&findings(&[("t/en/content.md", &format!("{front}{REST}"))]));
    for at in ["4:9 empty_link", "7:8 unsafe_link", "8:8 missing_alt", "16:8 unsafe_link"] {
        assert!(found.contains(&format!("t/en/content.md:{at}")), "{at}: {found:?}");
    }
    let mjml = "<mjml><mj-head><mj-preview>{{mail.preheader}}</mj-preview></mj-head><mj-body><mj-section><mj-column>\n\
                <mj-image src=\"https://x.example/i.png\" />\n<mj-button href=\"javascript:x\">a</mj-button>\n\
                <mj-button>b</mj-button>\n<mj-text><a href=\"\">c</a></mj-text>\n";
    let mjml =
        mjml.to_owned() + "<mj-image src=\"cid:ticket\" alt=\"d\" />" + WAY_OUT + "</mj-column></mj-section></mj-body></mjml>";
    let found = told(&findings(&[("t/en/email.mjml", &mjml)]));
    let expected = ["2:1 missing_alt", "3:12 unsafe_link", "4:1 empty_link", "5:13 empty_link"];
    assert_eq!(found, expected.map(|at| format!("t/en/email.mjml:{at}")));
    let bare = format!("<mjml><mj-body><mj-section><mj-column>{WAY_OUT}</mj-column></mj-section></mj-body></mjml>");
    assert_eq!(told(&findings(&[("t/en/email.mjml", &bare)])), ["t/en/email.mjml:1:7 no_preheader"]);
}

#[test]
fn what_a_picture_shows_is_said_by_each_sample() {
    let front = "+++\ntitle = \"{{name}}\"\nsummary = \"{{money amount}}\"\nimage = {url = \"https://x.example/i\", alt = \"{{#if link}}{{link}}{{/if}}\"}\n\n\
        [[articles]]\neach = \"list\"\ntitle = \"{{article.label}}\"\nimage = {url = \"https://x.example/a\", alt = \"{{#if article.note}}{{article.note}}{{/if}}\"}\n+++\n";
    let content = ("t/en/content.md", &*format!("{front}{REST}"));
    assert_eq!(told(&findings(&[content])), Vec::<String>::new());
    let silent = r#"{"name": "A", "list": [{"label": "a"}], "amount": {"value": "1", "currency": "EUR"}}"#;
    let found = findings(&[content, ("t/samples/silent.json", silent)]);
    assert_eq!(told(&found), ["t/en/content.md:4:0 missing_alt", "t/en/content.md:9:0 missing_alt"], "{found:?}");
    assert!(found[0].message.contains("in en with the sample `silent`"), "{}", found[0]);
}

#[test]
fn a_mail_of_its_own_shows_the_way_out() {
    let mail = |inside: &str| {
        let head = "<mjml>\n<mj-head><mj-preview>{{mail.preheader}}</mj-preview></mj-head><mj-body><mj-section><mj-column>";
        format!("{head}{inside}</mj-column></mj-section></mj-body></mjml>")
    };
    for (inside, told_of) in [
        ("<mj-text>a</mj-text>", true),
        ("<mj-text>{{#if mail.unsubscribe}}a{{/if}}</mj-text>", true),
        (WAY_OUT, false),
        ("<mj-text>{{#with mail.unsubscribe}}<a href=\"{{url}}\">{{label}}</a>{{else}}-{{/with}}</mj-text>", false),
        ("{{> foot}}", false),
    ] {
        let found = findings(&[("t/en/email.mjml", &mail(inside)), ("_partials/foot.mjml", WAY_OUT)]);
        let expected = if told_of { vec!["t/en/email.mjml:1:0 no_way_out".to_owned()] } else { Vec::new() };
        assert_eq!(told(&found), expected, "{inside}");
        assert!(found.iter().all(|f| f.severity == Severity::Warning), "some categories need none");
    }
    let found = told(&findings(&[("_layouts/email.mjml", &mail("<mj-text>{{{mail.body}}}</mj-text>"))]));
    assert_eq!(found, ["_layouts/email.mjml:1:0 no_way_out"]);
}

#[test]
fn a_picture_that_stays_a_link_is_told_where_the_mails_bring_theirs_along() {
    let mail = |inside: &str| {
        format!("<mjml><mj-head><mj-preview>{{{{mail.preheader}}}}</mj-preview></mj-head><mj-body>\n{inside}\n</mj-body></mjml>")
    };
    let section = |attributes: &str, inside: &str| {
        format!("<mj-section {attributes}><mj-column><mj-text>{inside}</mj-text>{WAY_OUT}</mj-column></mj-section>")
    };
    let inline = "title = \"T\"\ndefault_locale = \"en\"\nimages = \"inline\"\n";
    for (inside, at) in [
        (section("background-url=\"https://x.example/b.png\"", "a"), Some("2:13")),
        (section("", "<p style=\"color:red; background: url(https://x.example/b.png)\">a</p>"), Some("2:37")),
        (section("", "<p style=\"background-color:red\">a</p>"), None),
        (section("", "<table background=\"https://x.example/b.png\"><tr><td>a</td></tr></table>"), Some("2:41")),
        (section("", "<img src=\"https://x.example/1\" alt=\"a\" srcset=\"https://x.example/2 2x\" />"), Some("2:73")),
        (section("", "<img src=\"https://x.example/1\" alt=\"a\" />"), None),
    ] {
        let found = findings(&[("t/template.toml", inline), ("t/en/email.mjml", &mail(&inside))]);
        let expected: Vec<String> = at.into_iter().map(|at| format!("t/en/email.mjml:{at} linked_picture")).collect();
        assert_eq!(told(&found), expected, "{inside}");
        assert!(found.iter().all(|f| f.severity == Severity::Warning), "a background is a decoration");
        assert_eq!(told(&findings(&[("t/en/email.mjml", &mail(&inside))])), Vec::<String>::new(), "all are links anyway");
    }
    // In a partial, in a style sheet and in the layout, which is told of once.
    let background = "\n<mj-section background-url=\"https://x.example/b.png\"></mj-section>";
    let found = findings(&[
        ("t/template.toml", inline),
        ("_partials/head.mjml", background),
        ("t/en/email.mjml", &mail(&(section("", "a") + "{{> head}}"))),
    ]);
    assert_eq!(told(&found), ["_partials/head.mjml:2:13 linked_picture"]);
    let style = "<mj-head><mj-style>\np { color: red; background-image: URL(https://x.example/b.png) }</mj-style>";
    let layout = mail(&section("", "{{{mail.body}}}")).replace("<mj-head>", style);
    let found = findings(&[("t/template.toml", inline), ("_layouts/email.mjml", &layout)]);
    assert_eq!(told(&found), ["_layouts/email.mjml:2:17 linked_picture"]);
}

#[test]
fn what_cannot_be_loaded_has_a_code_too() {
    let front = FRONT;
    for (path, text, expected) in [
        ("t/en/sms.txt", "{{#if name}}".to_owned(), "t/en/sms.txt:1:1 syntax"),
        ("t/en/sms.txt", "{{shout name}}".to_owned(), "t/en/sms.txt:1:1 unknown_helper"),
        ("t/en/sms.txt", "{{{name}}}".to_owned(), "t/en/sms.txt:1:1 raw_output"),
        ("t/en/content.md", format!("{front}{{{{{{name}}}}}}"), "t/en/content.md:5:1 raw_output"),
        ("t/en/content.md", format!("{front}{{{{> absent}}}}"), "t/en/content.md:5:1 unknown_partial"),
        ("t/en/content.md", format!("{front}{}", "{{#if name}}".repeat(40)), "t/en/content.md:5:385 too_complex"),
        (
            "t/en/email.mjml",
            "<mjml><mj-body><mj-txt>a</mj-txt></mj-body></mjml>".to_owned(),
            "t/en/email.mjml:1:16 unknown_mjml_tag",
        ),
        ("t/en/email.mjml", "<mjml><mj-body>".to_owned(), "t/en/email.mjml:1:7 bad_mjml"),
        ("t/schema.json", "{".to_owned(), "t/schema.json:1:1 bad_schema"),
        ("t/samples/s.json", "{}".to_owned(), "t/samples/s.json:0:0 bad_sample"),
        ("t/template.toml", "title = 1".to_owned(), "t/template.toml:1:9 bad_field"),
        ("t/notes.txt", String::new(), "t/notes.txt:0:0 unknown_file"),
        ("t/messages/en.toml", "a = \"{n\"".to_owned(), "t/messages/en.toml:1:5 bad_message"),
        ("t/messages/english.toml", String::new(), "t/messages/english.toml:0:0 unknown_file"),
        ("_partials/Bad.md", String::new(), "_partials/Bad.md:0:0 unknown_file"),
    ] {
        let found = told(&findings(&[(path, &text)]));
        assert!(found.contains(&expected.to_owned()), "{expected}: {found:?}");
    }
    let cycle = findings(&[
        ("_partials/a.md", "{{> b}}"),
        ("_partials/b.md", "\n{{> a}}"),
        ("t/en/content.md", &format!("{FRONT}{{{{> a}}}}{REST}")),
    ]);
    assert_eq!(told(&cycle), ["_partials/b.md:2:1 partial_cycle"]);
}

#[test]
fn messages_are_checked_against_their_use_in_each_language() {
    let content = format!("{FRONT}{{{{t \"greet\" who=name}}}}\n\n{REST}");
    let with = |messages: &str| findings(&[("t/en/content.md", &content), ("t/messages/en.toml", messages)]);
    assert_eq!(told(&with("greet = \"Hi {who}\"")), Vec::<String>::new());
    assert_eq!(
        told(&with("other = \"Hi\"")),
        ["t/en/content.md:5:1 unknown_message", "t/en/content.md:5:1 wrong_type", "t/messages/en.toml:1:9 unused_message",]
    );
    let found = with("greet = \"Hi {who}, {n, plural, other {#}}\"");
    assert!(found[0].message.contains("needs `n`"), "{found:?}");
    let schema: BTreeMap<_, _> = [("de", "+++\ntitle = \"{{t 'greet' who=name}}\"\nsummary = \"a\"\n+++\n")].into();
    let both = [
        ("t/en/content.md", content.as_str()),
        ("t/messages/en.toml", "greet = \"Hi {who}\""),
        ("t/de/content.md", schema["de"]),
    ];
    let found = findings(&both);
    assert!(found.iter().any(|f| f.code == Code::UnknownMessage && f.file == "t/de/content.md"), "{found:?}");
}

#[test]
fn articles_are_checked_like_the_rest() {
    let front = |article: &str| {
        format!("+++\ntitle = \"{{{{name}}}}\"\nsummary = \"{{{{money amount}}}}\"\n\n[[articles]]\n{article}\n+++\n{REST}")
    };
    for (article, expected) in [
        ("each = \"list\"\ntitle = \"{{article.label}}\"", None),
        ("each = \"list\"\ntitle = \"{{article.lable}}\"", Some("7:10 unknown_variable")),
        ("each = \"list\"\ntitle = \"{{article.note}}\"", Some("7:10 optional_variable")),
        ("each = \"lists\"\ntitle = \"{{article.label}}\"", Some("7:0 unknown_variable")),
        ("each = \"name\"\ntitle = \"x\"", Some("7:0 wrong_type")),
        ("title = \"{{article.label}}\"", Some("6:10 unknown_variable")),
        ("title = \"x\"\nlink = \"\"", Some("7:9 empty_link")),
        ("title = \"x\"\nimage = {url = \"https://x.example/i\", alt = \"\"}", Some("7:46 missing_alt")),
    ] {
        let found = told(&findings(&[("t/en/content.md", &front(article))]));
        match expected {
            Some(at) => assert!(found.contains(&format!("t/en/content.md:{at}")), "{article}: {found:?}"),
            None => assert_eq!(found, Vec::<String>::new(), "{article}"),
        }
    }
}

#[test]
fn a_mail_of_its_own_is_read_from_the_side_of_its_language() {
    let mail = |dir: &str| {
        let body = format!("<mj-section><mj-column>{WAY_OUT}</mj-column></mj-section>");
        format!("<mjml{dir}><mj-head><mj-preview>{{{{mail.preheader}}}}</mj-preview></mj-head><mj-body>{body}</mj-body></mjml>")
    };
    let content = format!("{FRONT}{REST}");
    for (locale, dir, expected) in [
        ("ar", "", Some("1:1")),
        ("ar", " dir=\"ltr\"", Some("1:7")),
        ("ar", " dir=\"rtl\"", None),
        ("ar", " dir=\"{{mail.dir}}\"", None),
        ("de", " dir=\"rtl\"", Some("1:7")),
        ("de", "", None),
    ] {
        let (own, words) = (format!("t/{locale}/email.mjml"), format!("t/{locale}/content.md"));
        let found = told(&findings(&[(&own, &mail(dir)), (&words, &content)]));
        let expected: Vec<String> = expected.map(|at| format!("{own}:{at} wrong_direction")).into_iter().collect();
        assert_eq!(found, expected, "{locale}{dir}");
    }
}

#[test]
fn every_code_is_a_word_of_its_own() {
    let mut words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Code::ALL.len());
    assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
}
