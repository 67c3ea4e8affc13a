//! What somebody uploads to do harm: little to send, and much to work off.

use std::fs;

use serde_json::{Map, Value, json};
use stentor_templates::{RenderError, lint};

use crate::support::{files, input, library, load, map, template};

fn content(front: &str, body: &str) -> String {
    format!("+++\ntitle = \"t\"\n{front}\n+++\n{body}")
}

/// Nanoseconds that this thread has worked.
fn worked() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_partial_named_by_hundreds_of_texts_is_not_put_into_all_of_them() {
    let partial = "{{a}}".repeat(1_900) + &"x".repeat(50_000);
    let article = "[[articles]]\ntitle = \"{{> p}}\"\nsummary = \"{{> p}}\"\nlink = \"{{> p}}\"\n";
    let own = content(&article.repeat(10), "{{> p}}");
    let errors = load(&[("_partials/p.md", &partial), ("t/en/content.md", &own)]).unwrap_err().to_string();
    assert!(errors.contains("more than 1048576 bytes of partials in all texts of the template together"), "{errors}");
    let few = content("summary = \"{{> p}}\"", "{{> p}}");
    let each = |key: &str| (format!("{key}/en/content.md"), few.clone());
    let folder: Vec<(String, String)> = (0..20).map(|i| each(&format!("t{i}"))).collect();
    let others = folder.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let own: Vec<(&str, &str)> = others.chain([("_partials/p.md", partial.as_str())]).collect();
    let errors = load(&own).unwrap_err().to_string();
    assert!(!errors.contains("bytes of partials"), "it is counted by template: {errors}");
}

#[test]
fn findings_end_before_their_reader() {
    let fields: Map<String, Value> = (0..10).map(|i| (format!("property{i}"), json!({}))).collect();
    let schema = json!({ "type": "object", "properties": fields }).to_string();
    let unknown = (0..1_900).fold(String::new(), |all, i| all + "{{unknown" + &i.to_string() + "}}");
    let links = "[a]()\n\n".repeat(5_000);
    for body in [unknown, links] {
        let found = lint(&files(&[("t/schema.json", &schema), ("t/en/content.md", &content("", &body))]));
        assert!((400..=500).contains(&found.len()), "{}", found.len());
    }
}

#[test]
fn data_are_held_against_a_schema_only_as_far_as_that_ends() {
    let with = |items: Value| {
        let schema = json!({ "type": "object", "properties": { "a": { "items": items } } }).to_string();
        library(&[("t/schema.json", &schema)]).find("t").unwrap()
    };
    let numbers = |n: usize| map(json!({ "a": vec![1; n] }));
    let wide = with(json!({ "allOf": vec![json!({ "type": "string" }); 2_000] }));
    let told = wide.check_data(&numbers(10_000));
    assert_eq!(told.iter().map(|v| v.code.as_str()).collect::<Vec<_>>(), ["schema_too_complex"]);
    assert_eq!(wide.check_data(&numbers(200)).len(), 1, "the first is told, since all of them would be made at once");
    assert_eq!(wide.check_data(&numbers(10)).len(), 50);
    let usual = with(json!({ "type": "integer" }));
    assert_eq!(usual.check_data(&numbers(20_000)), []);
    assert_eq!(usual.check_data(&map(json!({ "a": ["x", "y"] }))).len(), 2);
}

#[test]
fn patterns_are_small_and_few() {
    let with = |patterns: Vec<String>| {
        let properties: Map<String, Value> =
            patterns.into_iter().enumerate().map(|(i, p)| (format!("p{i}"), json!({ "pattern": p }))).collect();
        load(&[("t/schema.json", &json!({ "type": "object", "properties": properties }).to_string())])
    };
    assert!(with(vec!["^[A-Z]{2}[0-9]{2,30}$".into(); 100]).is_ok());
    assert!(with(vec!["^[A-Z]$".into(); 101]).unwrap_err().to_string().contains("there are 101 patterns"));
    assert!(with(vec!["\\p{L}{500}".into()]).is_err());
}

#[test]
fn what_works_for_too_long_is_ended_where_it_stands() {
    let raw = library(&[
        ("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\nraw = [\"r\"]\n"),
        ("t/en/content.md", &content("", &"{{{r}}}".repeat(1_900))),
    ]);
    let data = map(json!({ "r": format!("<script>{}</script>", "x".repeat(200_000)) }));
    let before = worked();
    let result = raw.find("t").unwrap().render_inbox(&input(&data)).map(|item| item.title);
    assert!(matches!(result, Err(RenderError::TooSlow { .. })), "{result:?}");
    assert!(worked() - before < 4_000_000_000, "it worked for {} ns", worked() - before);
    let lists = template("title = \"t\"", "{{#if (eq a b)}}{{/if}}");
    let result = lists.render_inbox(&input(&map(json!({ "a": [1], "b": [1] })))).map(|item| item.title);
    assert!(matches!(&result, Err(RenderError::BadValue { message, .. }) if message.contains("no lists")), "{result:?}");
}

#[test]
fn data_cannot_pass_for_the_body_that_a_mail_trusts() {
    let mail = |inside: &str| format!("<mjml><mj-body><mj-raw>{inside}</mj-raw></mj-body></mjml>");
    let evil = json!({ "mail": { "body": "<script>alert(1)</script>kept" }, "body": "<script>alert(2)</script>kept" });
    let data = map(json!({ "list": [evil], "one": evil }));
    for inside in [
        "{{#each list}}{{{mail.body}}}{{/each}}",
        "{{#each list as |mail|}}{{{mail.body}}}{{/each}}",
        "{{#with one}}{{{mail.body}}}{{/with}}",
        "{{#with one as |mail|}}{{#if mail}}{{{mail.body}}}{{/if}}{{/with}}",
    ] {
        let own = library(&[("t/en/email.mjml", &mail(inside))]).find("t").unwrap();
        let html = own.render_email(&input(&data)).unwrap().html;
        assert!(!html.contains("<script>") && html.contains("kept"), "{inside}: {html}");
    }
    let own = library(&[("t/en/email.mjml", &mail("{{#if one}}{{{mail.body}}}{{/if}}"))]).find("t").unwrap();
    assert!(own.render_email(&input(&data)).unwrap().html.contains("<p>Body</p>"));
}
