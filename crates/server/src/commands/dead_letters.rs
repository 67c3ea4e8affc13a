//! `stentor dead-letters`: what could not be delivered and waits for a decision.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::{
    Output,
    api_client::{ApiArgs, segment},
};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List the app's dead letters
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Put one dead letter, or all of the app's, back into the queue
    Replay {
        #[command(flatten)]
        api: ApiArgs,
        /// Which; `list` names them
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Discard a dead letter
    Discard {
        #[command(flatten)]
        api: ApiArgs,
        /// Which; `list` names them
        id: String,
    },
}

impl DeadLetters {
    pub(crate) async fn run(self, out: Output) -> anyhow::Result<()> {
        match self {
            Self::List { api } => list(&api, out).await,
            Self::Replay { api, id: Some(id), .. } => {
                let path = format!("/v1/dead-letters/{}/replay", segment(&id));
                api.call(api.request(Method::POST, &path)?).await?;
                out.say(&serde_json::json!({ "replayed": 1 }), |_| format!("{id} is queued again"))
            }
            Self::Replay { api, .. } => {
                let answer = api.call(api.request(Method::POST, "/v1/dead-letters/replay")?).await?;
                out.say(&answer, |a| format!("{} are queued again", a["replayed"]))
            }
            Self::Discard { api, id } => {
                api.call(api.request(Method::DELETE, &format!("/v1/dead-letters/{}", segment(&id)))?).await?;
                out.say(&serde_json::json!({ "discarded": id }), |_| format!("{id} is gone"))
            }
        }
    }
}

async fn list(api: &ApiArgs, out: Output) -> anyhow::Result<()> {
    let mut letters: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut request = api.request(Method::GET, "/v1/dead-letters")?.query(&[("limit", "100")]);
        if let Some(after) = &after {
            request = request.query(&[("after", after)]);
        }
        let page = api.call(request).await?;
        letters.extend(page["items"].as_array().into_iter().flatten().cloned());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    out.say(&letters, |letters| {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let line = |l: &Value| {
            format!("{}\t{}\tattempts {}\t{}", text(&l["id"]), text(&l["died_at"]), l["attempts"], text(&l["reason"]))
        };
        if letters.is_empty() { "no dead letters".to_owned() } else { letters.iter().map(line).collect::<Vec<_>>().join("\n") }
    })
}
