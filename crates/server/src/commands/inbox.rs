//! `stentor inbox tail`: an inbox as a device sees it, line by line.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{ClientRequestBuilder, Message, http::Uri},
};

use super::{
    Output,
    api_client::{ApiArgs, segment},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Inbox {
    /// Show the newest of an inbox and then whatever happens, until Ctrl-C
    Tail(Tail),
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    api: ApiArgs,
    /// Whose inbox; needs an app key with the scope manage
    #[arg(long, required_unless_present = "token")]
    recipient: Option<String>,
    /// An inbox token, instead of --recipient
    #[arg(long, env = "STENTOR_INBOX_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// End after this many frames
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

impl Inbox {
    pub(crate) async fn run(self, out: Output) -> anyhow::Result<()> {
        let Self::Tail(tail) = self;
        tail.run(out).await
    }
}

impl Tail {
    async fn run(self, out: Output) -> anyhow::Result<()> {
        let token = self.token().await?;
        let url = format!("{}/v1/inbox/ws", self.api.api_url.trim_end_matches('/')).replacen("http", "ws", 1);
        let uri: Uri = url.parse().context("--api-url is no URL")?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("stentor.v1");
        let (mut socket, _) = connect_async(request).await.with_context(|| format!("{url} does not answer"))?;
        let auth = json!({ "type": "auth", "token": token });
        socket.send(Message::text(auth.to_string())).await?;
        let mut seen = 0;
        while self.count.is_none_or(|count| seen < count) {
            let message = match socket.next().await {
                None => bail!("the connection ended"),
                Some(message) => message.context("the connection broke")?,
            };
            match message {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).context("the server sent no JSON")?;
                    out.say(&frame, describe)?;
                    seen += 1;
                }
                Message::Close(frame) => {
                    bail!(
                        "the server closed the connection: {}",
                        frame.map_or_else(String::new, |f| format!("{} {}", f.code, f.reason))
                    )
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn token(&self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let recipient = self.recipient.as_deref().context("--recipient or --token is needed")?;
        let request = self.api.request(Method::POST, &format!("/v1/recipients/{}/token", segment(recipient)))?;
        let answer = self.api.call(request).await?;
        answer["token"].as_str().map(str::to_owned).context("the server gave no token")
    }
}

/// A frame in one line (and the first page in several).
fn describe(frame: &Value) -> String {
    let unread = &frame["unread"];
    let title = |item: &Value| {
        let mark = if item["read_at"].is_null() { "●" } else { " " };
        format!(
            "{mark} {}  {}  {}",
            item["created_at"].as_str().unwrap_or_default(),
            item["id"].as_str().unwrap_or_default(),
            item["title"].as_str().unwrap_or_default()
        )
    };
    match frame["type"].as_str().unwrap_or_default() {
        "welcome" => {
            let items = frame["items"].as_array().into_iter().flatten().map(title);
            let head = format!("unread {unread}, inbox of {}", frame["recipient"].as_str().unwrap_or_default());
            std::iter::once(head).chain(items).collect::<Vec<_>>().join("\n")
        }
        "item" => format!("unread {unread}\n{}", title(&frame["item"])),
        "state" => format!("unread {unread}, {} {}", frame["change"].as_str().unwrap_or_default(), frame["ids"]),
        _ => frame.to_string(),
    }
}
