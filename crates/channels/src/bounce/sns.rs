//! Amazon SNS, by which SES reports: every call is signed, with a certificate that lies at an address of Amazon's
//! (<https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>).
//!
//! What the call says is believed of nobody before that: the topic must be one of the operator's, the certificate is fetched only
//! from the SNS host of the topic's own region, over TLS, and kept. The same holds for the address by which a subscription is confirmed.

use std::{
    fmt,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Url;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id, pem::PemObject,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use webpki::EndEntityCert;

use crate::outbound::{HttpBody, HttpClient, HttpRequest};

/// How long a certificate is kept; Amazon changes them about once a year.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How many are kept.
const MAX_KEPT: usize = 8;
/// How long a call of ours may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What SNS calls with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    pub(super) message: String,
    timestamp: String,
    #[serde(default)]
    subject: Option<String>,
    signature: String,
    signature_version: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(default, rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    #[serde(default)]
    token: Option<String>,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is not Amazon's, or of no topic of the operator's.
    Forged,
    /// The certificate cannot be had now, or the subscription not be confirmed.
    Later,
}

/// Where a certificate may lie: an address, for a region.
type Rule = fn(&Url, &str) -> bool;

/// Checks what SNS calls with.
pub(super) struct Sns {
    client: HttpClient,
    rule: Rule,
    /// Certificates by address. One is fetched at a time: who forges calls cannot make us fetch much.
    kept: Mutex<Vec<(String, Instant, CertificateDer<'static>)>>,
}

impl fmt::Debug for Sns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sns")
    }
}

impl Sns {
    /// Fetches certificates with `client`.
    pub(super) fn new(client: HttpClient) -> Self {
        Self { client, rule: is_amazons, kept: Mutex::default() }
    }

    /// Checks that `body` is Amazon's and of one of `topics`, and confirms a subscription to it. Gives what it reports, if it does.
    pub(super) async fn open(&self, body: &[u8], topics: &[String]) -> Result<Option<Envelope>, NotTaken> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| NotTaken::Forged)?;
        if !topics.contains(&envelope.topic_arn) {
            return Err(NotTaken::Forged);
        }
        let region = region(&envelope.topic_arn).ok_or(NotTaken::Forged)?;
        let certificate = self.certificate(&envelope.signing_cert_url, region).await?;
        if !envelope.is_signed_by(&certificate) {
            return Err(NotTaken::Forged);
        }
        match envelope.kind.as_str() {
            "Notification" => Ok(Some(envelope)),
            "SubscriptionConfirmation" => {
                self.confirm(envelope.subscribe_url.as_deref().unwrap_or_default(), region).await?;
                tracing::info!(topic = envelope.topic_arn, "the subscription to a topic of Amazon SNS is confirmed");
                Ok(None)
            }
            _ => {
                tracing::warn!(topic = envelope.topic_arn, "Amazon SNS says that it will report no more of a topic");
                Ok(None)
            }
        }
    }

    async fn certificate(&self, address: &str, region: &str) -> Result<CertificateDer<'static>, NotTaken> {
        let url = self.allowed(address, region).filter(|url| is_certificate(url.path())).ok_or(NotTaken::Forged)?;
        let mut kept = self.kept.lock().await;
        kept.retain(|(_, since, _)| since.elapsed() < KEPT_FOR);
        if let Some((.., certificate)) = kept.iter().find(|(of, ..)| of == address) {
            return Ok(certificate.clone());
        }
        let pem = self.get(url).await?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| NotTaken::Forged)?;
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push((address.to_owned(), Instant::now(), certificate.clone()));
        Ok(certificate)
    }

    async fn confirm(&self, address: &str, region: &str) -> Result<(), NotTaken> {
        let url = self.allowed(address, region).ok_or(NotTaken::Forged)?;
        self.get(url).await.map(drop)
    }

    fn allowed(&self, address: &str, region: &str) -> Option<Url> {
        Url::parse(address).ok().filter(|url| (self.rule)(url, region))
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, NotTaken> {
        let answer = self.client.call(HttpRequest::get(url), PATIENCE).await.map_err(|_| NotTaken::Later)?;
        match (answer.status, answer.body) {
            (200, HttpBody::Whole(body)) => Ok(body),
            (400..=499, _) => Err(NotTaken::Forged),
            _ => Err(NotTaken::Later),
        }
    }
}

/// The region of a topic: `arn:aws:sns:eu-west-1:123456789012:ses`.
fn region(topic: &str) -> Option<&str> {
    let mut parts = topic.split(':');
    let (arn, service) = (parts.next()?, parts.nth(1)?);
    let region = parts.next()?;
    let plain = !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (arn == "arn" && service == "sns" && plain).then_some(region)
}

/// Whether a topic is written as Amazon writes it.
pub(super) fn is_topic(topic: &str) -> bool {
    region(topic).is_some() && topic.split(':').count() == 6
}

