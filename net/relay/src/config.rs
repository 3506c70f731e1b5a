//! What a relay is told when it starts.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use twocan_base::Quota;
use twocan_turn::{External, Limits, Policy};

/// Where a relay listens, whom it serves, what it may do.
#[derive(Clone)]
pub struct Config {
    /// STUN and TURN over UDP, and over TCP on the same port. Port 0: any that is free for both.
    pub turn: Vec<SocketAddr>,
    /// TURN over TLS.
    pub turns: Vec<SocketAddr>,
    /// Second addresses, at most one a family, that let the listeners answer behaviour discovery (RFC 5780): each with another
    /// IP address and another port than the first of `turn` of its family. Empty: they do not.
    pub alternate: Vec<SocketAddr>,
    /// Certificate and key for `turns`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Addresses that this process listens on besides (HTTP): no peer may be one of them.
    pub listeners_besides: Vec<SocketAddr>,
    /// The addresses that relayed candidates carry; a family without one is not relayed.
    pub external: External,
    /// Where the sockets of IPv4 relayed ports are bound. `None`: to the external address if this machine has it, else
    /// to all.
    pub relay_bind_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub relay_bind_v6: Option<Ipv6Addr>,
    /// The relayed ports; each thread gets a part.
    pub relay_ports: RangeInclusive<u16>,
    /// Threads, at least one; one per core is sensible.
    pub threads: usize,
    /// The realm of long-term credentials (RFC 8489 9.2).
    pub realm: String,
    /// Static users and their passwords.
    pub users: Vec<(String, String)>,
    /// The operator's secret, for time-limited credentials.
    pub secret: Option<Vec<u8>>,
    /// The key of credentials that a lobby grants.
    pub grant_key: [u8; 32],
    /// The key by which a lobby of another process tells what it grants ([`twocan_turn::control::key`]). `None`: nobody does.
    pub control_key: Option<[u8; 32]>,
    /// Which peers may be reached.
    pub policy: Policy,
    /// What each thread's TURN server allows.
    pub limits: Limits,
    /// What TCP and TLS connections are allowed.
    pub streams: StreamLimits,
}

impl Config {
    /// A relay that serves this machine alone, with no users: on `127.0.0.1:3478`, with one thread.
    pub fn new(grant_key: [u8; 32]) -> Config {
        Config {
            turn: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 3478))],
            turns: Vec::new(),
            alternate: Vec::new(),
            tls: None,
            listeners_besides: Vec::new(),
            external: External { v4: Some(Ipv4Addr::LOCALHOST), v6: None },
            relay_bind_v4: None,
            relay_bind_v6: None,
            relay_ports: 49_152..=65_535,
            threads: 1,
            realm: "twocan".to_owned(),
            users: Vec::new(),
            secret: None,
            grant_key,
            control_key: None,
            policy: Policy::default(),
            limits: Limits::default(),
            streams: StreamLimits::default(),
        }
    }
}

/// What TCP and TLS connections may cost, all threads together. What one costs that never reads was measured on Linux 6.18
/// (`cargo bench -p twocan-relay --bench connections`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections, by household. More are closed at once. One that reads nothing takes up to 54 KiB with TLS, 30 without:
    /// 19 in the kernel, 8 that wait in the process, and itself. All of them together stay under 110 MiB. A school of 200 behind one
    /// address needs 400: a browser opens one over TCP and one over TLS.
    pub connections: Quota,
    /// Bytes by household: of the kernel's send buffers beyond the smallest, and of what waits in the process beyond 8 KiB a
    /// connection: for a slow reader, or for the rest of a frame. Beyond: relayed data is dropped, a client that does not read its
    /// answers is closed.
    pub buffer_bytes: Quota,
    /// From `accept` to the end of the TLS handshake, its turns included: handshakes take a fifth of a thread's time at most.
    pub handshake: Duration,
    /// From a frame's first byte to its last.
    pub frame: Duration,
    /// From `accept` to the first success of a request that needs credentials, whatever is asked meanwhile.
    pub unproved: Duration,
    /// Silence of a client that has not yet proved who it is (its last frame, to now).
    pub idle_unproved: Duration,
    /// Silence of a client that has. Longer than the longest lifetime of an allocation, so it ends only what is dead.
    pub idle_proved: Duration,
    /// How long something may wait of which the client takes nothing, in the process or (TCP_USER_TIMEOUT) in the kernel.
    pub stalled: Duration,
    /// Bytes that may wait for a slow reader before relayed data for it is dropped.
    pub waiting_data_bytes: usize,
    /// Bytes that may wait in all, answers included, before the connection is closed.
    pub waiting_bytes: usize,
}

impl Default for StreamLimits {
    fn default() -> StreamLimits {
        StreamLimits {
            connections: Quota { total: 2_048, household: 512, site: 1_024, floor: 4 },
            buffer_bytes: Quota { total: 32 << 20, household: 8 << 20, site: 16 << 20, floor: 128 << 10 },
            handshake: Duration::from_secs(10),
            frame: Duration::from_secs(10),
            unproved: Duration::from_secs(60),
            idle_unproved: Duration::from_secs(30),
            idle_proved: Duration::from_secs(3_660),
            stalled: Duration::from_secs(20),
            waiting_data_bytes: 256 << 10,
            waiting_bytes: 320 << 10,
        }
    }
}
