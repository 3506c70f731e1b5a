//! Whether the router opens ports: it is asked for one, for a minute, which is given back at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{InternetProtocol, PortMappingOptions, TimeoutConfig, natpmp, pcp};
use futures_util::future::join3;
use igd_next::aio::tokio::search_gateway;
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use crate::network::local_address;
use crate::report::{Opens, Router};

/// How long a port stays open if we cannot close it.
const LEASE_S: u32 = 60;
/// How long one protocol may take.
const LIMIT: Duration = Duration::from_secs(4);
/// How long a device may take to say that it is there.
const SEARCH_LIMIT: Duration = Duration::from_millis(2_500);
/// PCP and NAT-PMP: at 0, 250, 750 and 1750 ms, given up at 2750 ms.
const RETRIES: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 3,
    max_retry_timeout: Some(Duration::from_secs(1)),
};
/// Discard: nothing is sent there.
const ANY_PORT: u16 = 9;

/// Asks by all three protocols at once.
pub(crate) async fn ask(deadline: Instant) -> Router {
    let nobody =
        |gateway| Router { gateway, pcp: Opens::NotAsked, nat_pmp: Opens::NotAsked, upnp: Opens::NotAsked };
    let Some(gateway) = gateway().map(IpAddr::V4) else { return nobody(None) };
    let Some(local) = local_address(SocketAddr::new(gateway, ANY_PORT)) else { return nobody(Some(gateway)) };
    let asked = join3(by_pcp(gateway, local), by_nat_pmp(gateway, local), by_upnp(local));
    match timeout_at(deadline, asked).await {
        Ok((pcp, nat_pmp, upnp)) => Router { gateway: Some(gateway), pcp, nat_pmp, upnp },
        Err(_) => nobody(Some(gateway)),
    }
}

/// A port of ours, held for as long as the router leads to it.
async fn hold(local: IpAddr) -> Option<(UdpSocket, NonZeroU16)> {
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).await.ok()?;
    let port = NonZeroU16::new(socket.local_addr().ok()?.port())?;
    Some((socket, port))
}

fn options() -> PortMappingOptions {
    PortMappingOptions { external_port: None, lifetime_seconds: Some(LEASE_S), timeout_config: Some(RETRIES) }
}

async fn by_pcp(gateway: IpAddr, local: IpAddr) -> Opens {
    let Some((_held, port)) = hold(local).await else { return Opens::NotAsked };
    let request = pcp::BaseMapRequest::new(gateway.into(), local, InternetProtocol::Udp, port);
    match timeout(LIMIT, pcp::port_mapping(request, None, None, options())).await {
        Ok(Ok(mapping)) => give_back(mapping).await,
        Err(_)
        | Ok(Err(pcp::Failure::Socket(_) | pcp::Failure::Timeout | pcp::Failure::UnsupportedVersion(_))) => {
            Opens::NoAnswer
        }
        Ok(Err(_)) => Opens::Refused,
    }
}

async fn by_nat_pmp(gateway: IpAddr, local: IpAddr) -> Opens {
    let Some((_held, port)) = hold(local).await else { return Opens::NotAsked };
    match timeout(LIMIT, natpmp::port_mapping(gateway.into(), InternetProtocol::Udp, port, options())).await {
        Ok(Ok(mapping)) => give_back(mapping).await,
        Err(_)
        | Ok(Err(
            natpmp::Failure::Socket(_) | natpmp::Failure::Timeout | natpmp::Failure::UnsupportedVersion(_),
        )) => Opens::NoAnswer,
        Ok(Err(_)) => Opens::Refused,
    }
}

async fn give_back(mapping: crab_nat::PortMapping) -> Opens {
    let port = Some(mapping.external_port().get());
    // One that is not given back ends by itself.
    let _ = timeout(LIMIT, mapping.try_drop()).await;
    Opens::Opened { port }
}

async fn by_upnp(local: IpAddr) -> Opens {
    let Some((_held, port)) = hold(local).await else { return Opens::NotAsked };
    let mut search = SearchOptions::default();
    search.bind_addr = SocketAddr::new(local, 0);
    search.timeout = Some(SEARCH_LIMIT);
    search.single_search_timeout = Some(SEARCH_LIMIT);
    let (local, port) = (SocketAddr::new(local, port.get()), port.get());
    let asked = async {
        let gateway = search_gateway(search).await.ok()?;
        match gateway.add_port(PortMappingProtocol::UDP, port, local, LEASE_S, "twocan check").await {
            Ok(()) => {
                // One that is not given back ends by itself.
                let _ = gateway.remove_port(PortMappingProtocol::UDP, port).await;
                Some(Opens::Opened { port: Some(port) })
            }
            Err(AddPortError::OnlyPermanentLeasesSupported) => Some(Opens::Opened { port: None }),
            Err(_) => Some(Opens::Refused),
        }
    };
    timeout(LIMIT, asked).await.ok().flatten().unwrap_or(Opens::NoAnswer)
}

/// Where the default route leads.
fn gateway() -> Option<Ipv4Addr> {
    default_gateway(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// Linux's table: a line each, `eth0 00000000 0101A8C0 0003 …`, addresses in the byte order of this machine.
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_where_the_default_route_leads() {
        let gateway = u32::from_ne_bytes([192, 168, 1, 1]);
        let table = format!(
            "Iface\tDestination\tGateway\tFlags\neth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t{gateway:08X}\t0003\n"
        );
        assert_eq!(default_gateway(&table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(default_gateway("Iface\tDestination\tGateway\tFlags\n"), None);
        assert_eq!(default_gateway(""), None);
    }
}
