//! NAT-PMP, PCP and SSDP, byte by byte, and what a mapped port is good for.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use std::net::SocketAddr;

use twocan_sim::packet::Protocol;
use twocan_sim::{
    Attachment, Behavior, Delivery, Drop, FirewallConfig, Kind, MapError, NatConfig, Network, Packet,
    RouterConfig, SegmentConfig, Services, kinds,
};
use world::{ADA, BOB, Bench, ONE, TWO, addr, data, ip, prefix, secs, source};

const CLIENT: &str = "192.168.1.10:40000";
const SERVER: &str = "192.168.1.1:5351";

fn bench(services: Services) -> Bench {
    Bench::new(RouterConfig { services, ..kinds::symmetric() })
}

fn ask(bench: &mut Bench, request: &[u8]) -> Option<Vec<u8>> {
    let answer = bench.world.send(bench.ada, Packet::udp(addr(CLIENT), addr(SERVER), request.to_vec()));
    let delivery = answer.first()?;
    assert_eq!((source(&answer), world::destination(&answer)), (addr(SERVER), addr(CLIENT)));
    Some(data(delivery).to_vec())
}

#[test]
fn nat_pmp_says_the_external_address_and_since_when_it_knows() {
    let mut bench = bench(Services { nat_pmp: true, ..Services::default() });
    bench.world.pass(secs(300));
    assert_eq!(ask(&mut bench, &[0, 0]).unwrap(), [0, 128, 0, 0, 0, 0, 1, 44, 80, 80, 2, 1]);
}

/// Version 0, UDP, internal port 5000, external port 6000, for 7200 s.
const PMP_MAP: [u8; 12] = [0, 1, 0, 0, 0x13, 0x88, 0x17, 0x70, 0, 0, 0x1c, 0x20];

#[test]
fn a_port_mapped_by_nat_pmp_is_open_to_all_and_used_outbound_by_a_symmetric_nat() {
    let mut bench = bench(Services { nat_pmp: true, ..Services::default() });
    let answer = ask(&mut bench, &PMP_MAP).unwrap();
    assert_eq!(answer, [0, 129, 0, 0, 0, 0, 0, 0, 0x13, 0x88, 0x17, 0x70, 0, 0, 0x1c, 0x20]);
    let external = addr("80.80.2.1:6000");
    assert!(bench.gets_in(ONE, external) && bench.gets_in(TWO, external));
    assert_eq!((bench.ada_to(ONE), bench.ada_to(TWO)), (external, external));
    bench.world.pass(secs(7_199));
    assert!(bench.gets_in(ONE, external));
    bench.world.pass(secs(7_200));
    assert!(!bench.gets_in(ONE, external), "it was not renewed");
}

#[test]
fn nat_pmp_takes_another_port_when_the_wanted_one_is_taken_and_gives_it_back() {
    let mut bench = bench(Services::ALL);
    let bob = "192.168.1.11:5000";
    let now = bench.world.now;
    let taken = bench.world.network.map_port(bench.router, Protocol::Udp, addr(bob), 6000, secs(600), now);
    assert_eq!(taken, Ok(addr("80.80.2.1:6000")));
    let answer = ask(&mut bench, &PMP_MAP).unwrap();
    let port = u16::from_be_bytes([answer[10], answer[11]]);
    assert!(port != 6000 && port != 0);
    let external = SocketAddr::new(ip("80.80.2.1"), port);
    assert!(bench.gets_in(ONE, external));
    let delete = [0, 1, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0, 0];
    assert_eq!(ask(&mut bench, &delete).unwrap()[8..], [0x13, 0x88, 0, 0, 0, 0, 0, 0]);
    bench.world.pass(secs(121));
    assert!(!bench.gets_in(ONE, external));
    assert!(bench.gets_in(ONE, addr("80.80.2.1:6000")), "Bob's is not hers to delete");
}

#[test]
fn nat_pmp_deletes_all_ports_of_a_client_at_once() {
    let mut bench = bench(Services::ALL);
    ask(&mut bench, &PMP_MAP).unwrap();
    assert!(ask(&mut bench, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_some());
    assert!(!bench.gets_in(ONE, addr("80.80.2.1:6000")));
}

#[test]
fn nat_pmp_refuses_what_it_does_not_know() {
    let mut bench = bench(Services { nat_pmp: true, ..Services::default() });
    assert_eq!(ask(&mut bench, &[0, 9]).unwrap(), [0, 137, 0, 5, 0, 0, 0, 0], "unsupported opcode");
    assert_eq!(ask(&mut bench, &[2, 1]).unwrap(), [0, 129, 0, 1, 0, 0, 0, 0], "unsupported version");
    assert_eq!(ask(&mut bench, &[0, 129]), None, "an answer");
    assert_eq!(ask(&mut bench, &[0, 1, 0]), None, "too short");
    assert_eq!(ask(&mut bench, &[]), None);
}

/// MAP for UDP 5000, external port 6000, with this nonce, lifetime and options.
fn pcp_map(nonce: u8, lifetime_secs: u32, options: &[u8]) -> Vec<u8> {
    let mut request = vec![2, 1, 0, 0];
    request.extend_from_slice(&lifetime_secs.to_be_bytes());
    request.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 10]);
    request.extend_from_slice(&[nonce; 12]);
    request.extend_from_slice(&[17, 0, 0, 0, 0x13, 0x88, 0x17, 0x70]);
    request.extend_from_slice(&[0; 16]);
    request.extend_from_slice(options);
    request
}

