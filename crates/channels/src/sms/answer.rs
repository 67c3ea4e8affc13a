//! What a gateway's answer means.

use std::time::{Duration, SystemTime};

use regex::Regex;
use reqwest::{StatusCode, header::HeaderMap, header::RETRY_AFTER};
use serde_json::Value;

use crate::{ConfigError, MessageIdRule, SmsProviderConfig, SuccessRule, config::Place, message::Failure, scrub::scrub};

/// The longest message id that is kept, in characters.
const MAX_ID: usize = 128;

/// By what an answer is read.
pub(super) struct AnswerRules {
    success: Success,
    message_id: Option<MessageId>,
    busy: Option<Regex>,
}

enum Success {
    Any,
    Equals { pointer: String, value: String },
    Matches(Regex),
}

enum MessageId {
    Pointer(String),
    Matches(Regex),
}

/// An answer; its body is `None` if it was lost or too long.
pub(super) struct Answer<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: Option<&'a str>,
}

impl AnswerRules {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        let success = match &config.success {
            None => Success::Any,
            Some(rule) => success(rule).map_err(|problem| place.invalid("success", problem))?,
        };
        let message_id = match &config.message_id {
            None => None,
            Some(MessageIdRule::Pointer(pointer)) => {
                Some(MessageId::Pointer(checked_pointer(pointer).map_err(|problem| place.invalid("message_id", problem))?))
            }
            Some(MessageIdRule::Regex { regex }) => {
                Some(MessageId::Matches(compile(regex).map_err(|problem| place.invalid("message_id", problem))?))
            }
        };
        Ok(Self { success, message_id, busy: None })
    }

    /// Rules on the body alone: what it says when the message was taken, and when the gateway is busy.
    pub(super) fn by_words(taken: &str, busy: &str) -> Result<Self, regex::Error> {
        Ok(Self { success: Success::Matches(Regex::new(taken)?), message_id: None, busy: Some(Regex::new(busy)?) })
    }

    /// The gateway's id of the message, if it took it and gave one.
    ///
    /// Only an answer that says so tells that nothing was sent: 429, a 503 that asks to come back, and refusals. After
    /// any other server error a gateway may have sent the message before it failed.
    pub(super) fn judge(&self, answer: &Answer<'_>) -> Result<Option<String>, Failure> {
        let status = answer.status.as_u16();
        let said = format!("the gateway answered {status}");
        let wait = retry_after(answer.headers, SystemTime::now());
        let busy = || answer.body.is_some_and(|body| self.busy.as_ref().is_some_and(|busy| busy.is_match(body)));
        match status {
            200..=299 => self.judge_success(&said, answer.body),
            429 => Err(Failure::Transient { detail: said, retry_after: wait, provider_down: true }),
            503 if wait.is_some() || busy() => Err(Failure::Transient { detail: said, retry_after: wait, provider_down: true }),
            500.. => Err(Failure::unknown(said)),
            300..=399 => Err(Failure::permanent(format!("{said}; redirects are not followed"))),
            _ => Err(Failure::permanent(said)),
        }
    }

    fn judge_success(&self, said: &str, body: Option<&str>) -> Result<Option<String>, Failure> {
        if let Success::Any = self.success {
            return Ok(body.and_then(|body| self.find_id(body)));
        }
        let Some(body) = body else {
            return Err(Failure::unknown(format!("{said}, but what it said was lost or too long")));
        };
        match &self.success {
            Success::Any => {}
            Success::Matches(regex) => {
                if !regex.is_match(body) {
                    return Err(Failure::permanent(format!("{said}, and its words do not say success")));
                }
            }
            Success::Equals { pointer, value } => {
                let Ok(json) = serde_json::from_str::<Value>(body) else {
                    return Err(Failure::unknown(format!("{said}, but not in JSON")));
                };
                match json.pointer(pointer).and_then(plain) {
                    Some(found) if found == *value => {}
                    // A status code is short; whatever is longer may be about the recipient.
                    Some(found) if found.len() <= 40 => {
                        return Err(Failure::permanent(format!("{said}, {pointer} {}", scrub(&found, &[]))));
                    }
                    _ => return Err(Failure::permanent(format!("{said}, and {pointer} does not say success"))),
                }
            }
        }
        Ok(self.find_id(body))
    }

    fn find_id(&self, body: &str) -> Option<String> {
        let id = match self.message_id.as_ref()? {
            MessageId::Pointer(pointer) => plain(serde_json::from_str::<Value>(body).ok()?.pointer(pointer)?)?,
            MessageId::Matches(regex) => {
                let found = regex.captures(body)?;
                found.get(1).or_else(|| found.get(0))?.as_str().to_owned()
            }
        };
        let fits = !id.is_empty() && id.chars().count() <= MAX_ID && !id.chars().any(char::is_control);
        fits.then_some(id)
    }
}

