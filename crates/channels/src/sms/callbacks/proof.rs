//! How a gateway proves that a call is its own. Whatever is compared is compared in constant time.

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use sha2::Sha256;
use stentor_domain::Timestamp;
use subtle::ConstantTimeEq;

use super::{BadCall, Call, FRESH};
use crate::{
    ConfigError, IncomingConfig, Masked, Proof, ReceiptConfig, SmsProviderConfig,
    config::Place,
    sms::helpers::{hexadecimal, mac},
};

/// Checks the calls of one gateway.
#[derive(Debug)]
pub(super) enum Prover {
    Secret(Masked),
    Header { name: String, secret: Masked },
    Hmac { name: String, secret: Masked },
    Twilio { url: String, token: Masked },
    Vonage(Masked),
    Jwt(Masked),
}

impl Prover {
    pub(super) fn of_receipts(place: Place<'_>, provider: &SmsProviderConfig, own: &ReceiptConfig) -> Result<Self, ConfigError> {
        let url = provider.callback_url.clone();
        Self::new(place, "receipts", own.proof, own.secret.as_ref(), own.header.as_ref(), provider, url)
    }

    /// As in the receipts, unless something else is said.
    pub(super) fn of_incoming(place: Place<'_>, provider: &SmsProviderConfig, own: &IncomingConfig) -> Result<Self, ConfigError> {
        let receipts = provider.receipts.clone().unwrap_or_default();
        let (proof, secret) = (own.proof.or(receipts.proof), own.secret.as_ref().or(receipts.secret.as_ref()));
        let header = own.header.as_ref().or(receipts.header.as_ref());
        let url = provider.callback_url.as_ref().map(|url| format!("{url}/incoming"));
        Self::new(place, "incoming", proof, secret, header, provider, url)
    }

    fn new(
        place: Place<'_>,
        section: &str,
        proof: Option<Proof>,
        secret: Option<&Masked>,
        header: Option<&String>,
        provider: &SmsProviderConfig,
        url: Option<String>,
    ) -> Result<Self, ConfigError> {
        let invalid = |key: &str, problem: &str| place.invalid(&format!("{section}.{key}"), problem);
        let secret = || {
            let long = secret.filter(|secret| secret.reveal().len() >= 16).cloned();
            long.ok_or_else(|| invalid("secret", "must be at least 16 characters: whoever knows it can report"))
        };
        let name = || header.cloned().ok_or_else(|| invalid("header", "must name the header that the gateway sends"));
        Ok(match proof.unwrap_or(Proof::Secret) {
            Proof::Secret => Self::Secret(secret()?),
            Proof::Header => Self::Header { name: name()?, secret: secret()? },
            Proof::Hmac => Self::Hmac { name: name()?, secret: secret()? },
            Proof::Twilio => {
                let token = provider.password.clone();
                let token = token.ok_or_else(|| place.invalid("password", "is the account's token, by which Twilio signs"))?;
                let url = url.ok_or_else(|| place.invalid("callback_url", "is needed: Twilio signs the URL that it calls"))?;
                Self::Twilio { url, token }
            }
            Proof::Vonage => Self::Vonage(secret()?),
            Proof::Jwt => Self::Jwt(secret()?),
        })
    }

    pub(super) fn check(&self, call: &Call<'_>) -> Result<(), BadCall> {
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let proven = match self {
            Self::Secret(secret) => same(field(call.query, "secret").as_bytes(), secret.reveal().as_bytes()),
            Self::Header { name, secret } => same(header(name).as_bytes(), secret.reveal().as_bytes()),
            Self::Hmac { name, secret } => signed(header(name), secret, call.body),
            Self::Twilio { url, token } => same(twilio(url, token, call).as_bytes(), header("x-twilio-signature").as_bytes()),
            Self::Vonage(secret) => vonage(secret, call),
            Self::Jwt(secret) => token(header("authorization"), secret, call),
        };
        if proven { Ok(()) } else { Err(BadCall::Refused) }
    }
}

/// Compares without telling by the time how much of it was right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.ct_eq(expected).into()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

