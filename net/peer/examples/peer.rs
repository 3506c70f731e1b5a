//! One end of a connection, driven by lines of JSON: our side in the tests against other stacks (tests/interop/peers/README.md).

#[expect(dead_code, reason = "what the peers of other stacks need besides")]
#[path = "../../../tests/interop/peers/src/lib.rs"]
mod lines;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use twocan::connection::{
    Channel, ChannelInit, Connection, ConnectionConfig, ConnectionEvent, IceServer, Message, Payload,
    Protocol, Reliability, Signal, TransportPolicy,
};

use lines::{Command, Kind, Open, Send, Settings, content, now, read_commands, tell, tell_message};

struct Peer {
    connection: Connection,
    channels: HashMap<String, Channel>,
    queues: HashMap<String, mpsc::UnboundedSender<Send>>,
    /// An offer went out, or a signal came.
    is_described: bool,
}

fn servers(settings: &Settings) -> anyhow::Result<Vec<IceServer>> {
    let server = |server: &lines::Server| {
        let urls = server.urls.iter().map(|url| url.parse().ok().with_context(|| format!("{url}: no URL")));
        Ok(IceServer {
            urls: urls.collect::<anyhow::Result<_>>()?,
            username: server.username.clone(),
            credential: server.credential.clone(),
        })
    };
    settings.servers.iter().map(server).collect()
}

fn init(open: &Open) -> ChannelInit {
    ChannelInit {
        protocol: open.protocol.clone(),
        ordered: open.ordered,
        reliability: match (open.max_retransmits, open.max_packet_life_time) {
            (Some(retransmits), _) => Reliability::MaxRetransmits(retransmits),
            (None, Some(ms)) => Reliability::MaxPacketLifeTime(Duration::from_millis(ms.into())),
            (None, None) => Reliability::Reliable,
        },
        negotiated: open.negotiated,
        ..ChannelInit::new(open.label.clone())
    }
}

/// A signal in the W3C's words, without the envelope that a lobby gives it.
fn bare(signal: &Signal) -> Value {
    match signal {
        Signal::Description(description) => json!(description),
        Signal::Candidate(candidate) => json!(candidate),
        Signal::EndOfCandidates => json!({"candidate": ""}),
    }
}

fn enveloped(signal: Value) -> anyhow::Result<Signal> {
    if signal.get("type").is_some() {
        return Ok(Signal::Description(serde_json::from_value(signal)?));
    }
    Ok(Signal::Candidate(serde_json::from_value(signal)?))
}

