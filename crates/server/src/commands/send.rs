//! `stentor send`: a notification from the command line.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Output,
    api_client::{ApiArgs, violations},
};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("audience").args(["to", "topic", "everyone", "request"]).required(true)))]
pub(crate) struct Send {
    #[command(flatten)]
    api: ApiArgs,
    /// For whom: a recipient's id; may be repeated
    #[arg(long, value_name = "ID")]
    to: Vec<String>,
    /// For the members of this topic, instead of --to
    #[arg(long)]
    topic: Option<String>,
    /// For everybody who uses the app, instead of --to
    #[arg(long)]
    everyone: bool,
    /// Which template
    #[arg(long, conflicts_with = "title")]
    template: Option<String>,
    /// What the template fills in, as JSON
    #[arg(long, requires = "template", value_name = "JSON")]
    data: Option<String>,
    /// What to say, without a template
    #[arg(long)]
    title: Option<String>,
    /// The body in Markdown, with --title
    #[arg(long, requires = "title", value_name = "MARKDOWN")]
    body: Option<String>,
    /// On which channels, separated by commas. Default: the template's, else inbox
    #[arg(long, value_delimiter = ',')]
    channels: Vec<String>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    #[expect(clippy::struct_field_names, reason = "the API's name of the field")]
    send_at: Option<String>,
    /// Repeats with the same key within 24 hours send nothing
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The whole request as JSON, or - for standard input, instead of the options above
    #[arg(long, conflicts_with_all = ["template", "title", "channels", "send_at"], value_name = "JSON")]
    request: Option<String>,
}

impl Send {
    pub(crate) async fn run(self, out: Output) -> anyhow::Result<()> {
        let body = self.body()?;
        let mut request = self.api.request(Method::POST, "/v1/notifications")?.json(&body);
        if let Some(key) = &self.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = self.api.call(request).await?;
        if !out.json {
            for warning in violations(&answer["warnings"]) {
                let _ = writeln!(std::io::stderr(), "stentor: {warning}");
            }
        }
        out.say(&answer, |a| format!("{}\t{}", a["id"].as_str().unwrap_or_default(), a["status"].as_str().unwrap_or_default()))
    }

    fn body(&self) -> anyhow::Result<Value> {
        if let Some(request) = &self.request {
            let text = if request == "-" { std::io::read_to_string(std::io::stdin())? } else { request.clone() };
            return serde_json::from_str(&text).context("--request is not JSON");
        }
        let mut body = Map::new();
        let audience = match &self.topic {
            Some(topic) => json!({ "topic": topic }),
            None if self.everyone => json!("everyone"),
            None => json!({ "recipients": self.to }),
        };
        body.insert("audience".into(), audience);
        match (&self.template, &self.title) {
            (Some(template), _) => {
                body.insert("template".into(), json!(template));
                if let Some(data) = &self.data {
                    body.insert("data".into(), serde_json::from_str(data).context("--data is not JSON")?);
                }
            }
            (None, Some(title)) => {
                let mut content = json!({ "title": title });
                if let Some(markdown) = &self.body {
                    content["body_markdown"] = json!(markdown);
                }
                body.insert("content".into(), content);
            }
            (None, None) => bail!("say what to send: --template KEY (with --data JSON), or --title TEXT"),
        }
        if !self.channels.is_empty() {
            body.insert("channels".into(), json!(self.channels));
        }
        if let Some(at) = &self.send_at {
            body.insert("send_at".into(), json!(at));
        }
        Ok(Value::Object(body))
    }
}
