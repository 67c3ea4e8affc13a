//! What a gateway's answer means.

use std::time::{Duration, SystemTime};

use reqwest::{header::HeaderMap, header::RETRY_AFTER};

use super::found::{Body, Find, Fits, Verdict};
use crate::{
    ConfigError, Meaning, SmsProviderConfig,
    config::Place,
    message::Failure,
    outbound::{HttpAnswer, HttpBody},
    scrub::scrub,
};

/// By what an answer is read.
pub(super) struct AnswerRules {
    success: Option<Fits>,
    errors: Vec<(Fits, Meaning)>,
    message_id: Option<Find>,
    reason: Option<Find>,
}

impl AnswerRules {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        let invalid = |key: &'static str| move |problem: String| place.invalid(key, problem);
        let mut errors = Vec::new();
        for rule in &config.errors {
            errors.push((Fits::new(&rule.when).map_err(invalid("errors"))?, rule.means));
        }
        Ok(Self {
            success: config.success.as_ref().map(Fits::new).transpose().map_err(invalid("success"))?,
            errors,
            message_id: config.message_id.as_ref().map(Find::new).transpose().map_err(invalid("message_id"))?,
            reason: config.reason.as_ref().map(Find::new).transpose().map_err(invalid("reason"))?,
        })
    }

    /// The gateway's id of the message, if it took it and gave one.
    ///
    /// Only an answer that says so tells that nothing was sent: what the operator's rules say, 429, a 503 that asks to come
    /// back, and refusals. After any other server error a gateway may have sent the message before it failed.
    pub(super) fn judge(&self, answer: &HttpAnswer) -> Result<Option<String>, Failure> {
        let text = match &answer.body {
            HttpBody::Whole(bytes) => Some(String::from_utf8_lossy(bytes)),
            HttpBody::TooLong | HttpBody::Lost => None,
        };
        let body = Body::new(text.as_deref().unwrap_or_default());
        let wait = retry_after(&answer.headers, SystemTime::now());
        let said = self.said(answer.status, &body);
        if let Some(meaning) = self.fitting(answer.status, text.is_some(), &body) {
            return Err(match meaning {
                Meaning::Transient => Failure::Transient { detail: said, retry_after: wait, provider_down: false },
                Meaning::Busy => Failure::Transient { detail: said, retry_after: wait, provider_down: true },
                Meaning::Permanent => Failure::permanent(said),
                Meaning::Unknown => Failure::unknown(said),
            });
        }
        match answer.status {
            200..=299 => self.judge_success(answer.status, &said, text.is_some(), &body),
            429 => Err(Failure::Transient { detail: said, retry_after: wait, provider_down: true }),
            503 if wait.is_some() => Err(Failure::Transient { detail: said, retry_after: wait, provider_down: true }),
            500.. => Err(Failure::unknown(said)),
            300..=399 => Err(Failure::permanent(format!("{said}; redirects are not followed"))),
            _ => Err(Failure::permanent(said)),
        }
    }

    fn fitting(&self, status: u16, whole: bool, body: &Body<'_>) -> Option<Meaning> {
        let readable = |fits: &Fits| whole || !fits.reads_the_body();
        let fits = |(fits, _): &&(Fits, Meaning)| readable(fits) && fits.judge(status, body) == Verdict::Holds;
        self.errors.iter().find(fits).map(|(_, meaning)| *meaning)
    }

    fn judge_success(&self, status: u16, said: &str, whole: bool, body: &Body<'_>) -> Result<Option<String>, Failure> {
        let found = || self.message_id.as_ref().and_then(|find| find.find(body));
        // A page for people is somebody else's answer: a proxy's, a login's. What the gateway did is not known.
        let page = || Failure::unknown(format!("{said}, with a page for people"));
        let Some(success) = &self.success else { return if is_page(body.text) { Err(page()) } else { Ok(found()) } };
        if !whole && success.reads_the_body() {
            return Err(Failure::unknown(format!("{said}, but what it said was lost or too long")));
        }
        match success.judge(status, body) {
            Verdict::Holds => Ok(found()),
            Verdict::Fails(_) if is_page(body.text) => Err(page()),
            Verdict::Unreadable => Err(Failure::unknown(format!("{said}, in words that cannot be read"))),
            // A status code is short; whatever is longer may be about the recipient.
            Verdict::Fails(Some(found)) if found.len() <= 40 && self.reason.is_none() => {
                Err(Failure::permanent(format!("{said}: {}", scrub(&found, &[]))))
            }
            Verdict::Fails(_) => Err(Failure::permanent(format!("{said}, which is no success"))),
        }
    }

    fn said(&self, status: u16, body: &Body<'_>) -> String {
        let reason = self.reason.as_ref().filter(|_| !(200..300).contains(&status) || self.fails(status, body));
        match reason.and_then(|find| find.find(body)) {
            Some(reason) => format!("the gateway answered {status}: {}", scrub(&reason, &[])),
            None => format!("the gateway answered {status}"),
        }
    }

    fn fails(&self, status: u16, body: &Body<'_>) -> bool {
        self.success.as_ref().is_some_and(|success| success.judge(status, body) != Verdict::Holds)
    }
}

