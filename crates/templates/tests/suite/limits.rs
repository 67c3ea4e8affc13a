//! No template, no data and no content can stop the process or hold a worker: each of these ends, with an answer.
//!
//! Test threads have the 2 MiB stack of a worker's thread, so what overflows there would abort the tests.

use crate::support::{input, library, load, map, template};
use serde_json::json;
use stentor_domain::content::Content;
use stentor_templates::{RenderError, inline};

const BODY_BYTES: usize = 65_536;
const OUTPUT_BYTES: usize = 512 * 1024;

fn content(body: &str) -> Content {
    serde_json::from_value(json!({ "title": "t", "body_markdown": body })).unwrap()
}

/// `pattern` as often as a body may hold it.
fn filled(pattern: &str) -> String {
    pattern.repeat(BODY_BYTES / pattern.len())
}

#[test]
fn markdown_of_any_shape_ends() {
    let data = serde_json::Map::new();
    let lines: String = (0..).map(|i| format!("{}- a\n", "  ".repeat(i))).take(250).collect();
    let shapes = [
        ">",
        "> ",
        "- ",
        "* ",
        "1. ",
        "*",
        "**a ",
        "_a ",
        "[",
        "![",
        "[a](",
        "[a](b",
        "![a",
        "](",
        "`",
        "`a``",
        "<",
        "<a ",
        "&",
        "\\",
        "~~a ",
        "|",
        "|a",
        "a|\n",
        "#",
        "# a\n",
        "a\n=\n",
        "<!--",
        "<?",
        "[a]: b\n",
        "[a][a]\n",
        "- a\n\n",
        ">a\n\n",
        "*a_ ",
        "*a **b ",
        "\t",
        "\t- ",
        "```\n",
        "~~~",
        "(",
        "\u{0300}",
        "😀",
        "![l](m ",
        "[a](<b",
        "www.a.b ",
        "http://a ",
        "a@b.c ",
        "\"'",
        "--",
        "***a",
        "*_",
        "__*",
        "[[",
        "[^a]",
        "[^a]: b\n",
        "* * *\n",
        ":-:|",
        "<b>",
        "<div>\n",
        "**[a](b)",
    ];
    let tables = [
        "a|".repeat(8_000) + "\n" + &"-|".repeat(8_000) + "\n" + &"a\n".repeat(16_000),
        "|a|b|\n|-|-|\n".to_owned() + &filled("|a|\n"),
    ];
    for body in shapes.iter().map(|s| filled(s)).chain(tables).chain([lines]) {
        let content = content(&body);
        let head = &body[..body.floor_char_boundary(12)];
        match inline::render_inbox(&content, &input(&data)) {
            Ok(item) => assert!(item.content.body_html.len() <= OUTPUT_BYTES, "{head}"),
            Err(e) => assert!(matches!(e, RenderError::TooLarge { .. } | RenderError::TooSlow { .. }), "{head}: {e:?}"),
        }
    }
}

#[test]
fn html_of_any_shape_ends() {
    let data = serde_json::Map::new();
    let numbered = |tag: &str, n: usize| (0..n).fold(String::new(), |all, i| all + "<" + tag + " id=" + &i.to_string() + ">");
    let bombs = [
        "<div>".repeat(50_000),
        "<table>".repeat(30_000),
        "<table><tr><td>".repeat(15_000),
        numbered("b", 15_000) + &"<p>".repeat(15_000),
        numbered("font", 100) + &"<p>x".repeat(9_000),
        "<a href=x><table>".repeat(10_000),
        "<svg>".repeat(50_000),
        "<select><option>".repeat(15_000),
        "<!--".repeat(60_000),
        "<!-- </div> --><div>".repeat(12_000),
        "<p title='</p>".repeat(15_000),
        "<style>".repeat(35_000),
        "<script>".repeat(30_000),
        "<textarea></div><div>".repeat(10_000),
        "&amp;".repeat(50_000),
        "</b>".repeat(60_000),
        "<li>".repeat(60_000),
        "<p>".repeat(9_000),
    ];
    for html in bombs {
        let content: Content = serde_json::from_value(json!({ "title": "t", "email": { "html": html } })).unwrap();
        match inline::render_email(&content, &input(&data)) {
            Ok(mail) => assert!(mail.html.len() <= OUTPUT_BYTES),
            Err(e) => assert!(matches!(e, RenderError::TooLarge { .. }), "{e:?}"),
        }
    }
}

