//! The request that asks a gateway to send a message.

use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::template::{Escape, Template, Values};
use crate::{ConfigError, Masked, SmsProviderConfig, config::Place};

/// How a request is made of a message: templates that were tried once.
pub(super) struct RequestTemplates {
    method: Method,
    url: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
}

/// A request as it goes out.
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<String>,
}

/// What every template is tried with: a text that would break a body which does not escape it.
const SAMPLE: Values<'_> = Values {
    to: "+491701234567",
    text: "A \"quoted\" line\nand <another> & 50 %",
    from: None,
    id: "018f0000-0000-7000-8000-000000000000",
};

impl RequestTemplates {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        let url = config.url.as_ref().map(Masked::reveal).ok_or_else(|| place.invalid("url", "is needed"))?;
        let method = method(config).map_err(|problem| place.invalid("method", problem))?;
        let escape = body_escape(config).map_err(|problem| place.invalid("headers", problem))?;
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let key = format!("headers.{name}");
            let header = HeaderName::try_from(name).map_err(|_| place.invalid(&key, "is not a header's name"))?;
            let template = Template::new(value.reveal(), Escape::None).map_err(|problem| place.invalid(&key, problem))?;
            headers.push((header, template));
        }
        let made = Self {
            method,
            url: Template::new(url, Escape::Url).map_err(|problem| place.invalid("url", problem))?,
            headers,
            body: match &config.body {
                Some(body) => Some(Template::new(body, escape).map_err(|problem| place.invalid("body", problem))?),
                None => None,
            },
        };
        made.try_out(place, config, escape)?;
        Ok(made)
    }

    /// The request for one message. The error names the piece and what is wrong with it, and holds no value.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<Request, (String, String)> {
        let piece = |key: &str, template: &Template| template.render(values).map_err(|problem| (key.to_owned(), problem));
        let url = Url::parse(&piece("url", &self.url)?).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| ("url".to_owned(), "must be an http:// or https:// URL".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, template) in &self.headers {
            let key = format!("headers.{name}");
            let value = HeaderValue::try_from(piece(&key, template)?);
            let mut value = value.map_err(|_| (key, "must not hold line breaks or other control characters".to_owned()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let body = self.body.as_ref().map(|template| piece("body", template)).transpose()?;
        Ok(Request { method: self.method.clone(), url, headers, body })
    }

    fn try_out(&self, place: Place<'_>, config: &SmsProviderConfig, escape: Escape) -> Result<(), ConfigError> {
        let sample = Values { from: config.from.as_deref(), ..SAMPLE };
        // A header may carry the text if that is one line; it is tried with one.
        let line = Values { text: "A line", ..sample };
        self.render(&line).map_err(|(key, problem)| place.invalid(&key, problem))?;
        let Some(body) = &self.body else { return Ok(()) };
        let body = body.render(&sample).map_err(|problem| place.invalid("body", problem))?;
        if escape == Escape::Json && serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(place.invalid("body", "is not JSON once it is filled in: values stand between quotes, \"{{text}}\""));
        }
        Ok(())
    }
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
