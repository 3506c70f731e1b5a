//! A peer on str0m, driven by the lines of README.md. It has one socket and one candidate: the host's address.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use twocan_interop_peers::{
    Command, Kind, Open, Send, Settings, content, now, read_commands, tell, tell_message,
};

/// Bytes that may wait: the largest message must fit.
const BUFFERED_MAX: usize = 1 << 20;

/// While messages wait for room, how often it is looked for.
const RETRY: Duration = Duration::from_millis(2);

/// A send that is not done yet.
struct Sending {
    send: Send,
    at: Vec<f64>,
    next: Instant,
}

struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    /// Opened before the first offer: they travel with it.
    first: Vec<Open>,
    negotiated: bool,
    pending: Option<SdpPendingOffer>,
    channels: HashMap<String, ChannelId>,
    labels: HashMap<ChannelId, String>,
    sending: HashMap<String, VecDeque<Sending>>,
}

fn config(open: &Open) -> ChannelConfig {
    ChannelConfig {
        label: open.label.clone(),
        ordered: open.ordered,
        reliability: match (open.max_retransmits, open.max_packet_life_time) {
            (Some(retransmits), _) => Reliability::MaxRetransmits { retransmits },
            (None, Some(lifetime)) => Reliability::MaxPacketLifetime { lifetime },
            (None, None) => Reliability::Reliable,
        },
        negotiated: open.negotiated,
        protocol: open.protocol.clone(),
    }
}

impl Peer {
    fn open(&mut self, open: Open) {
        if self.negotiated {
            let id = self.rtc.direct_api().create_data_channel(config(&open));
            self.know(id, &open.label);
        } else {
            self.first.push(open);
        }
    }

    fn know(&mut self, id: ChannelId, label: &str) {
        self.channels.insert(label.to_owned(), id);
        self.labels.insert(id, label.to_owned());
    }

    fn offer(&mut self) -> anyhow::Result<()> {
        let first = std::mem::take(&mut self.first);
        let mut changes = self.rtc.sdp_api();
        let ids: Vec<ChannelId> =
            first.iter().map(|open| changes.add_channel_with_config(config(open))).collect();
        let (offer, pending) = changes.apply().context("an offer needs a channel")?;
        for (id, open) in ids.into_iter().zip(&first) {
            self.know(id, &open.label);
        }
        self.pending = Some(pending);
        self.negotiated = true;
        describe(&serde_json::to_value(&offer)?);
        Ok(())
    }

    fn signal(&mut self, signal: Value) -> anyhow::Result<()> {
        match signal["type"].as_str() {
            Some("offer") => {
                let offer: SdpOffer = serde_json::from_value(signal)?;
                let answer = self.rtc.sdp_api().accept_offer(offer)?;
                self.negotiated = true;
                describe(&serde_json::to_value(&answer)?);
                for open in std::mem::take(&mut self.first) {
                    self.open(open);
                }
            }
            Some(_) => {
                let answer: SdpAnswer = serde_json::from_value(signal)?;
                let pending = self.pending.take().context("an answer to nothing")?;
                self.rtc.sdp_api().accept_answer(pending, answer)?;
            }
            None => {
                let line = signal["candidate"].as_str().unwrap_or_default();
                if !line.is_empty() {
                    self.rtc.add_remote_candidate(Candidate::from_sdp_string(line)?);
                }
            }
        }
        Ok(())
    }

