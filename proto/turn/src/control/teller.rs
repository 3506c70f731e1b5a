//! The lobby's end: it keeps who is in, and tells the relay what has changed, one request at a time, until each is answered.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_base::{Ledger, Quota};
use twocan_stun::attribute::{Data, Nonce};
use twocan_stun::{BuildError, Builder, Class, IntegrityKey, Message, TransactionId};

use super::{HEAD_BYTES, NAME_BYTES, REQUEST_BYTES, integrity_key, method, write_fact};
use crate::news::{GroupId, MemberId, News};

/// The first wait for an answer; it doubles (RFC 8489 6.2.1).
const WAIT: Duration = Duration::from_millis(500);
/// The longest wait. A relay that is away is asked so often, for as long as it takes.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// Where there is nothing to tell, the relay is asked so often whether it is still the same process.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Bytes of a request besides its facts: header, heads of DATA and NONCE, a nonce, MESSAGE-INTEGRITY-SHA256.
const OTHER_BYTES: usize = 20 + 4 + HEAD_BYTES + 4 + NONCE_BYTES_MAX + 36;
/// The longest nonce that is taken; a relay of ours gives 40 bytes.
const NONCE_BYTES_MAX: usize = 128;
/// The longest fact.
const FACT_BYTES_MAX: usize = 1 + 2 * (1 + NAME_BYTES) + 16 + 8;

/// A member of a group; `None` is the whole group, and comes first.
type Key = (GroupId, Option<MemberId>);

/// Who is gone, and what the relay must know of him first: until when his credential was good.
type Gone = (MemberId, Member);

#[derive(Clone, Debug)]
struct Member {
    address: IpAddr,
    /// Unix seconds.
    expires: u64,
}

/// Tells one relay. Inputs: `handle_*`; `poll_transmit` says what to send to its listener, `poll_timeout` when to come again.
pub struct Teller {
    key: IntegrityKey,
    rng: ChaCha20Rng,
    session: [u8; 8],
    number: u64,
    nonce: Vec<u8>,
    epoch: Option<Vec<u8>>,
    members: BTreeMap<Key, Member>,
    entries: Ledger,
    by_expiry: BTreeSet<(u64, Key)>,
    /// What the relay does not know yet.
    untold: BTreeMap<Key, Option<Gone>>,
    /// After whom to go on, so that each has its turn.
    after: Key,
    request: Option<Request>,
    ask_at: Instant,
    transmits: VecDeque<Vec<u8>>,
}

struct Request {
    id: TransactionId,
    bytes: Vec<u8>,
    telling: Vec<(Key, Option<Gone>)>,
    wait: Duration,
    again_at: Instant,
}

impl Teller {
    /// `key`: [`super::key`]. `members`: how many are remembered, by household, as [`crate::Limits::members`]. `seed` draws the
    /// session's number.
    pub fn new(key: &[u8; 32], members: Quota, seed: [u8; 32], now: Instant) -> Teller {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let session = rng.next_u64().to_be_bytes();
        Teller {
            key: integrity_key(key),
            rng,
            session,
            number: 0,
            nonce: Vec::new(),
            epoch: None,
            members: BTreeMap::new(),
            entries: Ledger::new(members),
            by_expiry: BTreeSet::new(),
            untold: BTreeMap::new(),
            after: (GroupId::new(""), None),
            request: None,
            ask_at: now,
            transmits: VecDeque::new(),
        }
    }

    /// The lobby let somebody in, or put somebody out, or closed. `unix_s`: what time it is.
    pub fn handle_news(&mut self, news: &News, unix_s: u64, now: Instant) {
        self.forget_expired(unix_s);
        match news {
            News::Granted { group, peer, address, expires } => {
                let key = (group.clone(), Some(peer.clone()));
                self.remove(&key);
                if self.entries.take(*address, 1) {
                    self.by_expiry.insert((*expires, key.clone()));
                    self.members.insert(key.clone(), Member { address: *address, expires: *expires });
                    self.put_untold(key, None);
                }
            }
            News::Revoked { group, peer } => {
                let key = (group.clone(), Some(peer.clone()));
                if let Some(member) = self.remove(&key) {
                    self.put_untold(key, Some((peer.clone(), member)));
                }
            }
            News::GroupClosed { group } => self.close(group),
            _ => return,
        }
        self.tell(now);
    }

