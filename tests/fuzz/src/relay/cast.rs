//! Who is in the world, and how the server is set up: limits so small that a story reaches them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use twocan_stun::IntegrityKey;
use twocan_stun::alternate::Alternate;
use twocan_turn::{ClientAddr, Config, External, Limits, Policy, Rate, Transport, credential};

pub const REALM: &str = "twocan";
pub const UNIX_NOW: u64 = 1_790_000_000;
pub const RELAY_PORTS: RangeInclusive<u16> = 50_000..=50_007;
pub const EXTERNAL_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const EXTERNAL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Clients 0 and 1 are static users; 2 and 3 members of one lobby, 4 of another.
pub const CLIENTS: [ClientAddr; 5] = [
    client(IpAddr::V4(Ipv4Addr::new(11, 22, 33, 44)), 5_000, Transport::Udp),
    client(IpAddr::V6(Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1)), 5_001, Transport::Tls),
    client(IpAddr::V4(Ipv4Addr::new(22, 33, 44, 55)), 5_002, Transport::Udp),
    client(IpAddr::V4(Ipv4Addr::new(33, 44, 55, 66)), 5_003, Transport::Tcp),
    client(IpAddr::V4(Ipv4Addr::new(22, 33, 44, 55)), 5_004, Transport::Udp),
];

/// The group and the name of those that a lobby sent.
pub const MEMBERS: [(&str, &str); 3] = [("groupA", "alice"), ("groupA", "bob"), ("groupB", "carol")];

const fn client(ip: IpAddr, port: u16, transport: Transport) -> ClientAddr {
    ClientAddr { remote: SocketAddr::new(ip, port), local: LISTENER, transport }
}

pub const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(EXTERNAL_V4), 3_478);

/// The second address of a server that answers behaviour discovery.
pub const ALTERNATE: SocketAddr = v4(198, 51, 100, 2, 3_479);

const fn v4(a: u8, b: u8, c: u8, d: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)
}

const fn v6(high: [u16; 4], low: [u16; 4], port: u16) -> SocketAddr {
    let ([a, b, c, d], [e, f, g, h]) = (high, low);
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), port)
}

/// Peers, allowed ones and others, in several clothes.
pub const PEERS: [SocketAddr; 20] = [
    v4(8, 8, 8, 8, 53),
    v4(8, 8, 8, 8, 5_353),
    v4(9, 9, 9, 9, 9),
    v6([0x2606, 0x4700, 0, 0], [0, 0, 0, 1], 53),
    LISTENER,
    v4(198, 51, 100, 1, 22),
    v4(127, 0, 0, 1, 80),
    v4(10, 0, 0, 1, 80),
    v4(169, 254, 169, 254, 80),
    v4(224, 0, 0, 1, 80),
    v4(255, 255, 255, 255, 80),
    v4(0, 0, 0, 0, 80),
    v6([0; 4], [0, 0, 0, 1], 80),
    v6([0; 4], [0, 0xffff, 0x7f00, 1], 80),
    v6([0; 4], [0, 0xffff, 0x0808, 0x0808], 53),
    v6([0x64, 0xff9b, 0, 0], [0, 0, 0x0a00, 1], 80),
    v6([0x2002, 0x7f00, 1, 0], [0, 0, 0, 1], 80),
    v6([0xfe80, 0, 0, 0], [0, 0, 0, 1], 80),
    v6([0xfc00, 0, 0, 0], [0, 0, 0, 1], 80),
    v4(8, 8, 8, 8, 0),
];

/// One of our relayed addresses.
pub fn relayed(port: u16, is_v6: bool) -> SocketAddr {
    if is_v6 { SocketAddr::new(EXTERNAL_V6.into(), port) } else { SocketAddr::new(EXTERNAL_V4.into(), port) }
}

/// A client's side of the protocol.
pub struct Client {
    pub username: String,
    pub key: IntegrityKey,
    /// The last nonce that it was told.
    pub nonce: Option<Vec<u8>>,
}

pub fn clients() -> Vec<Client> {
    let with = |username: String, password: &str| Client {
        key: IntegrityKey::long_term(&username, REALM, password),
        username,
        nonce: None,
    };
    let statics = ["anna", "bert"].map(|name| with(name.to_owned(), name));
    let members = MEMBERS.map(|(group, peer)| {
        let username = credential::username(UNIX_NOW + 7_200, group, peer);
        let password = credential::password(&GRANT_KEY, &username);
        with(username, &password)
    });
    statics.into_iter().chain(members).collect()
}

const GRANT_KEY: [u8; 32] = [9; 32];

pub fn limits() -> Limits {
    Limits {
        allocations: 4,
        allocations_per_user: 2,
        allocations_per_member: 2,
        allocations_per_household: 3,
        allocations_floor: 3,
        permissions_per_allocation: 4,
        channels_per_allocation: 3,
        peers_per_request: 3,
        reservations: 2,
        members: twocan_base::Quota { total: 6, household: 6, site: 6, floor: 6 },
        members_per_group: 2,
        new_peers: Rate { per_second: 1, burst: 6 },
        message_bytes: 500,
        ..Limits::default()
    }
}

pub fn config(discovers: bool) -> Config {
    let pair = Alternate::new(LISTENER, ALTERNATE).expect("they differ in both");
    Config {
        realm: REALM.to_owned(),
        external: External { v4: Some(EXTERNAL_V4), v6: Some(EXTERNAL_V6) },
        relay_ports: RELAY_PORTS,
        relay_range: RELAY_PORTS,
        threads: 1,
        control_key: Some([8; 32]),
        own_addresses: Vec::new(),
        users: vec![("anna".to_owned(), "anna".to_owned()), ("bert".to_owned(), "bert".to_owned())],
        secret: None,
        grant_key: GRANT_KEY,
        policy: Policy::new(),
        limits: limits(),
        nonce_key: [5; 32],
        unix_now: Duration::from_secs(UNIX_NOW),
        listeners: vec![LISTENER],
        discovery: if discovers { vec![pair] } else { Vec::new() },
        dont_fragment: true,
    }
}
