//! HTML from outside is brought down to what may be shown: no scripts, no forms, no foreign URL schemes.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::LazyLock,
};

use ammonia::{Builder, UrlRelative};
use html5ever::{
    LocalName,
    buffer_queue::BufferQueue,
    tokenizer::{TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind},
};
use stentor_domain::{
    attachment::shows_file,
    content::{LINKS, WEB, check_url},
};

use crate::{limits, markdown::TooMuch};

/// What Markdown can make.
const BODY_TAGS: [&str; 26] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];
/// What a mail may use beyond that.
const MAIL_TAGS: [&str; 20] = [
    "b",
    "big",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "font",
    "i",
    "s",
    "small",
    "span",
    "sub",
    "sup",
    "u",
];
/// Style properties that neither load anything nor move text over other text.
const MAIL_STYLES: [&str; 42] = [
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-spacing",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "direction",
    "display",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-width",
    "min-width",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
];

/// Sanitises the HTML of a Markdown body.
pub(crate) fn body(html: &str) -> Result<String, TooMuch> {
    static BUILDER: LazyLock<Builder<'static>> = LazyLock::new(|| {
        let mut builder = base(is_on_the_web);
        builder.tags(BODY_TAGS.into());
        builder
    });
    check_entities(html)?;
    Ok(BUILDER.clean(html).to_string())
}

/// Sanitises HTML that comes from the data, for a body: what Markdown could make stays.
pub(crate) fn fragment(html: &str) -> Result<String, TooMuch> {
    check_size(html)?;
    body(html)
}

/// Sanitises the HTML of a whole mail that came with a request; what is left is the inside of its `<body>`.
pub(crate) fn mail(html: &str) -> Result<String, TooMuch> {
    static BUILDER: LazyLock<Builder<'static>> = LazyLock::new(|| {
        let mut builder = base(|picture| is_on_the_web(picture) || shows_file(picture));
        builder
            .tags(BODY_TAGS.into_iter().chain(MAIL_TAGS).collect())
            .add_generic_attributes(["align", "bgcolor", "dir", "height", "lang", "role", "style", "valign", "width"])
            .add_tag_attributes("table", ["border", "cellpadding", "cellspacing"])
            .add_tag_attributes("td", ["colspan", "rowspan"])
            .add_tag_attributes("th", ["colspan", "rowspan"])
            .add_tag_attributes("font", ["color", "face", "size"])
            .filter_style_properties(MAIL_STYLES.into())
            .add_url_schemes(["cid"]);
        builder
    });
    check_entities(html)?;
    check_size(html)?;
    Ok(BUILDER.clean(html).to_string())
}

/// What is alike in both; `shows` tells by its address whether a picture is shown.
fn base(shows: fn(&str) -> bool) -> Builder<'static> {
    let mut builder = Builder::empty();
    builder
        .clean_content_tags(["script", "style", "title", "head", "svg", "math", "iframe", "noscript", "template"].into())
        .tag_attributes(HashMap::from([
            ("a", ["href", "title"].into()),
            ("img", ["alt", "height", "src", "title", "width"].into()),
            ("ol", ["start"].into()),
            ("td", ["align"].into()),
            ("th", ["align"].into()),
        ]))
        .generic_attributes(std::collections::HashSet::new())
        .url_schemes(["http", "https", "mailto", "tel"].into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer"))
        .attribute_filter(move |element, attribute, value| {
            let is_safe = match (element, attribute) {
                ("a", "href") => check_url(value, LINKS).is_ok(),
                ("img", "src") => shows(value),
                _ => true,
            };
            is_safe.then_some(Cow::Borrowed(value))
        });
    builder
}

fn is_on_the_web(picture: &str) -> bool {
    check_url(picture, WEB).is_ok()
}

/// The serialiser looks through all of the text that is left at each `&` and no-break space.
fn check_entities(html: &str) -> Result<(), TooMuch> {
    let found = html.chars().filter(|c| matches!(c, '&' | '\u{a0}')).count();
    if found > limits::ENTITIES { Err(TooMuch("ampersands and no-break spaces", limits::ENTITIES)) } else { Ok(()) }
}

/// Refuses HTML that would cost far more to parse than its length says.
///
/// The parser looks through all open elements at each tag, and repeats formatting elements that were left
/// open in every block that follows: 256 KiB can become gigabytes. The measure is taken with the parser's own
/// tokenizer.
fn check_size(html: &str) -> Result<(), TooMuch> {
    let meter = Meter::default();
    let input = BufferQueue::default();
    input.push_back(html.into());
    let tokenizer = Tokenizer::new(meter, TokenizerOpts::default());
    let _ = tokenizer.feed(&input); // it stops only for scripts, which this sink never asks for
    tokenizer.end();
    tokenizer.sink.too_much.get().map_or(Ok(()), Err)
}

const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// Their next sibling closes them, so they do not nest by being left open.
const CLOSED_BY_NEXT: [&str; 8] = ["dd", "dt", "li", "p", "tbody", "td", "th", "tr"];
const FORMATTING: [&str; 14] = ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Counts tags and how many are open.
#[derive(Default)]
struct Meter {
    tags: Cell<usize>,
    open: RefCell<HashMap<LocalName, usize>>,
    depth: Cell<usize>,
    formatting: Cell<usize>,
    /// Within `<svg>` and the like end tags mean something else; from there on none is trusted.
    foreign: Cell<bool>,
    too_much: Cell<Option<TooMuch>>,
}

