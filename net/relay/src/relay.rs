//! Starting and stopping the threads, and the handle by which others speak to them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::Poll;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use twocan_turn::{External, GroupId, MemberId, News, Server, Transport};

use crate::admission::Admission;
use crate::alternate::Alternates;
use crate::bind::{self, Probe};
use crate::config::Config;
use crate::error::{Error, system};
use crate::failure::Failure;
use crate::inbox::{Message, Outbox, inbox};
use crate::own::{self, Watch};
use crate::relays::{Home, Relays, share};
use crate::stats::{Board, Stats};
use crate::thread::{Acceptor, End, Parts, Thread};
use crate::udp::UdpSocket;

/// Somewhere the relay listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// For what.
    pub transport: Transport,
    /// Where: the real port, also where 0 was asked for.
    pub address: SocketAddr,
}

/// A running relay. Dropping it stops it.
pub struct Relay {
    listeners: Vec<Listener>,
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
    watch: Option<Watch>,
    failure: Failure,
}

/// Speaks to a running relay, from any thread. Cheap to clone; it does nothing once the relay has stopped.
#[derive(Debug, Clone)]
pub struct Handle {
    outboxes: Arc<[Outbox]>,
    boards: Arc<[Board]>,
}

impl Relay {
    /// Opens every listener and starts the threads, `relay-0` and on. Also lets this process have as many open files as
    /// the system allows it: a relayed port is one.
    pub fn start(config: Config) -> Result<Relay, Error> {
        let ports = config.relay_ports.clone().count();
        if config.threads == 0 || ports < 2 * config.threads {
            return Err(Error::Threads { threads: config.threads, ports });
        }
        raise_file_limit();
        let (listeners, alternates) = settle_listeners(&config)?;
        let homes = Homes::new(&config)?;
        let servers = Servers::new(&config, &listeners, &alternates)?;
        let admission = Admission::new(&config.streams);

        let mut polls = Vec::new();
        let mut outboxes = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..config.threads {
            let poll = Poll::new().map_err(system("a poll"))?;
            let (outbox, inbox) = inbox(&poll).map_err(system("a way to wake a thread"))?;
            polls.push(poll);
            outboxes.push(outbox);
            inboxes.push(inbox);
        }
        let boards: Vec<Board> = polls.iter().map(|_| Board::default()).collect();

        // Every socket is there before the first thread runs: a listener that joins later would move clients that
        // are already served to another thread.
        let mut threads = Vec::new();
        for (index, (poll, inbox)) in polls.into_iter().zip(inboxes).enumerate() {
            let (udp, acceptors) = open_listeners(&config, &listeners, &alternates)?;
            let others = outboxes.iter().enumerate().filter(|(other, _)| *other != index);
            let parts = Parts {
                poll,
                inbox,
                others: others.map(|(_, outbox)| outbox.clone()).collect(),
                server: servers.server(index)?,
                udp,
                acceptors,
                relays: Relays::new(homes.v4, homes.v6, config.relay_ports.clone()),
                admission: admission.clone(),
                limits: config.streams,
                board: boards.get(index).cloned().unwrap_or_default(),
            };
            threads.push(Thread::new(parts).map_err(system("a place in a poll"))?);
        }
        let handle = Handle { outboxes: outboxes.into(), boards: boards.into() };
        let watch = Some(Watch::start(handle.clone(), servers.config.own_addresses)?);
        let mut relay = Relay { listeners, handle, threads: Vec::new(), watch, failure: Failure::default() };
        for (index, thread) in threads.into_iter().enumerate() {
            let builder = std::thread::Builder::new().name(format!("relay-{index}"));
            let alive = relay.failure.alive();
            let run = move || {
                if thread.run() == End::Asked {
                    alive.ends_as_asked();
                }
            };
            let running = builder.spawn(run).map_err(system("a thread"))?;
            relay.threads.push(running);
        }
        Ok(relay)
    }

    /// Where it listens.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Where it listens for `transport`, in the order of the configuration.
    pub fn local_addrs(&self, transport: Transport) -> impl Iterator<Item = SocketAddr> + '_ {
        let of_transport = move |listener: &&Listener| listener.transport == transport;
        self.listeners.iter().filter(of_transport).map(|listener| listener.address)
    }

    /// For whoever grants credentials, drains, or wants to know how it goes.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Done when a thread ended that nobody asked to. What it served is gone, and its clients come back to it in vain: end the
    /// process, and let it be started anew.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Closes every socket and waits for the threads to end.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.watch = None;
        self.handle.tell(&Message::Stop);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a relay thread panicked");
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end();
    }
}

impl Handle {
    /// The lobby has granted `peer` of `group` a credential, and sees it at `address`. `expires`: Unix seconds.
    pub fn grant(&self, group: GroupId, peer: MemberId, address: IpAddr, expires: u64) {
        self.tell_news(News::Granted { group, peer, address, expires });
    }

    /// The lobby takes a credential back: its allocations end.
    pub fn revoke(&self, group: GroupId, peer: MemberId) {
        self.tell_news(News::Revoked { group, peer });
    }

    /// The lobby closed without completing: the allocations of all its members end.
    pub fn close_group(&self, group: GroupId) {
        self.tell_news(News::GroupClosed { group });
    }

    /// This machine has other addresses: relayed candidates carry these from now on. Allocations that carry one of before end.
    pub fn move_to(&self, external: External) {
        self.tell(&Message::External(external));
    }

    /// No new allocations from now on; those that are there live on.
    pub fn drain(&self) {
        self.tell(&Message::Drain);
    }

