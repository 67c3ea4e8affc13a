//! Text that must not be printed.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret of the configuration: a password, a token, or a URL that holds one.
///
/// `Debug` and `Serialize` show of a URL its scheme, host and path, and of all else nothing.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Masked(String);

impl Masked {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> String {
        let Ok(mut url) = url::Url::parse(&self.0) else { return "***".into() };
        if !url.has_host() {
            return if url.scheme() == "capture" { self.0.clone() } else { "***".into() };
        }
        if url.password().is_some() {
            let _ = url.set_password(Some("***"));
        }
        // SMTP URLs keep no secret in their query, those of SMS gateways do.
        if url.query().is_some() && !url.scheme().starts_with("smtp") {
            url.set_query(Some("***"));
        }
        url.into()
    }
}

impl From<String> for Masked {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Masked {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_it_leads_and_no_secret() {
        let shown = |text: &str| format!("{:?}", Masked::from(text));
        assert_eq!(shown("smtp://bob:hunter2@mail.example.com:587?tls=none"), "smtp://bob:***@mail.example.com:587?tls=none");
        assert_eq!(shown("http://gw:13013/cgi-bin/sendsms?username=u&password=p"), "http://gw:13013/cgi-bin/sendsms?***");
        assert_eq!(shown("capture:/var/outbox"), "capture:/var/outbox");
        for secret in ["Bearer abc", "hunter2", "x:y"] {
            assert_eq!(shown(secret), "***");
        }
        assert_eq!(serde_json::to_string(&Masked::from("hunter2")).unwrap(), "\"***\"");
    }
}
