//! Where Redis is, from a URL.

use std::time::Duration;

use redis::{
    ConnectionInfo, IntoConnectionInfo, RedisError,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::SentinelNodeConnectionInfo,
};
use url::Url;

/// How long a machine may be gone until the kernel ends connections to it. By itself it would go on for a quarter of an hour.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Where Redis is.
#[derive(Clone, Debug)]
pub enum Place {
    /// One node.
    Node(ConnectionInfo),
    /// Behind Sentinel.
    Sentinel {
        /// The Sentinels.
        nodes: Vec<ConnectionInfo>,
        /// The master's name.
        name: String,
        /// How to log in to the master.
        settings: SentinelNodeConnectionInfo,
    },
    /// A Cluster, by some of its nodes.
    Cluster(Vec<ConnectionInfo>),
}

/// The URL is none that is understood. It is not repeated: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum BadUrl {
    /// Its form is wrong.
    #[error(
        "must be redis://user:password@host:6379/0, redis+sentinel://user:password@host:26379,host:26379/NAME or \
         redis+cluster://user:password@host:6379,host:6379"
    )]
    Form,
    /// A node's address is wrong.
    #[error("an address is wrong")]
    Address(#[source] RedisError),
}

impl std::str::FromStr for Place {
    type Err = BadUrl;

    fn from_str(url: &str) -> Result<Self, BadUrl> {
        let address = |url: &str| {
            let info = url.into_connection_info().map_err(BadUrl::Address)?;
            Ok(info.set_tcp_settings(tcp()))
        };
        let Some((scheme, rest)) = url.strip_prefix("redis+").and_then(|url| url.split_once("://")) else {
            return Ok(Self::Node(address(url)?));
        };
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<&str> = hosts.split(',').filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            return Err(BadUrl::Form);
        }
        let node = |login: &str, host: &&str| {
            let at = if login.is_empty() { "" } else { "@" };
            address(&format!("redis://{login}{at}{host}"))
        };
        match (scheme, path) {
            ("cluster", "") => Ok(Self::Cluster(hosts.iter().map(|host| node(login, host)).collect::<Result<_, _>>()?)),
            ("sentinel", name) if !name.is_empty() && !name.contains('/') => {
                // The login is the master's: Sentinels seldom have one, and never the same.
                let master = Url::parse(&format!("redis://{login}@host")).map_err(|_| BadUrl::Form)?;
                let decode = |text: &str| percent(text).ok_or(BadUrl::Form);
                let mut settings = redis::RedisConnectionInfo::default();
                if !master.username().is_empty() {
                    settings = settings.set_username(decode(master.username())?);
                }
                if let Some(password) = master.password() {
                    settings = settings.set_password(decode(password)?);
                }
                Ok(Self::Sentinel {
                    nodes: hosts.iter().map(|host| node("", host)).collect::<Result<_, _>>()?,
                    name: name.to_owned(),
                    settings: SentinelNodeConnectionInfo::default().set_redis_connection_info(settings).set_tcp_settings(tcp()),
                })
            }
            _ => Err(BadUrl::Form),
        }
    }
}

/// What the kernel sees to on each connection, also where nothing is under way: that the other machine is there.
pub(crate) fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(GONE_AFTER / 2).with_interval(GONE_AFTER / 5);
    let settings = TcpSettings::default().set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(GONE_AFTER);
    settings
}

/// Undoes percent-encoding; `None` if what comes out is no text.
fn percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_understood() {
        assert!(matches!("redis://127.0.0.1:7000/2".parse(), Ok(Place::Node(_))));
        let Ok(Place::Cluster(nodes)) = "redis+cluster://u:p@a:1,b:2".parse() else { panic!() };
        assert_eq!(
            (nodes.len(), nodes[1].addr().to_string(), nodes[1].redis_settings().username()),
            (2, "b:2".into(), Some("u"))
        );
        let Ok(Place::Sentinel { nodes, name, .. }) = "redis+sentinel://:p%40ss@a:1,b:2,c:3/mymaster".parse() else { panic!() };
        assert_eq!((nodes.len(), name.as_str(), nodes[0].redis_settings().password()), (3, "mymaster", None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_watches_over_each_connection() {
        let Ok(Place::Node(node)) = "redis://a".parse() else { panic!() };
        let Ok(Place::Sentinel { nodes, .. }) = "redis+sentinel://a:1/main".parse() else { panic!() };
        for info in [&node, &nodes[0]] {
            assert_eq!(info.tcp_settings().user_timeout(), Some(GONE_AFTER));
            assert!(info.tcp_settings().keepalive().is_some());
        }
    }

    #[test]
    fn what_is_wrong_is_refused_without_repeating_it() {
        for bad in [
            "",
            "http://secret@x",
            "redis+sentinel://secret@a:1",
            "redis+cluster://secret@a:1/0",
            "redis+x://secret@a",
            "redis+cluster://",
        ] {
            let error = bad.parse::<Place>().unwrap_err();
            assert!(!format!("{error}").contains("secret"), "{error}");
        }
    }
}