#[test]
fn a_port_mapped_by_pcp_is_answered_with_nonce_epoch_and_external_endpoint() {
    let mut bench = bench(Services::ALL);
    bench.world.pass(secs(5));
    let answer = ask(&mut bench, &pcp_map(7, 7200, &[])).unwrap();
    let mut expected = vec![2, 0x81, 0, 0, 0, 0, 0x1c, 0x20, 0, 0, 0, 5];
    expected.extend_from_slice(&[0; 12]);
    expected.extend_from_slice(&[7; 12]);
    expected.extend_from_slice(&[17, 0, 0, 0, 0x13, 0x88, 0x17, 0x70]);
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 80, 80, 2, 1]);
    assert_eq!(answer, expected);
    assert!(bench.gets_in(TWO, addr("80.80.2.1:6000")));
}

#[test]
fn pcp_renews_and_deletes_only_for_who_has_the_nonce() {
    let mut bench = bench(Services::ALL);
    assert_eq!(ask(&mut bench, &pcp_map(7, 600, &[])).unwrap()[3], 0);
    assert_eq!(ask(&mut bench, &pcp_map(8, 600, &[])).unwrap()[3], 2, "not authorized");
    assert_eq!(ask(&mut bench, &pcp_map(8, 0, &[])).unwrap()[3], 2);
    assert!(bench.gets_in(ONE, addr("80.80.2.1:6000")));
    let deleted = ask(&mut bench, &pcp_map(7, 0, &[])).unwrap();
    assert_eq!((deleted[3], &deleted[4..8]), (0, &[0; 4][..]));
    assert!(!bench.gets_in(ONE, addr("80.80.2.1:6000")));
}

#[test]
fn pcp_keeps_lifetimes_within_bounds() {
    let mut bench = bench(Services::ALL);
    assert_eq!(ask(&mut bench, &pcp_map(7, 1, &[])).unwrap()[4..8], 120_u32.to_be_bytes());
    assert_eq!(ask(&mut bench, &pcp_map(7, u32::MAX, &[])).unwrap()[4..8], 86_400_u32.to_be_bytes());
}

#[test]
fn pcp_refuses_by_name() {
    let mut bench = bench(Services { pcp: true, ..Services::default() });
    let result = |bench: &mut Bench, request: &[u8]| ask(bench, request).unwrap()[3];
    let map = pcp_map(7, 600, &[]);
    let with = |at: usize, byte: u8| {
        let mut request = map.clone();
        request[at] = byte;
        request
    };
    assert_eq!(result(&mut bench, &with(0, 0)), 1, "unsupported version");
    assert_eq!(result(&mut bench, &map[..30]), 3, "malformed");
    assert_eq!(result(&mut bench, &with(1, 2)), 4, "unsupported opcode");
    assert_eq!(result(&mut bench, &pcp_map(7, 600, &[1, 0, 0, 0])), 5, "unsupported option");
    assert_eq!(result(&mut bench, &with(36, 132)), 9, "unsupported protocol");
    assert_eq!(result(&mut bench, &with(23, 99)), 12, "a NAT in between");
    assert_eq!(result(&mut bench, &pcp_map(7, 600, &[200, 0, 0, 0])), 0, "an option that may be ignored");
    assert_eq!(ask(&mut bench, &with(1, 0x81)), None, "an answer");
}

#[test]
fn pcp_fails_rather_than_give_another_port_if_it_was_asked_to() {
    let mut bench = bench(Services::ALL);
    let now = bench.world.now;
    bench.world.network.map_port(bench.router, Protocol::Udp, addr(BOB), 6000, secs(600), now).unwrap();
    assert_eq!(ask(&mut bench, &pcp_map(7, 600, &[2, 0, 0, 0])).unwrap()[3], 11);
    assert_eq!(ask(&mut bench, &pcp_map(7, 600, &[])).unwrap()[3], 0);
}

#[test]
fn a_restarted_router_announces_itself_and_begins_its_epoch_anew() {
    let mut bench = bench(Services::ALL);
    bench.world.pass(secs(100));
    ask(&mut bench, &pcp_map(7, 600, &[])).unwrap();
    bench.world.network.rebind(bench.router, &[ip("80.80.2.9")], bench.world.now);
    let heard: Vec<Delivery> = bench.world.settle().into_iter().filter(|d| d.host == bench.ada).collect();
    let said: Vec<&[u8]> = heard.iter().map(data).collect();
    assert_eq!(said[0], [0, 128, 0, 0, 0, 0, 0, 0, 80, 80, 2, 9], "NAT-PMP's address");
    assert_eq!(said[1][..12], [2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "PCP's ANNOUNCE");
    assert_eq!(heard[0].packet.destination, ip("224.0.0.1"));
    assert_eq!(
        ask(&mut bench, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 10])
            .unwrap()[11],
        0
    );
    assert!(!bench.gets_in(ONE, addr("80.80.2.9:6000")), "nothing is mapped any more");
}

