//! `stentor doctor`: asks everything that Stentor depends on, and says what is to be done where it is not well.

use std::net::SocketAddr;

use anyhow::bail;
use clap::Args;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use serde::Serialize;
use stentor_archive::Archive;
use stentor_channels::{DnsKind, DnsNeed, Providers, dns_needs};
use stentor_connection::Place;

use super::Output;
use crate::{config::Config, wiring::check_redis};

/// Check Redis, the archive, the providers and the DNS, and say what is to be done
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Ask this name server instead of the system's
    #[arg(long, value_name = "IP:PORT")]
    dns: Option<SocketAddr>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Good,
    /// It works, and something about it should be mended.
    Warning,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    health: Health,
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
}

impl Finding {
    fn of<T, E: std::fmt::Display>(what: impl Into<String>, result: Result<T, E>, if_not: Health) -> Self {
        let (health, advice) = match result {
            Ok(_) => (Health::Good, String::new()),
            Err(error) => (if_not, format!("{error:#}")),
        };
        Self { what: what.into(), health, advice }
    }
}

impl Doctor {
    pub(crate) async fn run(self, config: &Config, out: Output) -> anyhow::Result<()> {
        let mut found = vec![redis(config).await, archive(config).await];
        found.extend(email(config).await);
        found.extend(sms(config).await);
        found.extend(self.dns(config).await);
        out.say(&found, |found| found.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        let bad = found.iter().filter(|finding| finding.health == Health::Bad).count();
        if bad > 0 {
            bail!("{bad} of {} things do not work", found.len());
        }
        Ok(())
    }

    async fn dns(&self, config: &Config) -> Vec<Finding> {
        let needs = dns_needs(&config.email);
        if needs.is_empty() {
            return Vec::new();
        }
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(error) => return vec![Finding::of("dns", Err::<(), _>(error), Health::Bad)],
        };
        let mut found = Vec::new();
        for need in needs {
            let kind = if need.kind == DnsKind::Mx { "MX of " } else { "" };
            let what = format!("dns of {}: {kind}{}", need.provider, need.name);
            found.push(Finding::of(what, ask(&resolver, &need).await, Health::Warning));
        }
        found
    }

    fn resolver(&self) -> anyhow::Result<TokioResolver> {
        let Some(server) = self.dns else { return Ok(Resolver::builder_tokio()?.build()?) };
        let at = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let server = NameServerConfig::new(server.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Ok(Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build()?)
    }
}

/// Whether the DNS says what is needed; if not, what is to be done.
async fn ask(resolver: &TokioResolver, need: &DnsNeed) -> Result<(), String> {
    for name in std::iter::once(&need.name).chain(&need.or) {
        let name = format!("{name}.");
        let answer = match need.kind {
            DnsKind::Mx => resolver.mx_lookup(name).await,
            _ => resolver.txt_lookup(name).await,
        };
        let records: Vec<String> = match answer {
            Ok(answer) => answer.answers().iter().map(|record| record.data.to_string()).collect(),
            Err(error) if error.is_no_records_found() => continue,
            Err(_) => return Err("the name server does not answer".to_owned()),
        };
        let checked = need.kind.check(&records);
        if checked != need.kind.check(&[]) {
            return checked;
        }
    }
    // Without an MX record mails go to the address of the name itself (RFC 5321 section 5.1).
    if need.kind == DnsKind::Mx && resolver.lookup_ip(format!("{}.", need.name)).await.is_ok() {
        return Ok(());
    }
    need.kind.check(&[])
}

fn line(finding: &Finding) -> String {
    let mark = match finding.health {
        Health::Good => "good   ",
        Health::Warning => "warning",
        Health::Bad => "BAD    ",
    };
    let advice = if finding.advice.is_empty() { String::new() } else { format!("\n         {}", finding.advice) };
    format!("{mark}  {}{advice}", finding.what)
}

async fn redis(config: &Config) -> Finding {
    let check = async {
        let place: Place = config.redis.url.parse()?;
        check_redis(&place.connect().await?).await
    };
    // Without the password that it may have.
    let (scheme, rest) = config.redis.url.split_once("://").unwrap_or(("", &config.redis.url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let check = check.await.map_err(|error| format!("{error} (redis.url names {scheme}://{place}: is it running there?)"));
    Finding::of("redis", check, Health::Bad)
}

async fn archive(config: &Config) -> Finding {
    let check = async {
        let archive = Archive::connect(&config.archive.url).await?;
        match archive.pending_migrations().await? {
            0 => Ok(()),
            _ if config.archive.migrate => Ok(()),
            n => bail!("{n} migrations are to be applied: run `stentor migrate`"),
        }
    };
    Finding::of("archive", check.await, Health::Bad)
}

async fn email(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if config.email.providers.is_empty() {
        return vec![Finding::of(
            "email",
            Err::<(), _>("no provider is configured: mail stays queued (email.providers)"),
            Health::Warning,
        )];
    }
    match Providers::email(&config.email) {
        Ok(providers) => {
            for (name, answer) in providers.probe().await {
                found.push(Finding::of(format!("email provider {name}"), answer, Health::Bad));
            }
        }
        Err(error) => found.push(Finding::of("email", Err::<(), _>(error), Health::Bad)),
    }
    for name in &config.email.providers {
        let Some(provider) = config.email.provider.get(name) else { continue };
        if provider.url.reveal().starts_with("capture:") {
            continue;
        }
        if provider.dkim.is_empty() {
            let advice = format!("mails are not signed: set email.provider.{name}.dkim, unless the provider signs them");
            found.push(Finding::of(format!("email provider {name}: signatures"), Err::<(), _>(advice), Health::Warning));
        }
        if provider.return_path.is_none() && provider.events.is_none() {
            let advice = format!("bounces are not seen: set email.provider.{name}.return_path or events");
            found.push(Finding::of(format!("email provider {name}: bounces"), Err::<(), _>(advice), Health::Warning));
        }
    }
    if config.http.public_url.is_empty() {
        let advice = "mails carry no link to unsubscribe: set http.public_url";
        found.push(Finding::of("email: unsubscribing", Err::<(), _>(advice), Health::Warning));
    }
    found
}

async fn sms(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    match Providers::sms(&config.sms) {
        Ok(providers) => {
            for (name, answer) in providers.probe().await {
                found.push(Finding::of(format!("sms provider {name}"), answer, Health::Bad));
            }
        }
        Err(error) => found.push(Finding::of("sms", Err::<(), _>(error), Health::Bad)),
    }
    for name in &config.sms.providers {
        let Some(provider) = config.sms.provider.get(name) else { continue };
        if provider.receipts.is_some() && provider.callback_url.is_none() {
            let advice = format!(
                "the gateway is not told where to send receipts: set sms.provider.{name}.callback_url, or tell it by hand"
            );
            found.push(Finding::of(format!("sms provider {name}: receipts"), Err::<(), _>(advice), Health::Warning));
        }
    }
    found
}
