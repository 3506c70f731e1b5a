//! Requests and indications to the server: written, signed, and on their way until answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use twocan_stun::attribute::{
    ChannelNumber as ChannelNumberAttribute, Data, Family as WireFamily, Lifetime, RequestedAddressFamily,
    RequestedTransport, XorPeerAddress,
};
use twocan_stun::client::{Schedule, Transaction};
use twocan_stun::{BuildError, Builder, Class, ErrorCode, IntegrityKey, Method, TransactionId};

use super::config::{limits, schedule};
use super::{Client, State};
use crate::Family;
use crate::wire::ChannelNumber;

/// Room for any request: user name 509, realm 763, nonce 763, and what is asked.
const REQUEST_ROOM: usize = 4_096;
/// Bytes of a Send indication besides the data and its padding: header, XOR-PEER-ADDRESS of IPv6, DATA's own header.
const INDICATION_ROOM: usize = 20 + 24 + 4;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A relayed address.
    Allocate,
    /// That whatever this 5-tuple holds be freed, before allocating anew.
    Free,
    /// A longer life.
    Refresh,
    /// An end.
    Close,
    /// A permission. Each is asked for alone: one peer that is denied spoils a request for several (RFC 8656 10.2), and
    /// addresses of somebody's LAN are always denied.
    Permit(IpAddr),
    /// A channel, and the permission that comes with it.
    Bind(ChannelNumber, SocketAddr),
}

/// A request on its way.
pub(super) struct Pending {
    pub transaction: Transaction,
    pub what: What,
    /// What it was signed with.
    pub key: Option<IntegrityKey>,
    /// How often it was sent anew with another nonce.
    pub attempts: u8,
    /// What an answer that is not signed said.
    pub unverified: Option<ErrorCode>,
}

impl Client {
    /// Sends a request.
    pub(super) fn request(&mut self, what: What, now: Instant) {
        self.request_again(what, 0, now);
    }

    /// Sends a request that was sent `attempts` times before.
    pub(super) fn request_again(&mut self, what: What, attempts: u8, now: Instant) {
        let id = self.next_id();
        let mut buffer = [0; REQUEST_ROOM];
        let Ok(len) = self.write(&what, id, &mut buffer) else {
            // A user name beyond what STUN can say.
            return self.fail(super::Failure::WrongCredentials);
        };
        let Some(bytes) = buffer.get(..len) else { return };
        let schedule = self.schedule_of(&what);
        let Ok(transaction) = Transaction::new(bytes, schedule, now) else { return };
        let key = self.auth.key().cloned();
        self.pending.push(Pending { transaction, what, key, attempts, unverified: None });
        self.flush();
        if self.renew_at.is_none() && !self.peers.is_empty() {
            self.renew_at = Some(now + limits::RENEW);
        }
    }

    /// Asks for permissions.
    pub(super) fn request_permissions(&mut self, peers: &[IpAddr], now: Instant) {
        for peer in peers {
            self.request(What::Permit(*peer), now);
        }
    }

    /// Moves what transactions want sent into the queue.
    pub(super) fn flush(&mut self) {
        for pending in &mut self.pending {
            while let Some(bytes) = pending.transaction.poll_transmit() {
                self.transmits.push_back(bytes.to_vec());
            }
        }
    }

    /// A Send indication, appended to `out` (RFC 8656 11.1).
    pub(super) fn write_indication(&mut self, peer: SocketAddr, data: &[u8], out: &mut Vec<u8>) {
        let id = self.next_id();
        let start = out.len();
        out.resize(start + INDICATION_ROOM + data.len().next_multiple_of(4), 0);
        let written = out.get_mut(start..).map_or(Err(BuildError::NoRoom), |buffer| {
            let mut builder = Builder::new(buffer, Class::Indication, Method::SEND, id)?;
            builder.add(&XorPeerAddress(peer))?.add(&Data(data))?;
            Ok(builder.finish().len())
        });
        out.truncate(start + written.unwrap_or(0));
    }

    /// A Binding indication: keeps the way to the server open, and is not answered.
    pub(super) fn send_keepalive(&mut self) {
        let id = self.next_id();
        let mut buffer = [0; twocan_stun::HEADER_LEN];
        if let Ok(builder) = Builder::new(&mut buffer, Class::Indication, Method::BINDING, id) {
            self.transmits.push_back(builder.finish().to_vec());
        }
    }

    fn write(&self, what: &What, id: TransactionId, buffer: &mut [u8]) -> Result<usize, BuildError> {
        let method = match what {
            What::Allocate => Method::ALLOCATE,
            What::Free | What::Refresh | What::Close => Method::REFRESH,
            What::Permit(_) => Method::CREATE_PERMISSION,
            What::Bind(..) => Method::CHANNEL_BIND,
        };
        let mut builder = Builder::new(buffer, Class::Request, method, id)?;
        match what {
            What::Allocate => {
                builder.add(&RequestedTransport::UDP)?;
                if self.config.family == Family::V6 {
                    builder.add(&RequestedAddressFamily(WireFamily::V6))?;
                }
            }
            What::Free | What::Close => {
                builder.add(&Lifetime(0))?;
            }
            What::Refresh => {}
            What::Permit(peer) => {
                builder.add(&XorPeerAddress(SocketAddr::new(*peer, 0)))?;
            }
            What::Bind(number, peer) => {
                builder.add(&ChannelNumberAttribute(number.number()))?.add(&XorPeerAddress(*peer))?;
            }
        }
        self.auth.seal(builder)
    }

    fn schedule_of(&self, what: &What) -> Schedule {
        let patience = match what {
            What::Allocate | What::Free => self.config.patience,
            What::Close => limits::PATIENCE_CLOSING,
            What::Refresh | What::Permit(_) | What::Bind(..) => limits::PATIENCE,
        };
        let first_wait = self.rtt.map_or(self.config.first_wait, |rtt| {
            (rtt * 2).clamp(limits::FIRST_WAIT_MIN, limits::FIRST_WAIT_MAX)
        });
        schedule(self.config.transport, first_wait, patience)
    }

    /// Asks for another allocation in place of the one that is gone.
    pub(super) fn allocate_anew(&mut self, now: Instant) {
        self.pending.clear();
        self.peers.restart();
        self.state = State::Allocating;
        self.events.push_back(super::Event::Lost);
        self.request(What::Allocate, now);
    }
}
