//! The client side of TURN (RFC 8656): one allocation on one server, over UDP, TCP or TLS, as a state machine.
//!
//! It knows no socket and no address of the server's: whoever made it moves whole messages between it and one server,
//! and gives each client a 5-tuple of its own.
//!
//! ```text
//!   send(peer, data) ──► bytes for the server: ChannelData, or a Send indication until a channel is bound
//!   poll_transmit    ──► requests: Allocate, Refresh, CreatePermission, ChannelBind; again where one is lost
//!   from the server  ──► handle_packet ──► Data { peer, bytes }
//! ```

mod answer;
mod auth;
mod config;
mod inbound;
mod output;
mod peers;
mod request;
mod timers;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use twocan_stun::TransactionId;

pub use config::{Config, limits};
pub use output::{Data, Discard, Event, Failure, SendError};

use crate::wire::write_channel_data;
use auth::Auth;
use peers::{Peers, Route};
use request::{Pending, What};

/// One allocation on one server, from the first Allocate to the end.
///
/// Commands: [`Client::send`], [`Client::permit`], [`Client::refresh`], [`Client::set_credentials`], [`Client::close`].
/// Inputs: `handle_*`. Outputs: `poll_*`, to be drained after every input and command; what `send` wrote goes after them,
/// since it may rely on a permission that is asked for there.
pub struct Client {
    config: Config,
    rng: ChaCha20Rng,
    auth: Auth,
    state: State,
    /// An allocation was there before: the next is news of another kind.
    was_allocated: bool,
    /// A 437 was answered by freeing whatever the 5-tuple holds; it is done once.
    has_freed: bool,
    rtt: Option<Duration>,
    /// When the server last said something that counts.
    heard_at: Instant,
    pending: Vec<Pending>,
    peers: Peers,
    /// When permissions and channels in use are asked for again.
    renew_at: Option<Instant>,
    keepalive_at: Instant,
    has_sent: bool,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// An Allocate is on its way.
    Allocating,
    /// The server asked for credentials, and the caller said to wait: [`Config::hold`].
    Held,
    /// There is a relayed address.
    Allocated { relayed: SocketAddr, refresh_at: Instant },
    /// A Refresh with lifetime 0 is on its way.
    Closing,
    /// Nothing follows.
    Ended,
}

impl Client {
    /// Begins to allocate: the first Allocate waits in [`Client::poll_transmit`]. `seed` draws transaction ids, and must
    /// not be known to anybody.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Client {
        let mut client = Client {
            auth: Auth::new(config.username.clone(), config.password.clone()),
            rng: ChaCha20Rng::from_seed(seed),
            state: State::Allocating,
            was_allocated: false,
            has_freed: false,
            rtt: None,
            heard_at: now,
            pending: Vec::new(),
            peers: Peers::of(config.family),
            renew_at: None,
            keepalive_at: now + limits::KEEPALIVE,
            has_sent: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
        };
        client.request(What::Allocate, now);
        client
    }

    /// The relayed address, while there is one.
    pub fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated { relayed, .. } => Some(relayed),
            State::Allocating | State::Held | State::Closing | State::Ended => None,
        }
    }

    /// The round-trip time to the server, once a request was answered at its first sending.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether nothing will follow any more.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Goes on after [`Event::Challenged`]; only with [`Config::hold`].
    pub fn proceed(&mut self, now: Instant) {
        if self.state == State::Held {
            self.state = State::Allocating;
            self.request(What::Allocate, now);
        }
    }

    /// Appends to `out` the bytes that make the server pass `data` on to `peer`. A peer without permission is asked for:
    /// drain [`Client::poll_transmit`] before sending what is in `out`.
    ///
    /// # Errors
    /// There is no allocation, or this peer cannot be had; nothing was appended.
    pub fn send(
        &mut self,
        peer: SocketAddr,
        data: &[u8],
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), SendError> {
        if data.len() > limits::DATA_LEN_MAX {
            return Err(SendError::TooLong);
        }
        if self.relayed().is_none() {
            return Err(SendError::NotAllocated);
        }
        match self.peers.route(peer, now)? {
            Route::Channel(number) => {
                write_channel_data(out, number, data, self.config.transport.is_stream());
            }
            Route::Permitted => self.write_indication(peer, data, out),
            Route::Unasked => {
                self.request(What::Permit(peer.ip()), now);
                self.write_indication(peer, data, out);
            }
        }
        self.has_sent = true;
        Ok(())
    }

    /// Asks for permissions ahead of time, so that these peers reach us and the first data to them is passed on. Those
    /// beyond [`limits::PERMISSIONS_MAX`] and those of another family are left out.
    pub fn permit(&mut self, peers: &[IpAddr], now: Instant) {
        let mut wanted: Vec<IpAddr> = peers
            .iter()
            .copied()
            .filter(|peer| crate::Family::of(*peer) == self.config.family)
            .filter(|peer| self.peers.want(*peer, now))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if self.relayed().is_some() {
            self.request_permissions(&wanted, now);
        }
    }

    /// When the server was last heard of: an answer, or data of a peer's.
    pub fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Asks the server whether the allocation still stands, ahead of time: after the network has changed, or when nothing
    /// comes from any peer.
    pub fn refresh(&mut self, now: Instant) {
        let is_asked = self.pending.iter().any(|pending| pending.what == What::Refresh);
        if self.relayed().is_some() && !is_asked {
            self.request(What::Refresh, now);
        }
    }

    /// Takes a renewed credential, and tries it on the allocation at once. A server that ties an allocation to the user
    /// name it was made with (441) goes on seeing the former.
    pub fn set_credentials(&mut self, username: &str, password: &str, now: Instant) {
        if self.auth.replace(username, password) {
            self.refresh(now);
        }
    }

    /// Frees the allocation; [`Event::Closed`] follows.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Allocated { .. } => {
                self.pending.clear();
                self.state = State::Closing;
                self.request(What::Close, now);
            }
            State::Allocating | State::Held => {
                self.end();
                self.events.push_back(Event::Closed);
            }
            State::Closing | State::Ended => {}
        }
    }

    /// One whole message from the server; a stream is cut by [`crate::wire::frame_len`].
    ///
    /// # Errors
    /// Why it was ignored. Nothing has changed then, but for a forged error, which is remembered as a reason in case that
    /// no answer comes.
    pub fn handle_packet<'a>(&mut self, bytes: &'a [u8], now: Instant) -> Result<Option<Data<'a>>, Discard> {
        self.inbound(bytes, now)
    }

    /// Whatever is due at `now`: see [`Client::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }

    /// The next message for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Client::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }

    fn next_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        rand_core::RngCore::fill_bytes(&mut self.rng, &mut id);
        TransactionId(id)
    }

    fn fail(&mut self, why: Failure) {
        self.end();
        self.events.push_back(Event::Failed(why));
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.pending.clear();
        self.transmits.clear();
        self.peers = Peers::of(self.config.family);
    }
}
