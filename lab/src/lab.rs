//! The lab itself: places, hosts with a namespace each, and the server's host in the middle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Instant;

use twocan_sim::{
    Access, Attachment, Block, BlockId, HostId, Kind, Network, Prefix, SegmentConfig, SegmentId, Service,
    Site, SiteConfig,
};

use crate::Error;
use crate::device::{Device, Wiring};
use crate::ledger::Ledger;
use crate::namespace::{self, Namespace};
use crate::pump::{Handle, Pump};
use crate::way::Ports;

/// The addresses of the host in the middle: two of each family, so that programs there can measure NATs.
pub const SERVER: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(80, 80, 0, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2a05, 0x80, 0, 0, 0, 0, 0, 0x10)),
    IpAddr::V4(Ipv4Addr::new(80, 80, 0, 11)),
    IpAddr::V6(Ipv6Addr::new(0x2a05, 0x80, 0, 0, 0, 0, 0, 0x11)),
];

/// What the first of [`SERVER`] of each family is called in each namespace.
pub const SERVER_NAME: &str = "play.test";

/// Link-local addresses of hosts begin here, so that no router has them.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 0);

/// Bytes of a packet in a host's device.
const MTU: u16 = 1_500;

/// Somewhere behind boxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its place in the order in which they were added: those of the internet itself share its segment.
    number: usize,
    /// In the model.
    pub site: Site,
    /// The addresses by which the internet sees what comes from here, if it is a NAT's.
    pub external: Vec<IpAddr>,
}

/// A machine: a host of the model and a namespace of the kernel.
#[derive(Debug)]
pub struct Host {
    /// In the model.
    pub id: HostId,
    /// Its addresses, without those that are link-local.
    pub addresses: Vec<IpAddr>,
    /// The number of its place; the server has none.
    place: Option<usize>,
    namespace: Namespace,
}

impl Host {
    /// Of its namespace, for `ip netns exec NAME …`.
    pub fn name(&self) -> &str {
        self.namespace.name()
    }

    /// Ends what runs there: programs may say goodbye, and are killed if that takes long.
    pub fn quit(&self) {
        self.namespace.quit();
    }

    /// A command that runs `program` there.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.namespace.command(program)
    }
}

/// A running internet. With this value it goes: what runs in its namespaces, the namespaces, and their devices.
pub struct Lab {
    // In this order: the loop lets go of the devices before their namespaces go.
    pump: Handle,
    hosts: Vec<Host>,
    internet: SegmentId,
    made: usize,
    places: usize,
    /// Of which place, by number.
    blocks: Vec<(usize, BlockId)>,
}

impl Lab {
    /// Hosts at one time, the server's not counted.
    pub const HOSTS_MAX: usize = 1_024;

    /// An internet with the server's host in it and nobody else. `seed` decides on what is random.
    ///
    /// # Errors
    /// [`Error`]: mostly that this process may not make namespaces or devices.
    pub fn start(seed: [u8; 32], ports: Ports) -> Result<Lab, Error> {
        namespace::sweep();
        let mut network = Network::new(seed, Instant::now());
        let internet = network.add_segment(SegmentConfig::internet());
        let pump = Pump::start(network, ports)?;
        let mut lab = Lab { pump, hosts: Vec::new(), internet, made: 0, places: 0, blocks: Vec::new() };
        let id = lab.pump.ask(move |pump| {
            let host = pump.network.add_host();
            let attachment = SERVER.into_iter().fold(Attachment::new(internet), Attachment::address);
            pump.network.add_interface(host, attachment);
            pump.server = (Some(host), SERVER.to_vec());
            host
        })?;
        lab.equip(id, None, SERVER.to_vec(), internet, Vec::new())?;
        Ok(lab)
    }

    /// The host in the middle.
    pub fn server(&self) -> &Host {
        // `start` made it, and `remove_host` leaves it.
        self.hosts.first().expect("the server's host is there from the start")
    }

    /// The internet's segment.
    pub fn internet(&self) -> SegmentId {
        self.internet
    }

    /// All hosts, the server's first.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }

    /// One of them.
    pub fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.iter().find(|host| host.id == id)
    }

    /// Somewhere to put hosts.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn add_place(&mut self, config: impl Into<SiteConfig>) -> Result<Place, Error> {
        let (config, internet, number) = (config.into(), self.internet, self.places);
        self.places += 1;
        self.pump.ask(move |pump| {
            let site = pump.network.add_site(internet, config);
            let outermost = site.routers.first().map(|router| pump.network.outside(*router));
            let external = outermost.map(|outside| pump.network.addresses(outside).to_vec());
            Place { number, site, external: external.unwrap_or_default() }
        })
    }

    /// A host in a place.
    ///
    /// # Errors
    /// [`Error::TooManyHosts`], or that the kernel gives no namespace or device.
    pub fn add_host(&mut self, place: &Place) -> Result<&Host, Error> {
        if self.hosts.len() > Lab::HOSTS_MAX {
            return Err(Error::TooManyHosts);
        }
        let site = place.site.clone();
        let segment = site.segment;
        let (id, addresses, gateways) = self.pump.ask(move |pump| {
            let network = &mut pump.network;
            let host = network.add_host_at(&site);
            let addresses: Vec<IpAddr> = network.host_addresses(host).collect();
            let inside = site.routers.last().map(|router| network.inside(*router));
            let gateways = inside.map(|inside| network.addresses(inside).to_vec()).unwrap_or_default();
            if let (Some(local), Some(interface)) =
                (link_local(host, &addresses), network.interfaces(host).first().copied())
            {
                let all: Vec<IpAddr> = addresses.iter().copied().chain([local]).collect();
                network.set_addresses(interface, &all, Instant::now());
            }
            (host, addresses, gateways)
        })?;
        self.equip(id, Some(place.number), addresses, segment, gateways)?;
        Ok(self.hosts.last().expect("it was just added"))
    }

    /// Gives a host of the model a namespace and a device.
    fn equip(
        &mut self,
        id: HostId,
        place: Option<usize>,
        addresses: Vec<IpAddr>,
        segment: SegmentId,
        gateways: Vec<IpAddr>,
    ) -> Result<(), Error> {
        let number = self.made;
        self.made += 1;
        let prefixes = self.pump.ask(move |pump| pump.network.prefixes(segment).to_vec())?;
        let namespace = Namespace::create(number, &names(&addresses))?;
        let bits = |address: IpAddr| {
            let own = prefixes.iter().find(|prefix| prefix.contains(address));
            own.map_or(if address.is_ipv4() { 32 } else { 128 }, |prefix: &Prefix| prefix.bits())
        };
        let global = addresses.iter().map(|address| (*address, bits(*address)));
        let local = link_local(id, &addresses).filter(|_| place.is_some()).map(|address| (address, 64));
        let wiring = Wiring { addresses: global.chain(local).collect(), gateways, mtu: MTU };
        let device = Device::create(number, &namespace, &wiring)?;
        self.pump.ask(move |pump| pump.plug(id, device))?.map_err(Error::Loop)?;
        self.hosts.push(Host { id, addresses, place, namespace });
        Ok(())
    }

    /// Takes a host away, and what runs in it; its place stays, and what was counted about it is forgotten. The server's
    /// host stays.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn remove_host(&mut self, id: HostId) -> Result<(), Error> {
        let Some(at) = self.hosts.iter().position(|host| host.id == id).filter(|at| *at > 0) else {
            return Ok(());
        };
        let host = self.hosts.remove(at);
        self.pump.ask(move |pump| {
            pump.unplug(id);
            for interface in pump.network.interfaces(id).to_vec() {
                pump.network.move_interface(interface, None, &[], Instant::now());
            }
            pump.ledger.forget(id);
        })?;
        drop(host);
        Ok(())
    }

    /// Other conditions for the way from a place into the internet.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn set_access(&mut self, place: &Place, access: Access) -> Result<(), Error> {
        // Phones, and hosts of the internet itself, have it as their own; a home's is its router's.
        let is_host_s =
            matches!(place.site.kind, Kind::Public | Kind::Cgnat | Kind::CgnatSymmetric | Kind::Ipv6Only);
        let router = place.site.routers.last().copied().filter(|_| !is_host_s);
        let hosts: Vec<HostId> = self.hosts_of(place).map(|host| host.id).collect();
        self.change(move |network, now| {
            let of_hosts: Vec<_> = hosts.iter().flat_map(|host| network.interfaces(*host)).copied().collect();
            let interfaces = router.map_or(of_hosts, |router| vec![network.outside(router)]);
            interfaces.into_iter().for_each(|interface| network.set_access(interface, access, now));
        })
    }

    /// Nothing, or nothing of a service, gets from a place into the internet or back, until [`Lab::unblock`].
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn block(&mut self, place: &Place, service: Option<Service>) -> Result<(), Error> {
        let addresses = self.seen_as(place);
        let ids: Vec<BlockId> = self.change(move |network, _| {
            let whole = |address: IpAddr| Some(Prefix::new(address, 128));
            let blocks = addresses.into_iter().flat_map(|address| {
                let from = Block { source: whole(address), destination: None, service };
                [from, Block { source: None, destination: whole(address), service }]
            });
            blocks.map(|block| network.block(block)).collect()
        })?;
        self.blocks.extend(ids.into_iter().map(|id| (place.number, id)));
        Ok(())
    }

    /// Takes all blocks of a place back.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn unblock(&mut self, place: &Place) -> Result<(), Error> {
        let number = place.number;
        let ids: Vec<BlockId> =
            self.blocks.extract_if(.., |(of, _)| *of == number).map(|(_, id)| id).collect();
        self.change(move |network, _| ids.into_iter().for_each(|id| network.unblock(id)))
    }

    fn hosts_of(&self, place: &Place) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.place == Some(place.number))
    }

    /// Addresses of what comes from a place, as the internet sees them.
    fn seen_as(&self, place: &Place) -> Vec<IpAddr> {
        let is_translated = |address: &IpAddr| address.is_ipv4() && !place.external.is_empty();
        let own = self.hosts_of(place).flat_map(|host| host.addresses.iter().copied());
        place.external.iter().copied().chain(own.filter(|address| !is_translated(address))).collect()
    }

    /// Changes the model while it runs: links, addresses, blocks … It must not take long, since no packet moves meanwhile.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Network, Instant) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.pump.ask(move |pump| change(&mut pump.network, Instant::now()))
    }

    /// Forgets what was counted about a host: what comes next is another story.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn forget(&self, id: HostId) -> Result<(), Error> {
        self.pump.ask(move |pump| pump.ledger.forget(id))
    }

    /// What became of packets so far.
    ///
    /// # Errors
    /// [`Error::Loop`]
    pub fn ledger(&self) -> Result<Ledger, Error> {
        self.pump.ask(|pump| pump.ledger.copy())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Programs end while packets still move: they may say goodbye.
        while let Some(host) = self.hosts.pop() {
            let id = host.id;
            host.namespace.quit();
            let _ = self.pump.ask(move |pump| pump.unplug(id));
        }
    }
}

/// The link-local address of a host that has IPv6.
fn link_local(host: HostId, addresses: &[IpAddr]) -> Option<IpAddr> {
    let number = u128::try_from(host.index()).unwrap_or_default();
    let address = Ipv6Addr::from(u128::from(LINK_LOCAL) + number);
    addresses.iter().any(IpAddr::is_ipv6).then_some(address.into())
}

/// The server's name, for whoever has these addresses: a browser that sees one it cannot reach may wait for seconds.
fn names(addresses: &[IpAddr]) -> String {
    let mut lines = String::new();
    for is_v4 in [true, false] {
        let server = SERVER.into_iter().find(|address| address.is_ipv4() == is_v4);
        let has_family = addresses.iter().any(|address| address.is_ipv4() == is_v4);
        if let Some(server) = server.filter(|_| has_family) {
            lines.push_str(&format!("{server} {SERVER_NAME}\n"));
        }
    }
    lines
}