/// The SNS host of a region, and nothing beside it.
fn is_amazons(url: &Url, region: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    let own = format!("sns.{region}.amazonaws.com");
    url.scheme() == "https"
        && (host == own || host.strip_suffix(".cn") == Some(&own))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn is_certificate(path: &str) -> bool {
    let name = path.strip_prefix("/SimpleNotificationService-").and_then(|rest| rest.strip_suffix(".pem"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

impl Envelope {
    fn is_signed_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let algorithm = match self.signature_version.as_str() {
            "1" => &SHA1,
            "2" => &SHA256,
            _ => return false,
        };
        let Ok(signature) = BASE64_STANDARD.decode(&self.signature) else { return false };
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        certificate.verify_signature(algorithm, self.signed_text().as_bytes(), &signature).is_ok()
    }

    /// The names and values of what is signed, by name, each on a line.
    fn signed_text(&self) -> String {
        let confirms = self.kind != "Notification";
        let only = |yes: bool, value: &Option<String>| value.clone().filter(|_| yes);
        let fields = [
            ("Message", Some(self.message.clone())),
            ("MessageId", Some(self.message_id.clone())),
            ("Subject", only(!confirms, &self.subject)),
            ("SubscribeURL", only(confirms, &self.subscribe_url)),
            ("Timestamp", Some(self.timestamp.clone())),
            ("Token", only(confirms, &self.token)),
            ("TopicArn", Some(self.topic_arn.clone())),
            ("Type", Some(self.kind.clone())),
        ];
        fields.iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value.as_ref()?))).collect()
    }
}

/// RSA (PKCS#1) with the digest of a version of SNS's signatures.
#[derive(Debug)]
struct Rsa {
    digest: &'static RsaParameters,
    id: AlgorithmIdentifier,
}

static SHA1: Rsa = Rsa { digest: &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, id: alg_id::RSA_ENCRYPTION };
static SHA256: Rsa = Rsa { digest: &RSA_PKCS1_2048_8192_SHA256, id: alg_id::RSA_PKCS1_SHA256 };

impl SignatureVerificationAlgorithm for Rsa {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.digest, public_key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    use serde_json::{Value, json};
    use stentor_testkit::{Answer, SmsGateway};

    use super::*;
    use crate::outbound::Reach;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:ses";

    fn openssl(dir: &Path, arguments: &[&str]) {
        let out = Command::new("openssl").args(arguments).current_dir(dir).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// A certificate of the test's own, and what is signed with its key.
    struct Signer(tempfile::TempDir);

    impl Signer {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let make =
                ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=sns"];
            openssl(dir.path(), &make);
            Self(dir)
        }

        fn certificate(&self) -> String {
            std::fs::read_to_string(self.0.path().join("cert.pem")).unwrap()
        }

        fn sign(&self, mut call: Value, version: &str) -> Value {
            call["SignatureVersion"] = version.into();
            call["Signature"] = "".into();
            let envelope: Envelope = serde_json::from_value(call.clone()).unwrap();
            std::fs::write(self.0.path().join("text"), envelope.signed_text()).unwrap();
            let digest = if version == "1" { "-sha1" } else { "-sha256" };
            openssl(self.0.path(), &["dgst", digest, "-sign", "key.pem", "-out", "signature", "text"]);
            call["Signature"] = BASE64_STANDARD.encode(std::fs::read(self.0.path().join("signature")).unwrap()).into();
            call
        }
    }

    fn sns(rule: Rule) -> Sns {
        let client = HttpClient::new(Reach::Anywhere, PATIENCE, 64 * 1024).unwrap();
        Sns { client, rule, kept: Mutex::default() }
    }

    async fn open(sns: &Sns, call: &Value) -> Result<Option<String>, NotTaken> {
        let opened = sns.open(call.to_string().as_bytes(), &[TOPIC.to_owned()]).await;
        opened.map(|envelope| envelope.map(|envelope| envelope.message))
    }

    fn notification(amazon: &SmsGateway) -> Value {
        json!({"Type": "Notification", "MessageId": "m1", "TopicArn": TOPIC, "Message": "{\"a\":1}", "Subject": "s",
            "Timestamp": "2026-11-26T01:00:00.000Z", "SigningCertURL": format!("{}/SimpleNotificationService-abc123.pem", amazon.url())})
    }