fn is_page(text: &str) -> bool {
    let head = text.trim_start().get(..14).unwrap_or_default().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
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
    use serde_json::json;

    use super::*;

    fn rules(settings: serde_json::Value) -> AnswerRules {
        let config: SmsProviderConfig = serde_json::from_value(settings).unwrap();
        AnswerRules::new(Place { channel: "sms", name: "gw" }, &config).unwrap()
    }

    fn judge(rules: &AnswerRules, status: u16, retry_after: Option<&str>, body: Option<&str>) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(wait) = retry_after {
            headers.insert(RETRY_AFTER, wait.parse().unwrap());
        }
        let body = body.map_or(HttpBody::Lost, |body| HttpBody::Whole(body.into()));
        rules.judge(&HttpAnswer { status, headers, body })
    }

    #[test]
    fn only_an_answer_that_says_so_tells_that_nothing_was_sent() {
        let any = rules(json!({}));
        assert!(matches!(judge(&any, 204, None, None), Ok(None)));
        let page = Some("<!doctype html><title>Sign in</title>");
        assert!(matches!(judge(&any, 200, None, page), Err(Failure::Unknown(_))));
        assert!(matches!(judge(&rules(json!({ "success": { "status": [200] } })), 200, None, page), Ok(None)), "if it is said");
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
        let rules = rules(json!({ "success": { "pointer": "/status", "equals": "0" }, "message_id": "/id" }));
        assert_eq!(judge(&rules, 200, None, Some(r#"{"status":0,"id":77}"#)).unwrap().as_deref(), Some("77"));
        assert_eq!(judge(&rules, 200, None, Some(r#"{"status":"0"}"#)).unwrap(), None);
        let Err(Failure::Permanent(detail)) = judge(&rules, 200, None, Some(r#"{"status":"4"}"#)) else { panic!() };
        assert_eq!(detail, "the gateway answered 200: 4");
        let Err(Failure::Permanent(detail)) = judge(&rules, 200, None, Some(r#"{"status":"491701234567"}"#)) else { panic!() };
        assert!(!detail.contains("49170"));
        for lost in [None, Some("<html>")] {
            assert!(matches!(judge(&rules, 200, None, lost), Err(Failure::Unknown(_))));
        }
    }

    #[test]
    fn a_rule_on_xml() {
        let success = json!({ "xml": "/answer/@code", "equals": [0, 1] });
        let rules =
            rules(json!({ "success": success, "message_id": { "xml": "/answer/id" }, "reason": { "xml": "/answer/why" } }));
        assert_eq!(judge(&rules, 200, None, Some("<answer code='1'><id>m7</id></answer>")).unwrap().as_deref(), Some("m7"));
        let refused = "<answer code='9'><why>no such number 491701234567</why></answer>";
        let Err(Failure::Permanent(detail)) = judge(&rules, 200, None, Some(refused)) else { panic!() };
        assert_eq!(detail, "the gateway answered 200: no such number [hidden], which is no success");
        assert!(matches!(judge(&rules, 200, None, Some("<!doctype html><p>Hello")), Err(Failure::Unknown(_))));
    }

    #[test]
    fn a_rule_on_words() {
        let rules = rules(json!({ "success": { "regex": "^OK" }, "message_id": { "regex": r"id=(\w+)" } }));
        assert_eq!(judge(&rules, 200, None, Some("OK id=ab1 x")).unwrap().as_deref(), Some("ab1"));
        assert!(matches!(judge(&rules, 200, None, Some("ERR id=ab1")), Err(Failure::Permanent(_))));
        for page in ["<!DOCTYPE html><p>Sign in", " \n<html lang=en><body>Back in a minute"] {
            assert!(matches!(judge(&rules, 200, None, Some(page)), Err(Failure::Unknown(_))), "{page}");
        }
    }

    #[test]
    fn the_operator_says_what_errors_mean() {
        let rules = rules(json!({ "success": { "pointer": "/code", "equals": 0 }, "errors": [
            { "when": { "pointer": "/code", "equals": [1, 2] }, "means": "transient" },
            { "when": { "status": [200, 500], "pointer": "/code", "equals": 3 }, "means": "busy" },
            { "when": { "status": [500], "regex": "^down" }, "means": "permanent" },
            { "when": { "status": [400] }, "means": "unknown" },
        ] }));
        let down = |status, body| match judge(&rules, status, None, Some(body)) {
            Err(Failure::Transient { provider_down, .. }) => Some(provider_down),
            _ => None,
        };
        assert_eq!(down(200, r#"{"code":2}"#), Some(false));
        assert_eq!(down(500, r#"{"code":3}"#), Some(true));
        assert!(matches!(judge(&rules, 500, None, Some("down for good")), Err(Failure::Permanent(_))));
        assert!(matches!(judge(&rules, 500, None, None), Err(Failure::Unknown(_))), "what was lost fits no rule on it");
        assert!(matches!(judge(&rules, 400, None, None), Err(Failure::Unknown(_))));
        assert!(judge(&rules, 200, None, Some(r#"{"code":0}"#)).is_ok());
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
