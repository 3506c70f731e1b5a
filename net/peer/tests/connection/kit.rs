//! Two connections in one process, somebody who carries their signals, and a relay.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use twocan::connection::{
    Addresses, Channel, ChannelInit, Connection, ConnectionConfig, ConnectionEvent, ConnectionState,
    IceServer, Message, PathInfo, Roots, Signal, TransportPolicy,
};
use twocan_relay::{Config, Relay};
use twocan_turn::{External, Policy, Transport};

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Waits for something that must come.
#[track_caller]
pub fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let what = what.to_owned();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{what}: not in {PATIENCE:?}"),
        }
    }
}

/// On loopback alone.
pub fn config() -> ConnectionConfig {
    ConnectionConfig { addresses: Addresses::Only(vec![LOCAL]), ..ConnectionConfig::default() }
}

/// Two connections, the first of which makes the offer.
pub struct Pair {
    pub ada: Connection,
    pub bob: Connection,
    /// Candidates with this in them are lost on their way.
    pub without: Option<&'static str>,
}

/// Who of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ada,
    Bob,
}

impl Pair {
    pub fn new(ada: ConnectionConfig, bob: ConnectionConfig) -> Pair {
        let bob = ConnectionConfig { polite: true, ..bob };
        Pair { ada: Connection::new(ada).unwrap(), bob: Connection::new(bob).unwrap(), without: None }
    }

    pub fn on_loopback() -> Pair {
        Pair::new(config(), config())
    }

    /// Carries signals, as JSON, and gives every other event to `each`, until that has what it wants.
    pub async fn run<T>(&mut self, mut each: impl FnMut(Side, ConnectionEvent) -> Option<T>) -> T {
        loop {
            let (side, event) = tokio::select! {
                event = self.ada.next() => (Side::Ada, event),
                event = self.bob.next() => (Side::Bob, event),
            };
            let event = event.unwrap_or_else(|| panic!("{side:?} is closed"));
            let other = if side == Side::Ada { &self.bob } else { &self.ada };
            match event {
                ConnectionEvent::Signal(signal) => {
                    let json = serde_json::to_string(&signal).unwrap();
                    let signal = serde_json::from_str::<Signal>(&json).unwrap();
                    filtered(signal, self.without).into_iter().for_each(|signal| other.signal(signal));
                }
                ConnectionEvent::SignalRefused(why) => panic!("{side:?} refused a signal: {why}"),
                event => {
                    if let Some(value) = each(side, event) {
                        return value;
                    }
                }
            }
        }
    }

    /// Until both are connected; the ways they say they go.
    pub async fn connect(&mut self) -> [PathInfo; 2] {
        self.ada.negotiate();
        let (mut paths, mut connected) = ([None; 2], [false; 2]);
        let run = self.run(|side, event| {
            match event {
                ConnectionEvent::Path(path) => paths[side as usize] = Some(path),
                ConnectionEvent::StateChanged(ConnectionState::Connected) => connected[side as usize] = true,
                ConnectionEvent::Failed { reason, verdict } => panic!("{side:?}: {reason}, {verdict:?}"),
                _ => {}
            }
            (connected == [true; 2]).then_some(())
        });
        within("connected", run).await;
        paths.map(Option::unwrap)
    }

    /// A negotiated channel on both sides.
    pub fn channel(&self, init: ChannelInit) -> [Channel; 2] {
        [self.ada.open_channel(init.clone()), self.bob.open_channel(init)]
    }

    /// Until `side` has received so many messages.
    pub async fn messages(&mut self, receiver: Side, count: usize) -> Vec<Message> {
        let mut got = Vec::new();
        let run = self.run(|side, event| {
            if let ConnectionEvent::Message { message, .. } = event {
                assert_eq!(side, receiver);
                got.push(message);
            }
            (got.len() == count).then_some(())
        });
        within("all messages", run).await;
        got
    }
}

/// The signal without the candidates that have `without` in them.
fn filtered(signal: Signal, without: Option<&str>) -> Option<Signal> {
    let is_lost =
        |line: &str| line.contains("candidate:") && without.is_some_and(|without| line.contains(without));
    match signal {
        Signal::Description(mut description) => {
            description.sdp = description.sdp.split_inclusive("\r\n").filter(|line| !is_lost(line)).collect();
            Some(Signal::Description(description))
        }
        Signal::Candidate(init) if is_lost(&init.candidate) => None,
        signal => Some(signal),
    }
}

/// Bytes that are wrong anywhere else.
pub fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8) ^ seed) as u8).collect()
}

pub const USER: &str = "ada";
pub const PASSWORD: &str = "analytical engine";

struct Certificate {
    pem: String,
    server: std::sync::Arc<rustls::ServerConfig>,
}

fn certificate() -> &'static Certificate {
    static MADE: OnceLock<Certificate> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Certificate { pem: made.cert.pem(), server: server.into() }
    })
}

/// A relay on loopback with one user, whose peers may be on loopback.
pub fn relay() -> Relay {
    Relay::start(Config {
        turn: vec![SocketAddr::new(LOCAL, 0)],
        turns: vec![SocketAddr::new(LOCAL, 0)],
        tls: Some(certificate().server.clone()),
        external: External { v4: Some(Ipv4Addr::LOCALHOST), v6: None },
        relay_ports: 30_000..=39_999,
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        policy: Policy::new().allow("127.0.0.0/8".parse().unwrap()),
        ..Config::new([7; 32])
    })
    .unwrap()
}

/// As a server of a connection.
pub fn server(relay: &Relay, transport: Transport) -> IceServer {
    let port = relay.local_addrs(transport).next().unwrap().port();
    let url = match transport {
        Transport::Udp => format!("turn:127.0.0.1:{port}?transport=udp"),
        Transport::Tcp => format!("turn:127.0.0.1:{port}?transport=tcp"),
        Transport::Tls => format!("turns:localhost:{port}?transport=tcp"),
    };
    IceServer { urls: vec![url.parse().unwrap()], username: USER.to_owned(), credential: PASSWORD.to_owned() }
}

/// By this relay alone.
pub fn relayed(relay: &Relay, transport: Transport) -> ConnectionConfig {
    ConnectionConfig {
        servers: vec![server(relay, transport)],
        policy: TransportPolicy::Relay,
        roots: Roots::only_pem(certificate().pem.as_bytes()).unwrap(),
        ..config()
    }
}
