//! Links by which a person unsubscribes without logging in (RFC 8058).
//!
//! What the link says (who, of what, in which language) is sealed with a key made of the app's secret: it cannot be forged, and
//! neither a proxy's log nor a forwarded mail's reader sees the address. The same mail has the same link, however often it is made.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use serde::{Deserialize, Serialize};
use stentor_domain::{AppId, EmailAddress, Locale, NotificationId};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 2_048;

/// What a link stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsubscribe {
    /// Who does not want any more mail.
    #[serde(rename = "a")]
    pub address: EmailAddress,
    /// Of which category; of all, if of none.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The language that the mail was for.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The notification that the mail was of.
    #[serde(rename = "n")]
    pub notification: NotificationId,
}

impl Unsubscribe {
    /// The token for a link, sealed with `secret` of `app`.
    pub fn seal(&self, app: &AppId, secret: &[u8]) -> String {
        let mut sealed = serde_json::to_vec(self).unwrap_or_default();
        // A nonce must never serve two texts: it is made of the text.
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&tag(secret, b"stentor unsubscribe nonce", &sealed).as_ref()[..NONCE_LEN]);
        let aad = Aad::from(app.as_str().as_bytes());
        // It fails only for texts of many gigabytes.
        let _ = key(secret).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        let bytes = [&nonce[..], &sealed].concat();
        format!("{app}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whose link it says to be, before it is opened.
    pub fn app_of(token: &str) -> Option<AppId> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        token.split_once('.')?.0.parse().ok()
    }

    /// What the token says; `None` if it was not sealed with `secret` of `app`.
    pub fn open(token: &str, app: &AppId, secret: &[u8]) -> Option<Self> {
        if Self::app_of(token)? != *app {
            return None;
        }
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split_once('.')?.1).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = key(secret).open_in_place(nonce, Aad::from(app.as_str().as_bytes()), sealed).ok()?;
        serde_json::from_slice(text).ok()
    }
}

fn tag(secret: &[u8], what: &[u8], text: &[u8]) -> hmac::Tag {
    let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), what);
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), text)
}

fn key(secret: &[u8]) -> LessSafeKey {
    let bytes = tag(secret, b"stentor unsubscribe key", b"");
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_ref()).expect("a SHA-256 has the 32 bytes of the key"))
}

#[cfg(test)]
mod tests {
    use stentor_domain::Timestamp;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef";

    fn link() -> Unsubscribe {
        Unsubscribe {
            address: "maria@example.com".parse().unwrap(),
            category: Some("news".into()),
            locale: "de".parse().ok(),
            notification: NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]),
        }
    }

    #[test]
    fn is_opened_by_whoever_knows_the_secret_and_says_nothing_to_others() {
        let (app, other): (AppId, AppId) = ("demo".parse().unwrap(), "other".parse().unwrap());
        let token = link().seal(&app, SECRET);
        assert_eq!(token, link().seal(&app, SECRET), "the same mail has the same link");
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{token}");
        assert!(!token.contains("maria"));
        assert_eq!(Unsubscribe::app_of(&token), Some(app.clone()));
        assert_eq!(Unsubscribe::open(&token, &app, SECRET), Some(link()));
        assert_eq!(Unsubscribe::open(&token, &app, b"another"), None);
        assert_eq!(Unsubscribe::open(&token, &other, SECRET), None);
        assert_eq!(Unsubscribe::open(&token.replacen("demo", "other", 1), &other, SECRET), None, "the app is sealed in");
        for n in 5..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[n] = if forged[n] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last letter of base64 may hold bits that mean nothing.
            assert!(Unsubscribe::open(&forged, &app, SECRET).is_none_or(|u| n == token.len() - 1 && u == link()), "{n}");
        }
        for bad in ["", ".", "demo", "demo.", "demo.AAAA", &"x".repeat(5_000)] {
            assert_eq!(Unsubscribe::open(bad, &app, SECRET), None, "{bad}");
        }
    }
}