    fn handle(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Open(open) => self.open(open),
            Command::Offer => self.offer()?,
            Command::Signal { signal } => self.signal(signal)?,
            Command::Send(send) => {
                let queue = self.sending.entry(send.label.clone()).or_default();
                queue.push_back(Sending { send, at: Vec::new(), next: Instant::now() });
            }
            Command::Stats => tell(&json!({"stats": {"local": null, "remote": null, "protocol": "udp"}})),
            Command::CloseChannel { label } => {
                let id = *self.channels.get(&label).with_context(|| format!("no channel {label}"))?;
                self.rtc.direct_api().close_data_channel(id);
            }
            Command::Close => self.rtc.close()?,
        }
        Ok(())
    }

    /// Sends what there is room and time for; says when to come again.
    fn send_some(&mut self, now_at: Instant) -> anyhow::Result<Option<Instant>> {
        let mut again: Option<Instant> = None;
        let mut sooner = |at: Instant| again = Some(again.map_or(at, |other| other.min(at)));
        for (label, queue) in &mut self.sending {
            while let Some(job) = queue.front_mut() {
                let Send { kind, size, seed, count, every, .. } = job.send;
                if job.at.len() == count as usize {
                    tell(&json!({"sent": {"label": label, "seed": seed, "at": job.at}}));
                    queue.pop_front();
                    continue;
                }
                if every > 0 && now_at < job.next {
                    sooner(job.next);
                    break;
                }
                let id = *self.channels.get(label).with_context(|| format!("no channel {label}"))?;
                let mut channel = self.rtc.channel(id).with_context(|| format!("{label} is not open"))?;
                let message = content(kind, size, seed.wrapping_add(job.at.len() as u32));
                if !channel.write(kind == Kind::Binary, &message)? {
                    sooner(now_at + RETRY);
                    break;
                }
                job.at.push(now());
                job.next += Duration::from_millis(every);
            }
        }
        Ok(again)
    }

    /// Does what the machine asks for until it only waits; says until when.
    async fn drain(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    // What cannot be sent is lost, as packets are.
                    let _ = self.socket.send_to(&transmit.contents, transmit.destination).await;
                }
                Output::Event(event) => self.tell(event),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Connected => tell(&json!({"state": "connected"})),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                tell(&json!({"state": "disconnected"}));
            }
            Event::Closed => tell(&json!({"state": "closed"})),
            Event::ChannelOpen(id, label) => {
                self.know(id, &label);
                let open = self.rtc.channel(id).and_then(|channel| channel.config().cloned());
                let limit = |reliability| match reliability {
                    Reliability::Reliable => (None, None),
                    Reliability::MaxRetransmits { retransmits } => (Some(retransmits), None),
                    Reliability::MaxPacketLifetime { lifetime } => (None, Some(lifetime)),
                };
                let (retransmits, lifetime) =
                    open.as_ref().map_or((None, None), |open| limit(open.reliability));
                tell(&json!({
                    "open": label,
                    "ordered": open.as_ref().map(|open| open.ordered),
                    "maxRetransmits": retransmits,
                    "maxPacketLifeTime": lifetime,
                    "protocol": open.as_ref().map(|open| open.protocol.clone()),
                }));
            }
            Event::ChannelData(data) => {
                let label = self.labels.get(&data.id).map_or("", String::as_str);
                tell_message(label, Kind::of(!data.binary), &data.data);
            }
            Event::ChannelClose(id) => tell(&json!({"closed": self.labels.get(&id)})),
            _ => {}
        }
    }

    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<Command>) -> anyhow::Result<()> {
        let mut buffer = vec![0; 2048];
        loop {
            let now_at = Instant::now();
            let again = match self.send_some(now_at) {
                Ok(again) => again,
                Err(error) => {
                    self.sending.clear();
                    tell(&json!({"error": format!("send: {error:#}")}));
                    None
                }
            };
            let at = self.drain().await?;
            let at = again.map_or(at, |again| again.min(at));
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    let name = format!("{command:?}");
                    if let Err(error) = self.handle(command) {
                        let name = name.split([' ', '{', '(']).next().unwrap_or_default();
                        tell(&json!({"error": format!("{name}: {error:#}")}));
                    }
                }
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, from)) = received else { continue };
                    let bytes = &buffer[..length];
                    if let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, bytes) {
                        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                    }
                }
                () = tokio::time::sleep_until(at.into()) => {
                    self.rtc.handle_input(Input::Timeout(Instant::now()))?;
                }
            }
        }
    }
}

/// A description, and that no candidate comes after those in it.
fn describe(description: &Value) {
    tell(&json!({"signal": description}));
    tell(&json!({"signal": {"candidate": ""}}));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    str0m::crypto::from_feature_flags().install_process_default();
    let socket = UdpSocket::bind((Settings::from_arguments()?.own_address()?, 0)).await?;
    let local = socket.local_addr()?;
    let mut rtc = Rtc::builder().set_sctp_max_buffered_amount(BUFFERED_MAX).build(Instant::now());
    rtc.add_local_candidate(Candidate::host(local, "udp")?);
    let mut peer = Peer {
        rtc,
        socket,
        local,
        first: Vec::new(),
        negotiated: false,
        pending: None,
        channels: HashMap::new(),
        labels: HashMap::new(),
        sending: HashMap::new(),
    };
    tell(&json!({"ready": "str0m"}));
    let (commands, work) = mpsc::unbounded_channel();
    std::thread::spawn(move || read_commands(|command| drop(commands.send(command))));
    peer.run(work).await?;
    std::process::exit(0)
}
