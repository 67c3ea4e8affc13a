//! Markup in a form that its tokenizer survives.
//!
//! `htmlparser` looks for `]]>` two bytes before the first `>` of a text, and panics if these begin within a letter: `查看更多>` is enough.
//! mrml reads with it, too. So such a `>` is hidden from both, behind a byte that no text has, and shown again in what they made.

use std::borrow::Cow;

use htmlparser::{Token, Tokenizer};

/// Stands for a `>`: a control character that is allowed in XML. It is one byte, so that all places stay what they are.
const HIDDEN: char = '\u{7f}';

/// `text` without what would make the tokenizer panic.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let splits_a_letter = |at: usize| at >= 2 && !text.is_char_boundary(at - 2);
    if !text.match_indices('>').any(|(at, _)| splits_a_letter(at)) {
        return Cow::Borrowed(text);
    }
    let (mut tokens, mut in_tag, mut out, mut done) = (Tokenizer::from(text), false, String::with_capacity(text.len()), 0);
    loop {
        let begin = tokens.stream().pos();
        let words = text[begin..].split('<').next().unwrap_or_default();
        if !in_tag && words.match_indices('>').any(|(at, _)| splits_a_letter(begin + at)) {
            for (at, _) in words.match_indices('>').filter(|(at, _)| splits_a_letter(begin + at)) {
                out.push_str(&text[done..begin + at]);
                out.push(HIDDEN);
                done = begin + at + 1;
            }
            tokens = Tokenizer::from_fragment(text, begin + words.len()..text.len());
            continue;
        }
        match tokens.next() {
            Some(Ok(Token::ElementStart { .. })) => in_tag = true,
            Some(Ok(Token::ElementEnd { .. })) => in_tag = false,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Cow::Owned(out + &text[done..]),
        }
    }
}

/// What was made of a [`readable`] text, with all that it says.
pub(crate) fn restored(made: String, read: &str) -> String {
    if read.contains(HIDDEN) { made.replace(HIDDEN, ">") } else { made }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_behind_a_letter_is_hidden_in_texts_alone() {
        for (text, expected) in [
            ("<a title=\"更多\">b</a>", "<a title=\"更多\">b</a>"),
            ("<a title=\"更>多\">更多></a>", "<a title=\"更>多\">更多\u{7f}</a>"),
            ("<p>a > 更> é >> b</p><!-- 更> --><p>ü ></p>", "<p>a > 更\u{7f} é \u{7f}> b</p><!-- 更> --><p>ü \u{7f}</p>"),
            ("更><b>", "更\u{7f}<b>"),
        ] {
            let read = readable(text);
            assert_eq!(read, expected);
            assert!(Tokenizer::from(&*read).count() > 0, "it does not panic");
            assert_eq!(restored(read.to_string(), &read), text);
        }
    }
}
