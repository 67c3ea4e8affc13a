//! The keys that sign mails (DKIM, RFC 6376): those of the sender's domain, several while one replaces another.

use std::{io, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use lettre::{
    Message,
    message::{
        dkim::{DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey},
        header::HeaderName,
    },
};
use pkcs8::{LineEnding, ObjectIdentifier, PrivateKeyInfo, SecretDocument};

use crate::{ConfigError, DkimSettings, config::Place};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is signed. A header that a mail lacks is signed as absent, so that nobody adds it on the way.
const HEADERS: [&str; 14] = [
    "From",
    "Reply-To",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
];
const SIGNATURE: &str = "DKIM-Signature";

/// A key, and the domain that it signs for.
#[derive(Clone)]
pub(super) struct DkimKey {
    domain: Arc<str>,
    config: Arc<DkimConfig>,
}

/// The keys that sign a mail from `domain`: those of it or of a domain above it. Where there is none all sign, as a relay would.
pub(super) fn keys_for<'a>(keys: &'a [DkimKey], domain: &str) -> impl Iterator<Item = &'a DkimKey> {
    let is_of = move |key: &DkimKey, domain: &str| {
        let rest = domain.to_ascii_lowercase();
        rest.strip_suffix(&*key.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let any = keys.iter().any(|key| is_of(key, domain));
    let domain = domain.to_owned();
    keys.iter().filter(move |key| !any || is_of(key, &domain))
}

/// The mail with a signature of each key above it.
pub(super) fn sign(mut message: Message, keys: &[DkimKey]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for key in keys {
        message.sign(&key.config);
        bytes.extend_from_slice(signature(&message).as_bytes());
        // lettre keeps one header of a name; the others stand above.
        message.headers_mut().remove_raw(SIGNATURE);
    }
    bytes.extend_from_slice(&message.formatted());
    bytes
}

/// The signature's header, folded as lettre folds it.
fn signature(message: &Message) -> String {
    let headers = message.headers().to_string();
    let start = headers.find(SIGNATURE).unwrap_or(headers.len());
    let header = &headers[start..];
    let ends = header.match_indices("\r\n").map(|(at, _)| at + 2);
    let end = ends.into_iter().find(|end| !header[*end..].starts_with([' ', '\t'])).unwrap_or(header.len());
    header[..end].to_owned()
}

/// Reads the key and checks the names.
pub(super) fn load(place: Place<'_>, settings: &DkimSettings) -> Result<DkimKey, ConfigError> {
    for (field, name) in [("dkim.domain", &settings.domain), ("dkim.selector", &settings.selector)] {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(place.invalid(field, "must be letters, digits, `-`, `_` and dots, as in DNS"));
        }
    }
    let path = &settings.key_file;
    let pem = std::fs::read_to_string(path).map_err(|e| place.file("dkim.key_file", path, e))?;
    let key = parse_key(&pem)
        .map_err(|problem| place.file("dkim.key_file", path, io::Error::new(io::ErrorKind::InvalidData, problem)))?;
    // Relaxed: a relay may fold a header anew or trim a line without breaking the signature.
    let canonicalization =
        DkimCanonicalization { header: DkimCanonicalizationType::Relaxed, body: DkimCanonicalizationType::Relaxed };
    let headers = HEADERS.map(HeaderName::new_from_ascii_str).to_vec();
    let config = DkimConfig::new(settings.selector.clone(), settings.domain.clone(), key, headers, canonicalization);
    Ok(DkimKey { domain: settings.domain.to_ascii_lowercase().into(), config: Arc::new(config) })
}

/// lettre takes RSA as PKCS#1 only and Ed25519 as bare base64: PKCS#8, which `openssl genpkey` writes, is unwrapped.
fn parse_key(pem: &str) -> Result<DkimSigningKey, String> {
    const EXPECTED: &str = "not an RSA (PKCS#1 or PKCS#8) or Ed25519 (PKCS#8) private key in PEM without a passphrase";
    let bad = |error: &dyn std::fmt::Display| format!("{EXPECTED}: {error}");
    let (label, document) = SecretDocument::from_pem(pem.trim_start()).map_err(|e| bad(&e))?;
    if label == "RSA PRIVATE KEY" {
        return DkimSigningKey::new(pem.trim_start(), DkimSigningAlgorithm::Rsa).map_err(|e| bad(&e));
    }
    let wrapped = PrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| bad(&e))?;
    match wrapped.algorithm.oid {
        RSA => {
            let inner = SecretDocument::try_from(wrapped.private_key).map_err(|e| bad(&e))?;
            let pkcs1 = inner.to_pem("RSA PRIVATE KEY", LineEnding::LF).map_err(|e| bad(&e))?;
            DkimSigningKey::new(&pkcs1, DkimSigningAlgorithm::Rsa).map_err(|e| bad(&e))
        }
        ED25519 => {
            // RFC 8410 section 7: an OCTET STRING (tag 4) of 32 bytes within the octets.
            let seed = wrapped.private_key.strip_prefix(&[0x04, 0x20]).ok_or(EXPECTED)?;
            DkimSigningKey::new(&BASE64_STANDARD.encode(seed), DkimSigningAlgorithm::Ed25519).map_err(|e| bad(&e))
        }
        other => Err(bad(&format_args!("algorithm {other}"))),
    }
}
