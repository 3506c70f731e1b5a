//! Relays: every way to each is tried up to the point where it would cost the server something (the 401), and the best way that
//! works goes on alone.
//!
//! ```text
//!  Waiting ─► Opening ─► Challenging ─► Held, or Granted ─► Allocated ─► Closing
//!  (streams: a moment) (streams)         └ one a server and family, the best that was answered
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_ice::{RelayProtocol, SocketId};
use twocan_stun::ErrorCode;
use twocan_turn::client::{Client, Config, Event as ClientEvent, Failure};
use twocan_turn::{Family, Transport};

use super::servers::{Group, Server, ServerId};
use super::{CandidateError, Command, Event, Gatherer, Transmit, limits};

pub(super) const CANNOT_CONNECT: &str = "the relay cannot be connected to";

/// One way to one relay, and the allocation there.
pub(super) struct Relay {
    pub server: ServerId,
    pub group: Group,
    pub transport: Transport,
    pub to: SocketAddr,
    /// The UDP socket, or the stream once it has an id.
    pub carrier: Option<SocketId>,
    /// Of the address to be allocated.
    family: Family,
    /// The name that the server's certificate must have.
    pub tls: Option<String>,
    /// What came of a stream without making a frame yet.
    pub buffer: Vec<u8>,
    pub stage: Stage,
    /// What data is sent and received under, while there is an allocation.
    pub id: Option<SocketId>,
    pub client: Option<Client>,
    interface: u16,
    /// How often the server said to ask another.
    alternates: u8,
    /// There was an allocation: losing it is worth another try.
    has_worked: bool,
    /// When the allocation was last asked whether it still stands.
    probed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not begun.
    Waiting { until: Instant },
    /// A stream is being opened.
    Opening { until: Instant },
    /// The first Allocate is on its way.
    Challenging,
    /// It would work, but another way is ahead.
    Held,
    /// It asks for an allocation.
    Granted,
    /// It has one.
    Allocated,
    /// It frees it.
    Closing,
    /// It failed, and is not tried again before a restart.
    Over,
    /// To be swept away.
    Dropped,
}

impl Relay {
    /// Whether a candidate may still come of it.
    pub fn is_pending(&self) -> bool {
        match self.stage {
            Stage::Waiting { .. } => !self.has_worked,
            Stage::Opening { .. } | Stage::Challenging | Stage::Granted => true,
            Stage::Held | Stage::Allocated | Stage::Closing | Stage::Over | Stage::Dropped => false,
        }
    }

    /// It has an allocation that may be out of reach by now: nothing was heard since it was asked.
    fn is_in_doubt(&self) -> bool {
        let heard_at = self.client.as_ref().map(Client::heard_at);
        self.stage == Stage::Allocated && self.probed.is_some_and(|at| heard_at <= Some(at))
    }

    /// It has an allocation, as far as is known.
    fn stands(&self) -> bool {
        self.stage == Stage::Allocated && !self.is_in_doubt()
    }

    /// Whether it is, or is about to be, the one that counts.
    fn is_ahead(&self) -> bool {
        self.stage == Stage::Granted || self.stands()
    }

    /// How long it is alone before streams are opened beside it: an answer may be on its way.
    fn head_start(&self) -> Duration {
        match &self.client {
            Some(client) if self.is_in_doubt() => {
                limits::STREAM_DELAY.max(client.rtt().unwrap_or_default() * 2)
            }
            _ if self.transport.is_stream() => Duration::ZERO,
            _ if self.is_pending() => limits::STREAM_DELAY,
            _ => Duration::ZERO,
        }
    }

    /// Ways of which one is enough: to the same relay, for the same family.
    fn is_rival_of(&self, group: Group, to: SocketAddr) -> bool {
        self.group == group && self.to.is_ipv4() == to.is_ipv4()
    }

    fn is_same_way(&self, transport: Transport, to: SocketAddr) -> bool {
        self.transport == transport && self.to == to
    }