    /// One fact stands for all that were in, and for all that are gone and were not told: of the one whose credential is good for
    /// the longest.
    fn close(&mut self, group: &GroupId) {
        let whole: Key = (group.clone(), None);
        let members: Vec<Key> = keys_of(&self.members, &whole);
        let mut gone: Vec<Gone> = Vec::new();
        for key in members {
            gone.extend(self.remove(&key).and_then(|member| Some((key.1?, member))));
        }
        for key in keys_of(&self.untold, &whole) {
            if let Some(Some(untold)) = self.untold.remove(&key) {
                self.entries.give(untold.1.address, 1);
                gone.push(untold);
            }
        }
        if let Some(last) = gone.into_iter().max_by_key(|(_, member)| member.expires) {
            self.put_untold(whole, Some(last));
        }
    }

    /// Where there is no room for somebody who is gone, his own credential is good for longer.
    fn put_untold(&mut self, key: Key, gone: Option<Gone>) {
        if gone.as_ref().is_some_and(|(_, member)| !self.entries.take(member.address, 1)) {
            return;
        }
        if let Some(Some((_, before))) = self.untold.insert(key, gone) {
            self.entries.give(before.address, 1);
        }
    }

    /// Something came from the relay.
    pub fn handle_packet(&mut self, packet: &[u8], now: Instant) {
        let Ok(message) = Message::parse(packet) else { return };
        let Some(request) = self.request.take_if(|request| request.id == message.transaction_id()) else {
            return;
        };
        match message.class() {
            Class::Success if message.verify_integrity(&self.key).is_ok() => {
                for (_, gone) in request.telling {
                    self.give_back(gone);
                }
                self.learn_epoch(&message);
                self.ask_at = now + ASK_EVERY;
            }
            Class::Error if self.learn_nonce(&message) => {
                self.put_back(request);
                return self.send(now);
            }
            // Forged, or of another secret: as if nothing had come.
            _ => self.request = Some(request),
        }
        self.tell(now);
    }

    /// Whether the relay gave another nonce than the last. It is not signed: a forged one costs a round trip.
    fn learn_nonce(&mut self, message: &Message<'_>) -> bool {
        let Ok(Some(Nonce(nonce))) = message.get() else { return false };
        let is_new = nonce != self.nonce && nonce.len() <= NONCE_BYTES_MAX;
        if is_new {
            self.nonce = nonce.to_vec();
        }
        is_new
    }

    /// Another process has forgotten everything, so all is to be told again.
    fn learn_epoch(&mut self, message: &Message<'_>) {
        let Ok(Some(Data(epoch))) = message.get() else { return };
        if self.epoch.as_deref() != Some(epoch) && self.epoch.replace(epoch.to_vec()).is_some() {
            self.untold.extend(self.members.keys().map(|key| (key.clone(), None)));
        }
    }

    /// Whatever is due.
    pub fn handle_timeout(&mut self, unix_s: u64, now: Instant) {
        self.forget_expired(unix_s);
        if let Some(request) = &mut self.request {
            if request.again_at <= now {
                request.wait = (request.wait * 2).min(WAIT_MAX);
                request.again_at = now + request.wait;
                self.transmits.push_back(request.bytes.clone());
            }
        } else if self.ask_at <= now {
            self.send(now);
        }
    }

