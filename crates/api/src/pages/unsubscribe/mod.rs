//! `/unsubscribe/{token}`: a person says that they want no more of these mails.
//!
//! GET asks, since whatever scans mails for viruses follows links; POST does it. A mail program that offers "unsubscribe" posts
//! by itself (RFC 8058, one click), without a cookie and without being redirected. Who has the mail has the token, and needs no
//! login.

mod words;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::get,
};
use stentor_channels::Unsubscribe;
use stentor_domain::{AppId, SuppressedAddress, Suppression, SuppressionReason};

use super::{personal_page, style};
use crate::{path::Path, problem::ApiError, state::ApiState};

use words::Words;

/// The page's routes.
pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/unsubscribe/{token}", get(ask).post(answer))
        .route("/unsubscribe.css", get(async || style(include_str!("unsubscribe.css"))))
}

/// A link that was opened.
struct Opened {
    app: AppId,
    app_name: String,
    link: Unsubscribe,
    address: SuppressedAddress,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// No more mails of the category that the mail was of; of all, if it was of none.
    StopThese,
    StopAll,
    /// Take either back.
    UndoThese,
    UndoAll,
}

impl Opened {
    async fn new(state: &ApiState, token: &str) -> Result<Option<Self>, ApiError> {
        let Some(app) = Unsubscribe::app_of(token) else { return Ok(None) };
        let Some(found) = state.credentials.app(&app).await? else { return Ok(None) };
        let Some(link) = Unsubscribe::open(token, &app, &found.inbox_secret) else { return Ok(None) };
        let address = SuppressedAddress::from(&link.address);
        Ok(Some(Self { app, app_name: found.name.clone(), link, address }))
    }

    /// A text of the page with what it is about.
    fn say(&self, text: &str) -> String {
        let category = self.link.category.as_deref().unwrap_or_default();
        // In one pass: what is filled in may hold braces of its own.
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = match name {
                "app" => &self.app_name,
                "category" => category,
                _ => self.link.address.as_str(),
            };
            // An address reads from left to right, whatever the text around it does.
            let value = if name == "address" { format!("<bdi>{}</bdi>", escape(value)) } else { escape(value) };
            out.push_str(before);
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        out
    }

    async fn do_as_wished(&self, state: &ApiState, wish: Wish) -> Result<(), ApiError> {
        let category = self.link.category.as_deref();
        let about = Some(self.link.notification);
        let of = |category: Option<&str>| Suppression {
            address: self.address.clone(),
            category: category.map(str::to_owned),
            reason: SuppressionReason::Unsubscribe,
            detail: None,
        };
        match wish {
            Wish::StopThese => state.unsubscribe(&self.app, &of(category), about).await,
            Wish::StopAll => state.unsubscribe(&self.app, &of(None), about).await,
            Wish::UndoThese => state.resubscribe(&self.app, &self.address, category).await,
            Wish::UndoAll => state.resubscribe(&self.app, &self.address, None).await,
        }
    }
}

/// Asks whether they mean it.
async fn ask(State(state): State<ApiState>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    match Opened::new(&state, &token).await {
        Ok(Some(opened)) => question(&opened, language(Some(&opened), &headers)),
        Ok(None) => broken(language(None, &headers)),
        Err(error) => later(&error, language(None, &headers)),
    }
}

/// Does it, and says so.
async fn answer(State(state): State<ApiState>, Path(token): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let opened = match Opened::new(&state, &token).await {
        Ok(Some(opened)) => opened,
        Ok(None) => return broken(language(None, &headers)),
        Err(error) => return later(&error, language(None, &headers)),
    };
    let words = language(Some(&opened), &headers);
    let wish = wish(&body);
    match opened.do_as_wished(&state, wish).await {
        Ok(()) => done(&opened, wish, words),
        Err(error) => later(&error, words),
    }
}

/// What a body asks for. The page's buttons say it; all else is a mail program's click, as a form or in parts.
fn wish(body: &[u8]) -> Wish {
    match body {
        b"wish=all" => Wish::StopAll,
        b"wish=undo" => Wish::UndoThese,
        b"wish=undo-all" => Wish::UndoAll,
        _ => Wish::StopThese,
    }
}

/// The language of the mail, or else the browser's.
fn language(opened: Option<&Opened>, headers: &HeaderMap) -> &'static Words {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepted = accepted.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
    let own = opened.and_then(|opened| opened.link.locale.as_ref()).map(stentor_domain::Locale::as_str);
    words::of(own.into_iter().chain(accepted))
}

