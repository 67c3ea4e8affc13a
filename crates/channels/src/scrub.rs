//! What a server said, without the people it said it about.

use stentor_domain::text::one_line;

/// The longest text that is repeated, in characters.
const MAX: usize = 200;

/// `text` on one line, shortened, each word hidden that may tell a person or a link: what holds an `@`, `://`, seven
/// digits in a row, or one of `names` (case aside).
pub(crate) fn scrub(text: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().filter(|name| name.chars().count() > 2).map(|name| name.to_lowercase()).collect();
    let tells = |word: &str| {
        let lower = word.to_lowercase();
        word.contains('@') || word.contains("://") || has_number(word) || names.iter().any(|name| lower.contains(name))
    };
    // Shortened before and after: the work stays small and no hidden word is cut into a readable one.
    let head: String = text.chars().take(4 * MAX).collect();
    let line = one_line(head);
    let words: Vec<&str> = line.split(' ').map(|word| if tells(word) { "[hidden]" } else { word }).collect();
    words.join(" ").chars().take(MAX).collect()
}

/// Whether seven digits follow one another, separators aside: a phone number in any spelling.
fn has_number(word: &str) -> bool {
    let mut run = 0;
    word.chars().any(|c| {
        match c {
            '0'..='9' => run += 1,
            '-' | '(' | ')' | '/' | '+' => {}
            _ => run = 0,
        }
        run >= 7
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stays_and_the_person_goes() {
        let said = "5.1.1 <Maria@example.com>: Recipient address rejected:\r\n User unknown in local table (maria)";
        assert_eq!(
            scrub(said, &["maria@example.com", "maria"]),
            "5.1.1 [hidden] Recipient address rejected: User unknown in local table [hidden]"
        );
        assert_eq!(scrub("no route to +49-170-1234567 or 491701234567", &[]), "no route to [hidden] or [hidden]");
        assert_eq!(scrub("see https://x.test/?t=abc 5.7.1", &[]), "see [hidden] 5.7.1");
        assert_eq!(scrub(&"x ".repeat(10_000), &[]).len(), MAX);
    }
}
