//! `RTCPeerConnection` as Chromium has it: descriptions, ICE, and above it DTLS, SCTP and channels, which are those of `twocan-rtc`.
//!
//! Two things of SCTP are made a browser's: what it sends while ICE has no way is lost, and its retransmission timer begins at 400 ms and doubles with each try,
//! whatever ICE finds meanwhile.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_ice::{Candidate, Parsed};
use twocan_rtc::gather::IceServer;
use twocan_rtc::sdp::{Kind, Session, Setup};
use twocan_rtc::transport::{self, DtlsRole, Remote, Transport};
use twocan_rtc::{CandidateInit, Certificate, ChannelId, CloseReason};

use super::ice::{self, Ice};
use crate::app::Channels;

/// The shortest wait before what is not acknowledged is sent again, and what is added to a round trip for that (dcSCTP).
const RTO_MIN: Duration = Duration::from_millis(400);
const RTO_VARIANCE: Duration = Duration::from_millis(220);
/// How long an acknowledgement waits at most: later timers are those of retransmission.
const SACK_WITHIN: Duration = Duration::from_millis(25);

/// W3C `signalingState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signaling {
    /// No offer is open.
    Stable,
    /// Ours is.
    HaveLocalOffer,
    /// Theirs is.
    HaveRemoteOffer,
}

/// W3C `connectionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has begun.
    New,
    /// A way is sought, or secured.
    Connecting,
    /// Data can be sent.
    Connected,
    /// Nothing has been answered for five seconds.
    Disconnected,
    /// No connection is left.
    Failed,
}

/// What a page is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// `icecandidate`; `None` at the end of them.
    Candidate(Option<CandidateInit>),
    /// `icecandidateerror` of a TURN server.
    TurnError(u16),
    /// One of the states is another one.
    Changed,
    /// A channel is open.
    Open(ChannelId),
    /// A message.
    Message(ChannelId, Bytes),
    /// DTLS or SCTP has ended: so have the channels.
    Closed(CloseReason),
}

/// The retransmission timer that a browser would have, for what is unacknowledged since then.
#[derive(Clone, Copy, Debug)]
struct Retransmission {
    since: Instant,
    fired: u32,
}

/// The connection: see the module.
pub struct PeerConnection {
    /// Its ICE.
    pub ice: Ice,
    transport: Transport,
    certificate: Certificate,
    id: u64,
    version: u64,
    /// Where negotiation stands.
    pub signaling: Signaling,
    wants_restart: bool,
    /// What is in force on either side.
    local: Option<Session>,
    pending: Option<Session>,
    /// The last description that was set, as text.
    described: Option<(Kind, String)>,
    remote: Option<Session>,
    /// Their user name when negotiation was last at rest.
    answered_ufrag: Option<String>,
    role: Option<DtlsRole>,
    is_started: bool,
    is_secured: bool,
    has_failed: bool,
    is_closed: bool,
    state: State,
    retransmission: Option<Retransmission>,
    came_at: Option<Instant>,
    events: VecDeque<Event>,
}

impl PeerConnection {
    /// `new RTCPeerConnection(…)` with the three channels of every link.
    pub fn new(
        ice: Ice,
        certificate: Certificate,
        seed: [u8; 32],
        now: Instant,
    ) -> (PeerConnection, Channels) {
        let config = transport::Config::new(certificate.clone());
        let mut transport = Transport::new(config, seed, now);
        let channels = Channels::open(&mut transport, now);
        let id = u64::from_be_bytes(*seed.first_chunk().expect("a seed is longer")) >> 1;
        let connection = PeerConnection {
            ice,
            transport,
            certificate,
            id,
            version: 1,
            signaling: Signaling::Stable,
            wants_restart: false,
            local: None,
            pending: None,
            described: None,
            remote: None,
            answered_ufrag: None,
            role: None,
            is_started: false,
            is_secured: false,
            has_failed: false,
            is_closed: false,
            state: State::New,
            retransmission: None,
            came_at: None,
            events: VecDeque::new(),
        };
        (connection, channels)
    }

    /// `connectionState`.
    pub fn state(&self) -> State {
        self.state
    }

    /// Where ICE alone stands.
    pub fn ice_is_connected(&self) -> bool {
        self.ice.state() == ice::State::Connected
    }

    /// `localDescription`.
    pub fn local_description(&self) -> Option<&(Kind, String)> {
        self.described.as_ref()
    }

