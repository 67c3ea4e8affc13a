//! Pictures that a mail brings along, so that they are seen where programs load nothing from the web.
//!
//! The HTML is written with links, as previews show it. Which of its pictures could be brought along is told beside it; whoever sends
//! the mail fetches them, and asks for the HTML that shows those that came. What did not come stays a link.

use std::{cell::RefCell, collections::HashMap, fmt::Write as _, ops::Range};

use html5ever::{
    buffer_queue::BufferQueue,
    tokenizer::{Token as HtmlToken, TokenSink, TokenSinkResult, Tokenizer as HtmlTokenizer, TokenizerOpts},
};
use htmlparser::{ElementEnd, Token, Tokenizer};
use sha2::{Digest, Sha256};
use stentor_domain::content::{WEB, check_url};

use crate::{engine::Expanded, error::Place, markup::readable};

/// A picture that a mail is to bring along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailImage {
    /// Where it is; http(s).
    pub url: String,
    /// The name by which the mail shows it (RFC 2392): the same for the same URL.
    pub content_id: String,
    /// Where the HTML has its URL.
    places: Vec<Range<usize>>,
}

/// The pictures that `html` links to, in their order; each once.
pub(crate) fn images_of(html: &str) -> Vec<MailImage> {
    let mut images: Vec<MailImage> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for place in sources(html) {
        let url = as_read(&html[place.clone()]);
        if check_url(&url, WEB).is_err() {
            continue;
        }
        let at = *known.entry(url).or_insert_with_key(|url| {
            images.push(MailImage { url: url.clone(), content_id: content_id(url), places: Vec::new() });
            images.len() - 1
        });
        images[at].places.push(place);
    }
    images
}

/// `html` as it shows those of `images` that have come.
pub(crate) fn showing(html: &str, images: &[MailImage], has_come: impl Fn(&MailImage) -> bool) -> String {
    let came = images.iter().filter(|image| has_come(image));
    let mut places: Vec<(&Range<usize>, &str)> =
        came.flat_map(|image| image.places.iter().map(|place| (place, image.content_id.as_str()))).collect();
    places.sort_unstable_by_key(|(place, _)| place.start);
    let (mut out, mut done) = (String::with_capacity(html.len()), 0);
    for (place, id) in places {
        out.push_str(&html[done..place.start]);
        let _ = write!(out, "cid:{id}"); // a String takes every write
        done = place.end;
    }
    out + &html[done..]
}

/// A hash, so that it is the same at every try and says nothing of the URL.
fn content_id(url: &str) -> String {
    let hash = hex::encode(Sha256::digest(url));
    format!("{}@images.stentor", &hash[..32])
}

/// A picture that stays a link also in mails that bring theirs along.
#[derive(Debug)]
pub(crate) struct StaysLinked {
    pub at: Place,
    pub what: &'static str,
    pub mend: &'static str,
}

/// What is wrong with a picture, and what to do.
type Advice = (&'static str, &'static str);

const BACKGROUND: Advice = (
    "a background stays a link, though the mails bring their pictures along: most web mail shows no other",
    "Give a background-color to be seen without it, and show what must be seen with <mj-image>",
);
const SRCSET: Advice = (
    "the picture stays a link, though the mails bring their pictures along: it has a srcset",
    "Leave srcset out, and give the larger picture as src, with the width at which it is shown",
);

/// The pictures of MJML (and its readable `text`) that stay links. Most web mail shows a picture that came with the mail as an `<img>`
/// alone, and as a background only what it can load: to bring a background along would be to lose it there.
pub(crate) fn stay_linked(mjml: &Expanded, text: &str) -> Vec<StaysLinked> {
    let (mut found, mut element) = (Vec::new(), "");
    let mut add = |at, (what, mend): Advice| found.push(StaysLinked { at: mjml.place_of_byte(at), what, mend });
    for token in Tokenizer::from(text).map_while(Result::ok) {
        match token {
            Token::ElementStart { local, .. } => element = local.as_str(),
            Token::Attribute { local, value: Some(value), span, .. } if !value.trim().is_empty() => match local.as_str() {
                "background-url" | "background" => add(span.start(), BACKGROUND),
                "style" if backgrounds(value.as_str()).next().is_some() => add(span.start(), BACKGROUND),
                "srcset" => add(span.start(), SRCSET),
                _ => {}
            },
            Token::Text { text } if element.ends_with("style") => {
                backgrounds(text.as_str()).for_each(|at| add(text.start() + at, BACKGROUND));
            }
            _ => {}
        }
    }
    found
}