    /// The counters of all threads, added up; at most about a second old.
    pub fn stats(&self) -> Stats {
        Board::sum(&self.boards)
    }

    /// Makes one thread panic, to see what becomes of that.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn panic_one_thread(&self) {
        if let Some(outbox) = self.outboxes.first() {
            outbox.put_surely(Message::Panic);
            outbox.ring();
        }
    }

    /// What the lobby has to tell: who is let in, who is gone, which group has closed.
    pub fn tell_news(&self, news: News) {
        self.tell(&Message::News(Arc::new(news)));
    }

    pub(crate) fn tell(&self, message: &Message) {
        for outbox in &*self.outboxes {
            outbox.put_surely(message.clone());
            outbox.ring();
        }
    }
}

/// What the configuration's addresses become.
fn settle_listeners(config: &Config) -> Result<(Vec<Listener>, Alternates), Error> {
    let mut probe = Probe::default();
    let mut listeners = Vec::new();
    for &address in &config.turn {
        let transports = [Transport::Udp, Transport::Tcp];
        let address = probe.settle(address, &transports)?;
        listeners.extend(transports.map(|transport| Listener { transport, address }));
    }
    for &address in &config.turns {
        if config.tls.is_none() {
            return Err(Error::NoCertificate(address));
        }
        let address = probe.settle(address, &[Transport::Tls])?;
        listeners.push(Listener { transport: Transport::Tls, address });
    }
    if listeners.is_empty() {
        return Err(Error::NothingToDo);
    }
    let udp = listeners.iter().filter(|listener| listener.transport == Transport::Udp);
    let udp: Vec<SocketAddr> = udp.map(|listener| listener.address).collect();
    let alternates = Alternates::settle(&config.alternate, &udp, config.external, &mut probe)?;
    Ok((listeners, alternates))
}

/// One thread's own set.
fn open_listeners(
    config: &Config,
    listeners: &[Listener],
    alternates: &Alternates,
) -> Result<(Vec<UdpSocket>, Vec<Acceptor>), Error> {
    let shared = config.threads > 1;
    let (mut udp, mut acceptors) = (Vec::new(), Vec::new());
    let besides = alternates.listeners.iter().map(|&address| Listener { transport: Transport::Udp, address });
    for Listener { transport, address } in listeners.iter().copied().chain(besides) {
        if transport == Transport::Udp {
            let socket = UdpSocket::new(bind::udp(address, shared)?);
            udp.push(socket.map_err(|error| Error::listen(address, transport, error))?);
        } else {
            let listener = mio::net::TcpListener::from_std(bind::tcp(
                address,
                transport,
                shared,
                config.streams.stalled,
            )?);
            let tls = config.tls.clone().filter(|_| transport == Transport::Tls);
            acceptors.push(Acceptor { listener, tls });
        }
    }
    Ok((udp, acceptors))
}

/// Where relayed ports live.
struct Homes {
    v4: Option<Home>,
    v6: Option<Home>,
}

impl Homes {
    fn new(config: &Config) -> Result<Homes, Error> {
        let home = |external: Option<IpAddr>, chosen: Option<IpAddr>| -> Result<Option<Home>, Error> {
            let Some(external) = external else { return Ok(None) };
            let address = chosen.unwrap_or_else(|| bind::relay_address(external));
            bind::relayed(SocketAddr::new(address, 0))
                .map_err(|source| Error::RelayAddress { address, source })?;
            Ok(Some(Home { external, bind: address, is_chosen: chosen.is_some() }))
        };
        Ok(Homes {
            v4: home(config.external.v4.map(IpAddr::V4), config.relay_bind_v4.map(IpAddr::V4))?,
            v6: home(config.external.v6.map(IpAddr::V6), config.relay_bind_v6.map(IpAddr::V6))?,
        })
    }
}

/// What the servers of all threads have in common.
struct Servers {
    config: twocan_turn::Config,
    threads: usize,
    random: SystemRandom,
    now: Instant,
}

impl Servers {
    fn new(config: &Config, listeners: &[Listener], alternates: &Alternates) -> Result<Servers, Error> {
        let random = SystemRandom::new();
        // A clock before 1970 only makes every time-limited credential a valid one for longer than it can be.
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let own =
            listeners.iter().map(|listener| listener.address).chain(alternates.listeners.iter().copied());
        let threads = config.threads;
        let config = twocan_turn::Config {
            realm: config.realm.clone(),
            external: config.external,
            relay_ports: config.relay_ports.clone(),
            relay_range: config.relay_ports.clone(),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            users: config.users.clone(),
            secret: config.secret.clone(),
            grant_key: config.grant_key,
            control_key: config.control_key,
            policy: config.policy.clone(),
            limits: config.limits,
            nonce_key: draw(&random)?,
            unix_now,
            own_addresses: own::read(),
            listeners: own.chain(config.listeners_besides.iter().copied()).collect(),
            discovery: alternates.pairs.clone(),
            dont_fragment: true,
        };
        Ok(Servers { config, threads, random, now: Instant::now() })
    }

    fn server(&self, index: usize) -> Result<Server, Error> {
        let relay_ports = share(&self.config.relay_ports, self.threads, index);
        let config = twocan_turn::Config { relay_ports, ..self.config.clone() };
        Ok(Server::new(config, draw(&self.random)?, self.now)?)
    }
}

fn draw(random: &SystemRandom) -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    let failed = |_| Error::System { what: "randomness", source: std::io::ErrorKind::Other.into() };
    random.fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Lets this process open as many files as it may, and says how many those are. Where that fails, fewer ports can be relayed, and it is
/// said then.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    now.unwrap_or(u64::MAX)
}
