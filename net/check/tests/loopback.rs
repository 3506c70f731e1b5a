//! A check of a relay on loopback addresses, which translates nothing: everything answers, and the report says so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use twocan_check::{Direct, Filtering, Found, IceServer, IceUrl, Mapping, Network, Options, Relaying, Step};
use twocan_check::{Target, Told, Transport};
use twocan_relay::{Config, Relay};
use twocan_turn::{Policy, Transport as RelayTransport};

const USER: &str = "ada";
const PASSWORD: &str = "analytical engine";

/// A port that is free on every address, for UDP and for TCP. The kernel gives it to nobody meanwhile: its own choices
/// begin at 32768.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(12_000);
    loop {
        let address = (Ipv4Addr::UNSPECIFIED, NEXT.fetch_add(1, Ordering::Relaxed));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address.1;
        }
    }
}

/// A relay with two addresses.
fn relay() -> (Relay, SocketAddr) {
    let config = Config {
        turn: vec![SocketAddr::from(([127, 81, 0, 1], 0))],
        alternate: vec![SocketAddr::from(([127, 81, 0, 2], free_port()))],
        relay_ports: 30_000..=30_999,
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        policy: Policy::new().allow("127.0.0.0/8".parse().unwrap()),
        ..Config::new([7; 32])
    };
    let relay = Relay::start(config).unwrap();
    let address = relay.local_addrs(RelayTransport::Udp).next().unwrap();
    (relay, address)
}

fn server(urls: &[String], password: &str) -> IceServer {
    IceServer {
        urls: urls.iter().map(|url| IceUrl::parse(url).unwrap()).collect(),
        username: USER.to_owned(),
        credential: password.to_owned(),
    }
}

#[tokio::test]
async fn every_way_to_a_relay_is_tried_with_a_message_that_goes_through_it() {
    let (_relay, address) = relay();
    let urls = ["udp", "tcp"].map(|transport| format!("turn:{address}?transport={transport}"));
    let target = Target { url: None, servers: vec![server(&urls, PASSWORD)] };
    let steps = RefCell::new(Vec::new());
    let report = twocan_check::run(target, Options::default(), |step| steps.borrow_mut().push(step)).await;

    let transports: Vec<Transport> = report.relays.iter().map(|relay| relay.transport).collect();
    assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
    for relay in &report.relays {
        assert!(matches!(relay.relaying, Relaying::Relays { .. }), "{relay:?}");
    }
    let Network::Answered(nat) = &report.ipv4 else { panic!("{:?}", report.ipv4) };
    assert_eq!((nat.is_translated, nat.mapped), (false, nat.local));
    assert_eq!(nat.mapping, Told::Is(Found(Mapping::EndpointIndependent)));
    assert_eq!(nat.filtering, Told::Is(Found(Filtering::EndpointIndependent)));
    assert_eq!((report.is_usable, report.reach.direct), (true, Direct::Inside));
    assert!(report.took < Duration::from_secs(10));
    for step in [Step::Ipv4, Step::Ipv6, Step::Relay, Step::Router] {
        assert!(steps.borrow().contains(&step), "{step:?}");
    }
}

#[tokio::test]
async fn a_relay_that_refuses_us_is_told_from_one_that_is_not_there() {
    let (_relay, address) = relay();
    let nobody = format!("turn:127.81.0.9:{}?transport=tcp", free_port());
    let servers = [format!("turn:{address}?transport=tcp"), nobody].map(|url| server(&[url], "wrong"));
    let report = twocan_check::run(
        Target { url: None, servers: servers.to_vec() },
        Options { limit: Duration::from_secs(6), ..Options::default() },
        |_| (),
    )
    .await;
    let relaying: Vec<Relaying> = report.relays.iter().map(|relay| relay.relaying).collect();
    assert_eq!(relaying, [Relaying::Refuses { code: 401 }, Relaying::Unreachable]);
    assert!(!report.is_usable && !report.reach.is_relayed);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_by_the_word_of_its_error() {
    let target = Target { url: Some("http://127.0.0.1:9".to_owned()), servers: Vec::new() };
    let report = twocan_check::run(target, Options::default(), |_| ()).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["server"]["state"], "failed");
    assert_eq!(json["server"]["code"], "unreachable");
    assert_eq!((json["usable"].as_bool(), json["ipv4"]["state"].as_str()), (Some(false), Some("not-asked")));
}
