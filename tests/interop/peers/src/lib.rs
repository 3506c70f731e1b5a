//! The lines that every peer speaks (README.md): commands in, events out, and what messages hold.

use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

/// The first argument.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub servers: Vec<Server>,
    pub policy: String,
    /// Of two offers that cross, this side's yields.
    #[serde(default)]
    pub polite: bool,
    /// Offer ICE-TCP candidates (RFC 6544) as well, where the stack has them.
    #[serde(default)]
    pub tcp: bool,
}

/// An ICE server, as in the W3C's RTCIceServer.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    pub urls: Vec<String>,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub credential: String,
}

impl Settings {
    /// Reads the first argument of this process.
    pub fn from_arguments() -> anyhow::Result<Settings> {
        let text =
            std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: PEER SETTINGS (README.md)"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The address of this machine from which packets to the first server leave.
    pub fn own_address(&self) -> anyhow::Result<IpAddr> {
        let url = self.servers.iter().flat_map(|server| &server.urls).next();
        let url = url.ok_or_else(|| anyhow::anyhow!("no server is named"))?;
        let host = url.split(':').nth(1).ok_or_else(|| anyhow::anyhow!("{url}: no host"))?;
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((host, 9))?;
        Ok(socket.local_addr()?.ip())
    }
}

/// A line in.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    Open(Open),
    Offer,
    Signal { signal: Value },
    Send(Send),
    Stats,
    CloseChannel { label: String },
    Close,
}

/// A channel, in the W3C's words.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    pub label: String,
    #[serde(default = "yes")]
    pub ordered: bool,
    pub max_retransmits: Option<u16>,
    pub max_packet_life_time: Option<u16>,
    pub negotiated: Option<u16>,
    #[serde(default)]
    pub protocol: String,
}

fn yes() -> bool {
    true
}

/// Messages to send.
#[derive(Clone, Debug, Deserialize)]
pub struct Send {
    pub label: String,
    pub kind: Kind,
    pub size: usize,
    pub seed: u32,
    #[serde(default = "one")]
    pub count: u32,
    /// Milliseconds between two messages; 0: as fast as there is room.
    #[serde(default)]
    pub every: u64,
}

fn one() -> u32 {
    1
}

/// What a message says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Text,
    Binary,
}

impl Kind {
    /// From what most stacks say: whether it is text.
    pub fn of(is_text: bool) -> Kind {
        if is_text { Kind::Text } else { Kind::Binary }
    }
}

/// The message with this seed.
pub fn content(kind: Kind, size: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size)
        .map(|_| match kind {
            Kind::Binary => next(),
            Kind::Text => b'a' + next() % 26,
        })
        .collect()
}

/// Unix milliseconds.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// Writes an event. A reader that has gone is nobody to tell.
pub fn tell(event: &Value) {
    let mut line = event.to_string();
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// Tells of a message that came.
pub fn tell_message(label: &str, kind: Kind, bytes: &[u8]) {
    let at = now();
    let kind = match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    };
    tell(&json!({"message": {
        "label": label, "kind": kind, "size": bytes.len(), "hash": crc32fast::hash(bytes), "at": at,
    }}));
}

/// Calls `take` with each command, on the thread that calls this; returns at the end of the input.
pub fn read_commands(mut take: impl FnMut(Command)) {
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { return };
        match serde_json::from_str(&line) {
            Ok(command) => take(command),
            Err(error) => tell(&json!({"error": format!("{error}: {line}")})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_the_other_languages_make_of_it() {
        assert_eq!(crc32fast::hash(&content(Kind::Binary, 1200, 7)), 1_185_896_594);
        assert_eq!(crc32fast::hash(&content(Kind::Text, 1200, 7)), 2_406_649_716);
    }
}