fn question(opened: &Opened, words: &Words) -> Response {
    let all = button("all", &opened.say(words.stop_all), opened.link.category.is_none());
    let (title, buttons) = match &opened.link.category {
        Some(_) => {
            let these = button("these", &opened.say(words.stop_category), true);
            (words.ask_category, format!("{these}{all}"))
        }
        None => (words.ask, all),
    };
    let more = format!("<p class=\"soft\">{}</p>", opened.say(words.address));
    page(
        StatusCode::OK,
        words,
        &opened.app_name,
        "<div class=\"mark\" aria-hidden=\"true\">✉</div>",
        &opened.say(title),
        &(more + &form(&buttons)),
    )
}

fn done(opened: &Opened, wish: Wish, words: &Words) -> Response {
    let all = wish == Wish::StopAll || opened.link.category.is_none();
    let mark = "<div class=\"mark good\" aria-hidden=\"true\">✓</div>";
    let (title, more, undo) = match wish {
        Wish::StopThese | Wish::StopAll if all => (words.done, words.done_all, Some("undo-all")),
        Wish::StopThese | Wish::StopAll => (words.done, words.done_category, Some("undo")),
        Wish::UndoThese | Wish::UndoAll => (words.undone, words.undone_more, None),
    };
    let undo = undo.map(|wish| form(&button(wish, words.undo, false))).unwrap_or_default();
    let more = format!("<p>{}</p>{undo}", opened.say(more));
    page(StatusCode::OK, words, &opened.app_name, mark, title, &more)
}

fn broken(words: &Words) -> Response {
    let more = format!("<p>{}</p>", words.broken_more);
    page(StatusCode::NOT_FOUND, words, "", "<div class=\"mark\" aria-hidden=\"true\">?</div>", words.broken, &more)
}

fn later(error: &ApiError, words: &Words) -> Response {
    error.log();
    let more = format!("<p>{}</p><p><a href=\"\">{}</a></p>", words.later_more, words.again);
    page(StatusCode::SERVICE_UNAVAILABLE, words, "", "<div class=\"mark\" aria-hidden=\"true\">!</div>", words.later, &more)
}

fn form(buttons: &str) -> String {
    format!("<form method=\"post\">{buttons}</form>")
}

fn button(wish: &str, label: &str, main: bool) -> String {
    let class = if main { " class=\"main\"" } else { "" };
    format!("<button{class} name=\"wish\" value=\"{wish}\">{label}</button>")
}

/// `title` and `body` are HTML.
fn page(status: StatusCode, words: &Words, app: &str, mark: &str, title: &str, body: &str) -> Response {
    let Words { lang, dir, .. } = words;
    let app = escape(app);
    let mut response = personal_page(format!(
        "<!doctype html>\n<html lang=\"{lang}\" dir=\"{dir}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"../style.css\">\n<link rel=\"stylesheet\" href=\"../unsubscribe.css\">\n\
         </head>\n<body class=\"letter\">\n<main>\n<section class=\"panel\">\n{mark}\n<h1>{title}</h1>\n{body}\n</section>\n</main>\n\
         <footer class=\"soft\">{app}</footer>\n</body>\n</html>\n"
    ));
    *response.status_mut() = status;
    response
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_programs_click_is_understood_in_either_form() {
        let parts = b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        for body in [&b"List-Unsubscribe=One-Click"[..], parts, b"wish=these", b""] {
            assert!(wish(body) == Wish::StopThese);
        }
        assert!(wish(b"wish=all") == Wish::StopAll && wish(b"wish=undo") == Wish::UndoThese);
    }

    #[test]
    fn what_is_filled_in_cannot_break_out() {
        let opened = Opened {
            app: "demo".parse().unwrap(),
            app_name: "<b>{address}</b>".into(),
            link: Unsubscribe {
                address: "o'hara@example.com".parse().unwrap(),
                category: Some("a&b".into()),
                locale: None,
                notification: stentor_domain::NotificationId::from_uuid(uuid::Uuid::nil()),
            },
            address: SuppressedAddress::parse(stentor_domain::Channel::Email, "o'hara@example.com").unwrap(),
        };
        let said = opened.say("{app}: {category} to {address}.");
        assert_eq!(said, "&lt;b&gt;{address}&lt;/b&gt;: a&amp;b to <bdi>o&#39;hara@example.com</bdi>.");
    }
}
