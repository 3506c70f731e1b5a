//! Where the interfaces of this machine lead: the address that the system would send from, and on Linux the interfaces with routes
//! through a gateway and those that are hardware.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// One of the DNS's root servers in each family: somewhere out there. Nothing is sent to it.
const FAR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30)),
];

/// Names with which interfaces begin that lead to containers, virtual machines and private networks within others. Where one of them
/// has a route further it is looked upon as any other.
const VIRTUAL: [&str; 40] = [
    "docker",
    "veth",
    "br-",
    "virbr",
    "vmnet",
    "vboxnet",
    "cni",
    "flannel",
    "lxc",
    "lxd",
    "incus",
    "podman",
    "cali",
    "cilium",
    "kube",
    "nodelocal",
    "weave",
    "antrea",
    "ovs",
    "vnet",
    "dummy",
    "ifb",
    "wg",
    "tun",
    "tap",
    "utun",
    "tailscale",
    "zt",
    "nebula",
    "netbird",
    "nordlynx",
    "proton",
    "ipsec",
    "vti",
    "gre",
    "sit",
    "ip6tnl",
    "vethernet",
    "awdl",
    "llw",
];

/// Of a table of routes so much is read: a router of the Internet's has a million.
const TABLE_BYTES_MAX: u64 = 128 << 10;

/// Where an interface leads, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leads {
    /// The system sends from this address to whatever it has no other route for.
    Out,
    /// There is a route through it to networks that are not its own.
    Further,
    /// It is hardware, or its address can be reached from everywhere.
    #[default]
    Somewhere,
    /// Nothing is known of it.
    Unknown,
    /// By its name it leads to something within this machine, or laid over other networks.
    Within,
}

/// What is known of the machine's routes at one moment.
#[derive(Default)]
pub struct Routes {
    sources: Vec<IpAddr>,
    gateways: Vec<String>,
}

impl Routes {
    /// As they are.
    pub fn read() -> Routes {
        let table = |name: &str| {
            let mut text = String::new();
            if let Ok(file) = std::fs::File::open(format!("/proc/net/{name}")) {
                // What cannot be read, and what comes behind that, is not known.
                let _ = file.take(TABLE_BYTES_MAX).read_to_string(&mut text);
            }
            text
        };
        let mut gateways = v4_gateways(&table("route"));
        gateways.extend(v6_gateways(&table("ipv6_route")));
        Routes { sources: FAR.into_iter().filter_map(source_towards).collect(), gateways }
    }

    /// What the interface of this name and the address of its are worth.
    pub fn leads(&self, name: &str, ip: IpAddr) -> Leads {
        let lower = name.to_ascii_lowercase();
        if self.sources.contains(&ip) {
            Leads::Out
        } else if self.gateways.iter().any(|known| known == name) {
            Leads::Further
        } else if VIRTUAL.iter().any(|start| lower.starts_with(start)) {
            Leads::Within
        } else if is_hardware(name) || twocan_turn::policy::is_public_unicast(ip) {
            Leads::Somewhere
        } else {
            Leads::Unknown
        }
    }
}

/// The address from which the system sends to this one, by all its routes and rules. No packet is sent.
pub fn source_towards(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // The port means nothing.
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    let from = socket.local_addr().ok()?.ip().to_canonical();
    Some(from).filter(|from| !from.is_unspecified())
}

/// Linux links each device of the machine's own to what drives it.
fn is_hardware(name: &str) -> bool {
    let is_plain = !name.contains('/') && !name.starts_with('.');
    is_plain && std::fs::symlink_metadata(format!("/sys/class/net/{name}/device")).is_ok()
}

/// The flag of a route through a gateway (RTF_GATEWAY).
const GATEWAY: u32 = 0x2;
/// The flags of a route that leads nowhere (RTF_REJECT).
const REJECT: u32 = 0x200;

fn is_way(flags: &str, is_default: bool) -> bool {
    u32::from_str_radix(flags, 16)
        .is_ok_and(|flags| flags & REJECT == 0 && (is_default || flags & GATEWAY != 0))
}

/// Of `/proc/net/route`: interface, destination, gateway, flags, …, the mask as the eighth, in hexadecimal.
fn v4_gateways(table: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (name, destination) = (fields.next()?, fields.next()?);
        let (flags, mask) = (fields.nth(1)?, fields.nth(3)?);
        let is_default = destination == "00000000" && mask == "00000000";
        is_way(flags, is_default).then(|| name.to_owned())
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Of `/proc/net/ipv6_route`: destination, its prefix, …, flags, interface, in hexadecimal.
fn v6_gateways(table: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (destination, prefix) = (fields.next()?, fields.next()?);
        let (flags, name) = (fields.nth(6)?, fields.next()?);
        let is_default = prefix == "00" && destination.bytes().all(|digit| digit == b'0');
        is_way(flags, is_default).then(|| name.to_owned())
    };
    table.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_through_gateways_are_read_from_the_tables_of_linux() {
        let v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                  wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                  ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
                  eth1\t0000000A\t0105A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
                  docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                  lo\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n\
                  nonsense\n";
        assert_eq!(v4_gateways(v4), ["wlan0", "ppp0", "eth1"]);
        let zeros = "0".repeat(32);
        let v6 = format!(
            "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 wlan0\n\
             20010db8000000000000000000000000 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001 eth1\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n"
        );
        assert_eq!(v6_gateways(&v6), ["wlan0"]);
    }

    #[test]
    fn what_leads_out_comes_first_and_names_of_virtual_interfaces_last_unless_they_lead_further() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let routes = Routes {
            sources: vec![ip("192.168.1.7"), ip("2001:db8::7")],
            gateways: ["wlan0", "wg1"].map(String::from).to_vec(),
        };
        let leads = |name, address| routes.leads(name, ip(address));
        assert_eq!(leads("wlan0", "192.168.1.7"), Leads::Out);
        assert_eq!(leads("tun9", "2001:db8::7"), Leads::Out, "all of it goes through a tunnel");
        assert_eq!(leads("wlan0", "192.168.1.8"), Leads::Further);
        assert_eq!(leads("wg1", "10.8.0.2"), Leads::Further);
        assert_eq!(leads("no-such-interface", "9.9.9.9"), Leads::Somewhere);
        assert_eq!(leads("no-such-interface.100", "10.4.0.2"), Leads::Unknown);
        for name in ["wg0", "tun3", "tailscale0", "utun4", "br-5ac1", "docker0", "vEthernet (WSL)", "zt5u4"] {
            assert_eq!(leads(name, "10.8.0.2"), Leads::Within, "{name}");
        }
        let order = [Leads::Out, Leads::Further, Leads::Somewhere, Leads::Unknown, Leads::Within];
        assert!(order.is_sorted());
    }

    #[test]
    fn the_system_says_from_where_it_sends() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(source_towards(loopback), Some(loopback));
    }
}
