//! Every mistake that lint knows, as an author is told of it over HTTP: what, in which file, on which line; and nothing is kept.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_templates::Code;
use stentor_tests::{Api, Dev};

const FRONT: &str = "+++\ntitle = \"Hello {{name}}\"\nsummary = \"Hi {{#if nick}}{{nick}}{{/if}}\"\n+++\n";
/// Uses what is left of the schema.
const REST: &str = "{{#each list}}{{this}}{{/each}} {{who.a}}";
const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "required": ["name", "list", "who"], "properties": {
  "name": {"type": "string"}, "nick": {"type": "string"}, "list": {"type": "array", "items": {"type": "string"}},
  "who": {"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": {"type": "string"}}}}}"#;
const WAY_OUT: &str = "<mj-text>{{#if mail.unsubscribe}}{{mail.unsubscribe.url}}{{/if}}</mj-text>";

/// A template in which nothing is wrong but what `own` brings; a file that is `""` is left out.
fn files(own: &[(&str, String)]) -> Value {
    let mut files = json!({
        "template.toml": "title = \"Greeting\"\nchannels = [\"inbox\"]\ndefault_locale = \"en\"\n",
        "schema.json": SCHEMA, "samples/ada.json": sample("Ada", 1), "en/content.md": format!("{FRONT}{REST}"),
    });
    for (path, text) in own {
        match text.as_str() {
            "" => files.as_object_mut().unwrap().remove(*path),
            text => files.as_object_mut().unwrap().insert((*path).to_owned(), text.into()),
        };
    }
    files
}

fn sample(name: &str, items: usize) -> String {
    json!({"name": name, "nick": "A", "list": vec!["x"; items], "who": {"a": "b"}}).to_string()
}

/// The content with `body`, which begins on line 5.
fn body(body: &str) -> Vec<(&'static str, String)> {
    vec![("en/content.md", format!("{FRONT}{body}\n\n{REST}"))]
}

fn mail(dir: &str, inside: &str) -> String {
    let head = "<mj-head><mj-preview>{{mail.preheader}}</mj-preview></mj-head>";
    format!("<mjml{dir}>{head}<mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>")
}

