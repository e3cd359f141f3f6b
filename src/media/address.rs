//! Which addresses media may come from. A URL comes from whoever wrote the post, who need not be the operator: it is
//! fetched without following it into the operator's own network. Names are checked as they are resolved, so that a name
//! which points inwards is refused as an address that does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures::FutureExt;
use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

use crate::http::client_builder;
use crate::http::connect::addresses;

/// A host that is written as an address never reaches the resolver, so it is checked here.
pub(super) fn refuse_private_literal(url: &Url) -> Result<(), String> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        return Ok(());
    }
    Err(format!(
        "{address} is a private address; media must be on a public one"
    ))
}

/// Whether an address is one of the public internet's.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but what IANA's special-purpose registry (2025-10) sets aside.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

/// Global unicast (`2000::/3`) alone, without the tunnels that carry an IPv4 address of anybody's choice; of the rest
/// only what stands for a public IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0 | 0x0db8, ..] | [0x2001, 2, 0, ..] | [0x2002, ..] => false,
        [0x2001, second, ..] if second & 0xfff0 == 0x20 => false,
        [0x3fff, second, ..] if second & 0xf000 == 0 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// What makes the client that fetches media.
///
/// It uses no proxy: a proxy would resolve the names itself, unchecked.
pub(super) fn builder(allow_private: bool) -> ClientBuilder {
    let builder = client_builder().no_proxy();
    if allow_private {
        builder
    } else {
        builder.dns_resolver(PublicOnly)
    }
}

/// The system's resolver without the answers that point inwards.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        async move {
            let addresses = addresses(&name).await?;
            let public: Vec<SocketAddr> = addresses.filter(|at| is_public(at.ip())).collect();
            if public.is_empty() {
                return Err(PrivateHost.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        }
        .boxed()
    }
}

#[derive(Debug, Error)]
#[error("the name stands for private addresses only")]
pub(super) struct PrivateHost;
