//! A player: a host, and on it a native peer or a page. What a world and its checks see of either.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use twocan_lobby::client::LinkState as Said;
use twocan_rtc::{ConnectionState, PathInfo};
use twocan_sim::{HostId, Network, Packet};

use crate::app::App;
use crate::native::Native;
use crate::page::{LinkState, Neighbours, Page};

/// What became of a player, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A lobby is entered.
    Entered(String),
    /// An entrance was refused, or came to nothing.
    Refused(String),
    /// W3C's `connectionState`.
    State(ConnectionState),
    /// Data goes this way.
    Path(PathInfo),
    /// The channels are open: the first message can go.
    Open,
    /// The lobby has given the link up, in its own word, or is lost with the server.
    GaveUp(&'static str),
    /// The link failed: the word of docs/protocol.md §1.7, and the sentence of ICE.
    Failed(&'static str, Option<String>),
    /// Everyone is linked, and the server lets go.
    Complete,
    /// The link is closed.
    Closed,
    /// A signal of the other side was refused.
    SignalRefused(String),
}

/// Something wrong with a player on purpose: the checks must see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A message on the reliable channel never reaches the application.
    SwallowsAMessage,
    /// It sends what looks like DTLS to an address that answered nothing.
    SpeaksUnasked,
    /// It uses relays, although nobody asked it to.
    RelaysOnly,
    /// It does nothing about its link.
    NeverSettles,
    /// It calls its link open, whatever has become of it.
    CallsItOpen,
    /// A page that takes the browser's `connected` for mended, though its own offer is unanswered.
    TrustsConnected,
    /// A page that gives all to its browser at once, whether the link carries or not.
    HoldsNothing,
    /// A page that sends its signals to the server alone once it is back there, though nobody else is.
    SignalsToNobody,
}

/// What a player runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlayerKind {
    /// A program with the crate `twocan`.
    #[default]
    Native,
    /// A page in Chromium.
    Page,
}

/// Where a player sits.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// On this host.
    pub host: HostId,
    /// The server's first addresses.
    pub server: [IpAddr; 2],
}

/// How a player is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Relays only.
    pub relay_only: bool,
    /// TCP candidates (RFC 6544).
    pub tcp: bool,
    /// Messages a second on each channel, once the link is up.
    pub rate: u32,
    /// Bytes of each: SCTP in a browser sends one packet when its timer runs out, and what has room there makes a difference.
    pub message_bytes: usize,
    /// Which servers are used, by a word in their URLs; none: all.
    pub only_urls: Option<&'static str>,
    /// What it runs in.
    pub kind: PlayerKind,
    /// What is wrong with it.
    pub planted: Option<Planted>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            relay_only: false,
            tcp: false,
            rate: 20,
            message_bytes: 200,
            only_urls: None,
            kind: PlayerKind::Native,
            planted: None,
        }
    }
}

/// What runs on the host.
enum Peer {
    Native(Box<Native>),
    Page(Box<Page>),
}

/// A player: see the module.
pub struct Player {
    /// Its host.
    pub host: HostId,
    /// What it is called.
    pub name: &'static str,
    peer: Peer,
    neighbours: Neighbours,
    calls_it_open: bool,
}

macro_rules! either {
    ($player:expr, $peer:ident => $what:expr) => {
        match $player {
            Peer::Native($peer) => $what,
            Peer::Page($peer) => $what,
        }
    };
}

impl Player {
    /// One who has not said anything yet.
    pub fn new(
        network: &Network,
        name: &'static str,
        seat: Seat,
        settings: Settings,
        seed: [u8; 32],
        now: Instant,
    ) -> Player {
        let calls_it_open = settings.planted == Some(Planted::CallsItOpen);
        let peer = match settings.kind {
            PlayerKind::Native => Peer::Native(Box::new(Native::new(network, seat, settings, seed, now))),
            PlayerKind::Page => Peer::Page(Box::new(Page::new(network, seat, settings, seed, now))),
        };
        Player { host: seat.host, name, peer, neighbours: Neighbours::default(), calls_it_open }
    }

    /// Opens a lobby.
    pub fn create(&mut self, now: Instant) {
        either!(&mut self.peer, peer => peer.create(now));
    }

    /// Enters the lobby of this code.
    pub fn join(&mut self, code: &str, now: Instant) {
        either!(&mut self.peer, peer => peer.join(code, now));
    }

