//! Plain text: of HTML bodies, and the rules for short texts.

use stentor_domain::text::one_line;

/// Columns of a plain-text body (RFC 5322 section 2.1.1 recommends at most 78).
const WIDTH: usize = 76;

/// The plain text of sanitised HTML: links as numbered footnotes, images as their alternative text.
pub(crate) fn of_html(html: &str) -> String {
    let text = html2text::config::plain_no_decorate()
        .link_footnotes(true)
        .no_link_wrapping()
        .no_table_borders()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), WIDTH);
    let text = text.unwrap_or_else(|_| without_tags(html));
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The HTML of a line of plain text: what Markdown and sanitising would make of it, without their work, since most notifications
/// have no more than a line.
pub(crate) fn to_html(line: &str) -> String {
    if line.is_empty() {
        return String::new();
    }
    let mut html = String::with_capacity(line.len() + 16);
    html.push_str("<p>");
    for c in line.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\u{a0}' => html.push_str("&nbsp;"),
            c => html.push(c),
        }
    }
    html.push_str("</p>\n");
    html
}

/// A line of plain text as [`of_html`] lays it out. What is short stays as it is: no character is wider than its bytes are many.
pub(crate) fn wrapped(line: &str) -> String {
    if line.len() <= WIDTH { line.to_owned() } else { of_html(&to_html(line)) }
}

/// The text between the tags: what is left where a layout cannot be drawn in the given width.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    for part in html.split('<') {
        out.push_str(part.split_once('>').map_or(part, |(_, text)| text));
        out.push(' ');
    }
    one_line(out.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

/// One line of at most `max` bytes; a longer one is cut at a character and ends with an ellipsis.
pub(crate) fn short_line(text: String, max: usize) -> String {
    let mut line = one_line(text);
    if line.len() > max {
        let mut end = max.saturating_sub('…'.len_utf8());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.truncate(line.trim_end().len());
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::markdown;

    proptest! {
        #[test]
        fn a_line_is_what_markdown_would_make_of_it(line in "[\\PC&<>\"'*_`#|\u{a0}]{1,120}") {
            let line = one_line(line);
            prop_assume!(!line.is_empty());
            let long_way = markdown::to_html(&markdown::shield(&line)).expect("a line is not too much");
            prop_assert_eq!(&to_html(&line), &long_way);
            prop_assert_eq!(wrapped(&line), of_html(&long_way));
        }
    }

    #[test]
    fn nothing_is_no_paragraph() {
        assert_eq!((to_html(""), wrapped("")), (String::new(), String::new()));
    }

    #[test]
    fn links_become_footnotes() {
        let html = "<h2>News</h2><p>Read <a href=\"https://example.com/a\">the report</a>.</p><ul><li>one</li></ul>";
        assert_eq!(of_html(html), "## News\n\nRead [the report][1].\n* one\n\n[1]: https://example.com/a");
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        assert_eq!(short_line("a\r\nb".to_owned(), 10), "a b");
        assert_eq!(short_line("还款提醒还款提醒".to_owned(), 12), "还款提…");
        assert_eq!(short_line("word another".to_owned(), 8), "word…");
    }
}
