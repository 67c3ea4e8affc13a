//! A mail as it travels: headers, parts, signatures.

use std::{collections::BTreeMap, sync::Arc};

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use stentor_domain::{
    AppId, EmailAddress,
    text::{TextError, check_line},
};

use super::{
    dkim::{self, DkimKey},
    parts,
};
use crate::{ConfigError, EmailMessage, EmailProviderConfig, config::Place, message::Failure};

/// The longest subject in bytes: a line of RFC 5322.
const MAX_SUBJECT: usize = 998;
/// The longest name of a return path: a local part has 64 bytes, of which a plus and the token take 53.
const MAX_RETURN_NAME: usize = 11;

/// What all mails of a provider have in common.
pub(super) struct Composer {
    from: Mailbox,
    /// The senders of apps that have one of their own.
    senders: BTreeMap<AppId, Mailbox>,
    reply_to: Option<Mailbox>,
    return_path: Option<Address>,
    /// The provider's own headers.
    headers: Vec<(HeaderName, String)>,
    dkim: Arc<[DkimKey]>,
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
        let mailbox = |field: &str, text: &str| parse_mailbox(text).map_err(|problem| place.invalid(field, problem));
        let sender = |(app, text): (&String, &String)| {
            let field = format!("senders.{app}");
            let app = app.parse().map_err(|_| place.invalid(&field, "is no app's id"))?;
            Ok((app, mailbox(&field, text)?))
        };
        let keys = config.dkim.iter().map(|settings| dkim::load(place, settings)).collect::<Result<Vec<_>, _>>()?;
        let return_path = config.return_path.as_deref().map(|text| mailbox("return_path", text)).transpose()?;
        if return_path.as_ref().is_some_and(|path| path.email.user().len() > MAX_RETURN_NAME) {
            return Err(
                place.invalid("return_path", "must have at most 11 characters before the @: the bounce's token goes there")
            );
        }
        Ok(Self {
            from: mailbox("from", &config.from)?,
            senders: config.senders.iter().map(sender).collect::<Result<_, ConfigError>>()?,
            reply_to: config.reply_to.as_deref().map(|text| mailbox("reply_to", text)).transpose()?,
            return_path: return_path.map(|path| path.email),
            headers: config.headers.iter().map(|(name, value)| own_header(place, name, value)).collect::<Result<_, _>>()?,
            dkim: keys.into(),
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
        let from = self.senders.get(&mail.app).unwrap_or(&self.from);
        let to = ascii_domain(&mail.to).ok_or_else(|| Failure::permanent("mail cannot be addressed to this mailbox"))?;
        let domain = from.email.domain();
        // The same for every try of a delivery, so that a mail that comes twice is seen to be one.
        let message_id = format!("{}@{domain}", mail.id);
        let mut builder = Message::builder()
            .message_id(Some(format!("<{message_id}>")))
            .date_now()
            .from(from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(mail.subject.clone())
            .header(MIME_VERSION_1_0);
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if let Some(thread) = mail.thread {
            // A mail that never was: what refers to the same one is one conversation (RFC 5322 section 3.6.4).
            let root = format!("<{thread}@{domain}>");
            builder = builder.in_reply_to(root.clone()).references(root);
        }
        for (name, value) in headers(mail)? {
            builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
        }
        for (name, value) in &self.headers {
            let value = value.replace("{{token}}", mail.return_token.as_deref().unwrap_or_default());
            builder = builder.raw_header(HeaderValue::new(name.clone(), value.replace("{{id}}", &mail.id.to_string())));
        }
        let (content_type, body) = parts::body(mail)?;
        // lettre's reasons are about From and the envelope, which were checked when the provider was made.
        let built = builder.header(content_type).body(body);
        let message = built.map_err(|error| Failure::permanent(format!("the mail cannot be built: {error}")))?;
        let return_path = match (&self.return_path, &mail.return_token) {
            (Some(path), Some(token)) => Address::new(format!("{}+{token}", path.user()), path.domain())
                .map_err(|_| Failure::permanent("the return path cannot be built"))?,
            (Some(path), None) => path.clone(),
            (None, _) => from.email.clone(),
        };
        let bytes = self.sign(message, domain).await?;
        Ok(Composed { from: return_path, to, message_id, bytes })
    }

    async fn sign(&self, message: Message, domain: &str) -> Result<Vec<u8>, Failure> {
        let keys: Vec<DkimKey> = dkim::keys_for(&self.dkim, domain).cloned().collect();
        if keys.is_empty() {
            return Ok(message.formatted());
        }
        // An RSA signature is milliseconds of arithmetic: too long for a thread that serves others.
        let signing = tokio::task::spawn_blocking(move || dkim::sign(message, &keys));
        signing.await.map_err(|_| Failure::transient("the mail could not be signed"))
    }
}

/// A header of the provider's own: one that says something to it alone, and nothing that mails have anyway.
fn own_header(place: Place<'_>, name: &str, value: &str) -> Result<(HeaderName, String), ConfigError> {
    let field = format!("headers.{}", name.escape_debug());
    let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 76 || !name.bytes().all(token) {
        return Err(place.invalid(&field, "is no header's name: letters, digits, `-` and `_`"));
    }
    if !(name.len() > 2 && name[..2].eq_ignore_ascii_case("x-")) {
        return Err(place.invalid(&field, "must begin with `X-`: the others are set by Stentor"));
    }
    check_line(value, MAX_SUBJECT).map_err(|problem| place.invalid(&field, problem.to_string()))?;
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| place.invalid(&field, "is no header's name"))?;
    Ok((name, value.to_owned()))
}

/// The headers that say what kind of mail it is and how not to get it any more.
fn headers(mail: &EmailMessage) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut headers = vec![("Auto-Submitted", "auto-generated".to_owned())];
    if let Some(url) = &mail.unsubscribe {
        if check_line(url, MAX_SUBJECT).is_err() || !url.is_ascii() || url.contains(['<', '>', ' ']) {
            return Err(Failure::permanent("the link to unsubscribe cannot stand in a header"));
        }
        headers.push(("List-Unsubscribe", format!("<{url}>")));
        headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    if let Some(notification) = mail.notification {
        // Receivers count complaints by each part of it; the last names the sender.
        let category: String = mail.category.as_deref().unwrap_or("none").chars().map(plain).take(40).collect();
        headers.push(("Feedback-ID", format!("{}:{category}:{}:stentor", notification.as_uuid().simple(), mail.app)));
    }
    Ok(headers)
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }
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
pub(super) fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
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
