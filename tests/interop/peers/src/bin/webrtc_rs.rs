//! A peer on webrtc-rs, driven by the lines of README.md.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use twocan_interop_peers::{
    Command, Kind, Open, Send, Settings, content, now, read_commands, tell, tell_message,
};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription,
};

/// Bytes waiting in a channel, above which a send waits for room.
const BUFFERED_MAX: usize = 1 << 20;

type Channels = Arc<Mutex<HashMap<String, Arc<dyn DataChannel>>>>;

/// Candidates that were told before their description; `None` once it is out.
type Held = Arc<Mutex<Option<Vec<Value>>>>;

#[derive(Clone)]
struct Handler {
    channels: Channels,
    held: Held,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let candidate = event.candidate.to_json().ok().and_then(|init| serde_json::to_value(init).ok());
        match self.held.lock().expect("nobody panics with it").as_mut() {
            Some(held) => held.push(json!({"signal": candidate})),
            None => tell(&json!({"signal": candidate})),
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tell(&json!({"state": state.to_string()}));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        adopt(channel, Arc::clone(&self.channels)).await;
    }
}

/// Tells of what happens on a channel from now on.
async fn adopt(channel: Arc<dyn DataChannel>, channels: Channels) {
    let Ok(label) = channel.label().await else { return };
    channels.lock().expect("nobody panics with it").insert(label.clone(), Arc::clone(&channel));
    tokio::spawn(async move {
        while let Some(event) = channel.poll().await {
            match event {
                DataChannelEvent::OnOpen => {
                    tell(&json!({
                        "open": label,
                        "ordered": channel.ordered().await.ok(),
                        "maxRetransmits": channel.max_retransmits().await.ok().flatten(),
                        "maxPacketLifeTime": channel.max_packet_life_time().await.ok().flatten(),
                        "protocol": channel.protocol().await.ok(),
                    }));
                }
                DataChannelEvent::OnMessage(message) => {
                    tell_message(&label, Kind::of(message.is_string), &message.data);
                }
                DataChannelEvent::OnClose => break,
                _ => {}
            }
        }
        tell(&json!({"closed": label}));
    });
}

async fn make(settings: &Settings, handler: Handler) -> anyhow::Result<Arc<dyn PeerConnection>> {
    let servers = settings.servers.iter().map(|server| RTCIceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.clone(),
    });
    let policy = match settings.policy.as_str() {
        "relay" => RTCIceTransportPolicy::Relay,
        _ => RTCIceTransportPolicy::All,
    };
    let configuration = RTCConfigurationBuilder::new()
        .with_ice_servers(servers.collect())
        .with_ice_transport_policy(policy)
        .build();
    let address = settings.own_address()?;
    let connection = PeerConnectionBuilder::new()
        .with_configuration(configuration)
        .with_handler(Arc::new(handler))
        // This stack binds what it is told.
        .with_udp_addrs(vec![(address, 0)])
        .with_tcp_addrs(if settings.tcp { vec![(address, 0)] } else { vec![] })
        .with_data_channel_send_buffer_limit(BUFFERED_MAX)
        .build()
        .await?;
    Ok(Arc::new(connection))
}

struct Peer {
    connection: Arc<dyn PeerConnection>,
    channels: Channels,
    held: Held,
    queues: HashMap<String, mpsc::UnboundedSender<Send>>,
}

