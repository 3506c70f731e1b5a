//! The pairs: which may be formed, which is left out when there are too many, and which is tried next.
//!
//! RFC 8445 freezes pairs and goes by priority alone; a dead interface of high priority then comes before everything that
//! works. Here pairs fall into groups, one for each socket and kind of remote candidate, and the group that was tried least
//! comes first: so the first burst has one of each.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};

use twocan_stun::TransactionId;

use crate::pair::{Base, Generation, Pair, PairId, Remote, Way};
use crate::{Failure, Kind, PairState, Role, SocketId, TcpType, Transport};

#[derive(Clone, Debug, Default)]
pub(crate) struct Checklist {
    pairs: Vec<Pair>,
    next_id: u32,
}

impl Checklist {
    pub fn iter(&self) -> impl Iterator<Item = &Pair> + Clone {
        self.pairs.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.pairs.iter_mut()
    }

    pub fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.id == id)
    }

    pub fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.id == id)
    }

    pub fn find(&self, way: Way, generation: Generation) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.way() == way && pair.generation == generation)
    }

    pub fn asked_by(&self, id: TransactionId) -> Option<PairId> {
        self.pairs.iter().find(|pair| pair.outstanding.has(id)).map(|pair| pair.id)
    }

    pub fn retain(&mut self, keep: impl FnMut(&Pair) -> bool) {
        self.pairs.retain(keep);
    }

    /// Adds a pair. When there are `max`, the least promising one that is still untried goes. Where that is this one, one that failed makes
    /// room for it, or for the first of its group one of those under check in the largest group; `None` if there is none.
    pub fn add(
        &mut self,
        base: Base,
        remote: Remote,
        generation: Generation,
        role: Role,
        max: usize,
    ) -> Option<PairId> {
        let id = PairId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.pairs.push(Pair::new(id, generation, base, remote));
        if self.pairs.len() > max {
            let worst = self.least_promising(role)?;
            let worst = if worst == id { self.spent(id, role).unwrap_or(id) } else { worst };
            self.pairs.retain(|pair| pair.id != worst);
        }
        self.get(id).map(|pair| pair.id)
    }

    /// Adds a pair on which the other side was heard: what failed makes room for it too. `None` if all pairs are in use.
    pub fn add_heard(
        &mut self,
        base: Base,
        remote: Remote,
        generation: Generation,
        role: Role,
        max: usize,
    ) -> Option<PairId> {
        if self.pairs.len() >= max {
            let failed = |pair: &&Pair| matches!(pair.state, PairState::Failed(_));
            let worst = self.pairs.iter().find(failed).map(|pair| pair.id);
            let worst = worst.or_else(|| self.least_promising(role))?;
            self.pairs.retain(|pair| pair.id != worst);
        }
        self.add(base, remote, generation, role, max)
    }

    /// The pair to check next, of those that nobody has asked for.
    pub fn next_waiting(&self, role: Role) -> Option<PairId> {
        let key = |pair: &&Pair| (self.tried_in_group(pair), Reverse(pair.priority(role)), pair.id);
        self.untried().min_by_key(key).map(|pair| pair.id)
    }

    pub fn has_waiting(&self) -> bool {
        self.untried().next().is_some()
    }

    /// The last in the largest group of what is untried.
    fn least_promising(&self, role: Role) -> Option<PairId> {
        let key = |pair: &&Pair| (self.place(pair, role), Reverse(pair.priority(role)), pair.id);
        self.untried().max_by_key(key).map(|pair| pair.id)
    }

    /// Of those that were tried in vain or are being tried, the one that an untried pair may take the place of.
    fn spent(&self, newcomer: PairId, role: Role) -> Option<PairId> {
        let failed = |pair: &&Pair| matches!(pair.state, PairState::Failed(_)) && pair.requests_heard == 0;
        let is_first = self.get(newcomer).is_some_and(|new| {
            !self.pairs.iter().any(|pair| pair.id != newcomer && group(pair) == group(new))
        });
        let unheard = |pair: &&Pair| pair.state == PairState::InProgress && pair.requests_heard == 0;
        let key = |pair: &&Pair| (self.place(pair, role), Reverse(pair.priority(role)), pair.id);
        let last = || self.pairs.iter().filter(unheard).max_by_key(key);
        let last = || last().filter(|pair| self.place(pair, role) > 0);
        let spent = self.pairs.iter().find(failed).or_else(|| is_first.then(last).flatten());
        spent.map(|pair| pair.id)
    }

    /// How many of its group are better.
    fn place(&self, pair: &Pair, role: Role) -> usize {
        let better = |other: &&Pair| {
            group(other) == group(pair) && (other.priority(role), pair.id) > (pair.priority(role), other.id)
        };
        self.pairs.iter().filter(better).count()
    }

    fn untried(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.state == PairState::Waiting && !pair.triggered)
    }

    fn tried_in_group(&self, pair: &Pair) -> usize {
        let tried = |other: &&Pair| group(other) == group(pair) && other.state != PairState::Waiting;
        self.pairs.iter().filter(tried).count()
    }

    /// Ends whatever is not over yet and stands for `condition`.
    pub fn fail_where(&mut self, failure: Failure, condition: impl Fn(&Pair) -> bool) {
        for pair in self.pairs.iter_mut().filter(|pair| condition(pair)) {
            if !matches!(pair.state, PairState::Failed(_)) {
                pair.fail(failure);
            }
        }
    }
}

fn group(pair: &Pair) -> (SocketId, Kind, Transport) {
    (pair.base.socket, pair.remote.kind, pair.remote.transport)
}

/// Whether packets from the base can reach the remote address, and we are to begin (RFC 8445 section 6.1.2.2, RFC 6544
/// section 6.2). Two homes may number their hosts alike: what is sent to an address of our own comes back to us.
pub(crate) fn fits(base: &Base, remote: &Remote) -> bool {
    let transports = match (base.transport, remote.transport) {
        (Transport::Udp, Transport::Udp) => true,
        (Transport::Tcp(ours), Transport::Tcp(theirs)) => {
            ours == TcpType::Active && theirs == TcpType::Passive
        }
        _ => false,
    };
    let (ours, theirs) = (base.address.ip(), remote.address.ip());
    transports
        && base.address != remote.address
        && ours.is_ipv4() == theirs.is_ipv4()
        && is_link_local_v6(ours) == is_link_local_v6(theirs)
        && (!theirs.is_loopback() || ours.is_loopback())
        && (!ours.is_loopback() || theirs.is_loopback() || base.kind == Kind::Relayed)
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether anything may be sent there at all.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Addresses are compared by IP address and port alone: IPv4 as such, IPv6 without scope and flow. Whoever sends knows the
/// scope from the socket.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