/// What is wrong, with its code and its place.
type Case = (Vec<(&'static str, String)>, &'static str, &'static str);

fn variables_and_tags() -> Vec<Case> {
    let loops = "{{#each list}}{{#each ../list}}{{#each ../../list}}{{#each ../../../list}}x{{/each}}{{/each}}{{/each}}{{/each}}";
    let with_sample = |text: &str, sample: String| [body(text), vec![("samples/ada.json", sample)]].concat();
    vec![
        (body("{{nane}}"), "unknown_variable", "en/content.md:5:1"),
        (body("a {{#if nane}}b{{/if}}"), "unknown_variable", "en/content.md:5:3"),
        (body("{{#unless nane}}b{{/unless}}"), "unknown_variable", "en/content.md:5:1"),
        (body("{{lookup who \"b\"}}"), "unknown_variable", "en/content.md:5:1"),
        (body("{{nick}}"), "optional_variable", "en/content.md:5:1"),
        (body("{{list}}"), "wrong_type", "en/content.md:5:1"),
        (body("{{shout name}}"), "unknown_helper", "en/content.md:5:1"),
        (body("{{{name}}}<script>alert(1)</script>"), "raw_output", "en/content.md:5:1"),
        (body("a\n\n {{#if name}}"), "syntax", "en/content.md:7:2"),
        (body(&"{{#if name}}".repeat(3_000)), "too_complex", "en/content.md:5:385"),
        (body(&"{{a}}".repeat(13_000)), "too_complex", "en/content.md:5:10001"),
        (with_sample(loops, sample("Ada", 100)), "too_complex", "en/content.md:5:1"),
        (
            with_sample("{{#each list}}{{../name}}{{/each}}", sample(&"x".repeat(10_000), 100)),
            "too_complex",
            "en/content.md:5:15",
        ),
        (body("{{> nothing}}"), "unknown_partial", "en/content.md:5:1"),
        ([body("{{> a}}"), vec![("_partials/a.md", "\n{{> a}}".into())]].concat(), "partial_cycle", "_partials/a.md:2:1"),
        (
            [body("{{> a}}"), vec![("_partials/a.md", "{{> b}}".into()), ("_partials/b.md", "x {{> a}}".into())]].concat(),
            "partial_cycle",
            "_partials/b.md:1:3",
        ),
        (body("{{#*inline \"p\"}}{{> p}}{{/inline}}{{> p}}"), "syntax", "en/content.md:5:1"),
        (body("{{t \"greet\"}}"), "unknown_message", "en/content.md:5:1"),
        (vec![("messages/en.toml", "\na = \"{n\"".into())], "bad_message", "messages/en.toml:2:5"),
    ]
}

fn words_links_and_lengths() -> Vec<Case> {
    let titled = |title: &str| {
        vec![(
            "en/content.md",
            format!("+++\ntitle = \"{title}\"\nsummary = \"{{{{name}}}}{{{{#if nick}}}}{{{{nick}}}}{{{{/if}}}}\"\n+++\n{REST}"),
        )]
    };
    let without_summary = format!("+++\ntitle = \"{{{{name}}}}{{{{#if nick}}}}{{{{nick}}}}{{{{/if}}}}\"\n+++\n{REST}");
    let german = ("de/content.md", format!("{FRONT}{REST}"));
    vec![
        (
            vec![("template.toml", "title = \"G\"\ndefault_locale = \"en\"\nlocales = [\"en\", \"fr\"]\n".into())],
            "missing_locale",
            "fr/content.md:0:0",
        ),
        (vec![("en/content.md", String::new())], "missing_locale", "en/content.md:0:0"),
        (vec![("samples/ada.json", String::new())], "missing_sample", "samples:0:0"),
        (vec![("schema.json", String::new())], "missing_file", "schema.json:0:0"),
        (titled(&"x".repeat(61)), "long_subject", "en/content.md:2:0"),
        ([titled("{{name}}"), vec![("samples/ada.json", sample("", 1))]].concat(), "render_failed", "en/content.md:2:0"),
        (vec![("en/content.md", without_summary)], "no_preheader", "en/content.md:1:0"),
        (body("![](https://x.example/i.png)"), "missing_alt", "en/content.md:5:1"),
        (body("ä [a](javascript:alert)"), "unsafe_link", "en/content.md:5:3"),
        (body("[a]()"), "empty_link", "en/content.md:5:1"),
        (body(&"*a*\n\n".repeat(7_000)), "large_html", "en/content.md:5:0"),
        (vec![("en/sms.txt", "word ".repeat(62))], "long_sms", "en/sms.txt:1:0"),
        (vec![german, ("de/sms.txt", "ж".repeat(135)), ("en/sms.txt", "e".repeat(135))], "long_sms", "de/sms.txt:1:0"),
    ]
}

fn files_and_mails() -> Vec<Case> {
    vec![
        (vec![("template.toml", "title = 1\n".into())], "bad_field", "template.toml:1:9"),
        (vec![("schema.json", "{".into())], "bad_schema", "schema.json:1:1"),
        (vec![("samples/ada.json", "{}".into())], "bad_sample", "samples/ada.json:0:0"),
        (vec![("notes.txt", "x".into())], "unknown_file", "notes.txt:0:0"),
        (
            vec![("en/email.mjml", "<mjml><mj-body><mj-txt>a</mj-txt></mj-body></mjml>".into())],
            "unknown_mjml_tag",
            "en/email.mjml:1:16",
        ),
        (vec![("en/email.mjml", "<mjml>\n<mj-body>".into())], "bad_mjml", "en/email.mjml:2:1"),
        (vec![("en/email.mjml", mail(" dir=\"rtl\"", WAY_OUT))], "wrong_direction", "en/email.mjml:1:7"),
        (
            vec![("en/email.mjml", mail("", &(WAY_OUT.to_owned() + "<mj-image src=\"https://x.example/i\" />")))],
            "missing_alt",
            "en/email.mjml:1:",
        ),
    ]
}

/// What may be meant so, and is told all the same.
fn warnings() -> Vec<Case> {
    vec![
        (vec![("en/content.md", format!("{FRONT}{{{{who.a}}}}"))], "unused_field", "schema.json:2:"),
        (vec![("messages/en.toml", "greet = \"Hi\"\n".into())], "unused_message", "messages/en.toml:1:"),
        (vec![("en/email.mjml", mail("", "<mj-text>{{mail.title}}</mj-text>"))], "no_way_out", "en/email.mjml:1:0"),
        (
            vec![
                ("template.toml", "title = \"G\"\ndefault_locale = \"en\"\nimages = \"inline\"\n".into()),
                (
                    "en/email.mjml",
                    mail("", &format!("{WAY_OUT}<mj-raw><p style=\"background:url(https://x.example/b)\">a</p></mj-raw>")),
                ),
            ],
            "linked_picture",
            "en/email.mjml:1:",
        ),
    ]
}

fn holds(findings: &Value, code: &str, at: &str) -> bool {
    findings.as_array().unwrap().iter().any(|f| {
        let place = format!("{}:{}:{}", f["file"].as_str().unwrap(), f["line"], f["column"]);
        let is_there = if at.ends_with(':') { place.starts_with(at) } else { place == at };
        let is_told = ["message", "advice"].iter().all(|field| f[field].as_str().is_some_and(|text| !text.is_empty()));
        f["code"] == code && is_there && is_told
    })
}

async fn publish(api: &Api, files: &Value) -> (StatusCode, Value) {
    api.put("/v1/templates/greeting", &json!({"files": files, "publish": true})).await
}

#[tokio::test]
async fn each_mistake_is_told_with_its_place_and_nothing_is_kept() {
    let dev = Dev::start();
    let (mut told, mut missed): (BTreeSet<&str>, Vec<String>) = (BTreeSet::new(), Vec::new());
    for (own, code, at) in variables_and_tags().into_iter().chain(words_links_and_lengths()).chain(files_and_mails()) {
        let files = files(&own);
        let (status, problem) = publish(&dev.api, &files).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_template")),
            "{code} {at}: {problem}"
        );
        missed.extend((!holds(&problem["findings"], code, at)).then(|| format!("no {code} at {at}: {}", problem["findings"])));
        let (status, seen) = dev.api.post("/v1/templates/greeting/preview", &json!({"files": files})).await;
        assert_eq!(status, StatusCode::OK, "a preview is an answer all the same: {seen}");
        missed.extend((!holds(&seen["findings"], code, at)).then(|| format!("no {code} at {at} in the preview")));
        told.insert(code);
    }
    for path in ["/v1/templates/greeting", "/v1/templates/greeting/versions"] {
        let answer = dev.api.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "something was kept");
    }
    for (own, code, at) in warnings() {
        let (status, receipt) = publish(&dev.api, &files(&own)).await;
        assert_eq!(status, StatusCode::OK, "{code}: {receipt}");
        missed.extend((!holds(&receipt["findings"], code, at)).then(|| format!("no {code} at {at}: {receipt}")));
        told.insert(code);
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    let (status, receipt) = publish(&dev.api, &files(&[])).await;
    assert_eq!((status, &receipt["findings"]), (StatusCode::OK, &json!([])), "all else is well");
    // A file that is no text does not come through JSON.
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| *code != "unreadable_file").collect();
    assert_eq!(told, known, "every code is told over HTTP");
}

