//! Several threads, and what they tell each other.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use twocan_relay::{Config, Relay};
use twocan_turn::control::{self, Teller};
use twocan_turn::{GroupId, Limits, MemberId, News, Policy, Transport, credential};

use crate::kit::*;

/// With two threads, the first has the lower half of the ports.
const THREADS: usize = 2;

fn is_on_first_thread(relayed: SocketAddr) -> bool {
    relayed.port() < 25_000
}

/// A relay that knows only what the lobby grants.
fn lobby_relay() -> Relay {
    start(Config { threads: THREADS, users: Vec::new(), policy: Policy::new(), ..config() })
}

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3_600
}

fn member(relay: &Relay, group: &str, peer: &str) -> Client {
    let expires = in_an_hour();
    relay.handle().grant(GroupId::new(group), MemberId::new(peer), LOCAL4, expires);
    let user = credential::username(expires, group, peer);
    let password = credential::password(&GRANT_KEY, &user);
    Client::new(relay, Transport::Udp, LOCAL4).with_credentials(&user, &password)
}

/// Members of `group`, at least one on each thread, with their relayed addresses.
fn members_on_both_threads(relay: &Relay, group: &str) -> [(Client, SocketAddr); 2] {
    let (mut first, mut second) = (None, None);
    for number in 0.. {
        let mut client = member(relay, group, &format!("P{number}"));
        let relayed = client.allocate(LOCAL4).unwrap();
        let slot = if is_on_first_thread(relayed) { &mut first } else { &mut second };
        *slot = Some((client, relayed));
        if first.is_some() && second.is_some() {
            break;
        }
        assert!(number < 100, "a hundred clients, all on one thread");
    }
    [first.unwrap(), second.unwrap()]
}

#[test]
fn members_of_a_group_on_different_threads_reach_each_other() {
    let relay = lobby_relay();
    let [(mut a, at_a), (mut b, at_b)] = members_on_both_threads(&relay, "group-one");
    a.bind(0x4001, at_b).unwrap();
    b.bind(0x4002, at_a).unwrap();
    a.send_channel(0x4001, b"from the first thread");
    assert_eq!(b.came(), Came::Channel(0x4002, b"from the first thread".to_vec()));
    b.send_channel(0x4002, b"from the second");
    assert_eq!(a.came(), Came::Channel(0x4001, b"from the second".to_vec()));
}

#[test]
fn members_of_different_groups_do_not_reach_each_other() {
    let relay = lobby_relay();
    let [(mut a, _), _] = members_on_both_threads(&relay, "group-one");
    let [(_, other_first), (_, other_second)] = members_on_both_threads(&relay, "group-two");
    for other in [other_first, other_second] {
        assert_eq!(a.permit(other), Err(Refused(403)));
    }
}

#[test]
fn a_credential_taken_back_ends_its_allocation_on_whichever_thread() {
    let relay = lobby_relay();
    let handle = relay.handle();
    for number in 0..8 {
        let peer = format!("Q{number}");
        let mut client = member(&relay, "group-one", &peer);
        let relayed = client.allocate(LOCAL4).unwrap();
        handle.revoke(GroupId::new("group-one"), MemberId::new(&peer));
        eventually("the port is free again", || std::net::UdpSocket::bind(relayed).is_ok());
    }
}

#[test]
fn a_group_that_closes_ends_the_allocations_of_all_its_members() {
    let relay = lobby_relay();
    let [(_a, at_a), (_b, at_b)] = members_on_both_threads(&relay, "group-one");
    relay.handle().close_group(GroupId::new("group-one"));
    for relayed in [at_a, at_b] {
        eventually("the port is free again", || std::net::UdpSocket::bind(relayed).is_ok());
    }
}

#[test]
fn the_quota_of_a_user_counts_over_all_threads() {
    let mut config = Config { threads: THREADS, ..config() };
    config.limits.allocations_per_user = 10;
    let relay = start(config);
    let mut clients = Vec::new();
    let mut threads = BTreeSet::new();
    for _ in 0..10 {
        let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
        threads.insert(is_on_first_thread(client.allocate(LOCAL4).unwrap()));
        clients.push(client);
    }
    for _ in 0..10 {
        assert_eq!(Client::new(&relay, Transport::Udp, LOCAL4).allocate(LOCAL4), Err(Refused(486)));
    }
    // Connections are spread as datagrams are.
    assert_eq!(Client::new(&relay, Transport::Tcp, LOCAL4).allocate(LOCAL4), Err(Refused(486)));
}

