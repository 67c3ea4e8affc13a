//! `stentor templates render`: one message, written out.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use stentor_domain::{Channel, Clock, Locale, SystemClock, Timestamp};
use stentor_templates::{Input, RecipientFields, RenderError, Template};

use super::{DirArgs, Output, count, usable};

/// With what and for whom it is written.
#[derive(Debug, Args)]
pub(crate) struct Filling {
    /// With this sample; the first if neither this nor --data is given
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    sample: Option<String>,
    /// With this, as JSON, or - for standard input
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// The reader's language; the template's default if absent
    #[arg(long)]
    locale: Option<Locale>,
    /// The reader's time zone, such as Europe/Berlin; UTC if absent
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// What the template may know of its reader, as JSON
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,
    /// The present time (RFC 3339); now if absent
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

fn object(text: &str, option: &str) -> anyhow::Result<Map<String, Value>> {
    let text = if text == "-" { std::io::read_to_string(std::io::stdin())? } else { text.to_owned() };
    serde_json::from_str(&text).with_context(|| format!("{option} is no JSON object"))
}

impl Filling {
    pub(super) fn data(&self, template: &Template) -> anyhow::Result<Map<String, Value>> {
        if let Some(data) = &self.data {
            return object(data, "--data");
        }
        let samples = template.samples();
        match &self.sample {
            None => Ok(samples.values().next().cloned().unwrap_or_default()),
            Some(name) => samples.get(name).cloned().with_context(|| {
                let names: Vec<&str> = samples.keys().map(String::as_str).collect();
                format!("there is no sample {name}; there are: {}", names.join(", "))
            }),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    dir: DirArgs,
    /// Which template
    key: String,
    /// On which channel
    #[arg(long, value_enum, default_value_t = On::Inbox)]
    channel: On,
    /// Which part of it, as it is; all of it to be read if absent (and in JSON all that there is)
    #[arg(long, value_enum)]
    part: Option<Part>,
    #[command(flatten)]
    filling: Filling,
}

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    Inbox,
    Email,
    Sms,
}

impl From<On> for Channel {
    fn from(on: On) -> Self {
        match on {
            On::Inbox => Self::Inbox,
            On::Email => Self::Email,
            On::Sms => Self::Sms,
        }
    }
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Title,
    Html,
    Text,
}

impl Render {
    pub(super) fn run(self, out: Output) -> anyhow::Result<()> {
        let template = usable(&self.dir.folder()?, &self.key)?;
        let data = self.filling.data(&template)?;
        let wrong = template.check_data(&data);
        if let Some(first) = wrong.first() {
            bail!("the data do not fit schema.json: {} {}", first.pointer, first.message);
        }
        let attributes = self.filling.attributes.as_deref().map(|text| object(text, "--attributes")).transpose()?;
        let reader = reader(attributes.unwrap_or_default())?;
        let input = Input {
            data: &data,
            locale: self.filling.locale.as_ref(),
            timezone: self.filling.timezone.as_deref(),
            recipient: Some(&reader),
            app_name: "app",
            now: self.filling.now.unwrap_or_else(|| SystemClock.now()),
            unsubscribe: None,
        };
        let message = written(&template, self.channel.into(), &input)?;
        let part = self.part.map(|part| match (part, self.channel) {
            (Part::Title, On::Email) => "subject",
            (Part::Title, _) => "title",
            (Part::Html, On::Inbox) => "body_html",
            (Part::Html, _) => "html",
            (Part::Text, On::Inbox) => "body_text",
            (Part::Text, _) => "text",
        });
        let Some(part) = part else { return out.say(&message, |message| to_be_read(message, self.channel)) };
        let text = message[part].as_str().with_context(|| format!("there is no {part} on this channel"))?;
        out.say(&json!({ part: text }), |_| text.to_owned())
    }
}

/// A message for whoever reads it in a terminal.
fn to_be_read(message: &Value, channel: On) -> String {
    let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let link = |of: &Value, name: &str, at: &str| format!("[{}] {}", text(of, name), text(of, at));
    let all = |field: &str| message[field].as_array().cloned().unwrap_or_default();
    let picture = |of: &Value| of["image"].as_object().map(|_| link(&of["image"], "alt", "url")).unwrap_or_default();
    let mut parts = match channel {
        On::Email => vec![format!("Subject: {}", text(message, "subject")), text(message, "text")],
        On::Sms => {
            let forced = message["forced_by"].as_str().map(|c| format!(", in Unicode because of {c}")).unwrap_or_default();
            let segments = count(message["segments"].as_u64().unwrap_or_default() as usize, "segment");
            vec![text(message, "text"), format!("({segments}{forced})")]
        }
        On::Inbox => {
            let card = [text(message, "title"), text(message, "summary"), picture(message), text(message, "link")];
            let buttons = all("actions").iter().map(|action| link(action, "label", "url")).collect::<Vec<_>>();
            let article = |a: &Value| lines(&[text(a, "title"), text(a, "summary"), picture(a), text(a, "link")]);
            let opened = [lines(&card), lines(&buttons), text(message, "body_text")];
            opened.into_iter().chain(all("articles").iter().map(article)).collect()
        }
    };
    parts.retain(|part| !part.trim().is_empty());
    parts.join("\n\n").trim_end().to_owned()
}

fn lines(lines: &[String]) -> String {
    lines.iter().filter(|line| !line.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// A reader who is nobody.
pub(super) fn reader(attributes: Map<String, Value>) -> anyhow::Result<RecipientFields> {
    Ok(RecipientFields { id: "reader".parse()?, attributes })
}

/// A message as JSON.
pub(super) fn written(template: &Template, channel: Channel, input: &Input<'_>) -> Result<Value, RenderError> {
    Ok(match channel {
        Channel::Inbox => {
            let item = template.render_inbox(input)?;
            json!({
                "title": item.title, "summary": item.summary, "image": item.image, "link": item.link, "actions": item.actions,
                "body_html": item.content.body_html, "body_text": item.content.body_text, "articles": item.content.articles,
                "locale": item.locale,
            })
        }
        Channel::Email => {
            let mail = template.render_email(input)?;
            json!({ "subject": mail.subject, "html": mail.html, "text": mail.text, "locale": mail.locale })
        }
        Channel::Sms => {
            let sms = template.render_sms(input)?;
            json!({ "text": sms.text, "segments": sms.segments, "forced_by": sms.forced_by, "locale": sms.locale })
        }
    })
}
