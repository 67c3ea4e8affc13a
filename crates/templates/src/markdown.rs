//! Markdown into HTML that is safe to show, with data that Markdown never gets to read.
//!
//! Data that is put into a Markdown text could close a paragraph, begin a list or bring a link along. Escaping
//! with backslashes would show them in code spans. So each value is *shielded*: its bytes become characters of
//! a private-use plane, which Markdown takes for letters, and they become the value again in the parsed tree,
//! where text is text and the address of a link is only that.

use std::{fmt, ops::RangeInclusive};

use comrak::{Arena, Node, Options, format_html, nodes::NodeValue, parse_document};

use crate::{engine::percent_encode, limits, sanitize};

/// The character that stands for byte 0; the others follow.
const FIRST: u32 = 0xF_0000;
/// Stands for a value that is empty, so that `**{{x}}**` stays emphasis.
const NOTHING: char = '\u{F0100}';
const SHIELDED: RangeInclusive<char> = '\u{F0000}'..=NOTHING;

/// The character that stands for byte 0 of HTML; the others follow.
const FIRST_OF_HTML: u32 = 0x10_0000;

/// Sanitised `html` as characters that Markdown takes for letters, and that become the HTML again.
pub(crate) fn shield_html(html: &str) -> String {
    html.bytes().filter_map(|byte| char::from_u32(FIRST_OF_HTML + u32::from(byte))).collect()
}

/// `text` as HTML in which shielded HTML is HTML again; `None` if there is none of it.
fn unshield_html(text: &str) -> Option<String> {
    let of_html = |c: char| u8::try_from(u32::from(c).wrapping_sub(FIRST_OF_HTML)).ok();
    text.contains(|c| of_html(c).is_some()).then(|| {
        let (mut out, mut bytes) = (String::with_capacity(text.len()), Vec::new());
        for c in text.chars() {
            if let Some(byte) = of_html(c) {
                bytes.push(byte);
                continue;
            }
            out.push_str(&String::from_utf8_lossy(&std::mem::take(&mut bytes)));
            out.push_str(&handlebars::html_escape(c.encode_utf8(&mut [0; 4])));
        }
        out + &String::from_utf8_lossy(&bytes)
    })
}

/// Why a Markdown text was refused: what there is too much of, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch(pub &'static str, pub usize);

/// `value` as characters that Markdown takes for letters.
pub(crate) fn shield(value: &str) -> String {
    if value.is_empty() {
        return NOTHING.into();
    }
    value.bytes().filter_map(|byte| char::from_u32(FIRST + u32::from(byte))).collect()
}

/// `text` with shielded values as they were; each is changed by `f` first.
fn unshield(text: &str, f: impl Fn(&str) -> String) -> Option<String> {
    if !text.contains(|c| SHIELDED.contains(&c)) {
        return None;
    }
    let (mut out, mut bytes) = (String::with_capacity(text.len()), Vec::new());
    let flush = |bytes: &mut Vec<u8>, out: &mut String| {
        out.push_str(&f(&String::from_utf8_lossy(bytes)));
        bytes.clear();
    };
    for c in text.chars() {
        if let Ok(byte) = u8::try_from(u32::from(c).wrapping_sub(FIRST)) {
            bytes.push(byte);
            continue;
        }
        if !bytes.is_empty() {
            flush(&mut bytes, &mut out);
        }
        if c != NOTHING {
            out.push(c);
        }
    }
    if !bytes.is_empty() {
        flush(&mut bytes, &mut out);
    }
    Some(out)
}

/// Sanitised HTML of a Markdown text whose shielded values are put back in.
pub(crate) fn to_html(markdown: &str) -> Result<String, TooMuch> {
    check_tables(markdown)?;
    check_depth_of_quotes(markdown)?;
    let options = options();
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options);
    check_depth(root)?;
    restore_values(root);
    let mut html = Limited(String::new());
    format_html(root, &options, &mut html).map_err(|fmt::Error| TooMuch("bytes of HTML", limits::OUTPUT_BYTES))?;
    let html = sanitize::body(&html.0)?;
    if html.len() > limits::OUTPUT_BYTES { Err(TooMuch("bytes of HTML", limits::OUTPUT_BYTES)) } else { Ok(html) }
}

pub(crate) fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.cjk_friendly_emphasis = true;
    options.render.escape = true; // HTML in Markdown is shown, not obeyed
    options
}

/// Each row of a table is filled up to the width of the first, so a few bytes can make very many cells.
fn check_tables(markdown: &str) -> Result<(), TooMuch> {
    let (mut widest, mut lines) = (0, 0);
    for line in markdown.lines() {
        widest = widest.max(line.bytes().filter(|b| *b == b'|').count());
        lines += 1;
    }
    if widest * lines > limits::TABLE_CELLS { Err(TooMuch("cells of tables", limits::TABLE_CELLS)) } else { Ok(()) }
}

