//! What stands between us and a STUN server (RFC 5780 section 4), as a machine: it asks from several sockets of ours, and
//! from what comes back it tells mapping, filtering, port allocation, hairpinning and how long a mapping lives.
//!
//! ```text
//!  socket 0  ask: the server, then its alternate address, then its alternate port        mapping        (4.3)
//!  socket 1  ask the server alone, to be answered from elsewhere                          filtering      (4.4)
//!  socket 2  ask; sockets 0 and 2 then ask each other's outer address                     hairpin        (4.5)
//!  socket 3  ask: one more port to compare                                                allocation
//!  socket 4… ask, fall silent; later socket 2 has the server answer there                 lifetime       (4.6)
//! ```
//!
//! Where the RFC has one socket ask its own outer address, here two ask each other: a NAT that filters lets neither in
//! before both have asked. Each lifetime has a socket of its own, since a probe that gets through prolongs what it probes.

mod allocation;
mod behaviour;
mod plan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

pub use behaviour::{Allocation, Behaviour, Filtering, Finding, Lifetime, Mapping, Unknown};

use crate::attribute::{ChangeRequest, MappedAddress, OtherAddress, ResponsePort, XorMappedAddress};
use crate::client::{self, Schedule, Transaction};
use crate::{BuildError, Builder, Class, Message, Method, TransactionId};
use plan::{Ask, Outcome, Purpose};

/// When requests are sent again: 0, 150, 450, 1050 and 2250 ms, given up at 3150 ms. Of a path that loses every fifth packet,
/// either way, one request in two hundred is given up.
pub const SCHEDULE: Schedule =
    Schedule { first_wait: Duration::from_millis(150), requests_max: 5, last_wait_factor: 6 };

/// Room for the longest request.
const REQUEST_ROOM: usize = 64;

/// One of our sockets, by its place in [`Config::local`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u8);

impl SocketId {
    const MAPPING: SocketId = SocketId(0);
    const FILTERING: SocketId = SocketId(1);
    const PROBING: SocketId = SocketId(2);
    /// The first of those that fall silent.
    const SILENT: u8 = 4;
}

/// Lifetimes that one discovery can look for.
pub const LIFETIMES_MAX: usize = 64;

/// How many sockets a discovery of so many lifetimes needs.
pub const fn sockets_for(lifetimes: usize) -> usize {
    SocketId::SILENT as usize + lifetimes
}

/// What a discovery is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server, at its primary address.
    pub server: SocketAddr,
    /// More servers of the same family, for want of a better: asked where the first has one address only.
    pub others: Vec<SocketAddr>,
    /// Our sockets' addresses, with the IP address from which the server is reached: [`sockets_for`] `lifetimes`.
    pub local: Vec<SocketAddr>,
    /// After which silences to look whether a mapping still lives, at most [`LIFETIMES_MAX`].
    pub lifetimes: Vec<Duration>,
    /// When to send again, and when to give up: [`SCHEDULE`].
    pub schedule: Schedule,
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From this socket.
    pub socket: SocketId,
    /// To there.
    pub to: SocketAddr,
    /// This.
    pub bytes: Vec<u8>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server has answered for the first time.
    Answered {
        /// The outer address of one socket.
        mapped: SocketAddr,
        /// From the request to its answer, if only one was sent.
        rtt: Option<Duration>,
    },
    /// It is over; nothing follows.
    Finished(Behaviour),
}

/// Why a datagram was not looked at. It is counted and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// No STUN message.
    #[error("not a STUN message")]
    NotStun,
    /// Neither an answer to what we asked nor what we asked ourselves.
    #[error("not for us")]
    NotOurs,
    /// From an address that was not asked.
    #[error("from somebody else")]
    OtherAddress,
    /// An answer that does not say what it should.
    #[error("an answer without an address")]
    NoAddress,
}

/// The machine. Inputs: `handle_*`. Outputs: `poll_*`.
#[derive(Debug)]
pub struct Discovery {
    config: Config,
    rng: ChaCha20Rng,
    /// OTHER-ADDRESS, if the server has told one that can be.
    other: Option<SocketAddr>,
    asks: Vec<Ask>,
    begun: BTreeSet<Purpose>,
    outcomes: BTreeMap<Purpose, Outcome>,
    rtt: Option<Duration>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    is_over: bool,
}

/// The configuration does not fit: the caller's bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// Not as many sockets as lifetimes ask for, or too many lifetimes.
    #[error("the number of sockets does not fit the number of lifetimes")]
    Sockets,
}

