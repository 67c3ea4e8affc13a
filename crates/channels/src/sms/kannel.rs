//! Kannel's `sendsms`: a GET with the message in the query (Kannel user guide, "Using the SMS services").

use reqwest::{Method, Url, header::HeaderMap};

use super::{
    request::Request,
    template::{Escape, Values},
};
use crate::{ConfigError, Masked, SmsProviderConfig, config::Place};

/// What Kannel says with a 202 when it has the message: `0: Accepted for delivery` or `3: Queued for later delivery`.
pub(super) const TAKEN: &str = r"^\s*[03]:";
/// What it says with a 503 when it does not have it: `Temporal failure, try again later.` Other 503 may be a proxy's.
pub(super) const BUSY: &str = "(?i)temporal failure";

/// The sendsms URL, to which each message is added.
pub(super) struct Kannel {
    url: Url,
}

impl Kannel {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        const FORM: &str = "must be the whole sendsms URL: http://host:13013/cgi-bin/sendsms?username=…&password=…";
        let url = config.url.as_ref().map(Masked::reveal).and_then(|url| Url::parse(url).ok());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| place.invalid("url", FORM))?;
        Ok(Self { url })
    }

    pub(super) fn request(&self, values: &Values<'_>) -> Request {
        let mut query = self.url.query().unwrap_or_default().to_owned();
        let mut add = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.extend([name, "=", &Escape::Url.apply(value)]);
        };
        if let Some(from) = values.from {
            add("from", from);
        }
        add("to", values.to);
        add("text", values.text);
        add("charset", "UTF-8");
        // 0: seven bits a character; 2: UCS-2. Kannel would replace what its alphabet lacks by question marks.
        add("coding", if is_gsm7(values.text) { "0" } else { "2" });
        let mut url = self.url.clone();
        url.set_query(Some(&query));
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: None }
    }
}

/// Whether GSM 03.38 can write the text: its default alphabet (section 6.2.1) and its extension.
fn is_gsm7(text: &str) -> bool {
    const ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€";
    text.chars().all(|c| ALPHABET.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_added_to_the_query() {
        let config = SmsProviderConfig {
            url: Some("http://gw:13013/cgi-bin/sendsms?username=u&password=p%26".into()),
            ..Default::default()
        };
        let kannel = Kannel::new(Place { channel: "sms", name: "gw" }, &config).unwrap();
        let values = Values { to: "+8613800138000", text: "还款 ¥5 & more", from: Some("Bank"), id: "1" };
        let request = kannel.request(&values);
        let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let expected = [
            ("username", "u"),
            ("password", "p&"),
            ("from", "Bank"),
            ("to", "+8613800138000"),
            ("text", "还款 ¥5 & more"),
            ("charset", "UTF-8"),
            ("coding", "2"),
        ];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let plain = kannel.request(&Values { text: "Due: 5 € [now]", ..values });
        assert!(plain.url.as_str().ends_with("coding=0"));
    }
}
