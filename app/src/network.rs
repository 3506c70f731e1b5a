//! The network that this machine is in: by which address it is reached, and what becomes of us while there is none yet, or another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};
use twocan_relay::Handle;
use twocan_turn::External;

use crate::listen::Listen;
use crate::settings::Settings;
use crate::values::Half;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// What helps where a named address is not there.
pub const LATER: &str = "if its network is still coming up, start again once it is there (systemd: After=network-online.target and Restart=on-failure)";

/// The local address that the system would use towards `remote`; where it knows a way to no place of the Internet, in neither family,
/// that of an interface: the two may be in one network.
pub fn primary_address(remote: SocketAddr) -> Option<IpAddr> {
    if let Some(ip) = route(remote) {
        return Some(ip);
    }
    if is_routed() {
        return None;
    }
    best(&twocan_relay::own_addresses(), remote.is_ipv4())
}

/// Any address of the Internet will do: nothing is sent there. (The root servers' block and its like in IPv6.)
pub fn ipv4_somewhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 41, 0, 4), 53))
}

pub fn ipv6_somewhere() -> SocketAddr {
    SocketAddr::from((Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30), 53))
}

/// Connecting a UDP socket sends nothing.
fn route(remote: SocketAddr) -> Option<IpAddr> {
    let unspecified: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(unspecified).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// Of several addresses, one by which others may reach this machine: of this family, beyond this machine and the link.
fn best(addresses: &[IpAddr], is_v4: bool) -> Option<IpAddr> {
    let is_reachable = |ip: &&IpAddr| match ip {
        IpAddr::V4(ip) => is_v4 && !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !is_v4 && !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    };
    addresses.iter().find(is_reachable).copied()
}

/// Waits until this machine has an address that relayed candidates can carry: started by a machine that is starting itself, we may be
/// sooner than its network.
pub fn wait(settings: &Settings) {
    if !wants_an_address(settings) || is_there() {
        return;
    }
    warn!(
        "this machine has no address yet but those of its own (127.0.0.1): waiting for its network; `--external-ip` says an address that \
         is not to be waited for"
    );
    while !is_there() {
        std::thread::sleep(EVERY / 4);
    }
    info!("the network is there");
}

/// Whether we are to find out ourselves by which address this machine is reached.
fn wants_an_address(settings: &Settings) -> bool {
    let is_any = match settings.turn.as_slice() {
        [] => settings.public,
        listeners => listeners.iter().all(|listener| listener.ip().is_unspecified()),
    };
    is_any && settings.only != Some(Half::Signaling) && settings.external_ip.is_empty()
}

fn is_there() -> bool {
    [ipv4_somewhere(), ipv6_somewhere()].into_iter().any(|place| primary_address(place).is_some())
}

/// The addresses that this machine seems to have, for whoever is told of them.
pub type Found = Arc<Mutex<External>>;

/// Follows this machine where it gets other addresses: relayed candidates carry those. Ends with the process.
pub async fn follow(listen: Listen, relay: Option<Handle>, found: Found) {
    if listen.external_named {
        // The operator knows better: there is a router in between.
        return std::future::pending().await;
    }
    let (mut was_routed, mut proposed) = (is_routed(), None);
    loop {
        tokio::time::sleep(EVERY).await;
        let known = *found.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, own, is_routed) =
            (listen.found(primary_address), twocan_relay::own_addresses(), is_routed());
        let is_good = was_routed || !is_routed;
        let now = External {
            v4: next(known.v4, seen.v4, &own, is_good),
            v6: next(known.v6, seen.v6, &own, is_good),
        };
        // What is so for a moment, as an address that is given anew, ends nothing.
        if now == known || proposed.replace(now) != Some(now) {
            continue;
        }
        (was_routed, proposed) = (is_routed, None);
        *found.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let text = |external: External| {
            external.addresses().map(|ip| ip.to_string()).collect::<Vec<_>>().join(" and ")
        };
        warn!(
            "this machine has another address: relayed candidates carry {} from now on, no longer {}, and what was relayed there has ended",
            text(now),
            text(known)
        );
        if let Some(relay) = &relay {
            relay.move_to(now);
        }
    }
}

/// The address of a family from now on. One that this machine has still stays, where it `is_good`: it leads to the Internet, or nothing does; a
/// second way there, as a VPN is, ends no game. Families do not come and go: where one is away, its address may be the same when it is
/// back.
fn next<A: Copy + Into<IpAddr>>(
    known: Option<A>,
    seen: Option<A>,
    own: &[IpAddr],
    is_good: bool,
) -> Option<A> {
    let is_there = own.contains(&known?.into());
    if is_there && is_good { known } else { seen.or(known) }
}

fn is_routed() -> bool {
    [ipv4_somewhere(), ipv6_somewhere()].into_iter().any(|place| route(place).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split(' ').map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn without_a_way_to_the_internet_the_address_of_an_interface_will_do() {
        let found = addresses("127.0.0.1 169.254.7.7 192.168.9.1 ::1 fe80::1 fd00::7");
        assert_eq!(best(&found, true), Some("192.168.9.1".parse().unwrap()));
        assert_eq!(best(&found, false), Some("fd00::7".parse().unwrap()));
        assert_eq!(best(&addresses("127.0.0.1 169.254.7.7 ::1 fe80::1"), true), None);
        assert_eq!(best(&addresses("127.0.0.1 169.254.7.7 ::1 fe80::1"), false), None);
    }

    #[test]
    fn an_address_stays_for_as_long_as_it_is_there_and_leads_somewhere() {
        let own = addresses("127.0.0.1 10.8.0.2 192.0.2.7");
        let [known, vpn, gone]: [Option<Ipv4Addr>; 3] =
            ["192.0.2.7", "10.8.0.2", "192.0.2.9"].map(|ip| ip.parse().ok());
        assert_eq!(next(known, vpn, &own, true), known, "a VPN beside it");
        assert_eq!(next(gone, vpn, &own, true), vpn, "it is gone");
        assert_eq!(
            next(vpn, known, &own, false),
            known,
            "it was the best there was without a way to the Internet"
        );
        assert_eq!(next(gone, None, &own, true), gone, "it may come back");
        assert_eq!(next(None, known, &own, true), None, "a family that was not there");
    }

    #[test]
    fn an_address_is_wanted_where_listeners_are_on_all_and_nobody_says_which() {
        let settings = |line: &[&str]| {
            let command = <Settings as clap::Args>::augment_args(clap::Command::new("serve"));
            let matches = command.get_matches_from([&["serve"], line].concat());
            <Settings as clap::FromArgMatches>::from_arg_matches(&matches).unwrap()
        };
        for (line, wanted) in [
            (&[] as &[&str], false),
            (&["--public"], true),
            (&["--turn", "0.0.0.0:3478"], true),
            (&["--turn", "127.0.0.1:3478", "--public"], false),
            (&["--public", "--external-ip", "203.0.113.5"], false),
            (&["--public", "--only", "signaling"], false),
        ] {
            assert_eq!(wants_an_address(&settings(line)), wanted, "{line:?}");
        }
    }
}
