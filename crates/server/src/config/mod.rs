//! Settings: every key once, in `config/default.toml`; read here and nowhere else.

mod load;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stentor_channels::{EmailConfig, SmsConfig, outbound::Network};

pub(crate) use load::load;

/// The defaults, with every key explained.
pub(crate) const DEFAULT: &str = include_str!("../../../../config/default.toml");

/// All settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub roles: Vec<Role>,
    pub http: HttpConfig,
    pub realtime: RealtimeConfig,
    pub redis: RedisConfig,
    pub archive: ArchiveConfig,
    pub templates: TemplatesConfig,
    pub worker: WorkerConfig,
    pub log: LogConfig,
    pub outbound: OutboundConfig,
    pub bounce: BounceConfig,
    pub email: EmailConfig,
    pub sms: SmsConfig,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Api,
    Gateway,
    Worker,
    Bounce,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpConfig {
    pub listen: std::net::SocketAddr,
    pub public_url: String,
}

/// Where bounces are taken.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BounceConfig {
    pub listen: std::net::SocketAddr,
    pub max_bytes: usize,
}

/// Where apps may lead this process.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutboundConfig {
    pub allow: Vec<Network>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RealtimeConfig {
    pub origins: Vec<String>,
    pub connects_per_second: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisConfig {
    pub url: String,
    pub durability: Durability,
    pub replicas: u32,
    pub replicated_within_ms: u64,
}

/// When a notification counts as accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Durability {
    Local,
    Replicated,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveConfig {
    pub url: String,
    pub migrate: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplatesConfig {
    pub dir: PathBuf,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the settings")]
pub(crate) struct WorkerConfig {
    pub dispatch_concurrency: usize,
    pub email_concurrency: usize,
    pub sms_concurrency: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Text,
    Json,
}
