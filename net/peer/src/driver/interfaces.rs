//! Which addresses of this machine a connection uses.
//!
//! RFC 8445 5.1.1.1, and what browsers do: no loopback and no link-local address where there is another, temporary IPv6
//! addresses instead of the lasting one of the same prefix. Of more than [`ADDRESSES_MAX`] those that lead furthest are used, one of each
//! interface and family before a second one, and then, up to [`SOCKETS_MAX`], those from which the system sends to a server or to
//! what the other side names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::routes::{Leads, Routes};

/// Addresses that one connection uses by itself, at most: each is a socket, and candidates to be checked.
pub const ADDRESSES_MAX: usize = 8;
/// Addresses that it uses in all: those besides were asked for, or were chosen before others came.
pub const SOCKETS_MAX: usize = 16;

/// One address of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The interface's name.
    pub name: String,
    /// Its number, which scopes link-local IPv6.
    pub index: u32,
    /// The address.
    pub ip: IpAddr,
    /// What the system says of an IPv6 address.
    pub state: AddressState,
    /// Where it leads.
    pub leads: Leads,
}

/// How good an IPv6 address is to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressState {
    /// No reason against it.
    #[default]
    Lasting,
    /// For privacy (RFC 8981): preferred to a lasting one of the same prefix.
    Temporary,
    /// Deprecated, tentative or a duplicate: not used.
    Unusable,
}

/// All addresses of interfaces that are up.
pub fn find() -> io::Result<Vec<Found>> {
    let states = ipv6_states(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let found = if_addrs::get_if_addrs()?.into_iter().filter(|each| each.is_oper_up() || each.is_loopback());
    let routes = Routes::read();
    Ok(found
        .map(|each| {
            let ip = each.ip();
            let known = states.iter().find(|(address, _)| IpAddr::V6(*address) == ip);
            Found {
                index: each.index.unwrap_or_default(),
                ip,
                leads: routes.leads(&each.name, ip),
                state: known.map(|(_, state)| *state).unwrap_or_default(),
                name: each.name,
            }
        })
        .collect())
}

/// The addresses that are of use, best first, with port 0.
pub fn usable(found: &[Found], loopback: bool) -> Vec<SocketAddr> {
    let usable = |each: &&Found| {
        each.state != AddressState::Unusable && !each.ip.is_unspecified() && !each.ip.is_multicast()
    };
    let usable: Vec<&Found> = found.iter().filter(usable).collect();
    let (near, mut chosen): (Vec<&Found>, Vec<&Found>) =
        usable.iter().copied().partition(|each| each.ip.is_loopback() || is_link_local(each.ip));
    chosen.retain(|each| each.state == AddressState::Temporary || !has_temporary(each, &usable));
    if chosen.is_empty() {
        chosen.extend(near.iter().filter(|each| is_link_local(each.ip)));
    }
    chosen = by_worth(&chosen);
    if loopback || chosen.is_empty() {
        // Before the others, so that their number cannot push it out.
        chosen.splice(0..0, near.into_iter().filter(|each| each.ip.is_loopback()));
    }
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in chosen.into_iter().map(socket_address) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// What leads out; then the first of each interface and family, the second and so on, by where they lead; what leads within this machine
/// at the end.
fn by_worth<'a>(found: &[&'a Found]) -> Vec<&'a Found> {
    let place = |index: usize, each: &Found| {
        let before = found.iter().take(index).filter(|other| {
            other.index == each.index && other.name == each.name && other.ip.is_ipv4() == each.ip.is_ipv4()
        });
        before.count()
    };
    let key = |(index, each): &(usize, &'a Found)| {
        (each.leads != Leads::Out, each.leads == Leads::Within, place(*index, each), each.leads)
    };
    let mut ordered: Vec<(usize, &Found)> = found.iter().copied().enumerate().collect();
    ordered.sort_by_cached_key(key);
    ordered.into_iter().map(|(_, each)| each).collect()
}

fn has_temporary(lasting: &Found, all: &[&Found]) -> bool {
    let IpAddr::V6(ip) = lasting.ip else { return false };
    let prefix = |ip: Ipv6Addr| u128::from(ip) >> 64;
    all.iter().any(|other| {
        other.state == AddressState::Temporary
            && other.index == lasting.index
            && matches!(other.ip, IpAddr::V6(other) if prefix(other) == prefix(ip))
    })
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn socket_address(found: &Found) -> SocketAddr {
    match found.ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, 0, 0, found.index).into(),
        ip => SocketAddr::new(ip, 0),
    }
}

/// The flags of `/proc/net/if_inet6`: address, interface, prefix, scope, flags, name, all but the name in hexadecimal.
fn ipv6_states(table: &str) -> Vec<(Ipv6Addr, AddressState)> {
    const TEMPORARY: u8 = 0x01;
    const DAD_FAILED: u8 = 0x08;
    const DEPRECATED: u8 = 0x20;
    const TENTATIVE: u8 = 0x40;
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u8::from_str_radix(fields.nth(3)?, 16).ok()?;
        let state = match flags {
            flags if flags & (DAD_FAILED | DEPRECATED | TENTATIVE) != 0 => AddressState::Unusable,
            flags if flags & TEMPORARY != 0 => AddressState::Temporary,
            _ => AddressState::Lasting,
        };
        Some((Ipv6Addr::from(address), state))
    };
    table.lines().filter_map(line).collect()
}

