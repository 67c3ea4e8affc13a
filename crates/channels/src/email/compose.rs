//! A mail as it travels: headers, parts, signature.

use std::sync::Arc;

use lettre::{
    Address, Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        dkim::DkimConfig,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use stentor_domain::{
    EmailAddress,
    text::{TextError, check_line},
};

use super::dkim;
use crate::{ConfigError, EmailMessage, EmailProviderConfig, config::Place, message::Failure};

/// The longest subject in bytes: a line of RFC 5322.
const MAX_SUBJECT: usize = 998;

/// What all mails of a provider have in common.
pub(super) struct Composer {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    dkim: Option<Arc<DkimConfig>>,
}

/// A mail that is ready to go.
pub(super) struct Composed {
    pub from: Address,
    pub to: Address,
    pub message_id: String,
    pub bytes: Vec<u8>,
}

impl Composer {
    pub(super) fn new(place: Place<'_>, config: &EmailProviderConfig) -> Result<Self, ConfigError> {
        let mailbox = |field, text: &str| parse_mailbox(text).map_err(|problem| place.invalid(field, problem));
        let dkim = config.dkim.as_ref().map(|settings| dkim::load(place, settings)).transpose()?;
        Ok(Self {
            from: mailbox("from", &config.from)?,
            reply_to: config.reply_to.as_deref().map(|text| mailbox("reply_to", text)).transpose()?,
            dkim: dkim.map(Arc::new),
        })
    }

    /// Builds and signs the mail. Refuses what would break out of a header: CR, LF and NUL.
    pub(super) async fn compose(&self, mail: &EmailMessage) -> Result<Composed, Failure> {
        match check_line(&mail.subject, MAX_SUBJECT) {
            Ok(()) | Err(TextError::Empty) => {}
            Err(problem) => return Err(Failure::permanent(format!("the subject {problem}"))),
        }
        if mail.text.contains('\0') || mail.html.as_ref().is_some_and(|html| html.contains('\0')) {
            return Err(Failure::permanent("a body must not contain NUL"));
        }
        let to = ascii_domain(&mail.to).ok_or_else(|| Failure::permanent("mail cannot be addressed to this mailbox"))?;
        // The same for every try of a delivery, so that a mail that comes twice is seen to be one.
        let message_id = format!("{}@{}", mail.id, self.from.email.domain());
        let auto = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
        let mut builder = Message::builder()
            .message_id(Some(format!("<{message_id}>")))
            .date_now()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(mail.subject.clone())
            .header(MIME_VERSION_1_0)
            .raw_header(auto);
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let built = match &mail.html {
            Some(html) => {
                let text = SinglePart::plain(mail.text.clone());
                let parts = MultiPart::alternative().singlepart(text).singlepart(SinglePart::html(html.clone()));
                let (content_type, body) = flatten(&parts).ok_or_else(|| Failure::permanent("the mail cannot be built"))?;
                builder.header(content_type).body(body)
            }
            None => builder.header(ContentType::TEXT_PLAIN).body(mail.text.clone()),
        };
        // lettre's reasons are about From and the envelope, which were checked when the provider was made.
        let message = built.map_err(|error| Failure::permanent(format!("the mail cannot be built: {error}")))?;
        let bytes = self.sign(message).await?;
        Ok(Composed { from: self.from.email.clone(), to, message_id, bytes })
    }

    async fn sign(&self, mut message: Message) -> Result<Vec<u8>, Failure> {
        let Some(dkim) = self.dkim.clone() else { return Ok(message.formatted()) };
        // An RSA signature is milliseconds of arithmetic: too long for a thread that serves others.
        let signing = tokio::task::spawn_blocking(move || {
            message.sign(&dkim);
            message.formatted()
        });
        signing.await.map_err(|_| Failure::transient("the mail could not be signed"))
    }
}

/// The parts as one body, and its type. lettre would keep the type apart from the mail's own headers, where its
/// signature does not see it; the parts are encoded already, so the whole is 7bit.
fn flatten(parts: &MultiPart) -> Option<(ContentType, Body)> {
    const END_OF_HEADERS: &[u8] = b"\r\n\r\n";
    let bytes = parts.formatted();
    let end = bytes.windows(END_OF_HEADERS.len()).position(|window| window == END_OF_HEADERS)?;
    let body = bytes[end + END_OF_HEADERS.len()..].to_vec();
    Some((parts.headers().get::<ContentType>()?, Body::dangerous_pre_encoded(body, ContentTransferEncoding::SevenBit)))
}

/// The mailbox with its domain as DNS knows it: only a local part beyond ASCII needs a server that speaks SMTPUTF8.
fn ascii_domain(to: &EmailAddress) -> Option<Address> {
    let (local, domain) = to.as_str().rsplit_once('@')?;
    let domain = to_ascii(domain)?;
    Address::new(local, domain).ok()
}

fn to_ascii(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    match url::Host::parse(domain).ok()? {
        url::Host::Domain(domain) => Some(domain),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

/// `name@example.com` or `Any Name <name@example.com>`, the name in quotes or not.
fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    const FORM: &str = "must be of the form `Example Bank <no-reply@example.com>`";
    check_line(text, MAX_SUBJECT).map_err(|problem| problem.to_string())?;
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address.trim()),
        None => ("", text.trim()),
    };
    let (local, domain) = address.rsplit_once('@').ok_or(FORM)?;
    let address = Address::new(local, to_ascii(domain).ok_or(FORM)?).map_err(|_| FORM)?;
    if !address.user().is_ascii() {
        return Err("the sender's name before the @ must be ASCII".into());
    }
    Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders() {
        for (text, name, address) in [
            ("a@example.com", None, "a@example.com"),
            ("Example Bank <no-reply@example.com>", Some("Example Bank"), "no-reply@example.com"),
            ("\"Bank, Inc.\" <a@example.com>", Some("Bank, Inc."), "a@example.com"),
            ("示例银行 <a@例子.公司>", Some("示例银行"), "a@xn--fsqu00a.xn--55qx5d"),
        ] {
            let mailbox = parse_mailbox(text).unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.email.as_ref()), (name, address));
        }
        for bad in ["", "Bank", "Bank <a>", "Bank\r\nBcc: x@example.com <a@example.com>", "a@b@c <>"] {
            assert!(parse_mailbox(bad).is_err(), "{bad:?}");
        }
    }
}