impl Peer {
    async fn handle(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Open(open) => {
                let channel = self.connection.open_channel(init(&open));
                self.channels.insert(open.label, channel);
            }
            Command::Offer if self.is_described => self.connection.restart_ice(),
            Command::Offer => {
                self.is_described = true;
                self.connection.negotiate();
            }
            Command::Signal { signal } => {
                self.is_described = true;
                self.connection.signal(enveloped(signal)?);
            }
            Command::Send(send) => self.send(send)?,
            Command::Stats => {
                let stats = self.connection.stats().await?;
                let path = stats.path.as_ref();
                // The protocol towards the relay, where there is one, as browsers say it.
                let protocol = path.map(|path: &_| path.relay_protocol.unwrap_or(path.protocol));
                tell(&json!({"stats": {
                    "local": path.map(|path| path.local.to_string()),
                    "remote": path.map(|path| path.remote.to_string()),
                    "protocol": protocol.as_ref().map(Protocol::to_string),
                }}));
            }
            Command::CloseChannel { label } => self.channel(&label)?.close(),
            Command::Close => self.connection.close().await,
        }
        Ok(())
    }

    fn channel(&self, label: &str) -> anyhow::Result<&Channel> {
        self.channels.get(label).with_context(|| format!("no channel {label}"))
    }

    /// Each channel has a task that does its sends one after another.
    fn send(&mut self, send: Send) -> anyhow::Result<()> {
        let channel = self.channel(&send.label)?.clone();
        let queue = self.queues.entry(send.label.clone()).or_insert_with(|| {
            let (queue, mut work) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(send) = work.recv().await {
                    if let Err(error) = send_all(&channel, &send).await {
                        tell(&json!({"error": format!("send: {error}")}));
                    }
                }
            });
            queue
        });
        queue.send(send).context("the task of the channel is gone")
    }

    fn tell(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Signal(signal) => tell(&json!({"signal": bare(&signal)})),
            ConnectionEvent::SignalRefused(error) => tell(&json!({"error": format!("signal: {error}")})),
            ConnectionEvent::StateChanged(state) => tell(&json!({"state": state.to_string()})),
            ConnectionEvent::ChannelOpen(channel) => {
                let init = channel.init();
                let (retransmits, lifetime) = match init.reliability {
                    Reliability::Reliable => (None, None),
                    Reliability::MaxRetransmits(retransmits) => (Some(retransmits), None),
                    Reliability::MaxPacketLifeTime(time) => (None, Some(time.as_millis() as u64)),
                };
                tell(&json!({
                    "open": init.label, "ordered": init.ordered, "maxRetransmits": retransmits,
                    "maxPacketLifeTime": lifetime, "protocol": init.protocol,
                }));
                self.channels.insert(channel.label().to_owned(), channel);
            }
            ConnectionEvent::Message { channel, message } => {
                tell_message(channel.label(), Kind::of(message.kind == Payload::Text), &message.bytes);
            }
            ConnectionEvent::ChannelClosed { channel, why } => {
                tell(&json!({"closed": channel.label(), "why": why.map(|why| why.to_string())}));
            }
            ConnectionEvent::CandidateError { url, code, text } => {
                tell(&json!({"candidateError": {"url": url, "code": code, "text": text}}));
            }
            ConnectionEvent::Failed { reason, verdict } => {
                tell(
                    &json!({"error": format!("failed: {reason}"), "verdict": verdict.map(|verdict| verdict.to_string())}),
                );
            }
            ConnectionEvent::Closed { why } => tell(&json!({"end": format!("{why:?}")})),
            ConnectionEvent::Path(path) => tell(&json!({"path": path.path.to_string()})),
        }
    }
}

async fn send_all(channel: &Channel, send: &Send) -> anyhow::Result<()> {
    let mut at = Vec::new();
    let began = Instant::now();
    for index in 0..send.count {
        sleep_until(began + Duration::from_millis(send.every * u64::from(index))).await;
        let bytes = content(send.kind, send.size, send.seed.wrapping_add(index));
        let message = match send.kind {
            Kind::Text => Message::text(String::from_utf8(bytes)?),
            Kind::Binary => Message::binary(bytes),
        };
        at.push(now());
        channel.send(message).await?;
    }
    tell(&json!({"sent": {"label": send.label, "seed": send.seed, "at": at}}));
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_arguments()?;
    let policy = match settings.policy.as_str() {
        "relay" => TransportPolicy::Relay,
        _ => TransportPolicy::All,
    };
    let config = ConnectionConfig {
        servers: servers(&settings)?,
        policy,
        polite: settings.polite,
        tcp: settings.tcp,
        ..Default::default()
    };
    let connection = Connection::new(config)?;
    let mut peer = Peer { connection, channels: HashMap::new(), queues: HashMap::new(), is_described: false };
    tell(&json!({"ready": "native"}));
    let (commands, mut work) = mpsc::unbounded_channel();
    std::thread::spawn(move || read_commands(|command| drop(commands.send(command))));
    loop {
        tokio::select! {
            command = work.recv() => {
                let Some(command) = command else { break };
                let name = format!("{command:?}");
                if let Err(error) = peer.handle(command).await {
                    let name = name.split([' ', '{', '(']).next().unwrap_or_default();
                    tell(&json!({"error": format!("{name}: {error:#}")}));
                }
            }
            Some(event) = peer.connection.next() => peer.tell(event),
        }
    }
    // A thread still waits for the next line.
    std::process::exit(0)
}
