//! What the DNS must say for a provider's mails to be believed, SPF, DKIM and DMARC (RFC 7208, 6376, 7489), and to come back (MX).

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use pkcs8::{PrivateKeyInfo, SecretDocument};
use ring::{rsa, signature::Ed25519KeyPair, signature::KeyPair};

use super::compose::parse_mailbox;
use crate::{DkimSettings, EmailConfig, EmailProviderConfig};

/// The DNS type of an Ed25519 and an RSA key in a DKIM record.
const ED25519: &str = "ed25519";
const RSA: &str = "rsa";

/// A record that mails of a provider need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsNeed {
    /// The provider.
    pub provider: String,
    /// The name of the record: TXT, or MX for [`DnsKind::Mx`].
    pub name: String,
    /// The names whose records count where it has none, the first one that has.
    pub or: Vec<String>,
    /// What it must say.
    pub kind: DnsKind,
}

/// What a record must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsKind {
    /// Which servers send for the domain of the return path.
    Spf,
    /// The public half of the key that signs.
    Dkim {
        /// `rsa` or `ed25519`.
        algorithm: &'static str,
        /// The key in base64, as `p=` has it; empty where it cannot be derived (an RSA key below 2048 bits).
        public_key: String,
    },
    /// What receivers do with mails of the domain that are not signed.
    Dmarc,
    /// Which server takes what comes back to the return path.
    Mx,
}

impl DnsKind {
    /// Whether a record says it; if not, what is to be done.
    pub fn check(&self, records: &[String]) -> Result<(), String> {
        let of = |version: &str| records.iter().filter(|record| starts_with(record, version)).collect::<Vec<_>>();
        match self {
            Self::Spf => match of("v=spf1").as_slice() {
                [] => Err("no SPF record: add TXT \"v=spf1 include:YOUR-MAIL-SERVER -all\"".into()),
                [one] if one.contains("+all") => Err("the SPF record allows everybody (+all): end it with -all".into()),
                [_] => Ok(()),
                _ => Err("several SPF records: receivers take none of them; keep one".into()),
            },
            Self::Dmarc => match of("v=DMARC1").as_slice() {
                [] => Err("no DMARC record: add TXT \"v=DMARC1; p=quarantine\"; large mailbox providers ask for one".into()),
                [_] => Ok(()),
                _ => Err("several DMARC records: receivers take none of them; keep one".into()),
            },
            Self::Mx => match records {
                [] => Err("no MX record: bounces do not come back here. Let it name the host whose mail server hands on to [bounce], or \
                           [bounce] itself"
                    .into()),
                [one] if one.ends_with(" .") => {
                    Err("the MX record is \".\": the domain takes no mail, and bounces do not come back".into())
                }
                _ => Ok(()),
            },
            Self::Dkim { algorithm, public_key } => {
                let wanted = format!("v=DKIM1; k={algorithm}; p={public_key}");
                // Whoever publishes it may leave out the version, and breaks long keys.
                let keys: Vec<String> = records.iter().filter_map(|record| tag(record, "p")).collect();
                match keys.as_slice() {
                    [] => Err(format!("no DKIM record: add TXT \"{wanted}\"")),
                    _ if public_key.is_empty() => Err("the key is too short: make one of 2048 bits".into()),
                    keys if keys.contains(public_key) => Ok(()),
                    _ => Err(format!("the DKIM record is of another key: mails signed with this one fail. TXT \"{wanted}\"")),
                }
            }
        }
    }
}

fn starts_with(record: &str, version: &str) -> bool {
    record.trim_start().get(..version.len()).is_some_and(|head| head.eq_ignore_ascii_case(version))
}

/// The value of a tag in `a=b; c=d`, without spaces.
fn tag(record: &str, name: &str) -> Option<String> {
    let value = record.split(';').filter_map(|part| part.split_once('=')).find(|(n, _)| n.trim() == name)?.1;
    Some(value.chars().filter(|c| !c.is_whitespace()).collect())
}

/// What the DNS must say for the providers that are in use.
pub fn dns_needs(config: &EmailConfig) -> Vec<DnsNeed> {
    let mut needs = Vec::new();
    for name in &config.providers {
        let Some(provider) = config.provider.get(name) else { continue };
        if provider.url.reveal().starts_with("capture:") {
            continue;
        }
        let mut need = |record: String, or, kind| needs.push(DnsNeed { provider: name.clone(), name: record, or, kind });
        let senders = domains(provider);
        let return_path = provider.return_path.as_deref().and_then(domain);
        let returns = return_path.clone().map_or_else(|| senders.clone(), |d| BTreeSet::from([d]));
        for domain in returns {
            need(domain, Vec::new(), DnsKind::Spf);
        }
        // Who reports by HTTP takes the bounces itself.
        if let Some(domain) = return_path.filter(|_| provider.events.is_none()) {
            need(domain, Vec::new(), DnsKind::Mx);
        }
        for key in &provider.dkim {
            if let Some(kind) = dkim(key) {
                need(format!("{}._domainkey.{}", key.selector, key.domain), Vec::new(), kind);
            }
        }
        for domain in senders {
            let or = above(&domain).map(|domain| format!("_dmarc.{domain}")).collect();
            need(format!("_dmarc.{domain}"), or, DnsKind::Dmarc);
        }
    }
    needs
}

/// The domains above one, without the topmost: of one of them the policy counts where it has none of its own (RFC 7489 section 6.6.3).
fn above(domain: &str) -> impl Iterator<Item = &str> {
    domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]).filter(|above| above.contains('.'))
}