#[test]
fn pcp_opens_a_pinhole_in_a_firewall_without_nat() {
    let mut world = world::World::new(1);
    let one = world.public("2a05:80::1");
    let lan = world.network.add_segment(SegmentConfig::lan(&[prefix("2a05:99::/64")]));
    let firewall = Some(FirewallConfig::default());
    let config = RouterConfig { firewall, services: Services::ALL, ..RouterConfig::default() };
    let router = world.network.add_router(config, Attachment::new(world.internet), Attachment::new(lan));
    let home = world.network.add_host();
    world.network.add_interface(home, Attachment::new(lan).address(ip("2a05:99::a")));
    let inside = addr("[2a05:99::a]:5000");
    assert!(world.udp(one, "[2a05:80::1]:1", inside).is_empty());
    let mapped = world.network.map_port(router, Protocol::Udp, inside, 0, secs(600), world.now);
    assert_eq!(mapped, Ok(inside));
    assert_eq!(world.udp(one, "[2a05:80::1]:1", inside).len(), 1);
    world.network.unmap_port(router, Protocol::Udp, inside, world.now);
    assert!(world.udp(one, "[2a05:80::1]:2", inside).is_empty());
}

#[test]
fn a_dynamic_mapping_that_is_asked_for_keeps_its_port() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let (router, now) = (bench.router, bench.world.now);
    let mapped = bench.world.network.map_port(router, Protocol::Udp, addr(ADA), 7777, secs(600), now);
    assert_eq!(mapped, Ok(external));
    assert!(bench.gets_in(TWO, external), "and is open to all now");
}

#[test]
fn only_the_inside_can_be_mapped_and_only_where_something_translates() {
    let mut bench = Bench::nat(NatConfig::default());
    let map = |network: &mut Network, router, inside: &str, now| {
        network.map_port(router, Protocol::Tcp, addr(inside), 0, secs(600), now)
    };
    let (router, now) = (bench.router, bench.world.now);
    assert_eq!(map(&mut bench.world.network, router, "10.9.9.9:1", now), Err(MapError::NotInside));
    let mut plain = Bench::new(RouterConfig::default());
    let router = plain.router;
    assert_eq!(map(&mut plain.world.network, router, ADA, now), Err(MapError::NoNat));
    let mut full = Bench::nat(NatConfig { mappings_max: 0, ..NatConfig::default() });
    let router = full.router;
    let no_room = Err(MapError::NoResources(Drop::TableFull));
    assert_eq!(map(&mut full.world.network, router, ADA, now), no_room);
}

#[test]
fn a_router_without_services_says_that_nobody_listens() {
    let mut bench =
        Bench::nat(NatConfig { filtering: Behavior::EndpointIndependent, ..NatConfig::default() });
    let answer = bench.world.udp(bench.ada, CLIENT, addr(SERVER));
    assert!(answer[0].packet.flow().is_none(), "an ICMP error");
    assert_eq!(bench.world.dropped(Drop::NoService), 1);
}

#[test]
fn a_search_finds_the_gateway_and_where_its_description_is() {
    let mut bench = bench(Services { upnp: true, ..Services::default() });
    let search = |target: &str| {
        format!(
            "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: {target}\r\n\r\n"
        )
    };
    let group = addr("239.255.255.250:1900");
    let target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
    let heard = bench.world.send(bench.bob, Packet::udp(addr("192.168.1.11:40000"), group, search(target)));
    let answer: Vec<&Delivery> = heard.iter().filter(|d| d.host == bench.bob).collect();
    let text = std::str::from_utf8(data(answer[0])).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    assert!(text.contains("\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n"), "{text}");
    assert!(text.contains(&format!("\r\nST: {target}\r\n")), "{text}");
    assert!(
        text.contains(&format!("\r\nUSN: uuid:74776f63-616e-4000-8000-000000000001::{target}\r\n")),
        "{text}"
    );
    assert_eq!(answer[0].packet.source, ip("192.168.1.1"));
    assert!(heard.iter().any(|d| d.host == bench.ada), "the LAN heard it, too");
    let other = search("urn:dial-multiscreen-org:service:dial:1");
    let heard = bench.world.send(bench.bob, Packet::udp(addr("192.168.1.11:40000"), group, other));
    assert!(heard.iter().all(|d| d.host != bench.bob));
}

#[test]
fn the_outside_has_no_such_service() {
    let mut bench = bench(Services::ALL);
    assert!(bench.world.udp(bench.one, ONE, addr("80.80.2.1:5351")).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoMapping), 1);
    assert_eq!(Kind::HomePcp.boxes()[0].services, Services::ALL);
}
