//! `twocan-rtc`, with the cryptography it has (ring).

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_rtc::{Certificate, ChannelId, ChannelInit, Config, Connection, Event, Payload, Signal, SocketId};

use super::{LANES, Lane, Peer, Profile, SEND_BUFFER_BYTES, Setup, Side};

/// What signaling would say of the round trip.
const RTT_HINT: Duration = Duration::from_millis(50);

/// One certificate serves a program's connections.
static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();

/// One connection.
pub fn make(setup: &Setup) -> Box<dyn Peer> {
    let certificate = CERTIFICATE.get_or_init(Certificate::generate).clone();
    let config = Config { polite: setup.side == Side::Answerer, ..Config::new(certificate) };
    let mut seed = [setup.side as u8; 32];
    seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
    let mut connection = Connection::new(config, seed, setup.now);
    connection.set_rtt_hint(RTT_HINT);
    let socket = connection.add_socket(setup.addresses.local, setup.now);
    let mut ours = Ours {
        connection,
        setup: *setup,
        socket,
        channels: Vec::new(),
        signals: VecDeque::new(),
        messages: VecDeque::new(),
    };
    let inits = match setup.profile {
        Profile::Tuned => LANES.map(|lane| ChannelInit::new("bench").negotiated(lane)).to_vec(),
        Profile::Default if setup.side == Side::Offerer => vec![ChannelInit::new("bench")],
        Profile::Default => Vec::new(),
    };
    for init in inits {
        let channel = ours.connection.open_channel(init, setup.now).expect("a sound channel");
        ours.channels.push(channel);
    }
    ours.events();
    Box::new(ours)
}

struct Ours {
    connection: Connection,
    setup: Setup,
    socket: SocketId,
    /// By lane.
    channels: Vec<ChannelId>,
    signals: VecDeque<String>,
    messages: VecDeque<(Lane, Bytes)>,
}

impl Ours {
    fn events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Signal(signal) => {
                    self.signals.push_back(serde_json::to_string(&signal).expect("plain text"));
                }
                Event::ChannelOpen { id, .. } if !self.channels.contains(&id) => self.channels.push(id),
                Event::Message { id, bytes, .. } => {
                    let lane = self.channels.iter().position(|known| *known == id).unwrap_or(0);
                    self.messages.push_back((lane as Lane, bytes));
                }
                _ => {}
            }
        }
    }
}

impl Peer for Ours {
    fn offer(&mut self, now: Instant) {
        self.connection.negotiate(now);
        self.events();
    }

    fn poll_signal(&mut self) -> Option<String> {
        self.signals.pop_front()
    }

    fn signal(&mut self, signal: &str, now: Instant) {
        let signal: Signal = serde_json::from_str(signal).expect("its own text");
        self.connection.handle_signal(signal, now).expect("an acceptable signal");
        self.events();
    }

    fn datagram(&mut self, bytes: &[u8], now: Instant) {
        let _ = self.connection.handle_datagram(self.socket, self.setup.addresses.remote, bytes, now);
        self.events();
    }

    fn timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        self.events();
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn transmit(&mut self, _now: Instant, wire: &mut dyn FnMut(&[u8])) {
        while let Some(transmit) = self.connection.poll_transmit() {
            for datagram in transmit.bytes.chunks(transmit.segment_size.unwrap_or(usize::MAX)) {
                wire(datagram);
            }
        }
        self.events();
    }

    fn is_open(&self) -> bool {
        !self.channels.is_empty()
    }

    fn send(&mut self, lane: Lane, bytes: &[u8], now: Instant) -> bool {
        let Some(&id) = self.channels.get(usize::from(lane)) else { return false };
        let room = self.connection.buffered_amount(id) + bytes.len() <= SEND_BUFFER_BYTES;
        room && self.connection.send(id, Payload::Binary, Bytes::copy_from_slice(bytes), now).is_ok()
    }

    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8])) {
        for (lane, message) in self.messages.drain(..) {
            reader(lane, &message);
        }
    }
}
