//! SCTP alone, without DTLS and ICE: what of a stack's time goes there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime, StreamId,
};
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, StreamEvent, TransportConfig,
};

use super::{BULK, DATAGRAM_BYTES, Lane, Peer, RECEIVE_WINDOW_BYTES, SEND_BUFFER_BYTES, Setup};

/// What DTLS 1.2 with AES-GCM would add.
const DTLS_BYTES: usize = 37;
/// SCTP's common header, and the header of a DATA chunk.
const SCTP_BYTES: usize = 12 + 16;
const MESSAGE_BYTES_MAX: u32 = 256 * 1_024;

/// `sctp-proto`, which str0m uses.
pub fn make_sctp_proto(setup: &Setup) -> Box<dyn Peer> {
    let transport = || {
        let config = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_WINDOW_BYTES)
            .with_max_send_message_size(MESSAGE_BYTES_MAX)
            .with_max_receive_message_size(MESSAGE_BYTES_MAX);
        Arc::new(config)
    };
    let mut config = EndpointConfig::default();
    config.max_payload_size((DATAGRAM_BYTES - DTLS_BYTES - SCTP_BYTES) as u32);
    let mut server = ServerConfig::default();
    server.transport = transport();
    let mut client = ClientConfig::default();
    client.transport = transport();
    Box::new(SctpProto {
        endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(server))),
        client: Some(client),
        association: None,
        remote: setup.addresses.remote,
        open: false,
        readable: false,
    })
}

struct SctpProto {
    endpoint: Endpoint,
    client: Option<ClientConfig>,
    association: Option<(AssociationHandle, Association)>,
    remote: SocketAddr,
    open: bool,
    readable: bool,
}

impl SctpProto {
    fn events(&mut self) {
        let Some((_, association)) = &mut self.association else { return };
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => {
                    let ppi = PayloadProtocolIdentifier::Binary;
                    self.open = association.open_stream(BULK, ppi).is_ok();
                }
                Event::Stream(StreamEvent::Readable { .. }) => self.readable = true,
                _ => {}
            }
        }
        while association.poll_endpoint_event().is_some() {}
    }
}

impl Peer for SctpProto {
    fn offer(&mut self, _now: Instant) {
        let config = self.client.take().expect("one offer");
        self.association = Some(self.endpoint.connect(config, self.remote).expect("a sound configuration"));
    }

    fn poll_signal(&mut self) -> Option<String> {
        None
    }

    fn signal(&mut self, _signal: &str, _now: Instant) {}

    fn datagram(&mut self, bytes: &[u8], now: Instant) {
        match self.endpoint.handle(now, self.remote, None, None, Bytes::copy_from_slice(bytes)) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            None => {}
        }
        self.events();
    }

    fn timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.events();
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.association.as_ref()?.1.poll_timeout()
    }

    fn transmit(&mut self, now: Instant, wire: &mut dyn FnMut(&[u8])) {
        let mut send = |payload| {
            if let Payload::RawEncode(packets) = payload {
                packets.iter().for_each(|packet: &Bytes| wire(packet));
            }
        };
        while let Some(transmit) = self.endpoint.poll_transmit() {
            send(transmit.payload);
        }
        let Some((_, association)) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            send(transmit.payload);
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, lane: Lane, bytes: &[u8], _now: Instant) -> bool {
        let Some((_, association)) = &mut self.association else { return false };
        let Ok(mut stream) = association.stream(lane) else { return false };
        let room = stream.buffered_amount().unwrap_or(0) + bytes.len() <= SEND_BUFFER_BYTES;
        room && stream.write_with_ppi(bytes, PayloadProtocolIdentifier::Binary).is_ok()
    }

    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8])) {
        if !std::mem::take(&mut self.readable) {
            return;
        }
        let Some((_, association)) = &mut self.association else { return };
        let Ok(mut stream) = association.stream(BULK) else { return };
        let mut message = vec![0; MESSAGE_BYTES_MAX as usize];
        while let Ok(Some(chunks)) = stream.read_sctp() {
            if let Ok(len) = chunks.read(&mut message) {
                reader(BULK, &message[..len]);
            }
        }
    }
}

/// `dcsctp`, the Rust successor of what Chromium uses.
pub fn make_dcsctp(setup: &Setup) -> Box<dyn Peer> {
    let options = Options {
        mtu: DATAGRAM_BYTES - DTLS_BYTES,
        max_receiver_window_buffer_size: RECEIVE_WINDOW_BYTES as usize,
        ..Options::default()
    };
    let socket = dcsctp::new_socket("bench", &options);
    Box::new(DcSctp { socket, epoch: setup.now, packets: VecDeque::new() })
}

struct DcSctp {
    socket: Box<dyn DcSctpSocket>,
    epoch: Instant,
    packets: VecDeque<Vec<u8>>,
}

impl DcSctp {
    fn clock(&self, now: Instant) -> SocketTime {
        SocketTime::zero() + (now - self.epoch)
    }

    fn events(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            if let SocketEvent::SendPacket(packet) = event {
                self.packets.push_back(packet);
            }
        }
    }
}

impl Peer for DcSctp {
    fn offer(&mut self, _now: Instant) {
        self.socket.connect();
        self.events();
    }

    fn poll_signal(&mut self) -> Option<String> {
        None
    }

    fn signal(&mut self, _signal: &str, _now: Instant) {}

    fn datagram(&mut self, bytes: &[u8], _now: Instant) {
        self.socket.handle_input(bytes);
        self.events();
    }

    fn timeout(&mut self, now: Instant) {
        let clock = self.clock(now);
        self.socket.advance_time(clock);
        self.events();
    }

    fn deadline(&mut self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at != SocketTime::infinite_future()).then(|| self.epoch + (at - SocketTime::zero()))
    }

    fn transmit(&mut self, now: Instant, wire: &mut dyn FnMut(&[u8])) {
        let clock = self.clock(now);
        self.socket.advance_time(clock);
        self.events();
        for packet in self.packets.drain(..) {
            wire(&packet);
        }
    }

    fn is_open(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }

    fn send(&mut self, lane: Lane, bytes: &[u8], _now: Instant) -> bool {
        let stream = StreamId(lane);
        if !self.is_open() || self.socket.buffered_amount(stream) + bytes.len() > SEND_BUFFER_BYTES {
            return false;
        }
        let message = Message::new(stream, PpId(53), bytes.to_vec());
        let sent = self.socket.send(message, &SendOptions::default()).is_ok();
        self.events();
        sent
    }

    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8])) {
        while let Some(message) = self.socket.get_next_message() {
            reader(BULK, &message.payload);
        }
    }
}