    /// Whether theirs has come.
    pub fn has_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// The channels, for whoever sends.
    pub fn transport(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// `restartIce()`: the next offer has other credentials.
    pub fn restart_ice(&mut self) {
        self.wants_restart = true;
    }

    /// `setLocalDescription()`: the offer, or the answer, that is due.
    pub fn set_local_description(&mut self, now: Instant) {
        let kind = if self.signaling == Signaling::HaveRemoteOffer { Kind::Answer } else { Kind::Offer };
        let known = self.local.as_ref().map(|session| session.credentials.clone());
        let is_new = kind == Kind::Answer && self.theirs_are_new() || self.wants_restart;
        let credentials = match known {
            Some(known) if !is_new => known,
            _ => self.ice.draw_credentials(),
        };
        let setup = match (kind, self.role) {
            (Kind::Answer, Some(DtlsRole::Server)) => Setup::Passive,
            (Kind::Answer, _) => Setup::Active,
            _ => Setup::ActPass,
        };
        self.version += 1;
        let session = Session {
            version: self.version,
            is_ours: false,
            ..Session::new(self.id, credentials.clone(), self.certificate.fingerprint(), setup)
        };
        if self.local.is_none() && self.pending.is_none() && self.remote.is_none() {
            self.ice.set_controlling(true);
        }
        self.described = Some((kind, session.write()));
        if kind == Kind::Answer {
            self.role.get_or_insert(DtlsRole::Client);
            self.local = Some(session);
            self.become_stable();
        } else {
            self.pending = Some(session);
            self.signaling = Signaling::HaveLocalOffer;
        }
        self.ice.gather(&credentials, now);
        self.start(now);
        self.events.push_back(Event::Changed);
    }

    /// Their credentials are others than those that our last answer, or their last answer, was about.
    fn theirs_are_new(&self) -> bool {
        self.answered_ufrag.as_deref() != self.remote.as_ref().map(|remote| &*remote.credentials.ufrag)
    }

    fn become_stable(&mut self) {
        self.signaling = Signaling::Stable;
        self.wants_restart = false;
        self.answered_ufrag = self.remote.as_ref().map(|remote| remote.credentials.ufrag.clone());
    }

    /// `setRemoteDescription()`; an offer rolls ours back.
    ///
    /// # Errors
    /// It cannot be read, or is another certificate's.
    pub fn set_remote_description(&mut self, kind: Kind, sdp: &str, now: Instant) -> Result<(), ()> {
        let session = Session::parse(sdp).map_err(|_| ())?;
        if self.remote.as_ref().is_some_and(|known| known.fingerprints != session.fingerprints) {
            return Err(());
        }
        if kind == Kind::Offer {
            if self.local.is_none() {
                self.ice.set_controlling(false);
            }
            self.pending = None;
            self.signaling = Signaling::HaveRemoteOffer;
        } else {
            self.local = self.pending.take().or(self.local.take());
            let theirs = if session.setup == Setup::Active { DtlsRole::Server } else { DtlsRole::Client };
            self.role.get_or_insert(theirs);
        }
        self.ice.set_remote(&session.credentials, now);
        let candidates = session.candidates.clone();
        self.remote = Some(session);
        if kind == Kind::Answer {
            self.become_stable();
        }
        for text in candidates {
            self.add_ice_candidate(&CandidateInit { candidate: text, ..CandidateInit::default() }, None, now);
        }
        self.start(now);
        self.events.push_back(Event::Changed);
        Ok(())
    }

    /// `addIceCandidate()`; `address` is what its name stands for, if it is one that is known here.
    pub fn add_ice_candidate(&mut self, init: &CandidateInit, address: Option<IpAddr>, now: Instant) {
        let of = init.username_fragment.as_deref();
        let is_current = self
            .remote
            .as_ref()
            .is_some_and(|remote| of.is_none_or(|ufrag| ufrag == remote.credentials.ufrag));
        // One of an offer that was passed over, or is over.
        if !is_current {
            return;
        }
        let candidate = match Candidate::parse(&init.candidate) {
            Ok(Parsed::Candidate(candidate)) => candidate,
            Ok(Parsed::Named(named)) => match address {
                Some(address) => named.resolve(address),
                None => return,
            },
            Err(_) => return,
        };
        self.ice.add_remote(Candidate { ufrag: None, ..candidate }, now);
    }

    /// `setConfiguration()`.
    pub fn set_configuration(&mut self, servers: Vec<IceServer>) {
        self.ice.set_servers(servers);
    }

    /// `close()`.
    pub fn close(&mut self, now: Instant) {
        self.transport.close(now);
        self.work(now);
        self.ice.close(now);
        self.is_closed = true;
    }

    /// A server waits for the handshake; a client begins it where ICE has a way.
    fn start(&mut self, now: Instant) {
        let (Some(role), Some(remote)) = (self.role, &self.remote) else { return };
        let may = role == DtlsRole::Server || self.ice.is_writable();
        if self.is_started || !may || self.signaling != Signaling::Stable {
            return;
        }
        self.is_started = true;
        let remote = Remote {
            role,
            fingerprints: remote.fingerprints.clone(),
            sctp_port: remote.sctp_port,
            max_message_size: remote.max_message_size,
            sctp_init: None,
        };
        self.transport.start(remote, None, now);
    }

    /// Carries what one part says to the others.
    pub fn work(&mut self, now: Instant) {
        loop {
            let mut busy = false;
            while let Some(event) = self.ice.poll_event() {
                busy = true;
                self.ice_event(event, now);
            }
            self.start(now);
            while let Some(run) = self.transport.poll_transmit() {
                busy = true;
                let size = run.segment_size.unwrap_or(run.bytes.len()).max(1);
                for datagram in run.bytes.chunks(size) {
                    self.ice.send(datagram, now);
                }
            }
            while let Some(event) = self.transport.poll_event() {
                busy = true;
                self.transport_event(event);
            }
            if !busy {
                break;
            }
        }
        let state = self.found_state();
        if std::mem::replace(&mut self.state, state) != state {
            self.events.push_back(Event::Changed);
        }
    }

    fn ice_event(&mut self, event: ice::Event, now: Instant) {
        match event {
            ice::Event::Packet(bytes) => {
                self.came_at = Some(now);
                let _ = self.transport.handle_datagram(&bytes, now);
            }
            ice::Event::Candidate { text, ufrag } => {
                let init = CandidateInit {
                    candidate: text,
                    sdp_mid: Some("0".into()),
                    sdp_m_line_index: Some(0),
                    username_fragment: Some(ufrag),
                };
                self.events.push_back(Event::Candidate(Some(init)));
            }
            ice::Event::Gathered => self.events.push_back(Event::Candidate(None)),
            ice::Event::CandidateError { is_turn: true, code } => {
                self.events.push_back(Event::TurnError(code));
            }
            ice::Event::CandidateError { .. } => {}
        }
    }

    fn transport_event(&mut self, event: transport::Event) {
        match event {
            transport::Event::Connected => self.is_secured = true,
            transport::Event::ChannelOpen { id, .. } => self.events.push_back(Event::Open(id)),
            transport::Event::Message { id, bytes, .. } => self.events.push_back(Event::Message(id, bytes)),
            // To a page a handshake that failed is a state; what ends later ends its channels.
            transport::Event::Closed { .. } if !self.is_secured => self.has_failed = true,
            transport::Event::Closed { why } => self.events.push_back(Event::Closed(why)),
            transport::Event::BufferedAmountLow { .. } | transport::Event::ChannelClosed { .. } => {}
        }
    }

    fn found_state(&self) -> State {
        match self.ice.state() {
            _ if self.has_failed => State::Failed,
            ice::State::Failed => State::Failed,
            ice::State::Disconnected => State::Disconnected,
            ice::State::Connected if self.is_secured => State::Connected,
            ice::State::Connected | ice::State::Checking => State::Connecting,
            ice::State::New if self.described.is_some() => State::Connecting,
            ice::State::New => State::New,
        }
    }

    /// The retransmission timer for what is not acknowledged, and when it runs out next.
    fn retransmission(&self) -> Option<(Retransmission, Instant)> {
        let since = self.transport.silent_since().filter(|_| self.is_secured)?;
        let known = self.retransmission.filter(|timer| timer.since == since);
        let timer = known.unwrap_or(Retransmission { since, fired: 0 });
        let rtt = self.ice.path().and_then(|path| path.rtt).unwrap_or_default();
        let first = RTO_MIN.max(rtt + RTO_VARIANCE);
        Some((timer, since + first * (2_u32.pow(timer.fired.min(12) + 1) - 1)))
    }

    /// When the timers of DTLS and SCTP are due: our own, but what is sent again waits for a browser's. An acknowledgement takes it along.
    fn transport_timeout(&self) -> Option<Instant> {
        let due = self.transport.poll_timeout()?;
        let is_acknowledgement = self.came_at.is_some_and(|came| due <= came + SACK_WITHIN);
        match self.retransmission() {
            Some((_, at)) if !is_acknowledgement => Some(due.max(at)),
            _ => Some(due),
        }
    }

    /// What is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ice.poll_timeout().is_some_and(|at| at <= now) {
            self.ice.handle_timeout(now);
        }
        if self.transport_timeout().is_some_and(|at| at <= now) {
            if let Some((timer, _)) = self.retransmission().filter(|(_, at)| *at <= now) {
                self.retransmission = Some(Retransmission { fired: timer.fired + 1, ..timer });
            }
            self.transport.handle_timeout(now);
        }
        self.work(now);
    }

    /// When [`PeerConnection::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed {
            return None;
        }
        self.ice.poll_timeout().into_iter().chain(self.transport_timeout()).min()
    }

    /// What a page is told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
