//! The task when this machine's addresses change under it.

use std::net::IpAddr;
use std::time::Duration;

use twocan_rtc::Signal;
use twocan_rtc::transport::ChannelInit;

use super::*;
use crate::connection::Connection;

const PATIENCE: Duration = Duration::from_secs(30);

/// A machine with these addresses.
fn found(ips: &[&str]) -> Command {
    let one = |ip: &&str| Found {
        name: "lo".to_owned(),
        index: 1,
        ip: ip.parse().unwrap(),
        state: interfaces::AddressState::Lasting,
        leads: routes::Leads::Unknown,
    };
    Command::Addresses(ips.iter().map(one).collect())
}

/// On loopback, with no address until it is told of one.
fn connection(polite: bool) -> Connection {
    let connection = Connection::new(ConnectionConfig {
        polite,
        loopback: true,
        addresses: Addresses::All,
        ..ConnectionConfig::default()
    });
    connection.unwrap()
}

async fn until<T>(
    [ada, bob]: [&mut Connection; 2],
    mut each: impl FnMut(usize, ConnectionEvent) -> Option<T>,
) -> T {
    let run = async {
        loop {
            let (side, event) = tokio::select! {
                event = ada.next() => (0, event.unwrap()),
                event = bob.next() => (1, event.unwrap()),
            };
            match event {
                ConnectionEvent::Signal(signal) => [&*bob, &*ada][side].signal(signal),
                event => {
                    if let Some(value) = each(side, event) {
                        return value;
                    }
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, run).await.expect("it happens in time")
}

fn message(event: ConnectionEvent) -> Option<Message> {
    if let ConnectionEvent::Message { message, .. } = event { Some(message) } else { None }
}

#[tokio::test]
async fn a_connection_outlives_the_address_that_it_went_by() {
    let (mut ada, mut bob) = (connection(false), connection(true));
    let _ = ada.shared().commands.push(found(&["127.0.0.2"]));
    let _ = bob.shared().commands.push(found(&["127.0.0.1"]));
    let channel = ada.open_channel(ChannelInit::new("data"));
    channel.send("by the first address").await.unwrap();
    ada.negotiate();
    let got = until([&mut ada, &mut bob], |_, event| message(event)).await;
    assert_eq!(got, Message::text("by the first address"));

    // Another interface comes, the first one goes.
    let _ = ada.shared().commands.push(found(&["127.0.0.3"]));
    channel.send("by the second address").await.unwrap();
    let got = until([&mut ada, &mut bob], |_, event| message(event)).await;
    assert_eq!(got, Message::text("by the second address"));
    assert!(!channel.is_closed());
}

#[tokio::test]
async fn each_address_has_one_socket_as_long_as_it_is_there() {
    let shared = Arc::new(Shared::new());
    let config = ConnectionConfig { loopback: true, ..ConnectionConfig::default() };
    let mut driver = Driver::new(config, shared).unwrap();
    let mut bound = |ips: &[&str]| {
        driver.obey_one(found(ips), Instant::now());
        let local: Vec<_> = driver.sockets.iter().map(|(id, socket)| (*id, socket.local())).collect();
        local
    };
    let first = bound(&["127.0.0.1", "127.0.0.2"]);
    let second = bound(&["127.0.0.2", "127.0.0.3", "127.0.0.3"]);
    let ips = |bound: &[(SocketId, SocketAddr)]| {
        bound.iter().map(|(_, address)| address.ip()).collect::<Vec<IpAddr>>()
    };
    assert_eq!(ips(&first), ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    assert_eq!(ips(&second), ["127.0.0.2", "127.0.0.3"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    assert_eq!(second[0], first[1], "the socket that stays is the same");
}

#[tokio::test]
async fn a_server_on_loopback_brings_loopback_in() {
    let shared = Arc::new(Shared::new());
    let mut driver = Driver::new(ConnectionConfig::default(), shared).unwrap();
    let has_loopback =
        |driver: &Driver| driver.sockets.iter().any(|(_, socket)| socket.local().ip().is_loopback());
    driver.obey_one(Command::Addresses(interfaces::find().unwrap().into()), Instant::now());
    let url = "stun:127.0.0.1:3478".parse().unwrap();
    let server = IceServer { urls: vec![url], username: String::new(), credential: String::new() };
    driver.obey_one(Command::SetServers(vec![server]), Instant::now());
    assert!(has_loopback(&driver));
}

fn locals(driver: &Driver) -> Vec<String> {
    driver.sockets.iter().map(|(_, socket)| socket.local().ip().to_string()).collect()
}

/// A machine with more addresses than are used, of which 127.0.0.1, from which the system sends to all others, is the last.
fn crowded() -> Driver {
    let config = ConnectionConfig { loopback: true, ..ConnectionConfig::default() };
    let mut driver = Driver::new(config, Arc::new(Shared::new())).unwrap();
    // What this machine has itself goes.
    driver.obey_one(found(&["127.0.0.2"]), Instant::now());
    let ips: Vec<String> =
        (2..30).map(|host| format!("127.0.0.{host}")).chain(["127.0.0.1".into()]).collect();
    driver.obey_one(found(&ips.iter().map(String::as_str).collect::<Vec<_>>()), Instant::now());
    assert_eq!(driver.sockets.len(), interfaces::ADDRESSES_MAX, "{:?}", locals(&driver));
    driver
}

fn candidate(ip: &str) -> Signal {
    let candidate = format!("candidate:1 1 udp 2122260223 {ip} 50000 typ host");
    Signal::Candidate(twocan_rtc::CandidateInit { candidate, ..Default::default() })
}

#[tokio::test]
async fn the_address_from_which_the_system_sends_to_the_other_side_gets_a_socket() {
    let mut driver = crowded();
    let before = locals(&driver);
    assert!(!before.contains(&"127.0.0.1".to_owned()));
    driver.obey_one(Command::Signal(candidate("127.0.0.99")), Instant::now());
    let after = locals(&driver);
    assert_eq!(after[..8], before, "those that were there stay");
    assert_eq!(after[8..], ["127.0.0.1"]);
    driver.obey_one(Command::Signal(candidate("127.0.0.98")), Instant::now());
    assert_eq!(locals(&driver), after, "once is enough");
}

#[tokio::test]
async fn the_address_from_which_the_system_sends_to_a_server_gets_a_socket() {
    let mut driver = crowded();
    let url = "turn:127.0.0.99:3478".parse().unwrap();
    let server = IceServer { urls: vec![url], username: String::new(), credential: String::new() };
    driver.obey_one(Command::SetServers(vec![server]), Instant::now());
    assert!(locals(&driver).contains(&"127.0.0.1".to_owned()));
}

#[tokio::test]
async fn what_is_worth_more_gets_a_socket_however_many_there_are() {
    let mut driver = crowded();
    // Others come, in place of all but two of those that were there before.
    for host in 30..40 {
        let ips: Vec<String> = (host..host + 60).map(|host| format!("127.0.0.{host}")).collect();
        driver.obey_one(found(&ips.iter().map(String::as_str).collect::<Vec<_>>()), Instant::now());
        assert!(driver.sockets.len() <= interfaces::SOCKETS_MAX);
        for best in &ips[..8] {
            assert!(locals(&driver).contains(best), "{best}");
        }
    }
}
