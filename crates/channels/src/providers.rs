//! The providers of one channel, in the operator's order.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    Channel, ConfigError, EmailConfig, OutboundMessage, SendError, Sent, SmsConfig,
    breaker::{Breaker, Health},
    config::{Limits, Place},
    email::EmailProvider,
    message::Failure,
    sms::SmsProvider,
};

/// How long one attempt may take, whatever providers it asks. A worker's place is held no longer.
const ATTEMPT: Duration = Duration::from_secs(30);
/// With less time left than this no further provider is asked: it could not be told whether it is there (connecting may take
/// 10 s) or has the message.
const WORTH_ASKING: Duration = Duration::from_secs(12);
/// How long a call waits for its turn among those of this process before it gives its place to another message.
const QUEUE_FOR: Duration = Duration::from_secs(1);

/// The providers of one channel. A cheap handle: clones share connections, limits and what is known of their health.
#[derive(Clone)]
pub struct Providers(Arc<[Provider]>);

struct Provider {
    channel: Box<dyn Channel>,
    calls: Option<Arc<Semaphore>>,
    max_concurrency: Option<usize>,
    per_second: Option<f64>,
    breaker: Breaker,
}

/// The rate at which a provider may be called, shared by whoever calls it.
#[async_trait]
pub trait Pace: Send + Sync {
    /// Takes a turn of `provider`, of which there are `per_second`; waits for it if it comes soon. Otherwise says how long to
    /// do something else.
    async fn take(&self, provider: &str, per_second: f64) -> Result<(), Duration>;
}

/// Nobody may be asked now, and nobody was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When to come back.
    pub wait: Duration,
    /// Why, if something is wrong; a rate or a cap is not.
    pub trouble: Option<String>,
}

/// How a provider fares, as one process sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderHealth {
    /// Its name in the settings.
    pub provider: String,
    /// How many calls in a row found it in trouble.
    pub failures: u32,
    /// For how many milliseconds yet it is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_alone_ms: Option<u64>,
    /// How many calls this process makes at once at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// How many of these are under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<usize>,
    /// How many messages all workers together hand over in a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
}

/// The right to send one message now.
pub struct Turn<'a> {
    providers: &'a Providers,
    first: usize,
    call: Option<OwnedSemaphorePermit>,
}

impl Providers {
    /// The mail servers of `[email]`, without connecting to any. Reads keys and certificates, makes capture folders.
    pub fn email(config: &EmailConfig) -> Result<Self, ConfigError> {
        build("email", &config.providers, &config.provider, |place, config| {
            Ok((Box::new(EmailProvider::new(place, config)?) as Box<dyn Channel>, config.limits()))
        })
    }

    /// The gateways of `[sms]`, without connecting to any. Checks each template by rendering it once.
    pub fn sms(config: &SmsConfig) -> Result<Self, ConfigError> {
        build("sms", &config.providers, &config.provider, |place, config| {
            Ok((Box::new(SmsProvider::new(place, config)?) as Box<dyn Channel>, config.limits()))
        })
    }

    /// True if no provider is configured: then every message is refused for good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the providers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|provider| provider.channel.provider())
    }

    /// Asks each provider, without a message, whether it would take one.
    pub async fn probe(&self) -> Vec<(String, Result<(), SendError>)> {
        let mut answers = Vec::new();
        for provider in self.0.iter() {
            answers.push((provider.channel.provider().to_owned(), provider.channel.probe().await));
        }
        answers
    }

    /// The right to send one message by the first provider that is not in trouble.
    ///
    /// Only trouble moves a message to the next provider; at its rate or its cap a provider is waited for, since the order
    /// is the operator's and a later one may be the dearer.
    pub async fn turn(&self, pace: &dyn Pace) -> Result<Turn<'_>, Busy> {
        let (mut wait, mut whose) = (Duration::MAX, Vec::new());
        for (first, provider) in self.0.iter().enumerate() {
            if let Some(alone) = provider.breaker.wait(Instant::now()) {
                wait = wait.min(alone);
                whose.push(provider.channel.provider());
                continue;
            }
            let call = provider.queue(pace).await.map_err(|wait| Busy { wait, trouble: None })?;
            match provider.breaker.begin(Instant::now()) {
                Ok(()) => return Ok(Turn { providers: self, first, call }),
                Err(alone) => {
                    wait = wait.min(alone);
                    whose.push(provider.channel.provider());
                }
            }
        }
        if whose.is_empty() {
            return Ok(Turn { providers: self, first: 0, call: None }); // to be told that there is none
        }
        Err(Busy { wait, trouble: Some(format!("{} failed several times in a row and is left alone", whose.join(", "))) })
    }

    /// How each provider fares, in order.
    pub fn health(&self) -> Vec<ProviderHealth> {
        let now = Instant::now();
        let of = |provider: &Provider| ProviderHealth {
            provider: provider.channel.provider().to_owned(),
            failures: provider.breaker.failures(),
            left_alone_ms: provider.breaker.wait(now).map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            max_concurrency: provider.max_concurrency,
            under_way: provider.max_concurrency.zip(provider.calls.as_ref()).map(|(n, calls)| n - calls.available_permits()),
            rate_per_second: provider.per_second,
        };
        self.0.iter().map(of).collect()
    }

    /// Sends by the provider of that name and by no other, whatever is known of its health: an operator wants to see. What
    /// comes of it is learnt from like from any call. `None` if there is no such provider.
    pub async fn send_by(&self, name: &str, message: &OutboundMessage) -> Option<Result<Sent, SendError>> {
        let provider = self.0.iter().find(|provider| provider.channel.provider() == name)?;
        Some(provider.call(message, ATTEMPT).await)
    }

    /// Takes a turn and sends, at no pace: for a message by hand.
    pub async fn send(&self, message: &OutboundMessage) -> Result<Sent, SendError> {
        match self.turn(&Unpaced).await {
            Ok(turn) => turn.send(message).await,
            Err(busy) => {
                let detail = busy.trouble.unwrap_or_else(|| "too many calls at once".to_owned());
                Err(Failure::Transient { detail, retry_after: Some(busy.wait), provider_down: true }.of(""))
            }
        }
    }
}