    /// When [`Teller::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Instant {
        self.request.as_ref().map_or(self.ask_at, |request| request.again_at)
    }

    /// The next packet for the relay's listener.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Whether the relay has heard all that there is to hear.
    pub fn is_told(&self) -> bool {
        self.untold.is_empty() && self.request.as_ref().is_none_or(|request| request.telling.is_empty())
    }

    fn tell(&mut self, now: Instant) {
        if self.request.is_none() && !self.untold.is_empty() {
            self.send(now);
        }
    }

    /// Sends what is untold, as much as one request holds.
    fn send(&mut self, now: Instant) {
        let mut facts = Vec::new();
        let mut telling = Vec::new();
        while OTHER_BYTES + facts.len() + 2 * FACT_BYTES_MAX <= REQUEST_BYTES {
            let after = (Bound::Excluded(self.after.clone()), Bound::Unbounded);
            let next = self.untold.range(after).next().or_else(|| self.untold.first_key_value());
            let Some(key) = next.map(|(key, _)| key.clone()) else { break };
            let last = self.untold.remove(&key).flatten();
            self.write_facts(&key, last.as_ref(), &mut facts);
            self.after = key.clone();
            telling.push((key, last));
        }
        self.number += 1;
        let mut id = [0; 12];
        self.rng.fill_bytes(&mut id);
        let id = TransactionId(id);
        let bytes = self.write_request(id, &facts).expect("a request has room for its facts");
        self.transmits.push_back(bytes.clone());
        self.request = Some(Request { id, bytes, telling, wait: WAIT, again_at: now + WAIT });
    }

    fn write_facts(&self, (group, peer): &Key, last: Option<&Gone>, facts: &mut Vec<u8>) {
        let granted = |peer: &MemberId, member: &Member| News::Granted {
            group: group.clone(),
            peer: peer.clone(),
            address: member.address,
            expires: member.expires,
        };
        // The relay must know until when credentials were good that are not any more.
        if let Some((peer, member)) = last {
            write_fact(facts, &granted(peer, member));
        }
        let news = match peer {
            None => News::GroupClosed { group: group.clone() },
            Some(peer) => match self.members.get(&(group.clone(), Some(peer.clone()))) {
                Some(member) => granted(peer, member),
                None => News::Revoked { group: group.clone(), peer: peer.clone() },
            },
        };
        write_fact(facts, &news);
    }

    fn write_request(&self, id: TransactionId, facts: &[u8]) -> Result<Vec<u8>, BuildError> {
        let data = [&self.session[..], &self.number.to_be_bytes(), facts].concat();
        let mut buffer = vec![0; REQUEST_BYTES];
        let mut builder = Builder::new(&mut buffer, Class::Request, method(), id)?;
        builder.add(&Nonce(&self.nonce))?.add(&Data(&data))?;
        let bytes = builder.integrity_sha256(&self.key)?.finish().to_vec();
        Ok(bytes)
    }

    /// What a request told is untold again, unless there is something newer.
    fn put_back(&mut self, request: Request) {
        for (key, gone) in request.telling {
            match self.untold.entry(key) {
                Entry::Vacant(vacant) => drop(vacant.insert(gone)),
                Entry::Occupied(_) => self.give_back(gone),
            }
        }
    }

    fn give_back(&mut self, gone: Option<Gone>) {
        if let Some((_, member)) = gone {
            self.entries.give(member.address, 1);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Member> {
        let member = self.members.remove(key)?;
        self.entries.give(member.address, 1);
        self.by_expiry.remove(&(member.expires, key.clone()));
        Some(member)
    }

    fn forget_expired(&mut self, unix_s: u64) {
        while let Some((_, key)) = self.by_expiry.first().filter(|(expires, _)| *expires <= unix_s).cloned() {
            self.remove(&key);
        }
    }
}

/// The keys of a group.
fn keys_of<T>(table: &BTreeMap<Key, T>, whole: &Key) -> Vec<Key> {
    let of_group = |key: &&Key| key.0 == whole.0;
    table.range(whole..).map(|(key, _)| key).take_while(of_group).cloned().collect()
}