#[test]
fn files_that_would_overflow_a_parser_are_refused_when_they_are_loaded() {
    let front = "+++\ntitle = \"t\"\n+++\n";
    let nested = |n: usize| "{{#if a}}".repeat(n) + &"{{/if}}".repeat(n);
    for (body, what) in [
        (nested(3_000), "more than 32 blocks inside one another"),
        ("{{#if a}}".repeat(3_000), "more than 32 blocks inside one another"),
        ("{{#if a}}".to_owned() + &"{{else if a}}".repeat(1_500) + "{{/if}}", "more than 32 blocks inside one another"),
        (format!("{{{{eq a {}", "(eq a ".repeat(3_000)), "more than 8 brackets inside one another"),
        ("{{a}}".repeat(13_000), "more than 2000 expressions in one file"),
        ("x".repeat(70_000), "the text is 70000 bytes long"),
        ("{{#*inline \"p\"}}{{> p}}{{/inline}}{{> p}}".to_owned(), "decorators are not supported"),
        ("{{> t/en/content.md}}".to_owned(), "a partial has a plain name and takes nothing"),
        ("{{> (lookup . 'x')}}".to_owned(), "a partial has a plain name and takes nothing"),
        ("{{#> p}}{{> @partial-block}}{{/p}}".to_owned(), "decorators are not supported"),
        ("{{a [[[[[[".to_owned(), "`[` stands inside a tag"),
        ("{{#if x}}".to_owned(), "`{{#if}}` is never closed"),
    ] {
        let errors = load(&[("t/en/content.md", &format!("{front}{body}"))]).unwrap_err();
        assert!(errors.iter().any(|e| e.what.contains(what)), "{what}: {errors}");
    }
    let deep = format!("<mjml><mj-body><mj-raw>{}</mj-raw></mj-body></mjml>", "<div>".repeat(10_000));
    let errors = load(&[("t/en/email.mjml", &deep)]).unwrap_err();
    assert!(errors.to_string().contains("more than 100 elements inside one another"), "{errors}");
    let json = "[".repeat(60_000);
    assert!(load(&[("t/schema.json", &json)]).is_err() && load(&[("t/samples/a.json", &json)]).is_err());
    let toml = format!("+++\ntitle = {}\n+++\n", "[".repeat(60_000));
    assert!(load(&[("t/en/content.md", &toml)]).is_err());
    assert!(load(&[("t/template.toml", &"a.".repeat(30_000))]).is_err());
}

#[test]
fn partials_that_lead_back_to_themselves_are_refused_when_they_are_loaded() {
    let content = ("t/en/content.md", "+++\ntitle = \"t\"\n+++\n{{> a}}");
    for (files, what) in [
        (vec![("_partials/a.md", "{{> a}}")], "leads back to itself: a > a"),
        (vec![("_partials/a.md", "x {{> b}}"), ("_partials/b.md", "{{> a}}")], "leads back to itself: a > b > a"),
        (vec![("_partials/a.md", "{{#*inline \"a\"}}{{> a}}{{/inline}}")], "decorators are not supported"),
        (vec![("_partials/a.md", "{{#if x}}")], "`{{#if}}` is never closed"),
        (vec![], "there is no partial `a`"),
    ] {
        let all: Vec<_> = files.into_iter().chain([content]).collect();
        let errors = load(&all).unwrap_err().to_string();
        assert!(errors.contains(what), "{what}: {errors}");
    }
    let mjml = "<mjml><mj-body>{{> a}}</mj-body></mjml>";
    let errors = load(&[("_partials/a.mjml", "<mj-raw>{{> a}}</mj-raw>"), ("t/en/email.mjml", mjml)]).unwrap_err().to_string();
    assert!(errors.contains("leads back to itself"), "{errors}");
}