/// HMAC-SHA256 of the body in hex, perhaps behind `sha256=`, or in Base64.
fn signed(given: &str, secret: &Masked, body: &[u8]) -> bool {
    let Some(mac) = mac("sha256", secret.reveal().as_bytes(), body) else { return false };
    let given = given.strip_prefix("sha256=").unwrap_or(given);
    let as_hex = same(given.to_ascii_lowercase().as_bytes(), hexadecimal(&mac).as_bytes());
    as_hex | same(given.as_bytes(), BASE64_STANDARD.encode(&mac).as_bytes())
}

/// Twilio's signature: the URL that it called with the form's fields behind it, by name
/// (<https://www.twilio.com/docs/usage/security>, "Validating requests").
fn twilio(url: &str, token: &Masked, call: &Call<'_>) -> String {
    let mut text = url.to_owned();
    if !call.raw_query.is_empty() {
        text.extend(["?", call.raw_query]);
    }
    let mut fields: Vec<&(String, String)> = call.form.iter().collect();
    fields.sort();
    for (name, value) in fields {
        text.extend([name.as_str(), value]);
    }
    BASE64_STANDARD.encode(mac("sha1", token.reveal().as_bytes(), text.as_bytes()).unwrap_or_default())
}

/// Vonage's `sig` over the other fields, by name, in which `&` and `=` become `_`; MD5 with the secret behind them, or an
/// HMAC (<https://developer.vonage.com/en/getting-started/concepts/signing-messages>).
fn vonage(secret: &Masked, call: &Call<'_>) -> bool {
    let json = call.json.and_then(serde_json::Value::as_object);
    let plain = |(name, value): (&String, &serde_json::Value)| Some((name.clone(), super::plain(value)?));
    let mut fields: Vec<(String, String)> = call.query.iter().chain(call.form).cloned().collect();
    fields.extend(json.into_iter().flatten().filter_map(plain));
    let given = field(&fields, "sig").to_ascii_lowercase();
    if !is_fresh(field(&fields, "timestamp"), call.now) || given.is_empty() {
        return false;
    }
    fields.retain(|(name, _)| name != "sig");
    fields.sort();
    let text = fields.iter().fold(String::new(), |text, (name, value)| text + "&" + name + "=" + &value.replace(['&', '='], "_"));
    let key = secret.reveal();
    // Which of them it is, the account's settings say; each has its own length.
    let expected = match given.len() {
        64 => mac("sha256", key.as_bytes(), text.as_bytes()),
        128 => mac("sha512", key.as_bytes(), text.as_bytes()),
        40 => mac("sha1", key.as_bytes(), text.as_bytes()),
        _ => Some(Md5::digest(text.clone() + key).to_vec()),
    };
    let by = |mac: Option<Vec<u8>>| same(given.as_bytes(), hexadecimal(&mac.unwrap_or_default()).as_bytes());
    by(expected) | by(mac("md5", key.as_bytes(), text.as_bytes()))
}

/// Whether a Unix time in seconds is about now.
fn is_fresh(seconds: &str, now: Timestamp) -> bool {
    let Ok(seconds) = seconds.parse::<i64>() else { return false };
    let away = now.as_millis().abs_diff(seconds.saturating_mul(1_000));
    u128::from(away) <= FRESH.as_millis()
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    #[serde(default)]
    payload_hash: Option<String>,
}

