//! Return paths that name the delivery (VERP): a bounce comes back to `bounce+TOKEN@…`, and the token says of which mail it is.
//!
//! A token is 52 letters and digits, since a local part has at most 64 bytes (RFC 5321 section 4.5.3.1.1) and no server need
//! keep its capitals: the delivery, a tag of the app, a tag of the address, and a signature with the app's secret. Only who has
//! seen the mail can report it, and what is suppressed is the very address that it went to.

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use stentor_domain::{AppId, DeliveryId, SuppressedAddress};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const TAG: usize = 4;
const SIGNATURE: usize = 8;
const BYTES: usize = 16 + 2 * TAG + SIGNATURE;

/// What a return path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnToken([u8; BYTES]);

impl ReturnToken {
    /// The token of a mail of `app` to `address`.
    pub fn new(app: &AppId, secret: &[u8], delivery: DeliveryId, address: &SuppressedAddress) -> Self {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(delivery.as_uuid().as_bytes());
        bytes[16..20].copy_from_slice(&app_tag(app));
        bytes[20..24].copy_from_slice(&address_tag(secret, address));
        let signature = signature(app, secret, &bytes[..24]);
        bytes[24..].copy_from_slice(&signature);
        Self(bytes)
    }

    /// The token in an address that a bounce came to, or in the local part of it; its signature is not checked yet.
    pub fn find(address: &str) -> Option<Self> {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let text = local.rsplit_once('+').map_or(local, |(_, token)| token).to_ascii_uppercase();
        BASE32_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The delivery.
    pub fn delivery(&self) -> DeliveryId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        DeliveryId::from_uuid(Uuid::from_bytes(bytes))
    }

    /// Whether `app` may be the one: for finding it among others without their secrets.
    pub fn may_be_of(&self, app: &AppId) -> bool {
        self.0[16..20] == app_tag(app)
    }

    /// Whether it was made by `app`, whose secret this is.
    pub fn is_of(&self, app: &AppId, secret: &[u8]) -> bool {
        self.0[24..].ct_eq(&signature(app, secret, &self.0[..24])).into()
    }

    /// Whether the mail went to `address`.
    pub fn is_to(&self, secret: &[u8], address: &SuppressedAddress) -> bool {
        self.0[20..24] == address_tag(secret, address)
    }
}

impl std::fmt::Display for ReturnToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

fn hash<const N: usize>(secret: &[u8], parts: &[&[u8]]) -> [u8; N] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in parts {
        context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; N];
    out.copy_from_slice(&context.sign().as_ref()[..N]);
    out
}

fn app_tag(app: &AppId) -> [u8; TAG] {
    hash(b"stentor return path", &[app.as_str().as_bytes()])
}

fn address_tag(secret: &[u8], address: &SuppressedAddress) -> [u8; TAG] {
    hash(secret, &[b"stentor return path address", address.as_str().as_bytes()])
}

fn signature(app: &AppId, secret: &[u8], bytes: &[u8]) -> [u8; SIGNATURE] {
    hash(secret, &[b"stentor return path", app.as_str().as_bytes(), bytes])
}

#[cfg(test)]
mod tests {
    use stentor_domain::{Channel, NotificationId, Timestamp};

    use super::*;

    #[test]
    fn names_the_delivery_to_whoever_knows_the_secret() {
        let (app, other): (AppId, AppId) = ("demo".parse().unwrap(), "other".parse().unwrap());
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        let delivery = DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Email);
        let of = |text: &str| SuppressedAddress::parse(Channel::Email, text).unwrap();
        let token = ReturnToken::new(&app, b"secret", delivery, &of("maria@example.com"));
        let text = token.to_string();
        assert_eq!(text.len(), 52);
        for address in [format!("bounce+{text}@example.com"), format!("bounce+{}@example.com", text.to_uppercase()), text.clone()]
        {
            assert_eq!(ReturnToken::find(&address), Some(token), "{address}");
        }
        assert_eq!(token.delivery(), delivery);
        assert!(token.may_be_of(&app) && !token.may_be_of(&other));
        assert!(token.is_of(&app, b"secret") && !token.is_of(&app, b"Secret") && !token.is_of(&other, b"secret"));
        assert!(token.is_to(b"secret", &of("Maria@Example.com")) && !token.is_to(b"secret", &of("mario@example.com")));
        let mut forged = token;
        forged.0[3] ^= 1;
        assert!(!forged.is_of(&app, b"secret"));
        for bad in ["", "bounce", "bounce+@example.com", "bounce+1!", &"a".repeat(53)] {
            assert_eq!(ReturnToken::find(bad), None, "{bad}");
        }
    }
}
