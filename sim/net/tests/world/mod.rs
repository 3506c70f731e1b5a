//! A network in arithmetic time, and a bench around one router: two hosts inside, two outside.
#![allow(dead_code, reason = "each test file uses its own part of the world")]
#![allow(clippy::unwrap_used, reason = "a world that is not as it should be ends the test")]

pub mod control_point;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_sim::packet::{Payload, TcpFlags};
use twocan_sim::{
    Attachment, Delivery, Drop, HostId, NatConfig, Network, Packet, Prefix, RouterConfig, RouterId,
    SegmentConfig, SegmentId,
};

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub fn seed(n: u8) -> [u8; 32] {
    [n; 32]
}

pub fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    Instant::now()
}

/// A network and its time.
pub struct World {
    pub network: Network,
    pub internet: SegmentId,
    pub start: Instant,
    pub now: Instant,
}

impl World {
    pub fn new(n: u8) -> World {
        let start = epoch();
        let mut network = Network::new(seed(n), start);
        let internet = network.add_segment(SegmentConfig { hops: 0, ..SegmentConfig::internet() });
        World { network, internet, start, now: start }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A host of the internet with this address.
    pub fn public(&mut self, address: &str) -> HostId {
        let host = self.network.add_host();
        self.network.add_interface(host, Attachment::new(self.internet).address(ip(address)));
        host
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.network.handle_timeout(self.now);
    }

    /// Until nothing is in flight.
    pub fn settle(&mut self) -> Vec<Delivery> {
        while let Some(at) = self.network.poll_timeout() {
            self.now = self.now.max(at);
            self.network.handle_timeout(self.now);
        }
        std::iter::from_fn(|| self.network.poll_delivery()).collect()
    }

    /// Sends, and waits until all of its consequences have arrived.
    pub fn send(&mut self, host: HostId, packet: Packet) -> Vec<Delivery> {
        self.network.handle_packet(host, packet, self.now);
        self.settle()
    }

    pub fn udp(&mut self, host: HostId, from: &str, to: SocketAddr) -> Vec<Delivery> {
        self.send(host, Packet::udp(addr(from), to, "datagram"))
    }

    pub fn tcp(&mut self, host: HostId, from: &str, to: SocketAddr, flags: TcpFlags) -> Vec<Delivery> {
        self.send(host, Packet::tcp(addr(from), to, flags, &[]))
    }

    pub fn dropped(&self, why: Drop) -> u64 {
        self.network.stats().dropped(why)
    }
}

/// From where a packet seems to come, that one host got.
pub fn source(deliveries: &[Delivery]) -> SocketAddr {
    let [delivery] = deliveries else { panic!("one delivery, not {deliveries:?}") };
    delivery.packet.flow().unwrap().source
}

pub fn destination(deliveries: &[Delivery]) -> SocketAddr {
    let [delivery] = deliveries else { panic!("one delivery, not {deliveries:?}") };
    delivery.packet.flow().unwrap().destination
}

pub fn data(delivery: &Delivery) -> &[u8] {
    match &delivery.packet.payload {
        Payload::Udp(udp) => &udp.data,
        other => panic!("UDP, not {other:?}"),
    }
}

/// `ada` and `bob` behind a router, `one` and `two` in the internet.
pub struct Bench {
    pub world: World,
    pub router: RouterId,
    pub lan: SegmentId,
    pub ada: HostId,
    pub bob: HostId,
    pub one: HostId,
    pub two: HostId,
}

pub const ADA: &str = "192.168.1.10:5000";
pub const BOB: &str = "192.168.1.11:5000";
pub const ONE: &str = "80.80.1.1:1000";
pub const ONE_OTHER_PORT: &str = "80.80.1.1:1001";
pub const TWO: &str = "80.80.1.2:1000";
pub const EXTERNAL: &str = "80.80.2.1";

impl Bench {
    pub fn new(config: RouterConfig) -> Bench {
        Bench::with_pool(config, &[EXTERNAL], 1)
    }

    pub fn nat(config: NatConfig) -> Bench {
        Bench::new(RouterConfig { nat: Some(config), ..RouterConfig::default() })
    }

    pub fn with_pool(config: RouterConfig, pool: &[&str], n: u8) -> Bench {
        let mut world = World::new(n);
        let (one, two) = (world.public("80.80.1.1"), world.public("80.80.1.2"));
        let lan = world.network.add_segment(SegmentConfig::lan(&[prefix("192.168.1.0/24")]));
        let mut outside = Attachment::new(world.internet);
        outside.addresses = pool.iter().map(|address| ip(address)).collect();
        let inside = Attachment::new(lan).address(ip("192.168.1.1"));
        let router = world.network.add_router(config, outside, inside);
        let [ada, bob] = ["192.168.1.10", "192.168.1.11"].map(|address| {
            let host = world.network.add_host();
            world.network.add_interface(host, Attachment::new(lan).address(ip(address)));
            host
        });
        Bench { world, router, lan, ada, bob, one, two }
    }

    /// One more host inside.
    pub fn inner(&mut self, address: &str) -> HostId {
        let host = self.world.network.add_host();
        self.world.network.add_interface(host, Attachment::new(self.lan).address(ip(address)));
        host
    }

    /// As what the receiver sees Ada's datagram.
    pub fn ada_to(&mut self, to: &str) -> SocketAddr {
        source(&self.world.udp(self.ada, ADA, addr(to)))
    }

    pub fn bob_to(&mut self, to: &str) -> SocketAddr {
        source(&self.world.udp(self.bob, BOB, addr(to)))
    }

    /// Whether a datagram from this endpoint of the internet reaches anybody.
    pub fn gets_in(&mut self, from: &str, to: SocketAddr) -> bool {
        let host = if addr(from).ip() == addr(TWO).ip() { self.two } else { self.one };
        let arrived = self.world.udp(host, from, to);
        arrived.iter().any(|delivery| delivery.host == self.ada || delivery.host == self.bob)
    }
}
