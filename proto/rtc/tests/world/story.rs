//! Two peers and what most tests do with them.

use std::sync::OnceLock;
use std::time::Duration;

use twocan_rtc::gather::{IceServer, IceUrl};
use twocan_rtc::{Certificate, ChannelId, ChannelInit, Config, Connection, Reliability};

use super::{Interface, PASSWORD, Peer, USER, World, ms};

/// Who offers, and who answers.
pub const ADA: usize = 0;
pub const BOB: usize = 1;

/// Making one takes a while: one serves all.
pub fn certificate(index: usize) -> Certificate {
    static CERTIFICATES: OnceLock<[Certificate; 2]> = OnceLock::new();
    let both = CERTIFICATES.get_or_init(|| [Certificate::generate(), Certificate::generate()]);
    both[index].clone()
}

pub fn config(peer: usize) -> Config {
    Config { polite: peer == BOB, ..Config::new(certificate(peer)) }
}

/// A server by its URLs, with the right password.
pub fn server(urls: &[&str]) -> IceServer {
    IceServer {
        urls: urls.iter().map(|url| IceUrl::parse(url).unwrap()).collect(),
        username: USER.into(),
        credential: PASSWORD.into(),
    }
}

/// The channels that both sides declare (docs/protocol.md §2).
pub const RELIABLE: u16 = 1;
pub const UNRELIABLE: u16 = 2;

pub fn open_channels(world: &mut World, peer: usize) -> [ChannelId; 2] {
    world.with(peer, |connection, now| {
        let reliable = ChannelInit::new("reliable").negotiated(RELIABLE);
        let unreliable = ChannelInit::new("unreliable")
            .negotiated(UNRELIABLE)
            .unordered()
            .reliability(Reliability::MaxRetransmits(0));
        [reliable, unreliable].map(|init| connection.open_channel(init, now).unwrap())
    })
}

impl World {
    /// Two peers with these interfaces, configured by `change`, with channels.
    pub fn two(
        &mut self,
        ada: &[Interface],
        bob: &[Interface],
        change: impl Fn(usize, &mut Config),
    ) -> [[ChannelId; 2]; 2] {
        [ada, bob].map(|interfaces| {
            let mut config = config(self.peers.len());
            change(self.peers.len(), &mut config);
            let peer = self.add_peer(config, interfaces);
            open_channels(self, peer)
        })
    }

    pub fn offer(&mut self, peer: usize) {
        self.with(peer, Connection::negotiate);
    }

    pub fn is_up(&self) -> bool {
        self.peers.iter().all(Peer::is_connected)
    }

    /// Ada offers, and both are up within `limit`; says how long it took.
    #[track_caller]
    pub fn connect(&mut self, limit: Duration) -> Duration {
        let before = self.elapsed();
        self.offer(ADA);
        let is_up = self.run_until(limit, World::is_up);
        assert!(is_up, "{}", self.describe());
        self.elapsed() - before
    }

    /// A message each way on a reliable channel arrives.
    #[track_caller]
    pub fn talk(&mut self, channels: [[ChannelId; 2]; 2]) {
        let counts = [self.peers[ADA].messages.len(), self.peers[BOB].messages.len()];
        assert!(self.send(ADA, channels[ADA][0], b"hello bob".to_vec()));
        assert!(self.send(BOB, channels[BOB][0], b"hello ada".to_vec()));
        let is_said = self.run_until(ms(10_000), |world| {
            world.peers[ADA].messages.len() > counts[0] && world.peers[BOB].messages.len() > counts[1]
        });
        assert!(is_said, "{}", self.describe());
        assert_eq!(&self.peers[ADA].messages.last().unwrap().2[..], b"hello ada");
        assert_eq!(&self.peers[BOB].messages.last().unwrap().2[..], b"hello bob");
    }

    /// What a person wants to know of a test that failed.
    pub fn describe(&self) -> String {
        let mut text = format!("at {:?}\n", self.elapsed());
        for peer in &self.peers {
            text += &format!("{:?} {:?}\n{:#?}\n", peer.state(), peer.events, peer.connection.stats());
            text += &peer.connection.report().map_or(String::new(), |report| report.to_string());
        }
        text
    }
}
