//! A world as a table that a person can read: what happened to each packet, and what the players made of it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use twocan_sim::packet::Payload;
use twocan_sim::{Event, HostId, Packet, Place, Step, Summary};

use crate::player::{News, Player};

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Since the beginning.
    pub at: Duration,
    /// All of it.
    pub text: String,
}

/// Gives names to what a trace speaks of.
pub struct Names {
    hosts: Vec<(HostId, &'static str)>,
    addresses: Vec<(IpAddr, String)>,
}

impl Names {
    /// Of hosts, and of addresses that are known.
    pub fn new(hosts: Vec<(HostId, &'static str)>, addresses: Vec<(IpAddr, String)>) -> Names {
        Names { hosts, addresses }
    }

    fn host(&self, id: HostId) -> String {
        let known = self.hosts.iter().find(|(host, _)| *host == id);
        known.map_or_else(|| id.to_string(), |(_, name)| (*name).to_owned())
    }

    fn place(&self, place: Place) -> String {
        match place {
            Place::Host(host) => self.host(host),
            Place::Router(router) => router.to_string(),
            Place::Segment(segment) => segment.to_string(),
            Place::Link(interface, direction) => {
                format!("{interface}, {}", format!("{direction:?}").to_lowercase())
            }
        }
    }

    fn way(&self, summary: &Summary) -> String {
        let end = |at: std::net::SocketAddr| {
            let name = self.addresses.iter().find(|(address, _)| *address == at.ip());
            name.map_or_else(|| at.to_string(), |(_, name)| format!("{name}:{}", at.port()))
        };
        format!("{:>24} → {:<24}", end(summary.source), end(summary.destination))
    }

    /// One step of one packet.
    pub fn line(&self, start: Instant, event: &Event) -> Line {
        let (summary, what) = match &event.step {
            Step::Sent { by, summary } => (summary, format!("from {}", self.place(*by))),
            Step::Translated { by, from: _, to } => (to, format!("translated by {by}")),
            Step::Dropped { at, why, summary } => (summary, format!("✗ {why} ({})", self.place(*at))),
            Step::Delivered { to, summary, .. } => (summary, format!("✓ {}", self.host(*to))),
        };
        let protocol = match summary.protocol {
            6 => "tcp",
            17 => "udp",
            1 | 58 => "icmp",
            _ => "ip",
        };
        let (number, way, len) = (event.packet.0, self.way(summary), summary.len);
        let text = format!("#{number:<5} {protocol:<4} {way} {len:>5} B  {what}");
        Line { at: event.at.saturating_duration_since(start), text }
    }
}

/// What a player learned, as lines.
pub fn news(player: &Player) -> impl Iterator<Item = Line> + '_ {
    player.news().iter().map(|(at, news)| {
        let text = match news {
            News::Entered(code) => format!("is in the lobby {code}"),
            News::Refused(word) => format!("is refused: {word}"),
            News::State(state) => format!("is {state}"),
            News::Path(path) => {
                format!("sends {}: {:?} to {:?}, {}", path.path, path.local, path.remote, path.protocol)
            }
            News::Open => "can send".to_owned(),
            News::GaveUp(word) => format!("has given up: {word}"),
            News::Failed(word, verdict) => {
                format!("failed: {word}: {}", verdict.as_deref().unwrap_or("no verdict"))
            }
            News::Complete => "has left the server".to_owned(),
            News::Closed => "is closed".to_owned(),
            News::SignalRefused(why) => format!("refuses a signal: {why}"),
        };
        Line { at: *at, text: format!("══ {} {text}", player.name) }
    })
}

/// The word for what a datagram is.
pub fn word(packet: &Packet) -> &'static str {
    let Payload::Udp(udp) = &packet.payload else { return "" };
    match *udp.data {
        [0, 1, ..] => "Binding request",
        [1, 1, ..] => "Binding success",
        [1, 17, ..] => "Binding error",
        [0, 3, ..] => "Allocate",
        [1, 3, ..] => "Allocate success",
        [1, 19, ..] => "Allocate error",
        [0, 4, ..] => "Refresh",
        [0, 8, ..] => "CreatePermission",
        [0, 9, ..] => "ChannelBind",
        [0, 22, ..] => "Send",
        [0, 23, ..] => "Data",
        [20..=63, ..] => "DTLS",
        [64..=127, ..] => "ChannelData",
        _ => "",
    }
}

/// The lines in the order of time.
pub fn print(mut lines: Vec<Line>) -> String {
    lines.sort_by_key(|line| line.at);
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{:>10.3}  {}", line.at.as_secs_f64() * 1e3, line.text);
    }
    text
}
