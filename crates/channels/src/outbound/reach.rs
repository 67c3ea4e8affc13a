//! Where a client may go: which addresses are public.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a client may connect to.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Wherever the operator says.
    Anywhere,
    /// To public addresses, and to the networks that the operator excepts.
    Public {
        /// Networks of one's own that apps may point at.
        except: Arc<[Network]>,
    },
}

impl Reach {
    /// To public addresses and `except`.
    pub fn public(except: &[Network]) -> Self {
        Self::Public { except: except.into() }
    }
}

/// A network in CIDR notation: `10.1.0.0/16`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network in CIDR notation, such as 10.1.0.0/16")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        text.parse().map(Self).map_err(|_| NotANetwork)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A name that leads to no address that may be connected to.
#[derive(Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name does not lead to a public address")
    }
}

impl Error for NotPublic {}

/// Resolves names, and gives only the addresses that may be connected to.
#[derive(Debug)]
pub(super) struct PublicResolver(Arc<[Network]>);

impl PublicResolver {
    pub(super) fn new(except: Arc<[Network]>) -> Self {
        Self(except)
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let except = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| is_allowed(address.ip(), &except)).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

pub(super) fn is_allowed(address: IpAddr, except: &[Network]) -> bool {
    // ::ffff:10.0.0.1 is 10.0.0.1.
    let address = address.to_canonical();
    except.iter().any(|network| network.0.contains(&address)) || is_public(address)
}

/// Whether an address is globally reachable unicast, by the special-purpose registries of IANA (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0 // "this network"
        || (a == 100 && (64..128).contains(&b)) // carriers' own, RFC 6598
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && matches!(b, 18 | 19)) // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // NAT64 leads to the IPv4 address at its end (RFC 6052).
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let special = matches!(segments, [0x2001, 0..0x200, ..]) // protocol assignments, Teredo among them
        || matches!(segments, [0x2001, 0xdb8, ..]) // documentation
        || segments[0] == 0x2002 // 6to4 leads to an IPv4 address of anybody's choice
        || matches!(segments, [0x3fff, 0..0x1000, ..]); // documentation
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, except: &[&str]) -> bool {
        let except: Vec<Network> = except.iter().map(|network| network.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &except)
    }

    #[test]
    fn what_is_public() {
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn what_is_not() {
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.5.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "3fff::1",
            "fec0::1",
        ] {
            assert!(!allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn an_operator_may_except_a_network() {
        assert!(allowed("10.1.2.3", &["10.1.0.0/16"]));
        assert!(!allowed("10.2.2.3", &["10.1.0.0/16"]));
        assert!(allowed("::ffff:10.1.2.3", &["10.1.0.0/16"]), "the same address, spelled otherwise");
        assert_eq!("10.1.0.0/99".parse::<Network>(), Err(NotANetwork));
        assert_eq!("example.com".parse::<Network>(), Err(NotANetwork));
    }
}