/// What opens many containers on one line (`> > > >`, `- - - -`) is refused before it is parsed.
fn check_depth_of_quotes(markdown: &str) -> Result<(), TooMuch> {
    let opens = |line: &str| {
        let head = line.split(|c: char| !c.is_whitespace() && !matches!(c, '>' | '-' | '+' | '*')).next().unwrap_or_default();
        head.chars().filter(|c| *c == '>').count() > limits::MARKDOWN_DEPTH
    };
    if markdown.lines().any(opens) { Err(TooMuch("levels of nesting", limits::MARKDOWN_DEPTH)) } else { Ok(()) }
}

/// The depth of the tree, found without recursion.
fn check_depth(root: Node<'_>) -> Result<(), TooMuch> {
    let mut depth = 0_usize;
    for edge in root.traverse() {
        match edge {
            comrak::arena_tree::NodeEdge::Start(_) => depth += 1,
            comrak::arena_tree::NodeEdge::End(_) => depth -= 1,
        }
        if depth > limits::MARKDOWN_DEPTH {
            return Err(TooMuch("levels of nesting", limits::MARKDOWN_DEPTH));
        }
    }
    Ok(())
}

fn restore_values(root: Node<'_>) {
    for node in root.descendants() {
        let value = &mut node.data_mut().value;
        if let NodeValue::Text(text) = value
            && let Some(html) = unshield_html(&unshield(text, str::to_owned).unwrap_or_else(|| text.to_string()))
        {
            *value = NodeValue::Raw(html);
            continue;
        }
        match value {
            NodeValue::Text(text) => {
                if let Some(restored) = unshield(text, str::to_owned) {
                    *text = restored.into();
                }
            }
            NodeValue::Code(code) => restore(&mut code.literal),
            NodeValue::CodeBlock(code) => {
                restore(&mut code.literal);
                restore(&mut code.info);
            }
            NodeValue::HtmlBlock(html) => restore(&mut html.literal),
            NodeValue::HtmlInline(html) => restore(html),
            NodeValue::Link(link) | NodeValue::Image(link) => {
                restore(&mut link.title);
                // What the template begins (`https://example.com/?q=` …), a value cannot end.
                let begun = link.url.starts_with("http");
                if let Some(url) = unshield(&link.url, |value| if begun { percent_encode(value) } else { value.to_owned() }) {
                    link.url = url;
                }
            }
            _ => {}
        }
    }
}

fn restore(text: &mut String) {
    if let Some(restored) = unshield(text, str::to_owned) {
        *text = restored;
    }
}

/// A text that refuses to grow beyond the limit.
struct Limited(String);

impl fmt::Write for Limited {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > limits::OUTPUT_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value_wherever_it_stands() {
        let value = "# *a* `b` [c](http://d) <e> & | 1. \\";
        let shown = "# *a* `b` [c](http://d) &lt;e&gt; &amp; | 1. \\";
        let shielded = shield(value);
        for (markdown, html) in [
            (shielded.clone(), format!("<p>{shown}</p>\n")),
            (format!("**{shielded}**"), format!("<p><strong>{shown}</strong></p>\n")),
            (format!("`{shielded}`"), format!("<p><code>{shown}</code></p>\n")),
            (format!("    {shielded}"), format!("<pre><code>{shown}\n</code></pre>\n")),
            (format!("- {shielded}"), format!("<ul>\n<li>{shown}</li>\n</ul>\n")),
        ] {
            assert_eq!(to_html(&markdown).unwrap(), html, "{markdown}");
        }
    }

    #[test]
    fn an_empty_value_keeps_the_emphasis_around_it() {
        assert_eq!(to_html(&format!("a **{}**", shield(""))).unwrap(), "<p>a <strong></strong></p>\n");
    }

    #[test]
    fn a_value_cannot_leave_its_part_of_an_address_nor_choose_a_scheme() {
        let link = |address: String| to_html(&format!("[a]({address})")).unwrap();
        let href = |html: &str| html.split('"').nth(1).unwrap_or_default().to_owned();
        assert_eq!(
            href(&link(format!("https://x.example/?q={}", shield("1&admin=1#\"")))),
            "https://x.example/?q=1%26admin%3D1%23%22"
        );
        assert_eq!(href(&link(shield("https://y.example/a?b=c"))), "https://y.example/a?b=c");
        for scheme in ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd"] {
            assert!(!link(shield(scheme)).contains("href=\""), "{scheme}: {}", link(shield(scheme)));
        }
    }

    #[test]
    fn html_in_markdown_is_shown_and_not_obeyed() {
        let html = to_html("<script>alert(1)</script>\n\na <b onclick=x>b</b>").unwrap();
        assert_eq!(html, "&lt;script&gt;alert(1)&lt;/script&gt;\n<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>\n");
    }
}
