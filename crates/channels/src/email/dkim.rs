//! The key that signs mails (DKIM, RFC 6376).

use std::io;

use base64::{Engine, prelude::BASE64_STANDARD};
use lettre::message::{
    dkim::{DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey},
    header::HeaderName,
};
use pkcs8::{LineEnding, ObjectIdentifier, PrivateKeyInfo, SecretDocument};

use crate::{ConfigError, DkimSettings, config::Place};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is signed. A header that a mail lacks is signed as absent, so that nobody adds it on the way.
const HEADERS: [&str; 9] =
    ["From", "Reply-To", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"];

/// Reads the key and checks the names.
pub(super) fn load(place: Place<'_>, settings: &DkimSettings) -> Result<DkimConfig, ConfigError> {
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
    Ok(DkimConfig::new(settings.selector.clone(), settings.domain.clone(), key, headers, canonicalization))
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