impl Discovery {
    /// Begins to ask. `seed` draws transaction ids, and must not be known to anybody.
    ///
    /// # Errors
    /// Not as many sockets as are needed.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Discovery, Misuse> {
        if config.lifetimes.len() > LIFETIMES_MAX || config.local.len() != sockets_for(config.lifetimes.len())
        {
            return Err(Misuse::Sockets);
        }
        let mut discovery = Discovery {
            rng: ChaCha20Rng::from_seed(seed),
            other: None,
            asks: Vec::new(),
            begun: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            rtt: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            is_over: false,
            config,
        };
        for socket in (0..).map(SocketId).take(discovery.config.local.len()) {
            discovery.begin(Purpose::Reach(socket), now);
        }
        discovery.flush();
        Ok(discovery)
    }

    /// A datagram that one of our sockets has received.
    ///
    /// # Errors
    /// It was not looked at.
    pub fn handle_datagram(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        socket: SocketId,
        now: Instant,
    ) -> Result<(), Discard> {
        let message = Message::parse(bytes).map_err(|_| Discard::NotStun)?;
        let id = message.transaction_id();
        let place = self.asks.iter().position(|ask| ask.transaction.transaction_id() == id);
        let ask = place.and_then(|place| self.asks.get_mut(place)).ok_or(Discard::NotOurs)?;
        let purpose = ask.purpose;
        if message.class() == Class::Request {
            // Our own request, by way of our outer address.
            if !matches!(purpose, Purpose::Hairpin(_)) || ask.socket == socket {
                return Err(Discard::NotOurs);
            }
            self.outcomes.insert(purpose, Outcome::Heard);
            self.asks.retain(|ask| !matches!(ask.purpose, Purpose::Hairpin(_)));
        } else {
            let arrival = plan::Arrival { from, socket, now };
            let outcome = plan::read(ask, &self.config, self.other, &message, arrival)?;
            ask.transaction.handle_answer(&message, now).map_err(|_| Discard::NotOurs)?;
            let rtt = match ask.transaction.poll_event() {
                Some(client::Event::Answered { rtt }) => rtt,
                _ => None,
            };
            self.asks.retain(|ask| ask.purpose != purpose);
            self.answered(purpose, outcome.in_order(rtt.is_some()), rtt, &message);
        }
        self.proceed(now);
        Ok(())
    }

    /// Sends again, gives up, looks at a mapping: whatever is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for ask in &mut self.asks {
            ask.transaction.handle_timeout(now);
            if ask.transaction.poll_event() == Some(client::Event::TimedOut) {
                self.outcomes.insert(ask.purpose, Outcome::Silence);
            }
        }
        let outcomes = &self.outcomes;
        self.asks.retain(|ask| !outcomes.contains_key(&ask.purpose));
        self.proceed(now);
    }

    /// No more time: what is known by now is all that will be.
    pub fn handle_stop(&mut self, now: Instant) {
        let _ = now;
        self.finish();
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Discovery::handle_timeout`] is wanted; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        let asks = self.asks.iter().filter_map(|ask| ask.transaction.poll_timeout());
        asks.chain(self.probes_due().map(|(_, due)| due)).min()
    }

    fn answered(&mut self, purpose: Purpose, outcome: Outcome, rtt: Option<Duration>, message: &Message<'_>) {
        if let (Purpose::Reach(SocketId::MAPPING), Outcome::Mapped { address, .. }) = (purpose, outcome) {
            self.rtt = rtt;
            let other = message.get::<OtherAddress>().ok().flatten().map(|OtherAddress(other)| other);
            let server = self.config.server;
            self.other = other.filter(|other| {
                other.is_ipv4() == server.is_ipv4()
                    && other.ip() != server.ip()
                    && other.port() != server.port()
            });
            self.events.push_back(Event::Answered { mapped: address, rtt });
        }
        self.outcomes.insert(purpose, outcome);
    }

    /// Begins whatever has become possible, and ends when nothing is left to do.
    fn proceed(&mut self, now: Instant) {
        if self.is_over {
            return;
        }
        for purpose in self.possible(now) {
            self.begin(purpose, now);
        }
        self.flush();
        self.give_up_on_later_lifetimes();
        if self.asks.is_empty() && self.probes_due().next().is_none() {
            self.finish();
        }
    }

    fn begin(&mut self, purpose: Purpose, now: Instant) {
        let Some((socket, to, asked)) = self.request(purpose) else { return };
        if !self.begun.insert(purpose) {
            return;
        }
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        let mut buffer = [0; REQUEST_ROOM];
        let request = request(&mut buffer, TransactionId(id), asked).expect("a header and 8 bytes fit");
        let schedule = self.config.schedule;
        let transaction = Transaction::new(request, schedule, now).expect("it was just built");
        self.asks.push(Ask { purpose, socket, to, transaction });
    }

    fn flush(&mut self) {
        for Ask { socket, to, transaction, .. } in &mut self.asks {
            while let Some(bytes) = transaction.poll_transmit() {
                self.transmits.push_back(Transmit { socket: *socket, to: *to, bytes: bytes.to_vec() });
            }
        }
    }

    fn finish(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.asks.clear();
            self.transmits.clear();
            self.events.push_back(Event::Finished(self.behaviour()));
        }
    }
}

/// What a request asks besides our address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Change(ChangeRequest),
    AnswerTo(ResponsePort),
}

fn request(buffer: &mut [u8], id: TransactionId, asked: Asked) -> Result<&[u8], BuildError> {
    let mut builder = Builder::new(buffer, Class::Request, Method::BINDING, id)?;
    match asked {
        Asked::Nothing => {}
        Asked::Change(change) => _ = builder.add(&change)?,
        Asked::AnswerTo(port) => _ = builder.add(&port)?,
    }
    Ok(builder.finish())
}

/// The outer address in an answer; servers before RFC 5389 tell it plainly.
fn mapped_in(message: &Message<'_>) -> Option<SocketAddr> {
    let hidden = message.get::<XorMappedAddress>().ok().flatten().map(|XorMappedAddress(address)| address);
    hidden.or_else(|| message.get::<MappedAddress>().ok().flatten().map(|MappedAddress(address)| address))
}
