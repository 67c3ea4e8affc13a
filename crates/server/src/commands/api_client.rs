//! A client of the API for the commands that use it as a business system would.

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use stentor_catalog::Finding;

/// Where the API is and who calls it.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// Where the API is
    #[arg(long, env = "STENTOR_API_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub api_url: String,
    /// The app key
    #[arg(long, env = "STENTOR_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
}

impl ApiArgs {
    pub(crate) fn key(&self) -> anyhow::Result<&str> {
        self.api_key.as_deref().context("an app key is needed: --api-key or STENTOR_API_KEY; `stentor key create` makes one")
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let url = format!("{}{path}", self.api_url.trim_end_matches('/'));
        Ok(reqwest::Client::new().request(method, url).bearer_auth(self.key()?))
    }

    /// Sends, and gives the body; a problem document becomes an error in its own words.
    pub(crate) async fn call(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let unreachable = || format!("{} does not answer; is `stentor serve` or `stentor dev` running there?", self.api_url);
        let response = request.send().await.with_context(unreachable)?;
        let status = response.status();
        let text = response.text().await.with_context(unreachable)?;
        let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        if status.is_success() {
            return Ok(body);
        }
        // The one says what the other says, the detail what the first of them says.
        let lines = match findings(&body) {
            none if none.is_empty() => violations(&body["errors"]),
            findings => findings,
        };
        match lines.as_slice() {
            [] => bail!("{status}: {}", body["detail"].as_str().unwrap_or("the request was refused")),
            [line] => bail!("{status}: {line}"),
            lines => bail!("{status}:\n  {}", lines.join("\n  ")),
        }
    }
}

/// What an answer says of the files of a template, a line each.
pub(crate) fn findings(body: &Value) -> Vec<String> {
    let findings = body["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |finding| serde_json::from_value::<Finding>(finding).ok().map(|finding| finding.to_string());
    findings.iter().cloned().filter_map(line).collect()
}

/// What an answer says of places of a request, a line each.
pub(crate) fn violations(list: &Value) -> Vec<String> {
    let line = |violation: &Value| {
        let [pointer, message] = ["pointer", "message"].map(|field| violation[field].as_str().unwrap_or_default());
        format!("{}: {message}", if pointer.is_empty() { "/" } else { pointer })
    };
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(line).collect()
}

/// A path segment, percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