/// Vonage's signed webhooks (<https://developer.vonage.com/en/getting-started/concepts/webhooks>, "Decoding signed webhooks").
fn token(header: &str, secret: &Masked, call: &Call<'_>) -> bool {
    let Some(token) = header.strip_prefix("Bearer ") else { return false };
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false; // `iat` by our own clock, below
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.reveal().as_bytes());
    let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &validation) else { return false };
    // Without the hash the same token would fit any body.
    let hash = hexadecimal(&Sha256::digest(call.body));
    let fits = token.claims.payload_hash.is_some_and(|given| same(given.to_ascii_lowercase().as_bytes(), hash.as_bytes()));
    fits && is_fresh(&token.claims.iat.to_string(), call.now)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn pairs(text: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    fn check(prover: &Prover, header: Option<(&'static str, &str)>, query: &str, form: &str, body: &str) -> bool {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let (query_fields, form) = (pairs(query), pairs(form));
        let now = Timestamp::from_millis(1_700_000_000_000);
        let call = Call {
            raw_query: query,
            query: &query_fields,
            form: &form,
            headers: &headers,
            body: body.as_bytes(),
            json: None,
            now,
        };
        prover.check(&call).is_ok()
    }

    #[test]
    fn twilios_own_example() {
        // The example of https://www.twilio.com/docs/usage/security, as its helper libraries test it.
        let prover = Prover::Twilio { url: "https://mycompany.com/myapp.php".into(), token: "12345".into() };
        let form = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
        let signature = Some(("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="));
        assert!(check(&prover, signature, "foo=1&bar=2", form, ""));
        assert!(!check(&prover, signature, "foo=1&bar=3", form, ""), "another URL");
        assert!(!check(&prover, signature, "foo=1&bar=2", &form.replace("1234&", "1235&"), ""), "another field");
        assert!(!check(&prover, None, "foo=1&bar=2", form, ""));
    }

    #[test]
    fn vonages_signature_of_the_fields() {
        let prover = Prover::Vonage(SECRET.into());
        let fields = "a=1%262&status=delivered&timestamp=1700000010";
        let text = "&a=1_2&status=delivered&timestamp=1700000010";
        for sig in [
            hexadecimal(&Md5::digest(text.to_owned() + SECRET)),
            hexadecimal(&mac("sha256", SECRET.as_bytes(), text.as_bytes()).unwrap()).to_uppercase(),
            hexadecimal(&mac("md5", SECRET.as_bytes(), text.as_bytes()).unwrap()),
        ] {
            assert!(check(&prover, None, &format!("{fields}&sig={sig}"), "", ""), "{sig}");
            assert!(check(&prover, None, "", &format!("sig={sig}&{fields}"), ""), "as a form");
            assert!(!check(&prover, None, &format!("{}&sig={sig}", fields.replace("delivered", "failed")), "", ""));
        }
        let (old, text) = ("a=1&timestamp=1699999000", "&a=1&timestamp=1699999000");
        let sig = hexadecimal(&mac("sha256", SECRET.as_bytes(), text.as_bytes()).unwrap());
        assert!(!check(&prover, None, &format!("{old}&sig={sig}"), "", ""), "an old one may be a replay");
    }

    #[test]
    fn a_token_fits_its_body_and_its_time() {
        let prover = Prover::Jwt(SECRET.into());
        let token = |body: &str, iat: i64, secret: &str| {
            let claims = json!({ "iat": iat, "jti": "x", "payload_hash": hexadecimal(&Sha256::digest(body)) });
            let key = EncodingKey::from_secret(secret.as_bytes());
            format!("Bearer {}", jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap())
        };
        let check = |token: &str| check(&prover, Some(("authorization", token)), "", "", "{}");
        assert!(check(&token("{}", 1_700_000_000, SECRET)));
        assert!(!check(&token("{ }", 1_700_000_000, SECRET)));
        assert!(!check(&token("{}", 1_699_000_000, SECRET)));
        assert!(!check(&token("{}", 1_700_000_000, "another-secret-16")));
        assert!(!check("Bearer x.y.z"));
    }

    #[test]
    fn a_header_or_a_digest_of_the_body() {
        let prover = Prover::Header { name: "x-token".into(), secret: SECRET.into() };
        assert!(check(&prover, Some(("x-token", SECRET)), "", "", ""));
        assert!(!check(&prover, Some(("x-token", "0123456789abcdeF")), "", "", ""));
        let prover = Prover::Hmac { name: "x-sign".into(), secret: SECRET.into() };
        let digest = mac("sha256", SECRET.as_bytes(), b"{}").unwrap();
        let (hex, base64) = (format!("sha256={}", hexadecimal(&digest)), BASE64_STANDARD.encode(&digest));
        assert!(check(&prover, Some(("x-sign", &hex)), "", "", "{}"));
        assert!(check(&prover, Some(("x-sign", &base64)), "", "", "{}"));
        assert!(!check(&prover, Some(("x-sign", &hex)), "", "", "{ }"));
    }
}
