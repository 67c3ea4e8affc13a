//! Rules for short texts that end up in headers, keys and log lines.

/// Why a short text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing is left of it.
    #[error("must not be empty")]
    Empty,
    /// It is longer than the bound (in bytes of UTF-8).
    #[error("must be at most {0} bytes of UTF-8")]
    TooLong(usize),
    /// It holds a control character, such as a line break or NUL.
    #[error("must not contain line breaks, NUL or other control characters")]
    Control,
    /// It is `.` or `..`, which every reader of URLs takes for a step of the path, encoded or not.
    #[error("must not be \".\" or \"..\": no URL can name it; put something before it, such as \"id-.\"")]
    Dots,
    /// It has characters that an app's id has not.
    #[error("must be 1 to 64 of a-z, 0-9, - and _")]
    NotPlain,
}

impl TextError {
    /// The stable word for this error.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong(_) => "too_long",
            Self::Control => "control_character",
            Self::Dots => "dots",
            Self::NotPlain => "not_plain",
        }
    }
}

/// Checks a text of one line: 1 to `max` bytes, no control characters (CR, LF and NUL among them).
pub fn check_line(text: &str, max: usize) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    if text.len() > max {
        return Err(TextError::TooLong(max));
    }
    // U+2028 and U+2029 break lines as well, though Unicode does not call them controls.
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(TextError::Control);
    }
    Ok(())
}

/// The text with each run of control characters and line breaks replaced by one space, for subjects, cards and SMS.
pub fn one_line(text: String) -> String {
    if is_one_line(&text) {
        return text; // as nearly all of them are
    }
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        out.push(c);
    }
    out
}

/// Whether nothing stands between the words but single spaces.
fn is_one_line(text: &str) -> bool {
    let mut after_gap = true;
    for c in text.chars() {
        let gap = c == ' ';
        if gap && after_gap || !gap && (c.is_control() || c.is_whitespace()) {
            return false;
        }
        after_gap = gap;
    }
    !after_gap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_neither_empty_nor_long_nor_broken() {
        assert_eq!(check_line("Kontoauszug", 20), Ok(()));
        assert_eq!(check_line(" \t", 20), Err(TextError::Empty));
        assert_eq!(check_line("abc", 2), Err(TextError::TooLong(2)));
        for bad in ["a\r\nBcc: x", "a\0", "a\u{2028}b", "a\u{85}b"] {
            assert_eq!(check_line(bad, 50), Err(TextError::Control), "{bad:?}");
        }
    }

    #[test]
    fn breaks_become_one_space() {
        for text in [" a \r\n\u{0} b\n", "a  b", "a\u{a0}b", "a\u{85}b", "a b ", " a b", "a b"] {
            assert_eq!(one_line(text.to_owned()), "a b", "{text:?}");
        }
        assert_eq!(["", " ", "\n"].map(|empty| one_line(empty.to_owned())), [""; 3]);
    }
}