/// Where declarations of a background with a picture begin.
fn backgrounds(css: &str) -> impl Iterator<Item = usize> {
    let mut from = 0;
    let declarations = css.split_inclusive([';', '{', '}']).map(move |part| {
        let at = from + part.len() - part.trim_start().len();
        from += part.len();
        (at, part.trim_start().to_ascii_lowercase())
    });
    declarations.filter(|(_, part)| part.starts_with("background") && part.contains("url(")).map(|(at, _)| at)
}

/// Where the `src` of each `<img>` stands. One with a `srcset` stays what it is: a program would load that instead.
fn sources(html: &str) -> Vec<Range<usize>> {
    let (mut found, mut src, mut in_image, mut has_more) = (Vec::new(), None, false, false);
    // A faulty token ends the walk: what comes behind it stays linked.
    for token in Tokenizer::from(&*readable(html)).map_while(Result::ok) {
        match token {
            Token::ElementStart { local, .. } => {
                (in_image, src, has_more) = (local.eq_ignore_ascii_case("img"), None, false);
            }
            Token::Attribute { local, value: Some(value), .. } if in_image => match local.as_str() {
                "src" => src = Some(value.start()..value.end()),
                "srcset" => has_more = true,
                _ => {}
            },
            Token::ElementEnd { end: ElementEnd::Open | ElementEnd::Empty, .. } => {
                found.extend(src.take().filter(|_| in_image && !has_more));
                in_image = false;
            }
            _ => {}
        }
    }
    found
}

/// The value of an attribute as mail programs read it, by the tokenizer that browsers agree on.
fn as_read(value: &str) -> String {
    #[derive(Default)]
    struct Value(RefCell<String>);
    impl TokenSink for Value {
        type Handle = ();
        fn process_token(&self, token: HtmlToken, _line: u64) -> TokenSinkResult<()> {
            if let HtmlToken::TagToken(tag) = token
                && let Some(src) = tag.attrs.first()
            {
                *self.0.borrow_mut() = src.value.to_string();
            }
            TokenSinkResult::Continue
        }
    }
    let quote = if value.contains('"') { '\'' } else { '"' };
    let input = BufferQueue::default();
    input.push_back(format!("<img src={quote}{value}{quote}>").as_str().into());
    let tokenizer = HtmlTokenizer::new(Value::default(), TokenizerOpts::default());
    let _ = tokenizer.feed(&input); // it stops only for scripts, which this sink never asks for
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(html: &str) -> Vec<String> {
        images_of(html).into_iter().map(|image| image.url).collect()
    }

    #[test]
    fn pictures_are_found_as_a_program_would_show_them() {
        for (html, expected) in [
            ("<p>a<img src=\"https://x.example/a?b&#x3D;1&amp;c=2\" alt=\"<\"></p>", vec!["https://x.example/a?b=1&c=2"]),
            ("<img alt='\"' src='https://x.example/a' />", vec!["https://x.example/a"]),
            (
                "<!doctype html>\n<html><head><style>a > b {}</style></head><body><IMG src=\"https://x.example/1\"></body></html>",
                vec!["https://x.example/1"],
            ),
            (
                "<!--[if mso]><img src=\"https://x.example/1\"><![endif]--><img src=\"https://x.example/2\">",
                vec!["https://x.example/1", "https://x.example/2"],
            ),
            ("<!--[if !mso]><!--><img src=\"https://x.example/1\"><!--<![endif]-->", vec!["https://x.example/1"]),
            ("<img src=\"https://x.example/1\" srcset=\"https://x.example/2 2x\">", vec![]),
            ("<p>查看更多><img src=\"https://x.example/1\"></p>", vec!["https://x.example/1"]),
            ("<img src=\"cid:own\"><img src=\"data:image/png;base64,AA\"><img src=\"\"><img>", vec![]),
            ("<a href=\"https://x.example\">a</a><table background=\"https://x.example/b\"></table>", vec![]),
        ] {
            assert_eq!(urls(html), expected, "{html}");
        }
    }

    #[test]
    fn those_that_came_are_shown_and_the_others_stay_links() {
        let html = "<img src=\"https://x.example/1\"><img src=\"https://x.example/2\"><b>é</b><img src=\"https://x.example/1\">";
        let images = images_of(html);
        assert_eq!(images.len(), 2, "the same picture is one");
        let first = &images[0].content_id;
        assert_eq!(
            showing(html, &images, |image| image.url.ends_with('1')),
            format!("<img src=\"cid:{first}\"><img src=\"https://x.example/2\"><b>é</b><img src=\"cid:{first}\">")
        );
        assert_eq!(showing(html, &images, |_| false), html);
        assert_ne!(images[0].content_id, images[1].content_id);
    }
}
