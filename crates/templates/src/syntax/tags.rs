//! A first reading of a text with `{{tags}}`: their form, their nesting, their number.
//!
//! It reads exactly as the grammar of Handlebars does, because what the two could read differently
//! (`\{{`, `{{{{raw}}}}`, `[keys]`, `{objects}`, backslashes in strings) is refused.

use crate::{finding::Code, limits};

/// What is wrong with a tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The byte at which it stands.
    pub at: usize,
    pub code: Code,
    pub what: String,
    pub mend: String,
}

/// A `{{> name}}`, from its first byte to the one after its last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartialTag<'a> {
    pub at: usize,
    pub end: usize,
    pub name: &'a str,
}

/// What a first reading finds.
#[derive(Debug)]
pub(crate) struct Tags<'a> {
    pub faults: Vec<Fault>,
    pub partials: Vec<PartialTag<'a>>,
}

/// An open block and the `{{else if}}`s that followed it.
struct Block<'a> {
    at: usize,
    name: &'a str,
    chained: usize,
}

/// Reads `text` and returns what is wrong with its tags.
pub(crate) fn check_tags(text: &str, max_bytes: usize) -> Vec<Fault> {
    read_tags(text, max_bytes).faults
}

/// Reads `text`, its partials not yet put in.
pub(crate) fn read_tags(text: &str, max_bytes: usize) -> Tags<'_> {
    let mut reader = Reader { text, faults: Vec::new(), partials: Vec::new(), blocks: Vec::new(), depth: 0, tags: 0 };
    if text.len() > max_bytes {
        reader.too_complex(0, format!("the text is {} bytes long", text.len()), format!("Keep it within {max_bytes} bytes"));
        return reader.tags();
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| is_private(*c) || *c == '\0') {
        reader.fault(at, "a private-use or NUL character stands here", "Remove it: it has no meaning that others share");
    }
    reader.read();
    reader.tags()
}

/// Characters that [`crate::markdown`] gives a meaning of its own.
fn is_private(c: char) -> bool {
    ('\u{F0000}'..='\u{F0100}').contains(&c) || ('\u{100000}'..='\u{1000FF}').contains(&c)
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    partials: Vec<PartialTag<'a>>,
    blocks: Vec<Block<'a>>,
    depth: usize,
    tags: usize,
}

