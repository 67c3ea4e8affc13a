//! STOP, START and HELP: what a person means who answers an SMS with one word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// To know whom this is from, and how to stop it.
    Help,
}

/// The words of one language, and what is answered to them. An empty answer is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptOutWords {
    /// Words for [`Wish::Stop`].
    pub stop: Vec<String>,
    /// Words for [`Wish::Start`].
    pub start: Vec<String>,
    /// Words for [`Wish::Help`].
    pub help: Vec<String>,
    /// What is answered to who stopped.
    pub stopped: String,
    /// What is answered to who started again.
    pub started: String,
    /// What is answered to who asked.
    pub helped: String,
}

/// The words of every language, by language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OptOutLanguages(BTreeMap<String, OptOutWords>);

impl OptOutLanguages {
    /// What a message means, and what is answered; `None` for one that says something else.
    ///
    /// Only a message that is nothing but the word counts: "stop by tomorrow" stops nothing. Case, and signs around it, do not
    /// matter.
    pub fn understand(&self, text: &str) -> Option<(Wish, &str)> {
        let said = plain(text);
        if said.is_empty() {
            return None;
        }
        let says = |words: &[String]| words.iter().any(|word| plain(word) == said);
        // In any language STOP comes first: who is in doubt is left alone.
        let of = |wish, words: fn(&OptOutWords) -> (&[String], &str)| {
            let found = self.0.values().map(words).find(|(words, _)| says(words));
            found.map(|(_, answer)| (wish, answer))
        };
        of(Wish::Stop, |words| (&words.stop, &words.stopped))
            .or_else(|| of(Wish::Start, |words| (&words.start, &words.started)))
            .or_else(|| of(Wish::Help, |words| (&words.help, &words.helped)))
    }
}

/// The words alone: in small letters, one space between them, without signs before and behind.
fn plain(text: &str) -> String {
    let trimmed = text.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages() -> OptOutLanguages {
        let words = |stop: &[&str], start: &[&str], help: &[&str], name: &str| OptOutWords {
            stop: stop.iter().map(ToString::to_string).collect(),
            start: start.iter().map(ToString::to_string).collect(),
            help: help.iter().map(ToString::to_string).collect(),
            stopped: format!("{name} stopped"),
            started: format!("{name} started"),
            helped: String::new(),
        };
        let en = words(&["STOP", "opt out"], &["START"], &["HELP"], "en");
        let zh = words(&["退订", "TD"], &["恢复"], &["帮助"], "zh");
        OptOutLanguages([("en".to_owned(), en), ("zh".to_owned(), zh)].into())
    }

    #[test]
    fn one_word_is_understood_however_it_is_written() {
        let languages = languages();
        for stop in ["STOP", " stop. ", "Stop!", "\"STOP\"", "Opt  Out", "opt\nout"] {
            assert_eq!(languages.understand(stop), Some((Wish::Stop, "en stopped")), "{stop:?}");
        }
        for stop in ["退订", "td", "【退订】"] {
            assert_eq!(languages.understand(stop), Some((Wish::Stop, "zh stopped")), "{stop:?}");
        }
        assert_eq!(languages.understand("start"), Some((Wish::Start, "en started")));
        assert_eq!(languages.understand("帮助"), Some((Wish::Help, "")));
    }

    #[test]
    fn a_sentence_is_not() {
        for text in ["", "  ", "!?", "stop by tomorrow", "please do not stop", "nonstop", "退订了吗"] {
            assert_eq!(languages().understand(text), None, "{text:?}");
        }
    }
}