struct Unpaced;

#[async_trait]
impl Pace for Unpaced {
    async fn take(&self, _: &str, _: f64) -> Result<(), Duration> {
        Ok(())
    }
}

impl Provider {
    /// Waits for a place among the calls of this process, and for a turn at the shared rate.
    async fn queue(&self, pace: &dyn Pace) -> Result<Option<OwnedSemaphorePermit>, Duration> {
        let call = match &self.calls {
            None => None,
            Some(calls) => timeout(QUEUE_FOR, calls.clone().acquire_owned()).await.map_err(|_| QUEUE_FOR)?.ok(),
        };
        if let Some(per_second) = self.per_second {
            pace.take(self.channel.provider(), per_second).await?;
        }
        Ok(call)
    }

    /// Calls the provider and learns from it how the provider fares.
    async fn call(&self, message: &OutboundMessage, within: Duration) -> Result<Sent, SendError> {
        let result = self.channel.send(message, within).await;
        let health = match &result {
            Err(SendError::Transient { retry_after: Some(wait), provider_down: true, .. }) => Health::Asked(*wait),
            Err(SendError::Transient { provider_down: true, .. } | SendError::Unknown { .. }) => Health::Trouble,
            Ok(_) | Err(SendError::Transient { .. } | SendError::Permanent { .. }) => Health::Good,
        };
        if self.breaker.end(Instant::now(), health) {
            let provider = self.channel.provider();
            if health == Health::Good {
                tracing::info!(provider, "the provider works again");
            } else {
                tracing::warn!(provider, "the provider is in trouble and is left alone for a while");
            }
        }
        result
    }
}

impl Turn<'_> {
    /// Sends by the provider whose turn it is.
    ///
    /// After a transient error, where nothing can have been sent, the next provider is asked; any other answer is the last
    /// word. If all fail so, it is the last one's error. Takes at most 30 s from here on: a turn that had to wait loses none of them.
    pub async fn send(self, message: &OutboundMessage) -> Result<Sent, SendError> {
        let Self { providers, first, mut call } = self;
        let began = Instant::now();
        let mut last = Failure::permanent("no provider is configured").of("");
        for (n, provider) in providers.0.iter().enumerate().skip(first) {
            let left = ATTEMPT.saturating_sub(began.elapsed());
            if n > first {
                // As in `turn`, but without waiting: this message has its turn already.
                call = match &provider.calls {
                    None => None,
                    Some(calls) => match calls.clone().try_acquire_owned() {
                        Ok(call) => Some(call),
                        Err(_) => continue,
                    },
                };
                if left < WORTH_ASKING || provider.breaker.begin(Instant::now()).is_err() {
                    continue;
                }
            }
            let result = provider.call(message, left).await;
            drop(call.take());
            match result {
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
    make: impl Fn(Place<'_>, &C) -> Result<(Box<dyn Channel>, Limits), ConfigError>,
) -> Result<Providers, ConfigError> {
    // reqwest (and lettre, if there is one) take the process's provider; whoever came first has set it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let one = |name: &String| {
        let config = configs.get(name).ok_or_else(|| ConfigError::NoSuchProvider { channel, name: name.clone() })?;
        let place = Place { channel, name };
        let (channel, limits) = make(place, config)?;
        limits.check(place)?;
        let calls = limits.max_concurrency.map(|n| Arc::new(Semaphore::new(n)));
        Ok(Provider {
            channel,
            calls,
            max_concurrency: limits.max_concurrency,
            per_second: limits.rate_per_second,
            breaker: Breaker::default(),
        })
    };
    order.iter().map(one).collect::<Result<Vec<_>, _>>().map(|providers| Providers(providers.into()))
}