#[test]
fn a_draining_relay_allocates_nothing_more_and_keeps_what_there_is() {
    let relay = start(Config { threads: THREADS, ..config() });
    let mut old = Client::new(&relay, Transport::Udp, LOCAL4);
    let relayed = old.allocate(LOCAL4).unwrap();
    relay.handle().drain();
    for _ in 0..8 {
        assert_eq!(Client::new(&relay, Transport::Udp, LOCAL4).allocate(LOCAL4), Err(Refused(508)));
    }
    let peer = peer(LOCAL4);
    old.permit(peer.local_addr().unwrap()).unwrap();
    old.send_to(peer.local_addr().unwrap(), b"still here", false);
    assert_eq!(receive_from(&peer), (b"still here".to_vec(), relayed));
}

#[test]
fn counters_are_added_up_over_all_threads() {
    let relay = start(Config { threads: THREADS, ..config() });
    for _ in 0..50 {
        Client::new(&relay, Transport::Udp, LOCAL4).binding();
    }
    let handle = relay.handle();
    eventually("50 bindings are counted", || handle.stats().turn.bindings == 50);
}

/// Tells the relay until it has heard everything.
fn tell_all(teller: &mut Teller, socket: &std::net::UdpSocket) {
    let mut buffer = [0; 2_048];
    eventually("the relay has heard everything", || {
        while let Some(packet) = teller.poll_transmit() {
            socket.send(&packet).unwrap();
        }
        if let Ok(length) = socket.recv(&mut buffer) {
            teller.handle_packet(&buffer[..length], Instant::now());
        }
        teller.is_told()
    });
}

#[test]
fn what_a_lobby_of_another_process_tells_one_thread_all_threads_know() {
    let key = control::key(b"a secret of both halves");
    let config = Config { threads: THREADS, users: Vec::new(), policy: Policy::new(), ..config() };
    let relay = start(Config { control_key: Some(key), ..config });
    let socket = peer(LOCAL4);
    socket.connect(address(&relay, Transport::Udp, LOCAL4)).unwrap();
    let mut teller = Teller::new(&key, Limits::default().members, [1; 32], Instant::now());
    let (now, expires) = (in_an_hour() - 3_600, in_an_hour());
    let news = |peer: &str, is_in: bool| {
        let (group, peer) = (GroupId::new("group-one"), MemberId::new(peer));
        if is_in {
            News::Granted { group, peer, address: LOCAL4, expires }
        } else {
            News::Revoked { group, peer }
        }
    };
    let mut clients = Vec::new();
    for number in 0..8 {
        let name = format!("P{number}");
        teller.handle_news(&news(&name, true), now, Instant::now());
        tell_all(&mut teller, &socket);
        let user = credential::username(expires, "group-one", &name);
        let password = credential::password(&GRANT_KEY, &user);
        let mut client = Client::new(&relay, Transport::Udp, LOCAL4).with_credentials(&user, &password);
        clients.push((client.allocate(LOCAL4).unwrap(), client, name));
    }
    for (relayed, mut client, name) in clients {
        teller.handle_news(&news(&name, false), now, Instant::now());
        tell_all(&mut teller, &socket);
        eventually("the port is free again", || std::net::UdpSocket::bind(relayed).is_ok());
        assert_eq!(client.refresh(600), Err(Refused(401)));
    }
}

#[test]
fn every_port_is_given_before_anybody_hears_that_there_is_none() {
    // As many threads as may share so few, and clients of as many households.
    for threads in [1, 2, 4, 16] {
        let relay = start(Config { threads, relay_ports: 21_000..=21_099, ..config() });
        let mut clients: Vec<Client> = (1..=101)
            .map(|n| Client::from(&relay, Transport::Tcp, IpAddr::V4(Ipv4Addr::new(127, 0, 3, n))))
            .collect();
        for (n, client) in clients.iter_mut().enumerate() {
            let allocated = client.allocate(LOCAL4);
            assert_eq!(allocated.is_ok(), n < 100, "{threads} threads, {n} were had: {allocated:?}");
        }
    }
}
