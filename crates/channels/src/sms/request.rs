//! The request that asks a gateway to send a message.

use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};
use stentor_domain::Timestamp;

use super::{
    template::{Escape, Message, Template, Values},
    vendor::VendorTemplates,
};
use crate::{ConfigError, Masked, Proof, SmsProviderConfig, config::Place, outbound::HttpRequest};

/// How a request is made of a message: templates that were tried once.
pub(super) struct RequestTemplates {
    method: Method,
    url: Template,
    query: Option<Template>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
    /// The body is made of parts, and so after them.
    body_last: bool,
    /// The gateway's own templates.
    vendor: VendorTemplates,
    parts: Vec<(String, Template)>,
    /// What is the same for every message.
    known: Map<String, Value>,
    /// Where the gateway reports, without the message's reference.
    callback: Option<String>,
}

/// What every template is tried with: a text that would break a body which does not escape it.
const SAMPLE: Message<'_> = Message {
    to: "+491701234567",
    text: "A \"quoted\" line\nand <another> & 50 %",
    id: "018f0000-0000-7000-8000-000000000000",
    now: Timestamp::UNIX_EPOCH,
    nonce: "018f0000",
    template: None,
};

impl RequestTemplates {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        let url = config.url.as_ref().map(Masked::reveal).ok_or_else(|| place.invalid("url", "is needed"))?;
        let method = method(config).map_err(|problem| place.invalid("method", problem))?;
        let escape = body_escape(config).map_err(|problem| place.invalid("headers", problem))?;
        let compile = |key: &str, text: &str, escape| Template::new(text, escape).map_err(|problem| place.invalid(key, problem));
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let key = format!("headers.{name}");
            let header = HeaderName::try_from(name).map_err(|_| place.invalid(&key, "is not a header's name"))?;
            headers.push((header, compile(&key, value.reveal(), Escape::None)?));
        }
        let mut parts = Vec::new();
        for part in &config.parts {
            let template = compile(&format!("parts.{}", part.name), &part.text, Escape::of_part(part.escape))?;
            parts.push((part.name.clone(), template));
        }
        let made = Self {
            method,
            url: compile("url", url, Escape::Url)?,
            query: config.query.as_deref().map(|query| compile("query", query, Escape::Url)).transpose()?,
            headers,
            body: config.body.as_deref().map(|body| compile("body", body, escape)).transpose()?,
            body_last: config.body.as_deref().is_some_and(|body| config.parts.iter().any(|part| uses(body, &part.name))),
            vendor: VendorTemplates::new(place, config)?,
            parts,
            known: known(config),
            callback: callback(place, config)?,
        };
        made.try_out(place, escape)?;
        Ok(made)
    }

    /// The request for one message. The error names the piece and what is wrong with it, and holds no value.
    pub(super) fn render(&self, message: &Message<'_>) -> Result<HttpRequest, (String, String)> {
        self.render_with(&self.known, message)
    }

    fn render_with(&self, known: &Map<String, Value>, message: &Message<'_>) -> Result<HttpRequest, (String, String)> {
        let mut values = Values::new(known, message);
        if let Some(callback) = &self.callback {
            values.set("callback", format!("{callback}reference={}", message.id));
        }
        self.vendor.apply(message, &mut values).map_err(|problem| ("templates".to_owned(), problem))?;
        let piece = |key: &str, template: &Template, values: &Values| {
            template.render(values).map_err(|problem| (key.to_owned(), problem))
        };
        let mut body = None;
        if let Some(template) = self.body.as_ref().filter(|_| !self.body_last) {
            let text = piece("body", template, &values)?;
            values.set("body", text.clone());
            body = Some(text);
        }
        for (name, template) in &self.parts {
            let text = piece(&format!("parts.{name}"), template, &values)?;
            values.set_part(name, text);
        }
        if let Some(template) = self.body.as_ref().filter(|_| self.body_last) {
            body = Some(piece("body", template, &values)?);
        }
        let url = Url::parse(&piece("url", &self.url, &values)?).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut url = url.ok_or_else(|| ("url".to_owned(), "must be an http:// or https:// URL".to_owned()))?;
        if let Some(template) = &self.query {
            let more = piece("query", template, &values)?;
            let query = url.query().filter(|query| !query.is_empty()).map_or(more.clone(), |query| format!("{query}&{more}"));
            url.set_query(Some(&query));
        }
        let mut headers = HeaderMap::new();
        for (name, template) in &self.headers {
            let key = format!("headers.{name}");
            let value = HeaderValue::try_from(piece(&key, template, &values)?);
            let mut value = value.map_err(|_| (key, "must not hold line breaks or other control characters".to_owned()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(HttpRequest { method: self.method.clone(), url, headers, body: body.map(String::into_bytes) })
    }

    fn try_out(&self, place: Place<'_>, escape: Escape) -> Result<(), ConfigError> {
        // A header may carry the text if that is one line; it is tried with one.
        let line = Message { text: "A line", ..SAMPLE };
        // Where each template of ours has one of the gateway's there need be none for all others.
        let known = self.vendor.with_first(&self.known);
        self.render_with(&known, &line).map_err(|(key, problem)| place.invalid(&key, problem))?;
        let Some(body) = self.body.as_ref().filter(|_| escape == Escape::Json && !self.body_last) else { return Ok(()) };
        let mut values = Values::new(&known, &SAMPLE);
        values.set("callback", String::new());
        self.vendor.apply(&SAMPLE, &mut values).map_err(|problem| place.invalid("templates", problem))?;
        let body = body.render(&values).map_err(|problem| place.invalid("body", problem))?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(place.invalid("body", "is not JSON once it is filled in: values stand between quotes, \"{{text}}\""));
        }
        Ok(())
    }
}

/// Whether a template uses the part of that name.
fn uses(text: &str, part: &str) -> bool {
    text.contains(&format!("part \"{part}\"")) || text.contains(&format!("part '{part}'"))
}

/// The values that are the same for every message. What is not set is absent, so that a template that needs it is refused.
fn known(config: &SmsProviderConfig) -> Map<String, Value> {
    let mut known = Map::new();
    known.insert("values".into(), json!(config.values));
    let mut add = |name: &str, value: Option<&str>| value.map(|value| known.insert(name.to_owned(), value.into()));
    add("from", config.from.as_deref());
    add("username", config.username.as_deref());
    add("password", config.password.as_ref().map(Masked::reveal));
    // As the request's own header Host has it.
    let url = config.url.as_ref().and_then(|url| Url::parse(url.reveal().split("{{").next().unwrap_or_default()).ok());
    if let Some(host) = url.as_ref().and_then(Url::host_str) {
        let port = url.as_ref().and_then(Url::port).map(|port| format!(":{port}")).unwrap_or_default();
        add("host", Some(&format!("{host}{port}")));
    }
    known
}

/// Where the gateway reports; the message's reference follows. A gateway that proves itself by the secret is told it here.
fn callback(place: Place<'_>, config: &SmsProviderConfig) -> Result<Option<String>, ConfigError> {
    let Some(url) = &config.callback_url else { return Ok(None) };
    let form =
        "must be the whole address of the callback without a query, such as https://notify.example.com/v1/callbacks/sms/gw";
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    parsed.ok_or_else(|| place.invalid("callback_url", form))?;
    let secret = config.receipts.as_ref().filter(|receipts| matches!(receipts.proof, None | Some(Proof::Secret)));
    let secret = secret.and_then(|receipts| receipts.secret.as_ref());
    let secret = secret.map(|secret| format!("secret={}&", Escape::Url.apply(secret.reveal()))).unwrap_or_default();
    Ok(Some(format!("{url}?{secret}")))
}

fn method(config: &SmsProviderConfig) -> Result<Method, String> {
    match &config.method {
        None if config.body.is_some() => Ok(Method::POST),
        None => Ok(Method::GET),
        Some(name) => match name.to_ascii_uppercase().as_str() {
            "GET" if config.body.is_some() => Err("GET has no body".into()),
            "GET" => Ok(Method::GET),
            "POST" => Ok(Method::POST),
            "PUT" => Ok(Method::PUT),
            _ => Err("must be GET, POST or PUT".into()),
        },
    }
}

const CONTENT_TYPE_NEEDED: &str = "a body needs a header Content-Type, by which its values are escaped: application/json, \
                                   application/x-www-form-urlencoded, application/xml or text/plain";

fn body_escape(config: &SmsProviderConfig) -> Result<Escape, String> {
    if config.body.is_none() {
        return Ok(Escape::None);
    }
    let given = config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    given.and_then(|(_, value)| Escape::by_content_type(value.reveal())).ok_or_else(|| CONTENT_TYPE_NEEDED.into())
}
