//! `rtc`, the core of webrtc-rs without its runtime, with the cryptography it ships by default (ring).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::{
    DATAGRAM_BYTES, LANES, Lane, Peer, Profile, RECEIVE_WINDOW_BYTES, SEND_BUFFER_BYTES, Setup, Side,
};

/// What DTLS 1.2 with AES-GCM adds to an SCTP packet.
const DTLS_BYTES: u32 = 37;

/// One connection.
pub fn make(setup: &Setup) -> Box<dyn Peer> {
    let mut settings = SettingEngineBuilder::new()
        .with_sctp_mtu(DATAGRAM_BYTES as u32 - DTLS_BYTES)
        .with_sctp_max_receive_buffer_size(RECEIVE_WINDOW_BYTES);
    if setup.profile == Profile::Tuned {
        settings = settings
            .with_answering_dtls_role(RTCDtlsRole::Server)
            .with_ice_connection_attempts(Some(Duration::from_millis(20)), None);
    }
    let connection = RTCPeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_setting_engine(settings.build())
        .build(setup.now)
        .expect("a sound configuration");
    let mut rtc =
        Rtc { connection, setup: *setup, channels: Vec::new(), open: false, signals: VecDeque::new() };
    rtc.add_host_candidate();
    match setup.profile {
        Profile::Tuned => LANES.iter().for_each(|lane| rtc.create_channel(Some(*lane))),
        Profile::Default if setup.side == Side::Offerer => rtc.create_channel(None),
        Profile::Default => {}
    }
    Box::new(rtc)
}

struct Rtc {
    connection: RTCPeerConnection,
    setup: Setup,
    /// By lane.
    channels: Vec<RTCDataChannelId>,
    open: bool,
    signals: VecDeque<String>,
}

impl Rtc {
    fn add_host_candidate(&mut self) {
        let local = self.setup.addresses.local;
        let base_config = CandidateConfig {
            network: "udp".to_owned(),
            address: local.ip().to_string(),
            port: local.port(),
            component: 1,
            ..CandidateConfig::default()
        };
        let host = CandidateHostConfig { base_config, ..CandidateHostConfig::default() }.new_candidate_host();
        let host = RTCIceCandidate::from(&host.expect("a sound address")).to_json().expect("plain text");
        self.connection.add_local_candidate(host).expect("a sound candidate");
    }

    fn create_channel(&mut self, negotiated: Option<Lane>) {
        let init = RTCDataChannelInit { ordered: true, negotiated, ..RTCDataChannelInit::default() };
        let channel = self.connection.create_data_channel("bench", Some(init)).expect("a sound channel");
        self.channels.push(channel.id());
    }

    fn events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            if let RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) = event {
                if !self.channels.contains(&id) {
                    self.channels.push(id);
                }
                self.open |= self.channels.first() == Some(&id);
            }
        }
    }

    fn describe(&mut self, description: RTCSessionDescription, now: Instant) {
        let text = serde_json::to_string(&description).expect("plain text");
        self.connection.set_local_description(now, description).expect("its own description");
        self.signals.push_back(text);
    }
}

impl Peer for Rtc {
    fn offer(&mut self, now: Instant) {
        let offer = self.connection.create_offer(None).expect("a channel to offer");
        self.describe(offer, now);
    }

    fn poll_signal(&mut self) -> Option<String> {
        self.signals.pop_front()
    }

    fn signal(&mut self, signal: &str, now: Instant) {
        let parsed: RTCSessionDescription = serde_json::from_str(signal).expect("its own text");
        let description = match self.setup.side {
            Side::Answerer => RTCSessionDescription::offer(parsed.sdp),
            Side::Offerer => RTCSessionDescription::answer(parsed.sdp),
        };
        let description = description.expect("its own description");
        self.connection.set_remote_description(now, description).expect("an acceptable description");
        if self.setup.side == Side::Answerer {
            let answer = self.connection.create_answer(None).expect("an offer to answer");
            self.describe(answer, now);
        }
        let _ = self.connection.handle_timeout(now);
        self.events();
    }

    fn datagram(&mut self, bytes: &[u8], now: Instant) {
        let transport = TransportContext {
            local_addr: self.setup.addresses.local,
            peer_addr: self.setup.addresses.remote,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let message = BytesMut::from(bytes);
        let _ = self.connection.handle_read(TransportMessage { now, transport, message });
        self.events();
    }

    fn timeout(&mut self, now: Instant) {
        let _ = self.connection.handle_timeout(now);
        self.events();
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    fn transmit(&mut self, _now: Instant, wire: &mut dyn FnMut(&[u8])) {
        while let Some(datagram) = self.connection.poll_write() {
            wire(&datagram.message);
        }
        self.events();
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, lane: Lane, bytes: &[u8], now: Instant) -> bool {
        let Some(&id) = self.channels.get(usize::from(lane)).filter(|_| self.open) else { return false };
        let Some(mut channel) = self.connection.data_channel(id) else { return false };
        let room = channel.outstanding_bytes() + bytes.len() <= SEND_BUFFER_BYTES;
        room && channel.send(now, BytesMut::from(bytes)).is_ok()
    }

    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8])) {
        while let Some(tagged) = self.connection.poll_read() {
            if let RTCMessage::DataChannelMessage(id, message) = tagged.message {
                let lane = self.channels.iter().position(|known| *known == id).unwrap_or(0);
                reader(lane as Lane, &message.data);
            }
        }
    }
}
