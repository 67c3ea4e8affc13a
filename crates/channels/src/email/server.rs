//! Which mail server, and how safely it is spoken to.

use lettre::transport::smtp::{
    authentication::Credentials,
    client::{Certificate, TlsParameters, TlsParametersBuilder},
};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{ConfigError, EmailProviderConfig, config::Place};

/// A mail server by `smtp://` or `smtps://` URL.
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub credentials: Option<Credentials>,
}

/// How TLS comes about.
pub(super) enum Tls {
    /// Not at all; it had to be said.
    None,
    /// By STARTTLS if the server offers it.
    Opportunistic(TlsParameters),
    /// By STARTTLS, or there is no conversation.
    Required(TlsParameters),
    /// From the first byte.
    Wrapped(TlsParameters),
}

const FORMS: &str = "must be smtp://user:password@host:587?tls=required (or opportunistic, none), smtps://…:465 or capture:DIR";

impl Server {
    pub(super) fn from_config(place: Place<'_>, config: &EmailProviderConfig) -> Result<Self, ConfigError> {
        let invalid = |problem: &str| place.invalid("url", problem);
        // The parser's error is not shown: it may quote the password.
        let url = Url::parse(config.url.reveal()).map_err(|_| invalid(FORMS))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid(FORMS))?;
        let host = decode(host.trim_start_matches('[').trim_end_matches(']')).ok_or_else(|| invalid(FORMS))?;
        if !matches!(url.path(), "" | "/") {
            return Err(invalid("must not have a path"));
        }
        let mut tls = None;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "tls" => tls = Some(value.into_owned()),
                _ => return Err(invalid("knows one parameter: tls")),
            }
        }
        let parameters = || tls_parameters(place, config, &host);
        let (tls, port) = match (url.scheme(), tls.as_deref()) {
            ("smtps", None | Some("required")) => (Tls::Wrapped(parameters()?), 465),
            ("smtps", _) => return Err(invalid("smtps is always TLS: leave out tls=")),
            ("smtp", None | Some("required")) => (Tls::Required(parameters()?), 587),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic(parameters()?), 587),
            ("smtp", Some("none")) => (Tls::None, 587),
            ("smtp", Some(_)) => return Err(invalid("tls must be required, opportunistic or none")),
            _ => return Err(invalid(FORMS)),
        };
        let credentials = credentials(&url, config).map_err(invalid)?;
        Ok(Self { port: url.port().unwrap_or(port), host, tls, credentials })
    }
}

/// User and password, each from its own key or else from the URL.
fn credentials(url: &Url, config: &EmailProviderConfig) -> Result<Option<Credentials>, &'static str> {
    let decoded = |text: &str| decode(text).ok_or("the user and password must be percent-encoded UTF-8");
    let user = match &config.username {
        Some(user) => user.clone(),
        None => decoded(url.username())?,
    };
    let password = match &config.password {
        Some(password) => Some(password.reveal().to_owned()),
        None => url.password().map(decoded).transpose()?,
    };
    match (user.is_empty(), password) {
        (true, None) => Ok(None),
        (false, Some(password)) if !(user.contains('\0') || password.contains('\0')) => {
            Ok(Some(Credentials::new(user, password)))
        }
        _ => Err("needs both a user and a password, or neither"),
    }
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn tls_parameters(place: Place<'_>, config: &EmailProviderConfig, host: &str) -> Result<TlsParameters, ConfigError> {
    let mut builder: TlsParametersBuilder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.ca_file {
        let pem = std::fs::read(path).map_err(|e| place.file("ca_file", path, e))?;
        let certificate = Certificate::from_pem(&pem).map_err(|e| place.client(e))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|e| place.client(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, String> {
        let config = EmailProviderConfig {
            url: url.into(),
            from: "a@example.com".into(),
            senders: std::collections::BTreeMap::default(),
            reply_to: None,
            return_path: None,
            username: None,
            password: None,
            ca_file: None,
            dkim: Vec::new(),
            headers: std::collections::BTreeMap::default(),
            events: None,
            deadline_ms: 1,
            max_concurrency: None,
            rate_per_second: None,
        };
        Server::from_config(Place { channel: "email", name: "main" }, &config).map_err(|e| e.to_string())
    }

    #[test]
    fn tls_is_required_unless_it_is_said_otherwise() {
        assert!(matches!(server("smtp://mail.example.com").unwrap().tls, Tls::Required(_)));
        assert!(matches!(server("smtp://mail.example.com?tls=required").unwrap().tls, Tls::Required(_)));
        assert!(matches!(server("smtp://mail.example.com?tls=opportunistic").unwrap().tls, Tls::Opportunistic(_)));
        assert!(matches!(server("smtp://mail.example.com?tls=none").unwrap().tls, Tls::None));
        assert!(matches!(server("smtps://mail.example.com").unwrap().tls, Tls::Wrapped(_)));
    }

    #[test]
    fn ports_hosts_and_credentials() {
        let s = server("smtps://bob%40example.com:p%3Aw@mail.example.com").unwrap();
        assert_eq!((s.host.as_str(), s.port), ("mail.example.com", 465));
        assert_eq!(s.credentials, Some(Credentials::new("bob@example.com".into(), "p:w".into())));
        let s = server("smtp://[::1]:2525?tls=none").unwrap();
        assert_eq!((s.host.as_str(), s.port, s.credentials), ("::1", 2525, None));
    }

    #[test]
    fn mistakes_are_named_and_passwords_are_not() {
        for bad in [
            "mail.example.com",
            "http://u:secret@mail.example.com",
            "smtp://u:secret@mail.example.com?tls=maybe",
            "smtp://u:secret@mail.example.com?ssl=1",
            "smtps://u:secret@mail.example.com?tls=none",
            "smtp://u:secret@mail.example.com/path",
            "smtp://secret@mail.example.com",
            "smtp://u:secret@mail.example.com:99999",
            "smtp://",
        ] {
            let problem = server(bad).err().unwrap_or_else(|| panic!("{bad} is taken"));
            assert!(problem.starts_with("email.provider.main.url: ") && !problem.contains("secret"), "{problem}");
        }
    }
}