impl<'a> Reader<'a> {
    fn tags(self) -> Tags<'a> {
        Tags { faults: self.faults, partials: self.partials }
    }

    fn fault(&mut self, at: usize, what: impl Into<String>, mend: impl Into<String>) {
        self.faults.push(Fault { at, code: Code::Syntax, what: what.into(), mend: mend.into() });
    }

    fn too_complex(&mut self, at: usize, what: impl Into<String>, mend: impl Into<String>) {
        self.faults.push(Fault { at, code: Code::TooComplex, what: what.into(), mend: mend.into() });
    }

    fn read(&mut self) {
        let mut from = 0;
        while let Some(at) = self.text[from..].find("{{").map(|n| n + from) {
            self.tags += 1;
            if self.tags > limits::EXPRESSIONS {
                let most = limits::EXPRESSIONS;
                return self.too_complex(at, format!("more than {most} expressions in one file"), "Split the message");
            }
            if self.text[..at].ends_with('\\') {
                self.fault(at - 1, "a backslash before `{{` is not supported", "Write `&#123;{` where braces are to be shown");
            }
            match self.tag(at) {
                Some(end) => from = end,
                None => return, // what follows cannot be told apart from the inside of this tag
            }
        }
        for block in std::mem::take(&mut self.blocks) {
            let name = block.name;
            self.fault(
                block.at,
                format!("`{{{{#{name}}}}}` is never closed"),
                format!("Add `{{{{/{name}}}}}` where the block ends"),
            );
        }
    }

    /// Reads the tag that begins at `at`; returns where it ends.
    fn tag(&mut self, at: usize) -> Option<usize> {
        let text = self.text;
        let rest = &text[at..];
        if rest.starts_with("{{{{") {
            self.fault(at, "raw blocks (four braces) are not supported", "Use two braces");
            return None;
        }
        if let Some(comment) = rest.strip_prefix("{{!") {
            let end = if comment.trim_start().starts_with("--") { "--}}" } else { "}}" };
            let Some(length) = comment.find(end) else {
                self.fault(at, "the comment is never closed", format!("Close it with `{end}`"));
                return None;
            };
            return Some(at + 3 + length + end.len());
        }
        let raw = rest.starts_with("{{{");
        let (inside_from, close) = if raw { (at + 3, "}}}") } else { (at + 2, "}}") };
        let length = self.inside(at, inside_from, close)?;
        let inside = text[inside_from..inside_from + length].trim_start_matches('~').trim_end_matches('~').trim();
        if !raw {
            self.structure(at, inside_from + length + close.len(), inside);
        } else if inside.starts_with(['#', '/', '>', '^', '*', '&', '!']) {
            self.fault(at, "a block cannot have three braces", "Use two");
        }
        Some(inside_from + length + close.len())
    }

    /// The length of a tag's inside, from `from` up to `close`.
    fn inside(&mut self, at: usize, from: usize, close: &str) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let (mut i, mut brackets) = (from, 0_usize);
        while i < bytes.len() {
            match bytes[i] {
                b'}' if self.text[i..].starts_with(close) => {
                    if brackets > 0 {
                        self.fault(at, "a round bracket is not closed", "Close it before `}}`");
                    }
                    return Some(i - from);
                }
                quote @ (b'"' | b'\'') => {
                    let string = &self.text[i + 1..];
                    let Some(length) = string.find(char::from(quote)) else { break };
                    if string[..length].contains(['\\', '{', '}', '\n']) {
                        self.fault(i, "a string holds a brace, a backslash or a line break", "Leave it out of the string");
                        return None;
                    }
                    i += length + 1;
                }
                b'(' => {
                    brackets += 1;
                    if brackets > limits::BRACKET_DEPTH {
                        let most = limits::BRACKET_DEPTH;
                        self.too_complex(i, format!("more than {most} brackets inside one another"), "Simplify the expression");
                        return None;
                    }
                }
                b')' => match brackets.checked_sub(1) {
                    Some(n) => brackets = n,
                    None => self.fault(i, "this round bracket was never opened", "Remove it"),
                },
                b'{' | b'[' | b']' | b'}' => {
                    let mend = "Close the tag with `}}`; a tag holds names, strings, numbers and round brackets";
                    self.fault(i, format!("`{}` stands inside a tag", char::from(bytes[i])), mend);
                    return None;
                }
                _ => {}
            }
            i += 1;
        }
        self.fault(at, "the tag is never closed", "Close it with `}}`");
        None
    }

    /// Blocks: opened, continued, closed.
    fn structure(&mut self, at: usize, end: usize, inside: &'a str) {
        if let Some(open) = inside.strip_prefix('#') {
            if open.starts_with(['>', '*']) {
                return self.fault(at, "partial blocks and decorators are not supported", "Write the text out");
            }
            let name = first_word(open);
            self.deeper(at, 1);
            self.blocks.push(Block { at, name, chained: 0 });
        } else if let Some(close) = inside.strip_prefix('/') {
            let name = first_word(close);
            match self.blocks.pop() {
                None => self.fault(at, format!("`{{{{/{name}}}}}` closes a block that was not opened"), "Remove it"),
                Some(block) => {
                    self.depth -= 1 + block.chained;
                    if block.name != name {
                        let (opened, line) = (block.name, self.text[..block.at].matches('\n').count() + 1);
                        self.fault(
                            at,
                            format!("`{{{{#{opened}}}}}` of line {line} is open here, not `{name}`"),
                            format!("Write `{{{{/{opened}}}}}`"),
                        );
                    }
                }
            }
        } else if let Some(name) = inside.strip_prefix('>') {
            let name = name.trim();
            let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if name.is_empty() || !is_name {
                let mend = "Write `{{> name}}`: a name of a-z, 0-9 and `-`, and no values; it sees what stands around it";
                return self.fault(at, "a partial has a plain name and takes nothing", mend);
            }
            self.partials.push(PartialTag { at, end, name });
        } else if inside.starts_with('*') {
            self.fault(at, "decorators are not supported", "Write the text out");
        } else if let Some(chain) = inside.strip_prefix('^').or_else(|| inside.strip_prefix("else")) {
            if self.blocks.is_empty() {
                return self.fault(at, "`else` stands outside a block", "Put it between `{{#if …}}` and `{{/if}}`");
            }
            if chain.trim().is_empty() {
                return;
            }
            if !chain.starts_with(char::is_whitespace) {
                return self.fault(at, "a name may not begin with `else`", "Call the variable otherwise");
            }
            self.deeper(at, 1);
            if let Some(block) = self.blocks.last_mut() {
                block.chained += 1;
            }
        }
    }

    fn deeper(&mut self, at: usize, by: usize) {
        self.depth += by;
        if self.depth == limits::BLOCK_DEPTH + 1 {
            let most = limits::BLOCK_DEPTH;
            self.too_complex(at, format!("more than {most} blocks inside one another"), "Simplify the conditions");
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(text: &str) -> Vec<String> {
        check_tags(text, limits::FILE_BYTES).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn ordinary_templates_pass() {
        for good in [
            "{{a}} {{ b.c }} {{../d}} {{@index}} {{{body}}} {{~x~}}",
            "{{#each items as |item i|}}{{item.name}}{{else}}none{{/each}}",
            "{{#if a}}1{{else if b}}2{{^}}3{{/if}}",
            "{{money amount \"CNY\"}} {{!-- {{/if}} --}} {{! {{x }} text } with } braces",
            "{{helper 'it''s' (eq a (len b))}}",
        ] {
            assert_eq!(whats(good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn whatever_the_grammar_could_read_otherwise_is_refused() {
        let refused = [
            ("{{{{raw}}}}x{{{{/raw}}}}", "raw blocks"),
            ("\\{{x}}", "backslash"),
            ("{{a.[b c]}}", "`[`"),
            ("{{f {\"a\": 1}}}", "`{`"),
            ("{{f \"a\\\"}} {{#x}}\"}}", "a string holds"),
            ("{{#*inline \"x\"}}{{> x}}{{/inline}}", "decorators"),
            ("{{> (x)}}", "plain name"),
            ("{{> a/b}}", "plain name"),
            ("{{> x y=1}}", "plain name"),
            ("{{#> x}}{{/x}}", "partial blocks"),
            ("{{elsewhere}}", "outside a block"),
            ("{{#if a}}{{elsewhere}}{{/if}}", "begin with `else`"),
            ("{{* x}}", "decorators"),
            ("a\u{F0041}b", "private-use"),
        ];
        for (text, what) in refused {
            assert!(whats(text).iter().any(|w| w.contains(what)), "{text}: {:?}", whats(text));
        }
    }

    #[test]
    fn unclosed_and_crossed_blocks_are_named_where_they_stand() {
        let fault = &check_tags("a\n{{#if x}} b", 100)[0];
        assert_eq!((fault.at, fault.what.as_str()), (2, "`{{#if}}` is never closed"));
        assert_eq!(whats("{{#if a}}{{#each b}}{{/if}}{{/each}}").len(), 2);
        assert_eq!(whats("{{/if}}"), ["`{{/if}}` closes a block that was not opened"]);
        assert_eq!(whats("{{name"), ["the tag is never closed"]);
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |n: usize| "{{#if a}}".repeat(n) + &"{{/if}}".repeat(n);
        assert!(whats(&nested(limits::BLOCK_DEPTH)).is_empty());
        assert_eq!(whats(&nested(limits::BLOCK_DEPTH + 1)).len(), 1);
        assert_eq!(whats(&("{{#if a}}".to_owned() + &"{{else if a}}".repeat(40) + "{{/if}}")).len(), 1);
        assert!(whats(&"{{a}}".repeat(limits::EXPRESSIONS + 1))[0].contains("expressions"));
        assert!(whats(&format!("{{{{a {} }}}}", "(b ".repeat(9)))[0].contains("brackets"));
    }
}
