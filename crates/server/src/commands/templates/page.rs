//! `stentor templates preview`: a page that shows a template on every channel, in every language, with every sample.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};
use stentor_domain::{Channel, Clock, SystemClock};
use stentor_templates::{Input, Template};

use super::{DirArgs, Output, count, new::write, render, usable};

#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    dir: DirArgs,
    /// Which template
    key: String,
    /// The page that is written; KEY.preview.html if absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Preview {
    pub(super) fn run(self, out: Output) -> anyhow::Result<()> {
        let template = usable(&self.dir.folder()?, &self.key)?;
        let file = self.out.unwrap_or_else(|| PathBuf::from(format!("{}.preview.html", self.key)));
        write(&file, &page(&template)?)?;
        let file = file.display().to_string();
        out.say(&json!({ "file": file }), |_| format!("{file} is written: open it in a browser"))
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}\
section{border-top:1px solid #8884;margin-top:2rem}.row{display:flex;gap:1.5rem;flex-wrap:wrap;align-items:flex-start}\
iframe{border:1px solid #8886;border-radius:8px;background:#fff;height:40rem}.desktop{flex:1 1 38rem;min-width:0}\
.phone{width:23.4rem}pre{white-space:pre-wrap;background:#8881;padding:1rem;border-radius:8px;overflow:auto}\
.card{border:1px solid #8886;border-radius:8px;padding:1rem;width:26rem;max-width:100%;box-sizing:border-box}\
.card img{max-width:100%;border-radius:8px}.card p{margin:.5rem 0}.card table{width:100%}.card th,.card td{text-align:start}.button{display:inline-block;border:1px solid #8888;border-radius:6px;\
padding:.25rem .75rem;margin:.25rem .25rem 0 0;text-decoration:none;color:inherit}.bad{color:#c22}";

fn page(template: &Template) -> anyhow::Result<String> {
    let title = escape(template.title());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body><h1>{title}</h1>"
    );
    let nothing = Map::new();
    let mut samples: Vec<(&str, &Map<String, Value>)> = template.samples().iter().map(|(n, d)| (n.as_str(), d)).collect();
    if samples.is_empty() {
        samples.push(("no data", &nothing));
    }
    let reader = render::reader(Map::new())?;
    for locale in template.locales() {
        for (name, data) in &samples {
            let input = Input {
                data,
                locale: Some(locale),
                timezone: None,
                recipient: Some(&reader),
                app_name: "app",
                now: SystemClock.now(),
                unsubscribe: None,
            };
            write!(page, "<section><h2>{locale} · {}</h2>", escape(name))?;
            for channel in [Channel::Inbox, Channel::Email, Channel::Sms] {
                match render::written(template, channel, &input) {
                    Ok(message) => page.push_str(&shown(channel, &message)),
                    Err(error) => write!(page, "<p class=\"bad\">{channel}: {}</p>", escape(&error.to_string()))?,
                }
            }
            page.push_str("</section>");
        }
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

fn shown(channel: Channel, message: &Value) -> String {
    let text = |field: &str| escape(message[field].as_str().unwrap_or_default());
    match channel {
        Channel::Inbox => {
            let card = card(message);
            let articles =
                message["articles"].as_array().into_iter().flatten().map(|article| format!("<hr>{}", self::card(article)));
            // Sanitised, as it is in the inbox.
            let body = message["body_html"].as_str().unwrap_or_default();
            format!(
                "<h3>Inbox: the card, and what opens</h3><div class=\"row\"><div class=\"card\" dir=\"auto\">{card}</div>\
                 <div class=\"card\" dir=\"auto\">{body}{}</div></div>",
                articles.collect::<String>()
            )
        }
        Channel::Email => format!(
            "<h3>Mail: {}</h3><div class=\"row\"><iframe class=\"desktop\" sandbox srcdoc=\"{html}\"></iframe>\
             <iframe class=\"phone\" sandbox srcdoc=\"{html}\"></iframe></div><pre>{}</pre>",
            text("subject"),
            text("text"),
            html = text("html"),
        ),
        Channel::Sms => {
            let segments = count(message["segments"].as_u64().unwrap_or_default() as usize, "segment");
            let forced =
                message["forced_by"].as_str().map(|c| format!(", in Unicode because of {}", escape(c))).unwrap_or_default();
            format!("<h3>SMS, {segments}{forced}</h3><pre dir=\"auto\">{}</pre>", text("text"))
        }
    }
}

/// The card of a message, or an article: picture, words, link and buttons.
fn card(of: &Value) -> String {
    let text = |of: &Value, field: &str| escape(of[field].as_str().unwrap_or_default());
    let (title, summary, link) = (text(of, "title"), text(of, "summary"), text(of, "link"));
    let picture = of["image"].as_object().map(|_| (text(&of["image"], "url"), text(&of["image"], "alt")));
    let picture = picture.map(|(url, alt)| format!("<img src=\"{url}\" alt=\"{alt}\">")).unwrap_or_default();
    let title = if link.is_empty() { title } else { format!("<a href=\"{link}\">{title}</a>") };
    let button = |b: &Value| format!("<a class=\"button\" href=\"{}\">{}</a>", text(b, "url"), text(b, "label"));
    let buttons = of["actions"].as_array().into_iter().flatten().map(button).collect::<Vec<_>>().concat();
    format!("{picture}<p><strong>{title}</strong></p><p>{summary}</p>{buttons}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
