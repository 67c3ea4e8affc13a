//! Email: a mail server, or a folder in its place.

mod compose;
mod dkim;
mod dns;
mod parts;
mod server;
mod smtp;
mod unsubscribe;
mod verp;

use std::{path::Path, time::Duration};

use async_trait::async_trait;

use crate::{
    Channel, ConfigError, EmailMessage, EmailProviderConfig, OutboundMessage, SendError, Sent,
    capture::Outbox,
    config::{Place, deadline},
    message::Failure,
};

use compose::Composer;
use server::Server;
use smtp::Smtp;

pub use dns::{DnsKind, DnsNeed, dns_needs};
pub use unsubscribe::Unsubscribe;
pub use verp::ReturnToken;

/// One provider of `[email]`.
pub(crate) struct EmailProvider {
    name: String,
    composer: Composer,
    transport: Transport,
    deadline: Duration,
}

enum Transport {
    Smtp(Smtp),
    Capture(Outbox),
}

impl EmailProvider {
    pub(crate) fn new(place: Place<'_>, config: &EmailProviderConfig) -> Result<Self, ConfigError> {
        let transport = match config.url.reveal().strip_prefix("capture:") {
            Some(dir) => {
                let dir = Path::new(dir);
                Transport::Capture(Outbox::open(dir).map_err(|e| place.file("url", dir, e))?)
            }
            None => Transport::Smtp(Smtp::new(Server::from_config(place, config)?)),
        };
        Ok(Self {
            name: place.name.to_owned(),
            composer: Composer::new(place, config)?,
            transport,
            deadline: deadline(config.deadline_ms),
        })
    }

    async fn send_mail(&self, message: &EmailMessage, within: Duration) -> Result<String, Failure> {
        let mail = self.composer.compose(message).await?;
        match &self.transport {
            Transport::Smtp(smtp) => smtp.send(&mail, self.deadline.min(within)).await?,
            Transport::Capture(outbox) => {
                let written = outbox.write(message.id, "eml", &mail.bytes).await;
                written.map_err(|e| Failure::down(format!("the outbox cannot be written: {e}")))?;
            }
        }
        Ok(mail.message_id)
    }
}

#[async_trait]
impl Channel for EmailProvider {
    async fn send(&self, message: &OutboundMessage, within: Duration) -> Result<Sent, SendError> {
        let OutboundMessage::Email(mail) = message else {
            return Err(Failure::permanent("this provider sends mail only").of(&self.name));
        };
        let message_id = self.send_mail(mail, within).await.map_err(|failure| failure.of(&self.name))?;
        tracing::debug!(app = %mail.app, delivery.id = %mail.id, provider = self.name, "a mail was handed over");
        Ok(Sent { provider: self.name.clone(), message_id: Some(message_id) })
    }

    async fn probe(&self) -> Result<(), SendError> {
        match &self.transport {
            Transport::Smtp(smtp) => smtp.probe(self.deadline).await.map_err(|failure| failure.of(&self.name)),
            Transport::Capture(_) => Ok(()),
        }
    }

    fn provider(&self) -> &str {
        &self.name
    }
}