fn success(rule: &SuccessRule) -> Result<Success, String> {
    match (&rule.pointer, &rule.equals, &rule.regex) {
        (Some(pointer), Some(value), None) => {
            let value = plain(value).ok_or("equals must be text, a number, true or false")?;
            Ok(Success::Equals { pointer: checked_pointer(pointer)?, value })
        }
        (None, None, Some(regex)) => Ok(Success::Matches(compile(regex)?)),
        _ => Err(r#"must be { pointer = "/status", equals = "0" } or { regex = "^OK" }"#.into()),
    }
}

fn checked_pointer(pointer: &str) -> Result<String, String> {
    if pointer.starts_with('/') { Ok(pointer.to_owned()) } else { Err("a JSON pointer starts with a slash: /message/id".into()) }
}

fn compile(regex: &str) -> Result<Regex, String> {
    Regex::new(regex).map_err(|_| "is not a regular expression (syntax of the Rust crate regex)".into())
}

/// A simple value as text, so that `0` and `"0"` are the same; nothing for `null`, lists and objects.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(config: &SmsProviderConfig) -> AnswerRules {
        AnswerRules::new(Place { channel: "sms", name: "gw" }, config).unwrap()
    }

    fn judge(rules: &AnswerRules, status: u16, retry_after: Option<&str>, body: Option<&str>) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(wait) = retry_after {
            headers.insert(RETRY_AFTER, wait.parse().unwrap());
        }
        rules.judge(&Answer { status: StatusCode::from_u16(status).unwrap(), headers: &headers, body })
    }

    #[test]
    fn only_an_answer_that_says_so_tells_that_nothing_was_sent() {
        let any = rules(&SmsProviderConfig::default());
        assert!(matches!(judge(&any, 204, None, None), Ok(None)));
        let Err(Failure::Transient { retry_after, .. }) = judge(&any, 429, Some("7"), None) else { panic!() };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
        assert!(matches!(judge(&any, 429, None, None), Err(Failure::Transient { retry_after: None, .. })));
        assert!(matches!(judge(&any, 503, Some("1"), None), Err(Failure::Transient { .. })));
        for status in [500, 502, 503, 504] {
            assert!(matches!(judge(&any, status, None, None), Err(Failure::Unknown(_))), "{status}");
        }
        for status in [301, 307, 400, 401, 404, 408] {
            assert!(matches!(judge(&any, status, None, None), Err(Failure::Permanent(_))), "{status}");
        }
    }

    #[test]
    fn a_rule_on_json() {
        let success = SuccessRule { pointer: Some("/status".into()), equals: Some("0".into()), regex: None };
        let message_id = Some(MessageIdRule::Pointer("/id".into()));
        let rules = rules(&SmsProviderConfig { success: Some(success), message_id, ..Default::default() });
        assert_eq!(judge(&rules, 200, None, Some(r#"{"status":0,"id":77}"#)).unwrap().as_deref(), Some("77"));
        assert_eq!(judge(&rules, 200, None, Some(r#"{"status":"0"}"#)).unwrap(), None);
        let Err(Failure::Permanent(detail)) = judge(&rules, 200, None, Some(r#"{"status":"4"}"#)) else { panic!() };
        assert_eq!(detail, "the gateway answered 200, /status 4");
        let Err(Failure::Permanent(detail)) = judge(&rules, 200, None, Some(r#"{"status":"491701234567"}"#)) else { panic!() };
        assert!(!detail.contains("49170"));
        for lost in [None, Some("<html>")] {
            assert!(matches!(judge(&rules, 200, None, lost), Err(Failure::Unknown(_))));
        }
    }

    #[test]
    fn a_rule_on_words() {
        let success = SuccessRule { regex: Some("^OK".into()), ..Default::default() };
        let message_id = Some(MessageIdRule::Regex { regex: r"id=(\w+)".into() });
        let rules = rules(&SmsProviderConfig { success: Some(success), message_id, ..Default::default() });
        assert_eq!(judge(&rules, 200, None, Some("OK id=ab1 x")).unwrap().as_deref(), Some("ab1"));
        assert!(matches!(judge(&rules, 200, None, Some("ERR id=ab1")), Err(Failure::Permanent(_))));
    }

    #[test]
    fn the_words_of_kannel() {
        let rules = AnswerRules::by_words(super::super::kannel::TAKEN, super::super::kannel::BUSY).unwrap();
        assert!(judge(&rules, 202, None, Some("0: Accepted for delivery")).is_ok());
        assert!(judge(&rules, 202, None, Some("3: Queued for later delivery")).is_ok());
        assert!(matches!(judge(&rules, 503, None, Some("Temporal failure, try again later.")), Err(Failure::Transient { .. })));
        assert!(matches!(judge(&rules, 503, None, Some("<h1>proxy</h1>")), Err(Failure::Unknown(_))));
        assert!(matches!(judge(&rules, 403, None, Some("Authorization failed for sendsms")), Err(Failure::Permanent(_))));
    }

    #[test]
    fn a_date_to_come_back_at() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").unwrap();
        let wait = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(37)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