    #[tokio::test]
    async fn what_amazon_signed_is_taken_and_its_certificate_is_fetched_once() {
        let (signer, amazon) = (Signer::new(), SmsGateway::start());
        amazon.answer(&[Answer::body(200, signer.certificate())]);
        let sns = sns(|url, region| url.host_str() == Some("127.0.0.1") && region == "eu-west-1");
        for version in ["1", "2"] {
            let call = signer.sign(notification(&amazon), version);
            assert_eq!(open(&sns, &call).await, Ok(Some("{\"a\":1}".to_owned())), "{version}");
            let mut without_subject = notification(&amazon);
            without_subject["Subject"] = Value::Null;
            assert!(open(&sns, &signer.sign(without_subject, version)).await.is_ok());
            for (field, forged) in [
                ("Message", "{\"a\":2}"),
                ("MessageId", "m2"),
                ("Timestamp", "2026-11-26T02:00:00.000Z"),
                ("Subject", "t"),
                ("Type", "UnsubscribeConfirmation"),
                ("SignatureVersion", "3"),
                ("Signature", "AAAA"),
            ] {
                let mut call = call.clone();
                call[field] = forged.into();
                assert_eq!(open(&sns, &call).await, Err(NotTaken::Forged), "{field}");
            }
        }
        assert_eq!(amazon.requests().len(), 1);
        // somebody else's key, however well it signs
        let mut call = Signer::new().sign(notification(&amazon), "2");
        assert_eq!(open(&sns, &call).await, Err(NotTaken::Forged));
        call["TopicArn"] = "arn:aws:sns:eu-west-1:123456789012:other".into();
        assert_eq!(open(&sns, &call).await, Err(NotTaken::Forged));
        assert_eq!(amazon.requests().len(), 1, "nothing is fetched for a topic that is not the operator's");
    }

    #[tokio::test]
    async fn a_certificate_that_cannot_be_had_is_asked_for_again() {
        let (signer, amazon) = (Signer::new(), SmsGateway::start());
        let sns = sns(|_, _| true);
        let call = signer.sign(notification(&amazon), "2");
        amazon.answer(&[
            Answer::status(503),
            Answer::status(302),
            Answer::body(200, "no certificate"),
            Answer::body(200, signer.certificate()),
        ]);
        for expected in [Err(NotTaken::Later), Err(NotTaken::Later), Err(NotTaken::Forged), Ok(Some("{\"a\":1}".to_owned()))] {
            assert_eq!(open(&sns, &call).await, expected);
        }
    }

    #[tokio::test]
    async fn a_subscription_is_confirmed_where_amazon_is_and_only_if_it_was_signed() {
        let (signer, amazon) = (Signer::new(), SmsGateway::start());
        let sns = sns(|url, _| url.host_str() == Some("127.0.0.1"));
        amazon.answer(&[Answer::body(200, signer.certificate()), Answer::body(200, "<ConfirmSubscriptionResponse/>")]);
        let mut call = notification(&amazon);
        call["Type"] = "SubscriptionConfirmation".into();
        call["Token"] = "t".into();
        call["SubscribeURL"] = format!("{}/?Action=ConfirmSubscription&Token=t", amazon.url()).into();
        let mut elsewhere = call.clone();
        elsewhere["SubscribeURL"] = "http://169.254.169.254/".into();
        assert_eq!(open(&sns, &signer.sign(elsewhere, "2")).await, Err(NotTaken::Forged), "the certificate alone is fetched");
        let mut forged = signer.sign(call.clone(), "2");
        forged["Token"] = "u".into();
        assert_eq!(open(&sns, &forged).await, Err(NotTaken::Forged));
        assert_eq!(amazon.requests().len(), 1);
        assert_eq!(open(&sns, &signer.sign(call, "2")).await, Ok(None));
        assert_eq!(amazon.requests()[1]["query"]["Action"], "ConfirmSubscription");
    }

    #[test]
    fn certificates_lie_at_amazons_own_addresses() {
        let allowed = |url: &str| {
            let url = Url::parse(url).unwrap();
            is_amazons(&url, "eu-west-1") && is_certificate(url.path())
        };
        let name = "SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem";
        assert!(allowed(&format!("https://sns.eu-west-1.amazonaws.com/{name}")));
        assert!(allowed(&format!("https://sns.eu-west-1.amazonaws.com.cn/{name}")));
        for bad in [
            format!("http://sns.eu-west-1.amazonaws.com/{name}"),
            format!("https://sns.us-east-1.amazonaws.com/{name}"),
            format!("https://sns.eu-west-1.amazonaws.com.evil.test/{name}"),
            format!("https://evil.test/sns.eu-west-1.amazonaws.com/{name}"),
            format!("https://sns.eu-west-1.amazonaws.com@evil.test/{name}"),
            format!("https://x@sns.eu-west-1.amazonaws.com/{name}"),
            format!("https://sns.eu-west-1.amazonaws.com:8443/{name}"),
            format!("https://bucket.s3.eu-west-1.amazonaws.com/{name}"),
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem".to_owned(),
            "https://sns.eu-west-1.amazonaws.com/?x=/SimpleNotificationService-a.pem".to_owned(),
            "https://sns.eu-west-1.amazonaws.com/other/SimpleNotificationService-a.pem".to_owned(),
        ] {
            assert!(!allowed(&bad), "{bad}");
        }
        assert!(is_topic(TOPIC) && is_topic("arn:aws-cn:sns:cn-north-1:123456789012:x"));
        for bad in
            ["", "ses", "arn:aws:sqs:eu-west-1:1:x", "arn:aws:sns:evil.test/:1:x", "arn:aws:sns::1:x", "arn:aws:sns:eu-west-1:1"]
        {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
