//! Whether a TURN server relays: two connections of this process that may use nothing else, and a message there and back.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, timeout, timeout_at};
use twocan::connection::{
    Channel, ChannelInit, Connection, ConnectionConfig, ConnectionEvent, FailReason, IceServer, Message,
    Roots, Scheme, TransportPolicy, UrlTransport,
};

use crate::network::local_address;
use crate::report::{Relay, Relaying, Transport};

/// Messages there and back; the fastest counts.
const PINGS: u32 = 3;
/// How long one server may take.
const LIMIT: Duration = Duration::from_secs(8);
/// What is kept back of the time there is, to end in good order.
const RESERVE: Duration = Duration::from_millis(800);
/// How long two connections may take to end.
const END_LIMIT: Duration = Duration::from_millis(600);
/// W3C: a server gave no answer.
const NO_ANSWER: u16 = 701;

/// Tries a server with one URL.
pub(crate) async fn try_it(server: IceServer, roots: &Roots, deadline: Instant) -> Relay {
    let transport = match server.urls.first() {
        Some(url) if url.scheme == Scheme::Turns => Transport::Tls,
        Some(url) if url.transport == UrlTransport::Tcp => Transport::Tcp,
        _ => Transport::Udp,
    };
    let url = server.urls.first().map(ToString::to_string).unwrap_or_default();
    if !has_way(&server).await {
        return Relay { url, transport, relaying: Relaying::NoAddress };
    }
    let stop = (Instant::now() + LIMIT).min(deadline.checked_sub(RESERVE).unwrap_or(deadline));
    Relay { url, transport, relaying: relay(server, roots, stop).await }
}

/// Whether this machine has an address from which the server's could be reached. A name that nobody knows may be known to
/// others: whoever connects will say so.
async fn has_way(server: &IceServer) -> bool {
    let Some(url) = server.urls.first() else { return false };
    match tokio::net::lookup_host((url.host.as_str(), url.port)).await {
        Ok(mut addresses) => addresses.any(|address| local_address(address).is_some()),
        Err(_) => true,
    }
}

async fn relay(server: IceServer, roots: &Roots, stop: Instant) -> Relaying {
    let connection = |polite| {
        Connection::new(ConnectionConfig {
            servers: vec![server.clone()],
            policy: TransportPolicy::Relay,
            polite,
            roots: roots.clone(),
            connect_timeout: LIMIT,
            ..ConnectionConfig::default()
        })
    };
    let (Ok(ada), Ok(bob)) = (connection(false), connection(true)) else { return Relaying::Unreachable };
    let mut pair = Pair { ada, bob, begun: Instant::now(), has_candidate: false, code: None };
    let relaying = match timeout_at(stop, pair.talk()).await {
        Ok(Ok((setup, rtt))) => Relaying::Relays { setup, rtt },
        Ok(Err(reason)) => pair.failure(reason),
        Err(_) => pair.failure(FailReason::Timeout),
    };
    let Pair { mut ada, mut bob, .. } = pair;
    // Relayed ports are given back; where nobody answers, they end by themselves.
    let _ = timeout(END_LIMIT, join(ada.close(), bob.close())).await;
    relaying
}

struct Pair {
    ada: Connection,
    bob: Connection,
    begun: Instant,
    has_candidate: bool,
    code: Option<u16>,
}

impl Pair {
    /// Connects, and says how long that took and how long a message takes.
    async fn talk(&mut self) -> Result<(Duration, Duration), FailReason> {
        let channel = self.ada.open_channel(ChannelInit::new("check"));
        self.ada.negotiate();
        let (mut setup, mut best, mut sent_at, mut left) = (None, Duration::MAX, Instant::now(), PINGS);
        loop {
            let (is_ada, event) = tokio::select! {
                Some(event) = self.ada.next() => (true, event),
                Some(event) = self.bob.next() => (false, event),
                else => return Err(FailReason::ChecksFailed),
            };
            match event {
                ConnectionEvent::Signal(signal) => {
                    self.has_candidate |= signal.class() == Some("relay");
                    let other = if is_ada { &self.bob } else { &self.ada };
                    other.signal(signal);
                }
                ConnectionEvent::ChannelOpen(_) if is_ada => {
                    setup = Some(self.begun.elapsed());
                    sent_at = ping(&channel);
                }
                ConnectionEvent::Message { channel, message } if !is_ada => {
                    let _ = channel.try_send(message);
                }
                ConnectionEvent::Message { .. } => {
                    best = best.min(sent_at.elapsed());
                    left -= 1;
                    match (left, setup) {
                        (0, Some(setup)) => return Ok((setup, best)),
                        _ => sent_at = ping(&channel),
                    }
                }
                ConnectionEvent::CandidateError { code, .. } => self.code = Some(code),
                ConnectionEvent::Failed { reason, .. } => return Err(reason),
                ConnectionEvent::Closed { .. } => return Err(FailReason::ChecksFailed),
                _ => {}
            }
        }
    }

    fn failure(&self, reason: FailReason) -> Relaying {
        match self.code {
            _ if self.has_candidate => Relaying::Idle { reason },
            Some(code) if code != NO_ANSWER => Relaying::Refuses { code },
            _ => Relaying::Unreachable,
        }
    }
}

/// Sends a message, and says when. A channel that is closed says so by an event.
fn ping(channel: &Channel) -> Instant {
    let _ = channel.try_send(Message::text("ping"));
    Instant::now()
}