impl Meter {
    fn opened(&self, name: &LocalName) {
        if VOID.contains(&&**name) || CLOSED_BY_NEXT.contains(&&**name) {
            return;
        }
        *self.open.borrow_mut().entry(name.clone()).or_default() += 1;
        self.depth.set(self.depth.get() + 1);
        if FORMATTING.contains(&&**name) {
            self.formatting.set(self.formatting.get() + 1);
        }
        if matches!(&**name, "svg" | "math" | "select" | "template" | "plaintext" | "frameset") {
            self.foreign.set(true);
        }
    }

    fn closed(&self, name: &LocalName) {
        let mut open = self.open.borrow_mut();
        let Some(count) = open.get_mut(name).filter(|count| **count > 0 && !self.foreign.get()) else { return };
        *count -= 1;
        self.depth.set(self.depth.get() - 1);
        if FORMATTING.contains(&&**name) {
            self.formatting.set(self.formatting.get() - 1);
        }
    }

    fn check(&self) {
        let measures = [
            (self.tags.get(), "tags of HTML", limits::HTML_TAGS),
            (self.depth.get(), "levels of nesting", limits::ELEMENT_DEPTH),
            (self.formatting.get(), "formatting elements left open", limits::OPEN_FORMATTING),
        ];
        if let Some((_, what, limit)) = measures.into_iter().find(|(is, _, limit)| is > limit) {
            self.too_much.set(Some(TooMuch(what, limit)));
        }
    }
}

impl TokenSink for Meter {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else { return TokenSinkResult::Continue };
        self.tags.set(self.tags.get() + 1);
        match tag.kind {
            TagKind::StartTag => self.opened(&tag.name),
            TagKind::EndTag => self.closed(&tag.name),
        }
        self.check();
        match (tag.kind, &*tag.name) {
            (TagKind::StartTag, "style" | "xmp" | "iframe" | "noembed" | "noframes") => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            (TagKind::StartTag, "script") => TokenSinkResult::RawData(RawKind::ScriptData),
            (TagKind::StartTag, "title" | "textarea") => TokenSinkResult::RawData(RawKind::Rcdata),
            (TagKind::StartTag, "plaintext") => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_forms_and_foreign_schemes_do_not_pass() {
        for (given, left) in [
            ("<script>alert(1)</script><p onclick=x>a</p>", "<p>a</p>"),
            ("<a href=\"javascript:alert(1)\">a</a>", "<a rel=\"noopener noreferrer\">a</a>"),
            ("<a href=\"/relative\">a</a>", "<a rel=\"noopener noreferrer\">a</a>"),
            ("<img src=\"data:image/png;base64,x\" onerror=x alt=a>", "<img alt=\"a\">"),
            ("<form action=x><input name=y></form>b", "b"),
            ("<style>p{}</style><svg><script>x</script></svg>c", "c"),
        ] {
            assert_eq!(body(given).unwrap(), left);
            assert_eq!(mail(given).unwrap(), left);
        }
    }

    #[test]
    fn a_mail_keeps_its_looks_but_nothing_that_loads_or_overlays() {
        let styled = "<td style=\"color:red;position:fixed;background:url(https://x)\" bgcolor=\"#fff\" width=\"10\">a</td>";
        let mail =
            mail(&format!("<html><head><title>t</title></head><body><table><tr>{styled}</tr></table></body></html>")).unwrap();
        assert!(mail.contains("color:red") && mail.contains("bgcolor=\"#fff\""), "{mail}");
        assert!(!mail.contains("position") && !mail.contains("url(") && !mail.contains("title"), "{mail}");
    }

    #[test]
    fn a_picture_that_came_with_the_mail_is_shown_in_it_and_nowhere_else() {
        let html = "<a href=\"cid:a\">a</a><img src=\"cid:logo-1.x\"><img src=\"cid:a b\"><img src=\"cid:\">";
        let left = "<a rel=\"noopener noreferrer\">a</a>";
        assert_eq!(mail(html).unwrap(), format!("{left}<img src=\"cid:logo-1.x\"><img><img>"));
        assert_eq!(body(html).unwrap(), format!("{left}<img><img><img>"));
    }

    #[test]
    fn html_that_costs_more_than_its_length_is_refused() {
        let bombs = [
            "<div>".repeat(50_000),
            (0..20_000).fold(String::new(), |html, i| html + &format!("<b id={i}>")) + &"<p>".repeat(20_000),
            "<b id=1><!-- </b> -->".repeat(100) + &"<p>".repeat(100),
            "<font color=a title='</font>'>".repeat(100),
            "<svg></svg>".to_owned() + &"<b id=1></b>".repeat(100),
            "<p>x</p>".repeat(6_000),
            "&nbsp;".repeat(30_000),
        ];
        for bomb in bombs {
            assert!(mail(&bomb).is_err(), "{}", &bomb[..60]);
        }
        let usual = "<table><tr><td><p>a <b>b</b><br><img src=\"https://x/y\"></td></tr></table>".repeat(300);
        assert!(mail(&usual).is_ok());
    }
}