    fn new(server: &Server, transport: Transport, to: SocketAddr, now: Instant) -> Relay {
        Relay {
            server: server.id,
            group: server.group,
            transport,
            to,
            carrier: None,
            family: Family::of(to.ip()),
            tls: (transport == Transport::Tls).then(|| server.url.host.clone()),
            buffer: Vec::new(),
            stage: Stage::Waiting { until: now },
            id: None,
            client: None,
            interface: 0,
            alternates: 0,
            has_worked: false,
            probed: None,
        }
    }
}

impl Gatherer {
    /// Tries the ways to a relay that are not tried yet, unless one as good is ahead.
    pub(super) fn ask_relays(&mut self, server: usize, is_stream: bool, now: Instant) {
        let Some(server) = self.servers.get(server) else { return };
        let Some(transport) = server.relay_transport().filter(|known| known.is_stream() == is_stream) else {
            return;
        };
        let mut new = Vec::new();
        for to in server.addresses() {
            let rivals = || self.relays.iter().filter(|relay| relay.is_rival_of(server.group, to));
            if rivals().any(|rival| rival.is_ahead() && rival.transport <= transport) {
                continue;
            }
            let mut sockets =
                self.sockets.iter().filter(|socket| socket.local.is_ipv4() == to.is_ipv4()).peekable();
            if is_stream {
                // A stream whose network is gone says nothing for long: another is opened beside it.
                let is_known = rivals().any(|rival| rival.is_same_way(transport, to) && !rival.is_in_doubt());
                if sockets.peek().is_some() && !is_known {
                    let delay = rivals().map(Relay::head_start).max().unwrap_or_default();
                    new.push(Relay::new(server, transport, to, now + delay));
                }
                continue;
            }
            for socket in sockets {
                let is_known =
                    self.relays.iter().any(|relay| relay.carrier == Some(socket.id) && relay.to == to);
                if !is_known {
                    let relay = Relay::new(server, transport, to, now);
                    new.push(Relay { carrier: Some(socket.id), interface: socket.interface, ..relay });
                }
            }
        }
        // Who has IPv6 alone reaches others that have it directly: for those who have IPv4 alone an IPv4 address is needed (RFC 8656 6.1).
        let has_v4 = self.sockets.iter().any(|socket| socket.local.is_ipv4());
        // Datagrams leave room for streams: where UDP is blocked nothing else works.
        let max = if is_stream { limits::RELAYS_MAX } else { limits::DATAGRAM_RELAYS_MAX };
        for mut relay in new {
            if self.relays.len() >= max {
                break;
            }
            if !has_v4 {
                relay.family = Family::V4;
            }
            self.relays.push(relay);
            self.start_due(self.relays.len() - 1, now);
        }
    }

    /// Begins what has waited long enough.
    fn start_due(&mut self, index: usize, now: Instant) {
        let Some(relay) = self.relays.get_mut(index) else { return };
        if !matches!(relay.stage, Stage::Waiting { until } if until <= now) {
            return;
        }
        if !relay.transport.is_stream() {
            return self.start_client(index, now);
        }
        // One that is about to have an allocation may still be refused it.
        if self.is_behind(index, Relay::stands) {
            return self.drop_way(index);
        }
        let Some(relay) = self.relays.get_mut(index) else { return };
        relay.stage = Stage::Opening { until: now + limits::STREAM_OPENS_WITHIN };
        relay.buffer.clear();
        let (to, tls) = (relay.to, relay.tls.clone());
        let socket = self.next_socket();
        if let Some(relay) = self.relays.get_mut(index) {
            relay.carrier = Some(socket);
        }
        self.commands.push_back(Command::OpenStream { socket, to, tls });
    }

    fn give_up_opening(&mut self, index: usize, now: Instant) {
        let stage = self.relays.get(index).map(|relay| relay.stage);
        if matches!(stage, Some(Stage::Opening { until }) if until <= now) {
            self.fail(index, (CandidateError::UNREACHABLE, CANNOT_CONNECT), true, now);
        }
    }