/// Whether a server's host is this machine itself: then loopback is a way to it and to others who use it.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, ip: &str) -> Found {
        let (ip, state) = (ip.parse().unwrap(), AddressState::Lasting);
        let leads = Routes::default().leads(name, ip);
        Found { name: name.into(), index: 2, ip, state, leads }
    }

    fn chosen(found: &[Found], loopback: bool) -> Vec<String> {
        usable(found, loopback).iter().take(ADDRESSES_MAX).map(ToString::to_string).collect()
    }

    #[test]
    fn loopback_and_link_local_are_left_out_where_there_is_another() {
        let all = [
            found("lo", "127.0.0.1"),
            found("eth0", "fe80::1"),
            found("eth0", "192.0.2.7"),
            found("eth1", "169.254.3.4"),
        ];
        assert_eq!(chosen(&all, false), ["192.0.2.7:0"]);
        assert_eq!(chosen(&all, true), ["127.0.0.1:0", "192.0.2.7:0"]);
    }

    #[test]
    fn a_machine_with_loopback_alone_uses_it() {
        assert_eq!(
            chosen(&[found("lo", "127.0.0.1"), found("lo", "::1")], false),
            ["127.0.0.1:0", "[::1]:0"]
        );
    }

    #[test]
    fn link_local_addresses_serve_where_there_is_nothing_better() {
        let all = [found("lo", "127.0.0.1"), found("eth0", "169.254.3.4"), found("eth0", "fe80::1")];
        assert_eq!(chosen(&all, false), ["169.254.3.4:0", "[fe80::1%2]:0"]);
    }

    #[test]
    fn a_temporary_address_replaces_the_lasting_one_of_its_prefix() {
        let mut all =
            [found("eth0", "2001:db8::1"), found("eth0", "2001:db8::99"), found("eth0", "2001:db8:1::1")];
        all[1].state = AddressState::Temporary;
        assert_eq!(chosen(&all, false), ["[2001:db8::99]:0", "[2001:db8:1::1]:0"]);
        all[1].state = AddressState::Unusable;
        assert_eq!(chosen(&all, false), ["[2001:db8::1]:0", "[2001:db8:1::1]:0"]);
    }

    #[test]
    fn at_most_eight_addresses_are_used_and_virtual_ones_come_last() {
        let mut all = vec![found("docker0", "172.17.0.1")];
        all.extend((1..=9).map(|host| found("eth0", &format!("192.0.2.{host}"))));
        let addresses = chosen(&all, false);
        assert_eq!(addresses.len(), ADDRESSES_MAX);
        assert!(!addresses.contains(&"172.17.0.1:0".to_owned()));
        assert_eq!(chosen(&all[..2], false), ["192.0.2.1:0", "172.17.0.1:0"]);
    }

    /// Twelve interfaces of this kind, and the one that matters, named before them or after.
    fn among_twelve(kind: &str, name: &str, leads: Leads) -> Vec<Found> {
        let mut all: Vec<Found> =
            (0..12).map(|n| found(&format!("{kind}{n}"), &format!("172.{}.0.1", 17 + n))).collect();
        all.push(Found { leads, ..found(name, "10.1.0.2") });
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    #[test]
    fn no_number_of_other_interfaces_pushes_out_the_one_that_leads_furthest() {
        for kind in ["wg", "tun", "tailscale", "br-", "ens4.10", "aaa", "zzz"] {
            for leads in [Leads::Out, Leads::Further, Leads::Somewhere] {
                let addresses = chosen(&among_twelve(kind, "en0", leads), false);
                assert_eq!(addresses.first().map(String::as_str), Some("10.1.0.2:0"), "{kind}, {leads:?}");
                assert_eq!(addresses.len(), ADDRESSES_MAX, "and what fits besides is taken");
            }
        }
        for kind in ["wg", "tun", "tailscale", "br-"] {
            let addresses = chosen(&among_twelve(kind, "en0", Leads::Unknown), false);
            assert_eq!(addresses[0], "10.1.0.2:0", "{kind}: what is not virtual comes first");
        }
    }

    #[test]
    fn both_families_that_lead_out_come_before_all_others() {
        let mut all: Vec<Found> = (1..20).map(|n| found("eth0", &format!("2001:db8:{n}::1"))).collect();
        all.push(Found { leads: Leads::Out, ..found("eth0", "192.0.2.7") });
        all.push(Found { leads: Leads::Out, ..found("eth1", "2001:db8:77::1") });
        assert_eq!(chosen(&all, false)[..2], ["192.0.2.7:0", "[2001:db8:77::1]:0"]);
    }

    #[test]
    fn many_addresses_of_one_interface_leave_room_for_those_of_others() {
        let mut all: Vec<Found> = (1..=20).map(|host| found("eth0", &format!("192.0.2.{host}"))).collect();
        all.extend((1..=20).map(|n| found("eth0", &format!("2001:db8:{n}::1"))));
        all.push(Found { index: 3, ..found("eth1", "10.7.0.2") });
        let addresses = chosen(&all, false);
        for wanted in ["192.0.2.1:0", "[2001:db8:1::1]:0", "10.7.0.2:0"] {
            assert!(addresses.contains(&wanted.to_owned()), "{wanted} of {addresses:?}");
        }
    }

    #[test]
    fn the_flags_of_linux_are_read() {
        let table = "20010db8000000000000000000000001 02 40 00 80     eth0\n\
                     20010db8000000000000000000000002 02 40 00 01     eth0\n\
                     20010db8000000000000000000000003 02 40 00 21     eth0\n\
                     nonsense\n";
        let states: Vec<_> = ipv6_states(table).into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, [AddressState::Lasting, AddressState::Temporary, AddressState::Unusable]);
    }

    #[test]
    fn a_loopback_server_is_recognised_by_its_host() {
        for host in ["localhost", "127.0.0.1", "127.3.4.5", "[::1]", "::1"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["play.example", "192.0.2.1", "[2001:db8::1]"] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
