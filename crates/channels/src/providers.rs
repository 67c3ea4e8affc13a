//! The providers of one channel, in the operator's order.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    Channel, ConfigError, EmailConfig, OutboundMessage, SendError, Sent, SmsConfig, config::Place, email::EmailProvider,
    message::Failure, sms::SmsProvider,
};

/// The providers of one channel. A cheap handle: clones share connections.
#[derive(Clone)]
pub struct Providers(Arc<[Box<dyn Channel>]>);

impl Providers {
    /// The mail servers of `[email]`, without connecting to any. Reads keys and certificates, makes capture folders.
    pub fn email(config: &EmailConfig) -> Result<Self, ConfigError> {
        build("email", &config.providers, &config.provider, |place, config| {
            Ok(Box::new(EmailProvider::new(place, config)?) as Box<dyn Channel>)
        })
    }

    /// The gateways of `[sms]`, without connecting to any. Checks each template by rendering it once.
    pub fn sms(config: &SmsConfig) -> Result<Self, ConfigError> {
        build("sms", &config.providers, &config.provider, |place, config| {
            Ok(Box::new(SmsProvider::new(place, config)?) as Box<dyn Channel>)
        })
    }

    /// True if no provider is configured: then every message is refused for good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the providers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|channel| channel.provider())
    }

    /// Sends by the first provider that takes the message.
    ///
    /// After a transient error, where nothing can have been sent, the next provider is asked; any other answer is the
    /// last word. If all fail so, it is the last one's error. Takes at most the sum of the providers' deadlines.
    pub async fn send(&self, message: &OutboundMessage) -> Result<Sent, SendError> {
        let mut last = Failure::permanent("no provider is configured").of("");
        for channel in self.0.iter() {
            match channel.send(message).await {
                Err(error @ SendError::Transient { .. }) => {
                    tracing::info!(delivery.id = %message.id(), %error, "the provider cannot take a message now");
                    last = error;
                }
                done => return done,
            }
        }
        Err(last)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn build<C>(
    channel: &'static str,
    order: &[String],
    configs: &BTreeMap<String, C>,
    make: impl Fn(Place<'_>, &C) -> Result<Box<dyn Channel>, ConfigError>,
) -> Result<Providers, ConfigError> {
    // reqwest (and lettre, if there is one) take the process's provider; whoever came first has set it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let one = |name: &String| {
        let config = configs.get(name).ok_or_else(|| ConfigError::NoSuchProvider { channel, name: name.clone() })?;
        make(Place { channel, name }, config)
    };
    order.iter().map(one).collect::<Result<Vec<_>, _>>().map(|channels| Providers(channels.into()))
}
