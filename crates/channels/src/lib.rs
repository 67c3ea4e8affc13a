//! Channels to people outside the app: email over SMTP, SMS over HTTP gateways.
//!
//! A [`Channel`] is one configured provider: it takes a finished message and says what became of it. What matters
//! most is what it says when things go wrong, because somebody retries by it:
//!
//! - [`SendError::Transient`]: nothing can have been sent. It may be tried again, here or with another provider.
//! - [`SendError::Permanent`]: it was refused, and would be again.
//! - [`SendError::Unknown`]: the message was handed over and the answer was lost. It may have been sent.
//!
//! [`Providers`] are the providers of one channel in the operator's order; the next one is asked only after a
//! transient error, so that no failover ever sends twice.
//!
//! A message is sent in a [`Turn`]: a provider that fails again and again is left alone for a while, one that is at its
//! cap or its rate is waited for, and neither holds a worker's place. Every call ends within the provider's deadline
//! (`deadline_ms`, 30 s unless configured), and a turn within 30 s. Errors and log lines hold
//! no address and no text of a message: what a server answers is scrubbed before it is repeated.

mod bounce;
mod breaker;
mod capture;
mod config;
mod email;
mod masked;
mod message;
pub mod outbound;
mod providers;
mod scrub;
mod sms;

pub use bounce::{
    BadEvents, Bounce, BounceKind, EventKind, EventRule, EventsCall, EventsConfig, EventsPreset, MailEvents, read_report,
    says_no_mailbox,
};
pub use config::{ConfigError, DkimSettings, EmailConfig, EmailProviderConfig};
pub use email::{DnsKind, DnsNeed, ReturnToken, Unsubscribe, dns_needs};
pub use masked::Masked;
pub use message::{Channel, EmailMessage, MailFile, OutboundMessage, SendError, Sent, SentTemplate, SmsMessage};
pub use providers::{Busy, Pace, ProviderHealth, Providers, Turn};
pub use sms::{
    About, BadCall, Call, Condition, ErrorRule, Finder, Incoming, IncomingConfig, Meaning, PartConfig, PartEscape, Proof,
    Receipt, ReceiptConfig, Reply, Report, SmsCallbacks, SmsConfig, SmsPreset, SmsProviderConfig, VendorParam, VendorTemplate,
};