impl Peer {
    async fn handle(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Open(open) => self.open(open).await,
            Command::Offer => {
                let offer = self.connection.create_offer(None).await?;
                self.describe(offer).await
            }
            Command::Signal { signal } => self.signal(signal).await,
            Command::Send(send) => self.send(send),
            Command::Stats => {
                // The report is large and of its own shape; which pair carries the bytes, our side tells.
                tell(&json!({"stats": {"local": null, "remote": null, "protocol": null}}));
                Ok(())
            }
            Command::CloseChannel { label } => Ok(self.channel(&label)?.close().await?),
            Command::Close => {
                self.connection.close().await?;
                tell(&json!({"state": "closed"}));
                Ok(())
            }
        }
    }

    fn channel(&self, label: &str) -> anyhow::Result<Arc<dyn DataChannel>> {
        let channels = self.channels.lock().expect("nobody panics with it");
        channels.get(label).cloned().with_context(|| format!("no channel {label}"))
    }

    async fn open(&mut self, open: Open) -> anyhow::Result<()> {
        let init = RTCDataChannelInit {
            ordered: open.ordered,
            max_retransmits: open.max_retransmits,
            max_packet_life_time: open.max_packet_life_time,
            protocol: open.protocol,
            negotiated: open.negotiated,
        };
        let channel = self.connection.create_data_channel(&open.label, Some(init)).await?;
        adopt(channel, Arc::clone(&self.channels)).await;
        Ok(())
    }

    async fn describe(&self, description: RTCSessionDescription) -> anyhow::Result<()> {
        self.connection.set_local_description(description).await?;
        let local = self.connection.local_description().await.context("it was just set")?;
        tell(&json!({"signal": {"type": local.sdp_type.to_string(), "sdp": local.sdp}}));
        for candidate in self.held.lock().expect("nobody panics with it").take().unwrap_or_default() {
            tell(&candidate);
        }
        Ok(())
    }

    async fn signal(&self, signal: Value) -> anyhow::Result<()> {
        if signal.get("type").is_none() {
            if signal["candidate"] != "" {
                let candidate: RTCIceCandidateInit = serde_json::from_value(signal)?;
                self.connection.add_ice_candidate(candidate).await?;
            }
            return Ok(());
        }
        let is_offer = signal["type"] == "offer";
        self.connection.set_remote_description(serde_json::from_value(signal)?).await?;
        if is_offer {
            let answer = self.connection.create_answer(None).await?;
            self.describe(answer).await?;
        }
        Ok(())
    }

    /// Each channel has a task that does its sends one after another.
    fn send(&mut self, send: Send) -> anyhow::Result<()> {
        let channel = self.channel(&send.label)?;
        let queue = self.queues.entry(send.label.clone()).or_insert_with(|| {
            let (queue, mut work) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(send) = work.recv().await {
                    if let Err(error) = send_all(channel.as_ref(), &send).await {
                        tell(&json!({"error": format!("send: {error}")}));
                    }
                }
            });
            queue
        });
        queue.send(send).context("the task of the channel is gone")
    }
}

async fn send_all(channel: &dyn DataChannel, send: &Send) -> anyhow::Result<()> {
    let mut at = Vec::new();
    let mut clock = tokio::time::interval(Duration::from_millis(send.every.max(1)));
    for index in 0..send.count {
        if send.every > 0 {
            clock.tick().await;
        }
        let message = content(send.kind, send.size, send.seed.wrapping_add(index));
        at.push(now());
        match send.kind {
            Kind::Text => channel.send_text(&String::from_utf8(message)?).await?,
            Kind::Binary => channel.send(BytesMut::from(message.as_slice())).await?,
        }
    }
    tell(&json!({"sent": {"label": send.label, "seed": send.seed, "at": at}}));
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_arguments()?;
    let channels = Channels::default();
    let held = Held::new(Mutex::new(Some(Vec::new())));
    let handler = Handler { channels: Arc::clone(&channels), held: Arc::clone(&held) };
    let connection = make(&settings, handler).await?;
    let mut peer = Peer { connection, channels, held, queues: HashMap::new() };
    tell(&json!({"ready": "webrtc-rs"}));
    let (commands, mut work) = mpsc::unbounded_channel();
    std::thread::spawn(move || read_commands(|command| drop(commands.send(command))));
    while let Some(command) = work.recv().await {
        let name = format!("{command:?}");
        if let Err(error) = peer.handle(command).await {
            tell(
                &json!({"error": format!("{}: {error:#}", name.split([' ', '{', '(']).next().unwrap_or_default())}),
            );
        }
    }
    std::process::exit(0)
}