    /// Sends the first Allocate.
    pub(super) fn start_client(&mut self, index: usize, now: Instant) {
        let seed = self.random();
        let Some(relay) = self.relays.get_mut(index) else { return };
        let Some(server) = self.servers.iter().find(|server| server.id == relay.server) else {
            relay.stage = Stage::Dropped;
            return;
        };
        let config = Config {
            transport: relay.transport,
            family: relay.family,
            hold: true,
            ..Config::new(&server.username, &server.credential)
        };
        let mut client = Client::new(config, seed, now);
        client.permit(self.peers.make_contiguous(), now);
        relay.client = Some(client);
        relay.stage = Stage::Challenging;
        self.drain(index, now);
    }

    /// Does something with a relay's client, and takes what comes of it.
    pub(super) fn with_client(&mut self, index: usize, now: Instant, act: impl FnOnce(&mut Client)) {
        if let Some(client) = self.relays.get_mut(index).and_then(|relay| relay.client.as_mut()) {
            act(client);
            self.drain(index, now);
        }
    }

    /// Sends what the client wants sent, and does what its events ask for.
    pub(super) fn drain(&mut self, index: usize, now: Instant) {
        loop {
            let Some(relay) = self.relays.get_mut(index) else { return };
            let (Some(client), Some(socket)) = (&mut relay.client, relay.carrier) else { return };
            while let Some(bytes) = client.poll_transmit() {
                self.transmits.push_back(Transmit { socket, to: relay.to, bytes, segment_size: None });
            }
            let Some(event) = client.poll_event() else { return };
            self.client_event(index, event, now);
        }
    }