#[tokio::test]
async fn what_data_make_impossible_is_told_in_the_preview_with_its_place() {
    let dev = Dev::start();
    let loops = "{{#each list}}{{#each ../list}}{{#each ../../list}}{{name}}{{/each}}{{/each}}{{/each}}";
    let large = json!({"name": "x".repeat(10_000), "list": vec!["x"; 100], "who": {"a": "b"}});
    for (text, data, error) in [
        (loops, large.clone(), "en/content.md:5:"),
        ("{{#each list}}{{../name}}{{/each}}", large, "bytes of rendered text: the limit is 524288"),
        ("{{name}}", json!({"list": [], "who": {"a": "b"}}), "en/content.md:2:16: the variable `name` is missing"),
        ("a {{who.a}}", json!({"name": "a", "list": [], "who": "b"}), "en/content.md:5:3: the variable `who.a` is missing"),
        ("{{date name}}", json!({"name": "tomorrow", "list": [], "who": {"a": "b"}}), "en/content.md:5:1: `date`"),
        ("[a]({{name}})", json!({"name": null, "list": null, "who": {"a": 1e308}}), ""),
    ] {
        let files = files(&body(text));
        let (status, seen) = dev.api.post("/v1/templates/greeting/preview", &json!({"files": files, "data": data})).await;
        assert_eq!(status, StatusCode::OK, "{seen}");
        let told = seen["email"]["error"].as_str().unwrap_or_default();
        assert!(told.contains(error), "{text}: {told:?} does not say {error:?}");
    }
}
