//! str0m, with the cryptography it ships by default (aws-lc-rs).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::DtlsVersion;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::{Addresses, DATAGRAM_BYTES, LANES, Lane, Peer, Profile, SEND_BUFFER_BYTES, Setup, Side};

/// One connection.
pub fn make(setup: &Setup) -> Box<dyn Peer> {
    let mut config = Rtc::builder()
        .set_mtu(DATAGRAM_BYTES..=DATAGRAM_BYTES + 80)
        .set_sctp_max_buffered_amount(SEND_BUFFER_BYTES);
    if setup.profile == Profile::Tuned {
        config = config.set_snap_enabled(true).set_dtls_version(DtlsVersion::Dtls13);
        config.set_initial_stun_rto(Duration::from_millis(100));
    }
    let mut rtc = config.build(setup.now);
    let host = Candidate::host(setup.addresses.local, "udp").expect("a sound address");
    rtc.add_local_candidate(host);
    Box::new(Str0m {
        rtc,
        setup: *setup,
        channels: Vec::new(),
        open: false,
        pending: None,
        signals: VecDeque::new(),
        datagrams: VecDeque::new(),
        messages: VecDeque::new(),
        deadline: None,
    })
}

struct Str0m {
    rtc: Rtc,
    setup: Setup,
    /// By lane.
    channels: Vec<ChannelId>,
    open: bool,
    pending: Option<SdpPendingOffer>,
    signals: VecDeque<String>,
    datagrams: VecDeque<Vec<u8>>,
    messages: VecDeque<(Lane, Vec<u8>)>,
    deadline: Option<Instant>,
}

impl Str0m {
    fn input(&mut self, input: Input) {
        if self.rtc.handle_input(input).is_ok() {
            self.pump();
        }
    }

    /// It wants to be polled to its next timeout after each input.
    fn pump(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = Some(at);
                    return;
                }
                Ok(Output::Transmit(transmit)) => self.datagrams.push_back(transmit.contents.into()),
                Ok(Output::Event(Event::ChannelOpen(id, _))) => {
                    if !self.channels.contains(&id) {
                        self.channels.push(id);
                    }
                    self.open |= self.channels.first() == Some(&id);
                }
                Ok(Output::Event(Event::ChannelData(data))) => {
                    let lane = self.channels.iter().position(|id| *id == data.id).unwrap_or(0) as Lane;
                    self.messages.push_back((lane, data.data));
                }
                Ok(Output::Event(_)) => {}
                Err(_) => return,
            }
        }
    }

    fn channel_configs(&self) -> Vec<ChannelConfig> {
        let config = |label, negotiated| ChannelConfig { label, negotiated, ..ChannelConfig::default() };
        match self.setup.profile {
            Profile::Default => vec![config("bench".to_owned(), None)],
            Profile::Tuned => LANES.map(|lane| config(format!("lane {lane}"), Some(lane))).to_vec(),
        }
    }
}

impl Peer for Str0m {
    fn offer(&mut self, _now: Instant) {
        let configs = self.channel_configs();
        let mut api = self.rtc.sdp_api();
        self.channels = configs.into_iter().map(|config| api.add_channel_with_config(config)).collect();
        let (offer, pending) = api.apply().expect("a channel is a change");
        self.pending = Some(pending);
        let sdp = offer.to_sdp_string();
        // Whoever offers `active` is the DTLS client, and half a round trip ahead.
        let tuned = self.setup.profile == Profile::Tuned;
        self.signals.push_back(if tuned { sdp.replace("a=setup:actpass", "a=setup:active") } else { sdp });
        self.pump();
    }

    fn poll_signal(&mut self) -> Option<String> {
        self.signals.pop_front()
    }

    fn signal(&mut self, signal: &str, now: Instant) {
        match self.setup.side {
            Side::Answerer => {
                let offer = SdpOffer::from_sdp_string(signal).expect("its own offer");
                let answer = self.rtc.sdp_api().accept_offer(offer).expect("an acceptable offer");
                self.signals.push_back(answer.to_sdp_string());
                if self.setup.profile == Profile::Tuned {
                    let configs = self.channel_configs();
                    let mut api = self.rtc.direct_api();
                    self.channels =
                        configs.into_iter().map(|config| api.create_data_channel(config)).collect();
                }
            }
            Side::Offerer => {
                let answer = SdpAnswer::from_sdp_string(signal).expect("its own answer");
                let pending = self.pending.take().expect("an offer was made");
                self.rtc.sdp_api().accept_answer(pending, answer).expect("an acceptable answer");
            }
        }
        self.pump();
        self.input(Input::Timeout(now));
    }

    fn datagram(&mut self, bytes: &[u8], now: Instant) {
        let Addresses { local, remote } = self.setup.addresses;
        if let Ok(receive) = Receive::new(Protocol::Udp, remote, local, bytes) {
            self.input(Input::Receive(now, receive));
        }
    }

    fn timeout(&mut self, now: Instant) {
        self.input(Input::Timeout(now));
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn transmit(&mut self, _now: Instant, wire: &mut dyn FnMut(&[u8])) {
        for datagram in self.datagrams.drain(..) {
            wire(&datagram);
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn send(&mut self, lane: Lane, bytes: &[u8], _now: Instant) -> bool {
        let Some(&id) = self.channels.get(usize::from(lane)).filter(|_| self.open) else { return false };
        let Some(mut channel) = self.rtc.channel(id) else { return false };
        if !channel.write(true, bytes).unwrap_or(false) {
            return false;
        }
        self.pump();
        true
    }

    fn receive(&mut self, reader: &mut dyn FnMut(Lane, &[u8])) {
        for (lane, message) in self.messages.drain(..) {
            reader(lane, &message);
        }
    }
}
