//! How things are said on pages: states in their colours, numbers, spans of time, whom a notification is for, addresses of pages.

use std::{fmt::Write, time::Duration};

use askama::{Template, filters::HtmlSafe};
use stentor_domain::{Audience, DeliveryState, Notification, notification::NotificationStatus};

/// A word in a small coloured box. The word says it; the colour only helps to find it.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(source = r#"<span class="state {{ tone }}">{{ word }}</span>"#, ext = "html")]
pub(crate) struct Badge {
    word: String,
    tone: &'static str,
}

impl HtmlSafe for Badge {}

impl Badge {
    pub(crate) fn good(word: impl Into<String>) -> Self {
        Self { word: word.into(), tone: "good" }
    }

    pub(crate) fn bad(word: impl Into<String>) -> Self {
        Self { word: word.into(), tone: "bad" }
    }

    pub(crate) fn warn(word: impl Into<String>) -> Self {
        Self { word: word.into(), tone: "warn" }
    }

    pub(crate) fn plain(word: impl Into<String>) -> Self {
        Self { word: word.into(), tone: "" }
    }

    pub(crate) fn live(word: impl Into<String>) -> Self {
        Self { word: word.into(), tone: "live" }
    }

    /// A delivery's state.
    pub(crate) fn of(state: &DeliveryState) -> Self {
        Self { word: state.as_str().to_owned(), tone: tone(*state) }
    }

    /// How many deliveries are in a state.
    pub(crate) fn count(state: DeliveryState, n: u64) -> Self {
        let word = if n == 1 { state.as_str().to_owned() } else { format!("{} {}", thousands(n), state.as_str()) };
        Self { word, tone: tone(state) }
    }

    /// How far a notification has come.
    pub(crate) fn status(status: NotificationStatus) -> Self {
        match status {
            NotificationStatus::Scheduled => Self::plain("scheduled"),
            NotificationStatus::Accepted => Self::live("accepted"),
            NotificationStatus::Dispatching => Self::live("dispatching"),
            NotificationStatus::Completed => Self::good("completed"),
            NotificationStatus::Cancelled => Self::plain("cancelled"),
        }
    }
}

fn tone(state: DeliveryState) -> &'static str {
    use DeliveryState::{Bounced, Cancelled, Delivered, Expired, Failed, Queued, Scheduled, Sending, Sent, Skipped, Unknown};
    match state {
        Sent | Delivered => "good",
        Failed | Bounced => "bad",
        Unknown | Expired => "warn",
        Queued | Sending | Scheduled => "live",
        Skipped | Cancelled => "",
    }
}

/// A number with its thousands set apart: `12,345`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same for templates, which pass references.
pub(crate) fn number(n: &u64) -> String {
    thousands(*n)
}

/// A span of time in its largest unit: `4 s`, `12 min`, `3 h`, `9 days`.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

/// Whom a notification is for.
pub(crate) fn audience(audience: &Audience) -> String {
    match audience {
        Audience::Everyone => "everyone".to_owned(),
        Audience::Topic(topic) => format!("topic {topic}"),
        Audience::Recipients(recipients) => match recipients.as_slice() {
            [one] => one.id.to_string(),
            many => format!("{} recipients", thousands(many.len() as u64)),
        },
    }
}

/// What a notification is called: the title that came with it, or its template.
pub(crate) fn title(n: &Notification) -> &str {
    let content = n.request.content.as_ref().map(|content| content.title.as_str());
    content.or(n.request.template.as_deref()).unwrap_or("(no words)")
}

/// The address of a page: fields without a value are left out.
pub(crate) fn address(path: &str, fields: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// One step of a path, whatever is in it.
pub(crate) fn step(text: &str) -> String {
    let mut step = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            step.push(char::from(byte));
        } else {
            let _ = write!(step, "%{byte:02X}"); // a String takes all
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let seconds = [0, 1, 119, 120, 7_200, 172_800].map(|s| span(Duration::from_secs(s)));
        assert_eq!(seconds, ["0 ms", "1 s", "119 s", "2 min", "2 h", "2 days"]);
    }

    #[test]
    fn addresses_hold_whatever_is_asked_for() {
        assert_eq!(address("/console", &[("app", ""), ("q", "a&b=c d")]), "/console?q=a%26b%3Dc+d");
        assert_eq!(step("a/b ü"), "a%2Fb%20%C3%BC");
    }

    #[test]
    fn a_badge_escapes_its_word() {
        assert_eq!(Badge::bad("<b>").to_string(), r#"<span class="state bad">&#60;b&#62;</span>"#);
    }
}
