//! The visible way out at the foot of a mail: "Unsubscribe", in the reader's language.

use serde_json::{Value, json};
use stentor_domain::Locale;

/// What the link is called, by language; English for all others.
const LABELS: [(&str, &str); 10] = [
    ("ar", "إلغاء الاشتراك"),
    ("de", "Abbestellen"),
    ("en", "Unsubscribe"),
    ("es", "Cancelar la suscripción"),
    ("fr", "Se désabonner"),
    ("it", "Annulla l’iscrizione"),
    ("ja", "配信停止"),
    ("ko", "수신 거부"),
    ("pt", "Cancelar a subscrição"),
    ("zh", "退订"),
];

fn label(locale: &Locale) -> &'static str {
    let language = locale.as_str().split('-').next().unwrap_or_default();
    LABELS.iter().find(|(of, _)| *of == language).map_or("Unsubscribe", |(_, label)| label)
}

/// What a mail knows as `mail.unsubscribe`; null if there is no way out.
pub(crate) fn fields(url: Option<&str>, locale: &Locale) -> Value {
    url.map_or(Value::Null, |url| json!({ "url": url, "label": label(locale) }))
}

/// The plain text with the link at its end, unless it has it already.
pub(crate) fn at_the_end(text: String, url: Option<&str>, locale: &Locale) -> String {
    match url {
        Some(url) if !text.contains(url) => format!("{}\n{}: {url}\n", text.trim_end_matches('\n'), label(locale)),
        _ => text,
    }
}

/// A paragraph with the link, for a document that is not of the layout.
pub(crate) fn paragraph(url: Option<&str>, locale: &Locale) -> String {
    let link = |url: &str| {
        let (url, label) = (handlebars::html_escape(url), label(locale));
        format!("<p style=\"font-size:13px;color:#667085;\"><a href=\"{url}\" style=\"color:#667085;\">{label}</a></p>\n")
    };
    url.map(link).unwrap_or_default()
}
