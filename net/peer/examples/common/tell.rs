//! Events as JSON, one object a line, or as lines for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use twocan::{
    Data, LeftWhy, Lobby, LobbyEvent, LobbyState, Member, Peer, PeerState, PeerStats, RemovedWhy, ServerEvent,
};

/// Content bytes of messages that are shown whole.
const SHOWN_BYTES_MAX: usize = 4_096;

/// Writes lines to stdout; a closed pipe ends the program without a word.
#[derive(Clone, Copy)]
pub struct Teller {
    pub json: bool,
}

impl Teller {
    pub fn tell(self, event: Value) {
        use std::io::Write as _;
        let line = if self.json { event.to_string() } else { for_people(&event) };
        if writeln!(std::io::stdout(), "{line}").is_err() {
            std::process::exit(0);
        }
    }
}

fn for_people(event: &Value) -> String {
    let word = event["event"].as_str().unwrap_or_default();
    let rest = event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event");
    let rest: Vec<String> = rest
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key} {text}"),
            other => format!("{key} {other}"),
        })
        .collect();
    format!("{word}: {}", rest.join(", "))
}

pub fn member(member: &Member) -> Value {
    json!({"peer":member.peer.to_string(),"me":member.me})
}

pub fn joined(lobby: &Lobby) -> Value {
    let members: Vec<Value> = lobby.members().iter().map(member).collect();
    json!({"event":"joined","code":lobby.code().to_string(),"me":lobby.me().to_string(),
        "owner":lobby.owner().to_string(),"members":members})
}

/// The way back to our seat, for `--rejoin`.
pub fn ticket(lobby: &Lobby) -> Value {
    json!({"event":"ticket","ticket":lobby.ticket()})
}

pub fn members(lobby: &Lobby) -> Value {
    let members: Vec<Value> = lobby.members().iter().map(member).collect();
    let peers: serde_json::Map<String, Value> =
        lobby.peers().iter().map(|peer| (peer.id().to_string(), json!(state(peer.state())))).collect();
    let stands = match lobby.state() {
        LobbyState::Open => "open",
        LobbyState::Sealed => "sealed",
        LobbyState::Complete => "complete",
        LobbyState::Gone => "gone",
    };
    json!({"event":"members","code":lobby.code().to_string(),"owner":lobby.owner().to_string(),
        "state":stands,"members":members,"peers":peers})
}

fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Connecting => "connecting",
        PeerState::Open => "open",
        PeerState::Mending => "mending",
        PeerState::Failed => "failed",
        PeerState::Closed => "closed",
    }
}

/// What a link's figures are; `event` is `path` or `stats`.
pub fn stats(event: &str, peer: &Peer, stats: &PeerStats) -> Value {
    let text = |value: Option<String>| value.map_or(Value::Null, Value::from);
    json!({
        "event": event,
        "peer": peer.id().to_string(),
        "state": state(peer.state()),
        "path": text(stats.path.map(|path| path.to_string())),
        "pathMs": stats.path_age.map(|age| age.as_millis() as u64),
        "local": text(stats.local.map(|kind| kind.to_string())),
        "remote": text(stats.remote.map(|kind| kind.to_string())),
        "protocol": text(stats.protocol.map(|protocol| protocol.to_string())),
        "relayProtocol": text(stats.relay_protocol.map(|protocol| protocol.to_string())),
        "rttMs": stats.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
        "bytesSent": stats.bytes_sent,
        "bytesReceived": stats.bytes_received,
        "discarded": stats.discarded,
    })
}

fn message(peer: &Peer, channel: &str, data: &Data) -> Value {
    let text;
    let (kind, content, shown) = match data {
        Data::Bytes(bytes) => ("bytes", &bytes[..], None),
        Data::Text(text) => ("text", text.as_bytes(), Some(json!(text))),
        Data::Json(value) => {
            text = value.to_string();
            ("json", text.as_bytes(), Some(value.clone()))
        }
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut event = json!({"event":"message","peer":peer.id().to_string(),"channel":channel,"kind":kind,
        "length":content.len(),"sha256":hex});
    if content.len() <= SHOWN_BYTES_MAX {
        event["data"] = shown.unwrap_or_else(|| json!(BASE64.encode(content)));
    }
    event
}

pub fn event(lobby: &Lobby, event: &LobbyEvent) -> Value {
    match event {
        LobbyEvent::Peer(peer) => {
            json!({"event":"peer","peer":peer.id().to_string(),"ms":peer.connect_ms()})
        }
        LobbyEvent::Message { peer, channel, data } => message(peer, channel, data),
        LobbyEvent::Fail(failure) => json!({"event":"fail","peer":failure.peer.id().to_string(),
            "reason":failure.reason.word(),"message":failure.message()}),
        LobbyEvent::State(peer, now) => {
            json!({"event":"state","peer":peer.id().to_string(),"state":state(*now)})
        }
        LobbyEvent::Arrive(who) => json!({"event":"arrive","member":member(who)}),
        LobbyEvent::Away(who) => json!({"event":"away","member":member(who)}),
        LobbyEvent::Back(who) => json!({"event":"back","member":member(who)}),
        LobbyEvent::Leave(who, why) => {
            let why = match why {
                LeftWhy::Left => "left",
                LeftWhy::Kicked => "kicked",
                LeftWhy::Lost => "lost",
            };
            json!({"event":"leave","member":member(who),"why":why})
        }
        LobbyEvent::Owner(peer) => json!({"event":"owner","peer":peer.to_string()}),
        LobbyEvent::Update => json!({"event":"update","data":lobby.data(),"locked":lobby.is_locked(),
            "public":lobby.is_public()}),
        LobbyEvent::Sealed { within } => json!({"event":"sealed","within":within}),
        LobbyEvent::Unsealed { missing } => {
            let missing: Vec<Vec<String>> =
                missing.iter().map(|pair| pair.iter().map(ToString::to_string).collect()).collect();
            json!({"event":"unsealed","missing":missing})
        }
        LobbyEvent::Complete => json!({"event":"complete"}),
        LobbyEvent::Removed(why) => {
            let why = match why {
                RemovedWhy::Kicked => "kicked",
                RemovedWhy::LobbyClosed => "lobby-closed",
                RemovedWhy::SessionLost => "session-lost",
            };
            json!({"event":"removed","why":why})
        }
        LobbyEvent::Server(server) => match server {
            ServerEvent::Reconnecting { .. } => json!({"event":"server","state":"reconnecting"}),
            ServerEvent::Resumed { .. } => json!({"event":"server","state":"resumed"}),
            ServerEvent::Returning => json!({"event":"server","state":"returning"}),
            ServerEvent::Closed { code } => json!({"event":"server","state":"closed","code":code}),
            _ => json!({"event":"server"}),
        },
        _ => json!({"event":"other"}),
    }
}