#[test]
fn rounds_are_counted_over_all_texts_of_a_message() {
    let loops = "{{#each a}}{{/each}}";
    let data = map(json!({ "a": vec![0; 4_000] }));
    let once = template("title = \"t\"", loops);
    assert!(once.render_inbox(&input(&data)).is_ok());
    let thrice = template(&format!("title = \"t{loops}\"\nsummary = \"{loops}\""), loops);
    let result = thrice.render_inbox(&input(&data));
    assert!(matches!(result, Err(RenderError::TooLarge { what: "rounds of loops", .. })), "{result:?}");
}

/// `{"a": [{"a": [… 1 …]}]}`
fn nest(depth: usize) -> serde_json::Value {
    (0..depth).fold(json!(1), |inner, _| json!({ "a": [inner] }))
}

#[test]
fn data_cannot_make_a_template_run_long_or_grow_large() {
    let items: Vec<usize> = (0..100).collect();
    let data = map(json!({ "a": items, "long": "x".repeat(100_000), "many": vec![0; 20_000] }));
    for (body, what) in [
        ("{{#each a}}{{#each ../a}}{{#each ../../a}}{{#each ../../../a}}{{/each}}{{/each}}{{/each}}{{/each}}", "rounds of loops"),
        ("{{#each a}}{{#each ../a}}{{#each ../../a}}{{#if this}}x{{/if}}{{/each}}{{/each}}{{/each}}", "rounds of loops"),
        ("{{#each many}}{{/each}}", "rounds of loops"),
        ("{{#each a}}{{../long}}{{/each}}", "bytes of rendered text"),
        ("{{#each a}}{{../many}}{{/each}}", "bytes of rendered text"),
    ] {
        for (front, body) in [("title = \"t\"".to_owned(), body), (format!("title = \"{body}\""), "")] {
            let written = template(&front, body);
            let result = written.render_inbox(&input(&data));
            assert!(matches!(&result, Err(RenderError::TooLarge { what: w, .. }) if **w == *what), "{body}: {result:?}");
        }
    }
    let nested = "{{#each a}}{{#if @first}}".repeat(16) + "x" + &"{{/if}}{{/each}}".repeat(16);
    let item = template("title = \"t\"", &nested).render_inbox(&input(&map(nest(16)))).unwrap();
    assert_eq!(item.content.body_text, "x", "what the limits allow fits the stack");
    let written = template("title = \"{{long}}\"\nsummary = \"{{long}}\"", "");
    let card = written.render_inbox(&input(&data)).unwrap();
    assert!(card.title.len() <= 200 && card.summary.unwrap().len() <= 500, "cut, not refused");
    let own = library(&[("t/en/sms.txt", "{{long}}")]).find("t").unwrap();
    assert!(matches!(own.render_sms(&input(&data)), Err(RenderError::TooLarge { what: "segments of an SMS", .. })));
}

#[test]
fn values_that_are_null_huge_or_of_another_type_are_answered() {
    let deep = (0..120).fold(json!(1), |inner, _| json!([inner]));
    let body = "{{v}} {{#if v}}{{#each v}}{{this}}{{@key}}{{else}}-{{/each}}{{/if}} {{len v}} {{lookup v 0}} {{#with v}}{{this}}{{else}}-{{/with}}";
    for value in [
        json!(null),
        json!(""),
        json!(0),
        json!(1e308),
        json!([]),
        json!({}),
        json!({"a": {"b": null}}),
        json!(true),
        json!("\u{0}\r\n\u{202e}"),
        deep,
    ] {
        let data = map(json!({ "v": value }));
        for text in [body, "{{money v}}", "{{number v}}", "{{date v}}", "{{v.a.b.c}}", "{{#each v}}{{x}}{{/each}}"] {
            let _ = template("title = \"t\"", text).render_email(&input(&data)); // an answer, whichever
        }
    }
}