    fn client_event(&mut self, index: usize, event: ClientEvent, now: Instant) {
        match event {
            ClientEvent::Challenged => self.challenged(index, now),
            ClientEvent::Allocated { relayed, mapped } | ClientEvent::Reallocated { relayed, mapped } => {
                self.allocated(index, relayed, mapped);
            }
            ClientEvent::Lost => {
                self.lose(index);
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.stage = Stage::Granted;
                }
            }
            ClientEvent::AlternateServer(to) => self.redirected(index, to, now),
            ClientEvent::PeerRefused { .. } => {}
            ClientEvent::Failed(Failure::Refused(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED))
                if self.relays.get(index).is_some_and(|relay| relay.family != Family::of(relay.to.ip())) =>
            {
                // It has the family by which it is reached.
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.family = Family::of(relay.to.ip());
                }
                self.start_client(index, now);
            }
            ClientEvent::Failed(why) => {
                let code = why.code().map_or(CandidateError::UNREACHABLE, ErrorCode::number);
                let is_worth_a_retry = matches!(why, Failure::TimedOut | Failure::FiveTupleTaken);
                self.fail(index, (code, text_of(why)), is_worth_a_retry, now);
            }
            ClientEvent::Closed => self.drop_way(index),
        }
    }

    /// The server answered: this way works.
    fn challenged(&mut self, index: usize, now: Instant) {
        if self.is_behind(index, Relay::stands) {
            // It stands after all.
            self.drop_way(index);
        } else if self.is_behind(index, Relay::is_ahead) {
            if let Some(relay) = self.relays.get_mut(index) {
                relay.stage = Stage::Held;
            }
        } else {
            self.grant(index, now);
        }
    }

    /// Whether there is such a way besides that is as good.
    fn is_behind(&self, index: usize, is_such: impl Fn(&Relay) -> bool) -> bool {
        let Some(Relay { group, to, transport, .. }) = self.relays.get(index) else { return false };
        let mut others = self.relays.iter().enumerate().filter(|(other, _)| *other != index);
        others.any(|(_, rival)| {
            rival.is_rival_of(*group, *to) && rival.transport <= *transport && is_such(rival)
        })
    }

    fn grant(&mut self, index: usize, now: Instant) {
        let Some(relay) = self.relays.get_mut(index) else { return };
        relay.stage = Stage::Granted;
        self.with_client(index, now, |client| client.proceed(now));
    }

    fn allocated(&mut self, index: usize, relayed: SocketAddr, mapped: Option<SocketAddr>) {
        let id = self.next_socket();
        let Some(relay) = self.relays.get_mut(index) else { return };
        relay.stage = Stage::Allocated;
        relay.id = Some(id);
        relay.has_worked = true;
        let (group, to, transport, interface) = (relay.group, relay.to, relay.transport, relay.interface);
        let carrier = relay.carrier.filter(|_| !transport.is_stream());
        for server in self.servers.iter_mut().filter(|server| server.group == group) {
            server.has_given |= server.url.scheme.is_turn();
        }
        if let (Some(carrier), Some(mapped)) = (carrier, mapped) {
            self.add_reflexive(carrier, mapped, to.ip());
        }
        let protocol = match transport {
            Transport::Udp => RelayProtocol::Udp,
            Transport::Tcp => RelayProtocol::Tcp,
            Transport::Tls => RelayProtocol::Tls,
        };
        self.add_relayed(id, relayed, mapped, (to.ip(), protocol), interface);
        for other in 0..self.relays.len() {
            let is_of_no_use = self.relays.get(other).is_some_and(|rival| {
                let is_late = rival.is_rival_of(group, to)
                    && rival.transport >= transport
                    && !matches!(rival.stage, Stage::Allocated | Stage::Closing | Stage::Over);
                // A new stream did what the old one does not.
                let is_replaced =
                    transport.is_stream() && rival.is_same_way(transport, to) && rival.is_in_doubt();
                is_late || is_replaced
            });
            if is_of_no_use && other != index {
                self.drop_way(other);
            }
        }
    }

    /// 300: the same again with another server, unless that leads nowhere.
    fn redirected(&mut self, index: usize, to: SocketAddr, now: Instant) {
        let Some(relay) = self.relays.get(index) else { return };
        let carrier = relay.carrier;
        let is_taken = self.relays.iter().any(|known| known.to == to && known.carrier == carrier);
        let is_sound = to.is_ipv4() == relay.to.is_ipv4()
            && to.port() != 0
            && !to.ip().is_unspecified()
            && !to.ip().is_multicast()
            && (!to.ip().is_loopback() || relay.to.ip().is_loopback());
        if relay.alternates >= limits::ALTERNATES_MAX || is_taken || !is_sound {
            return self.fail(index, (300, "the server only names others"), false, now);
        }
        self.lose(index);
        self.close_stream(index);
        if let Some(relay) = self.relays.get_mut(index) {
            relay.alternates += 1;
            relay.to = to;
            relay.client = None;
            relay.stage = Stage::Waiting { until: now };
        }
        self.start_due(index, now);
    }

    /// This way is closed; the next best goes on.
    pub(super) fn fail(&mut self, index: usize, error: (u16, &'static str), may_retry: bool, now: Instant) {
        self.lose(index);
        self.close_stream(index);
        let Some(relay) = self.relays.get_mut(index) else { return };
        let was_ahead = relay.is_ahead();
        let is_closing = relay.stage == Stage::Closing;
        relay.client = None;
        relay.stage = match (is_closing, may_retry && relay.has_worked) {
            (true, _) => Stage::Dropped,
            (false, true) => Stage::Waiting { until: now + limits::RETRY },
            (false, false) => Stage::Over,
        };
        let (server, group, to, has_worked) = (relay.server, relay.group, relay.to, relay.has_worked);
        self.blame(server, error.0, error.1);
        if was_ahead && !is_closing {
            self.promote(group, to, now);
        }
        if has_worked && !is_closing {
            self.ask_servers(now);
        }
    }

    /// The best way that is held goes on.
    pub(super) fn promote(&mut self, group: Group, to: SocketAddr, now: Instant) {
        let held = |relay: &&Relay| relay.stage == Stage::Held && relay.is_rival_of(group, to);
        let Some(best) = self.relays.iter().filter(held).map(|relay| relay.transport).min() else { return };
        let index = self.relays.iter().position(|relay| held(&relay) && relay.transport == best);
        if let Some(index) = index {
            self.grant(index, now);
        }
    }

    /// The allocation is gone.
    fn lose(&mut self, index: usize) {
        let Some(id) = self.relays.get_mut(index).and_then(|relay| relay.id.take()) else { return };
        self.candidates.retain(|gathered| gathered.local.socket != id);
        self.events.push_back(Event::SocketLost(id));
    }

    pub(super) fn drop_way(&mut self, index: usize) {
        self.lose(index);
        self.close_stream(index);
        if let Some(relay) = self.relays.get_mut(index) {
            relay.stage = Stage::Dropped;
            relay.client = None;
        }
    }

    fn close_stream(&mut self, index: usize) {
        let Some(relay) = self.relays.get_mut(index).filter(|relay| relay.transport.is_stream()) else {
            return;
        };
        if let Some(stream) = relay.carrier.take() {
            self.commands.push_back(Command::CloseStream(stream));
        }
    }

    /// The socket is gone, and with it what went through it.
    pub(super) fn end_relays_through(&mut self, socket: SocketId, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get(index).filter(|relay| relay.carrier == Some(socket)) else {
                continue;
            };
            let (group, to, was_ahead) = (relay.group, relay.to, relay.is_ahead());
            self.drop_way(index);
            if was_ahead {
                self.promote(group, to, now);
            }
        }
        self.sweep();
    }

    /// Credentials may be new, and servers gone: what is allocated there stands.
    pub(super) fn relays_of_other_servers(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else { break };
            match self.servers.iter().find(|server| server.id == relay.server) {
                Some(server) => {
                    relay.group = server.group;
                    if relay.stage == Stage::Over {
                        relay.stage = Stage::Dropped;
                    }
                    let (username, credential) = (server.username.clone(), server.credential.clone());
                    self.with_client(index, now, |client| {
                        client.set_credentials(&username, &credential, now);
                    });
                }
                None if matches!(relay.stage, Stage::Allocated | Stage::Closing) => {}
                None => self.drop_way(index),
            }
        }
        self.sweep();
    }

    /// Allocations are probed, and failures forgotten.
    pub(super) fn probe_relays(&mut self, now: Instant) {
        self.relays.retain(|relay| relay.stage != Stage::Over);
        for index in 0..self.relays.len() {
            if let Some(relay) = self.relays.get_mut(index) {
                relay.probed = Some(now);
            }
            self.with_client(index, now, |client| client.refresh(now));
        }
        self.sweep();
    }

    pub(super) fn close_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            let Some(relay) = self.relays.get_mut(index) else { break };
            if relay.stage == Stage::Allocated {
                relay.stage = Stage::Closing;
                self.with_client(index, now, |client| client.close(now));
            } else if relay.stage != Stage::Closing {
                self.drop_way(index);
            }
        }
        self.sweep();
    }

    pub(super) fn run_relays(&mut self, now: Instant) {
        for index in 0..self.relays.len() {
            self.start_due(index, now);
            self.give_up_opening(index, now);
            self.with_client(index, now, |client| client.handle_timeout(now));
        }
        self.sweep();
    }

    pub(super) fn relays_timeout(&self) -> Option<Instant> {
        let due = |relay: &Relay| match relay.stage {
            Stage::Waiting { until } | Stage::Opening { until } => Some(until),
            _ => relay.client.as_ref()?.poll_timeout(),
        };
        self.relays.iter().filter_map(due).min()
    }

    /// Forgets what was dropped.
    pub(super) fn sweep(&mut self) {
        self.relays.retain(|relay| relay.stage != Stage::Dropped);
    }
}

fn text_of(why: Failure) -> &'static str {
    match why {
        Failure::TimedOut => "the relay does not answer",
        Failure::WrongCredentials => "the relay does not accept the credential",
        Failure::FiveTupleTaken => "the relay holds another allocation for this port",
        Failure::Refused(code) | Failure::Unverified(code) => code.reason().unwrap_or("the relay refused"),
        Failure::BadAnswer => "the relay's answer makes no sense",
    }
}