    /// Leaves the server as soon as everyone is linked; the owner's to say.
    pub fn start(&mut self, now: Instant) {
        either!(&mut self.peer, peer => peer.start(now));
    }

    /// The host has these addresses from now on.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        either!(&mut self.peer, peer => peer.set_addresses(addresses, now));
    }

    /// The machine wakes after a sleep in which nothing of it ran.
    pub fn wake(&mut self, now: Instant) {
        match &mut self.peer {
            Peer::Native(_) => {}
            Peer::Page(page) => page.network_changed(now),
        }
        self.handle_timeout(now);
    }

    /// What became of it, and when.
    pub fn news(&self) -> &[(Duration, News)] {
        either!(&self.peer, peer => &peer.news)
    }

    /// When this happened first.
    pub fn when(&self, is_it: impl Fn(&News) -> bool) -> Option<Duration> {
        self.news().iter().find(|(_, news)| is_it(news)).map(|(at, _)| *at)
    }

    /// The code of the lobby, once one is entered.
    pub fn code(&self) -> Option<&str> {
        self.news()
            .iter()
            .find_map(|(_, news)| if let News::Entered(code) = news { Some(code.as_str()) } else { None })
    }

    /// Whether it was ever told to link.
    pub fn has_link(&self) -> bool {
        either!(&self.peer, peer => peer.link.is_some())
    }

    /// The application's messages, once there is a link.
    pub fn app(&self) -> Option<&App> {
        either!(&self.peer, peer => peer.link.as_ref().map(|link| &link.app))
    }

    /// The same, to stop it.
    pub fn app_mut(&mut self) -> Option<&mut App> {
        either!(&mut self.peer, peer => peer.link.as_mut().map(|link| &mut link.app))
    }

    /// The way that data goes, as last told.
    pub fn path(&self) -> Option<PathInfo> {
        either!(&self.peer, peer => peer.path())
    }

    /// Where the link stands, in W3C's words.
    pub fn state(&self) -> Option<ConnectionState> {
        either!(&self.peer, peer => peer.state())
    }

    /// Whether the program is told that the link is open.
    pub fn says_open(&self) -> bool {
        match &self.peer {
            _ if self.calls_it_open => self.has_link(),
            Peer::Native(native) => native.says == Said::Open,
            Peer::Page(page) => page.link.as_ref().is_some_and(|link| link.state == LinkState::Open),
        }
    }

    /// How often ICE began anew.
    pub fn restarts(&self) -> u32 {
        match &self.peer {
            Peer::Native(native) => native.link.as_ref().map_or(0, |link| link.connection.stats().restarts),
            Peer::Page(page) => page.link.as_ref().map_or(0, |link| link.pc.ice.restarts()),
        }
    }

    /// Whether a way past the relays is still under check.
    pub fn is_still_trying(&self) -> bool {
        match &self.peer {
            Peer::Native(native) => native.is_still_trying(),
            Peer::Page(page) => page.link.as_ref().is_some_and(|link| link.pc.ice.is_trying()),
        }
    }

    /// A few figures, for a person.
    pub fn figures(&self) -> Option<String> {
        match &self.peer {
            Peer::Native(native) => native.figures(),
            Peer::Page(page) => {
                let link = page.link.as_ref()?;
                let (ice, discarded) = (&link.pc.ice, link.discarded);
                Some(format!("{} restarts, {discarded} signals discarded{}", ice.restarts(), ice.report()))
            }
        }
    }

    /// Names that are found by mDNS in this host's network.
    pub fn set_neighbours(&mut self, neighbours: &Neighbours) {
        self.neighbours = neighbours.clone();
        if let Peer::Native(native) = &mut self.peer {
            native.neighbours = neighbours.clone();
        }
    }

    /// Says to `neighbours` for which names this host answers.
    pub fn announce(&self, neighbours: &mut Neighbours) {
        if let Peer::Page(page) = &self.peer {
            for (address, name) in page.names() {
                neighbours.announce(name, *address);
            }
        }
    }

    /// A packet for this host.
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        either!(&mut self.peer, peer => peer.handle_packet(packet, now));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.peer {
            Peer::Native(native) => native.handle_timeout(now),
            Peer::Page(page) => page.handle_timeout(&self.neighbours, now),
        }
    }

    /// When [`Player::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        either!(&mut self.peer, peer => peer.poll_timeout(now))
    }

    /// A packet to send.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        either!(&mut self.peer, peer => peer.poll_packet())
    }
}
