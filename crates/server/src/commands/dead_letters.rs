//! `stentor dead-letters`: what could not be delivered and waits for a decision.

use clap::{Args, Subcommand};
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
        #[command(flatten)]
        filter: Filter,
    },
    /// Put one dead letter, those that a filter takes, or all of the app's, back into the queue
    Replay {
        #[command(flatten)]
        api: ApiArgs,
        /// Which; `list` names them. Or else --all, or a filter
        #[arg(required_unless_present_any = ["all", "queue", "reason", "since", "until"])]
        id: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// Discard a dead letter
    Discard {
        #[command(flatten)]
        api: ApiArgs,
        /// Which; `list` names them
        id: String,
    },
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only of this queue
    #[arg(long, value_parser = ["dispatch", "email", "sms"])]
    queue: Option<String>,
    /// Only those whose reason contains this
    #[arg(long)]
    reason: Option<String>,
    /// Only those that died at this time (RFC 3339) or later
    #[arg(long)]
    since: Option<String>,
    /// Only those that died before this time
    #[arg(long)]
    until: Option<String>,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let all = [("queue", &self.queue), ("reason", &self.reason), ("since", &self.since), ("until", &self.until)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

impl DeadLetters {
    pub(crate) async fn run(self, out: Output) -> anyhow::Result<()> {
        match self {
            Self::List { api, filter } => list(&api, &filter, out).await,
            Self::Replay { api, id: Some(id), .. } => {
                let path = format!("/v1/dead-letters/{}/replay", segment(&id));
                api.call(api.request(Method::POST, &path)?).await?;
                out.say(&serde_json::json!({ "replayed": 1 }), |_| format!("{id} is queued again"))
            }
            Self::Replay { api, filter, .. } => {
                let answer = api.call(api.request(Method::POST, "/v1/dead-letters/replay")?.query(&filter.query())).await?;
                out.say(&answer, |a| format!("{} are queued again", a["replayed"]))
            }
            Self::Discard { api, id } => {
                api.call(api.request(Method::DELETE, &format!("/v1/dead-letters/{}", segment(&id)))?).await?;
                out.say(&serde_json::json!({ "discarded": id }), |_| format!("{id} is gone"))
            }
        }
    }
}

async fn list(api: &ApiArgs, filter: &Filter, out: Output) -> anyhow::Result<()> {
    let mut letters: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut request = api.request(Method::GET, "/v1/dead-letters")?.query(&[("limit", "100")]).query(&filter.query());
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
