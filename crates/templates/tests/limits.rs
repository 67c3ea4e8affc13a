//! No template, no data and no content can stop the process or hold a worker: each of these ends, with an answer.
//!
//! Test threads have the 2 MiB stack of a worker's thread, so what overflows there would abort the tests.

mod support;

use serde_json::json;
use stentor_domain::content::Content;
use stentor_templates::{RenderError, inline};
use support::{files, input, library, load};

const BODY_BYTES: usize = 65_536;

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
        ">", "> ", "- ", "* ", "1. ", "*", "**a ", "_a ", "[", "![", "[a](", "[a](b", "![a", "](", "`", "`a``", "<", "<a ", "&", "\\", "~~a ", "|", "|a",
        "a|\n", "#", "# a\n", "a\n=\n", "<!--", "<?", "[a]: b\n", "[a][a]\n", "- a\n\n", ">a\n\n", "*a_ ", "*a **b ", "\t", "\t- ", "```\n", "~~~", "(", "\u{0300}", "😀",
        "![l](m ", "[a](<b", "www.a.b ", "http://a ", "a@b.c ", "\"'", "--", "***a", "*_", "__*", "[[", "[^a]", "[^a]: b\n", "* * *\n", ":-:|", "<b>", "<div>\n", "**[a](b)",
    ];
    let tables = ["a|".repeat(8_000) + "\n" + &"-|".repeat(8_000) + "\n" + &"a\n".repeat(16_000), "|a|b|\n|-|-|\n".to_owned() + &filled("|a|\n")];
    for body in shapes.iter().map(|s| filled(s)).chain(tables).chain([lines]) {
        let begun = std::time::Instant::now();
        let content = content(&body);
        let result = inline::render_inbox(&content, &input(&data)).map(|r| r.content.body_html.len());
        let mail = inline::render_email(&content, &input(&data)).map(|r| r.html.len());
        let took = begun.elapsed();
        eprintln!("{took:?} {:?} {result:?} {:?}", &body[..body.floor_char_boundary(12)], mail.is_ok());
    }
}
