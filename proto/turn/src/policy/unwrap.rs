//! IPv4 addresses that hide in IPv6 ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every IPv4 address that `ip` can be taken to carry: as an IPv4-mapped, IPv4-compatible, 6to4, NAT64, Teredo or ISATAP
/// address.
pub(super) fn embedded(ip: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let found = match ip {
        IpAddr::V4(_) => [None; 3],
        IpAddr::V6(ip) => embedded_in(ip),
    };
    found.into_iter().flatten()
}

fn embedded_in(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let segments = ip.segments();
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        // :: and ::1 are themselves, not 0.0.0.0 and 0.0.0.1 (RFC 4291 2.5.5.1)
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 3],
        // ::/96 compatible, ::ffff:0:0/96 mapped, ::ffff:0:0:0/96 translated (RFC 2765)
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            [pair(high, low), None, None]
        }
        // 64:ff9b::/96, and what else begins so
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [pair(high, low), None, None],
        // 64:ff9b:1::/48 in the layouts of RFC 6052 for /48, /56, /64 and /96 share no place: the /48 and /96 ones
        [0x64, 0xff9b, 1, first, second, third, high, low] => {
            let split = pair(first, (second & 0x00ff) << 8 | third >> 8);
            [split, pair(high, low), None]
        }
        // 2002:v4::/48
        [0x2002, high, low, ..] => [pair(high, low), None, None],
        // 2001:0:server:flags:port:client, the client's inverted
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [pair(server_high, server_low), pair(!high, !low), None]
        }
        // ISATAP: an interface identifier of 0000:5efe or 0200:5efe before the address
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => [pair(high, low), None, None],
        _ => [None; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(text: &str) -> Vec<String> {
        embedded(text.parse().unwrap()).map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn an_ipv4_address_is_found_in_each_ipv6_form() {
        assert_eq!(inner("::ffff:127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(inner("::127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(inner("::ffff:0:127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(inner("2002:7f00:1::"), ["127.0.0.1"]);
        assert_eq!(inner("2002:7f00:1::1234"), ["127.0.0.1"]);
        assert_eq!(inner("64:ff9b::127.0.0.1"), ["127.0.0.1"]);
        assert_eq!(inner("64:ff9b:1::127.0.0.1"), ["0.0.0.0", "127.0.0.1"]);
        assert_eq!(inner("64:ff9b:1:7f00:0:100::"), ["127.0.0.1", "0.0.0.0"]);
        assert_eq!(inner("2001:0:c0a8:101::80ff:fffe"), ["192.168.1.1", "127.0.0.1"]);
        assert_eq!(inner("2a00:1::5efe:10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(inner("2a00:1::200:5efe:10.0.0.1"), ["10.0.0.1"]);
    }

    #[test]
    fn an_ordinary_address_hides_nothing() {
        assert_eq!(inner("2a00:1450:4001:81b::200e"), [""; 0]);
        assert_eq!(inner("8.8.8.8"), [""; 0]);
        assert_eq!(inner("::1"), [""; 0]);
        assert_eq!(inner("::"), [""; 0]);
    }
}