fn domains(provider: &EmailProviderConfig) -> BTreeSet<String> {
    std::iter::once(&provider.from).chain(provider.senders.values()).filter_map(|sender| domain(sender)).collect()
}

fn domain(mailbox: &str) -> Option<String> {
    parse_mailbox(mailbox).ok().map(|mailbox| mailbox.email.domain().to_owned())
}

/// The record of a key; `None` if it cannot be read, which the provider itself says better.
fn dkim(settings: &DkimSettings) -> Option<DnsKind> {
    let pem = std::fs::read_to_string(&settings.key_file).ok()?;
    let (label, document) = SecretDocument::from_pem(pem.trim_start()).ok()?;
    if label == "RSA PRIVATE KEY" {
        return Some(rsa_record(document.as_bytes()));
    }
    let wrapped = PrivateKeyInfo::try_from(document.as_bytes()).ok()?;
    match wrapped.private_key.strip_prefix(&[0x04, 0x20]) {
        Some(seed) if wrapped.private_key.len() == 34 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
            Some(DnsKind::Dkim { algorithm: ED25519, public_key: BASE64_STANDARD.encode(pair.public_key().as_ref()) })
        }
        _ => Some(rsa_record(wrapped.private_key)),
    }
}

fn rsa_record(pkcs1: &[u8]) -> DnsKind {
    // `ring` refuses keys below 2048 bits, which receivers do as well before long.
    let public = rsa::KeyPair::from_der(pkcs1).map(|pair| public_key_info(pair.public_key().as_ref()));
    DnsKind::Dkim { algorithm: RSA, public_key: public.map(|der| BASE64_STANDARD.encode(der)).unwrap_or_default() }
}

/// The `SubjectPublicKeyInfo` (RFC 5280 section 4.1) around an RSA public key.
fn public_key_info(key: &[u8]) -> Vec<u8> {
    /// `SEQUENCE { OID rsaEncryption, NULL }`
    const ALGORITHM: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut out = vec![tag];
        match length {
            0..=127 => out.push(length as u8),
            128..=255 => out.extend([0x81, length as u8]),
            _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        out.extend_from_slice(content);
        out
    }
    let bits = wrap(0x03, &[&[0][..], key].concat());
    wrap(0x30, &[&ALGORITHM[..], &bits].concat())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    fn openssl(arguments: &[&str]) -> String {
        let out = Command::new("openssl").args(arguments).output().unwrap();
        assert!(out.status.success());
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn every_sender_needs_its_records_and_every_key_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut dkim = Vec::new();
        let kinds: [(&str, &[&str]); 3] = [
            ("a", &["genrsa", "-traditional", "2048"]),
            ("b", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            ("c", &["genpkey", "-algorithm", "ed25519"]),
        ];
        for (selector, generate) in kinds {
            let key_file = dir.path().join(selector);
            std::fs::write(&key_file, openssl(generate)).unwrap();
            dkim.push(json!({"domain": "example.com", "selector": selector, "key_file": key_file}));
        }
        let main = json!({"url": "smtp://x", "from": "Bank <a@mail.example.com>", "senders": {"shop": "b@shop.example"},
            "return_path": "bounce@bounces.example.com", "dkim": dkim});
        let config =
            json!({"providers": ["main", "dev"], "provider": {"main": main, "dev": {"url": "capture:x", "from": "a@b.cd"}}});
        let needs = dns_needs(&serde_json::from_value(config).unwrap());
        let names: Vec<&str> = needs.iter().map(|need| need.name.as_str()).collect();
        let key = |n: &str| format!("{n}._domainkey.example.com");
        assert_eq!(
            names,
            [
                "bounces.example.com",
                "bounces.example.com",
                &key("a"),
                &key("b"),
                &key("c"),
                "_dmarc.mail.example.com",
                "_dmarc.shop.example"
            ]
        );
        assert_eq!((&needs[5].or, &needs[6].or), (&vec!["_dmarc.example.com".to_owned()], &Vec::new()));
        for (need, (selector, _)) in needs[2..5].iter().zip(kinds) {
            let path = dir.path().join(selector);
            let public = openssl(&["pkey", "-pubout", "-in", path.to_str().unwrap()]);
            let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
            let public = if selector == "c" { &public[16..] } else { &public[..] };
            // long records come in pieces, and people add spaces
            assert_eq!(need.kind.check(&[format!("k=x; p={} {}", &public[..20], &public[20..])]), Ok(()), "{selector}");
            assert!(need.kind.check(&["v=DKIM1; p=AAAA".into()]).unwrap_err().contains("another key"));
            assert!(need.kind.check(&[]).unwrap_err().contains(public));
        }
    }

    #[test]
    fn one_record_of_a_kind_and_not_for_everybody() {
        let check = |kind: DnsKind, records: &[&str]| kind.check(&records.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(DnsKind::Spf, &["other", "v=spf1 include:x -all"]), Ok(()));
        assert_eq!(check(DnsKind::Dmarc, &["V=dmarc1; p=none"]), Ok(()));
        assert_eq!(check(DnsKind::Mx, &["10 mx.example.com."]), Ok(()));
        for (kind, records) in [
            (DnsKind::Spf, &[][..]),
            (DnsKind::Spf, &["v=spf1 +all"]),
            (DnsKind::Spf, &["v=spf1 -all", "v=spf1 a -all"]),
            (DnsKind::Dmarc, &["v=spf1 -all"]),
            (DnsKind::Mx, &[]),
            (DnsKind::Mx, &["0 ."]),
        ] {
            assert!(check(kind.clone(), records).is_err(), "{kind:?} {records:?}");
        }
    }
}
