//! An operator at the console: a browser without scripts, and the command line.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use stentor_tests::{Dev, stentor};

/// A browser: it keeps the session's cookie and sends the headers that browsers send.
pub struct Browser {
    pub client: reqwest::Client,
    pub url: String,
    pub cookie: Option<String>,
}

pub struct Seen {
    pub status: StatusCode,
    pub place: Option<String>,
    pub html: String,
    pub headers: header::HeaderMap,
}

impl Browser {
    pub fn new(dev: &Dev) -> Self {
        Self::at(&dev.text("api_url"))
    }

    pub fn at(url: &str) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, url: url.to_owned(), cookie: None }
    }

    pub async fn signed_in(dev: &Dev) -> Self {
        Self::signed_in_at(&dev.text("api_url"), &dev.text("operator_key")).await
    }

    pub async fn signed_in_at(url: &str, operator_key: &str) -> Self {
        let mut browser = Self::at(url);
        let seen = browser.sign_in(operator_key).await;
        assert_eq!((seen.status, seen.place.as_deref()), (StatusCode::SEE_OTHER, Some("/console")));
        browser
    }

    pub async fn sign_in(&mut self, key: &str) -> Seen {
        let seen = self.send(self.client.post(format!("{}/console/login", self.url)).form(&[("key", key)]), true).await;
        if let Some(cookie) = seen.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        seen
    }

    pub async fn send(&self, request: reqwest::RequestBuilder, from_here: bool) -> Seen {
        let mut request = request;
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if from_here {
            request = request.header(header::ORIGIN, &self.url);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let place = headers.get(header::LOCATION).map(|place| place.to_str().unwrap().to_owned());
        Seen { status, place, html: response.text().await.unwrap(), headers }
    }

    pub async fn see(&self, path: &str) -> Seen {
        self.send(self.client.get(format!("{}{path}", self.url)), false).await
    }

    /// The page at `path`, which must be there.
    pub async fn page(&self, path: &str) -> String {
        let seen = self.see(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.html);
        seen.html
    }

    pub async fn token(&self) -> String {
        let html = self.page("/console").await;
        html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Sends a form of a page, as the page would.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let token = self.token().await;
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", token.as_str())]).collect();
        self.send(self.client.post(format!("{}{path}", self.url)).form(&fields), true).await
    }
}

/// How many rows a page's first table has.
pub fn rows(html: &str) -> usize {
    html.split("<tbody>").nth(1).map_or(0, |body| body.split("</tbody>").next().unwrap().matches("<tr>").count())
}

/// Gives the queue of SMS work of `app` that no worker can do: each of `jobs` is a dead letter at once.
pub async fn bury(redis_url: &str, app: &str, jobs: impl IntoIterator<Item = String>) {
    let client = redis::Client::open(redis_url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let payload = json!({"app": app, "to": "+491701234567", "this is": "no delivery"}).to_string();
    for job in jobs {
        let mut add = redis::cmd("XADD");
        add.arg("stentor:{q:sms}:normal").arg("*").arg("i").arg(job).arg("a").arg(0).arg("d").arg(&payload);
        let _: String = add.query_async(&mut redis).await.unwrap();
    }
}

/// What the command line says, on the database at this URL.
pub fn cli(database: &str, args: &[&str]) -> Value {
    let mut command = stentor();
    command.arg("--json").args(args).env("STENTOR__ARCHIVE__URL", database);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
