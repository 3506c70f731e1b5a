//! Allocate (RFC 8656 7): what is asked for, whether it may be had, and the ports to be opened for it.

use std::time::{Duration, Instant};

use rand_core::RngCore as _;
use twocan_stun::attribute::{
    AdditionalAddressFamily, EvenPort, Family as WireFamily, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken,
};
use twocan_stun::{ErrorCode, Message};

use super::Server;
use super::access::Identity;
use super::allocation::{Allocation, AllocationId, Opening, Relayed};
use super::answer::Request;
use super::channel::Channels;
use super::directory::{Holder, Owner, Reservation};
use super::output::{Command, EndReason, Event, PortError};
use super::permission::Permissions;
use super::ports::{Wanted, partner};
use super::quota::{Bucket, DataBuckets, name_place};
use super::shares::NoShare;
use crate::address::{Family, RelayPort};
use crate::limits::Limits;
use crate::news::{News, ReservationToken as Token};
use crate::stats::Discard;

/// What an Allocate asks for, as far as it can be had.
struct Plan {
    ports: Vec<RelayPort>,
    wanted: Wanted,
    redeemed: Option<Token>,
    failed: Option<(Family, ErrorCode)>,
}

impl Server {
    pub(super) fn allocate(&mut self, request: Request<'_>, now: Instant) -> Result<(), Discard> {
        if let Some(id) = self.clients.get(&request.from).copied() {
            return self.allocate_again(&request, id);
        }
        match self.plan(&request, now) {
            Ok(plan) => self.begin(request, plan, now),
            Err(code) => self.refuse(&request, code),
        }
        Ok(())
    }

    /// The 5-tuple has an allocation: the same request is answered the same, another with 437.
    fn allocate_again(&mut self, request: &Request<'_>, id: AllocationId) -> Result<(), Discard> {
        let is_same = self.allocations.get(id).is_some_and(|allocation| {
            allocation.transaction == request.message.transaction_id()
                && allocation.user == request.identity.user
        });
        let is_opening = self.allocations.get(id).is_some_and(|allocation| allocation.opening.is_some());
        match (is_same, is_opening) {
            (false, _) => self.refuse(request, ErrorCode::ALLOCATION_MISMATCH),
            (true, true) => return Err(Discard::Pending),
            (true, false) => self.answer_allocated(id, &request.identity.seal),
        }
        Ok(())
    }

    fn plan(&mut self, request: &Request<'_>, now: Instant) -> Result<Plan, ErrorCode> {
        let asked = Asked::read(&request.message)?;
        if let Some(token) = asked.token {
            return self.plan_reserved(token, request, now);
        }
        let (families, failed) = self.families(&asked)?;
        self.check_quota(request, families.into_iter().flatten(), now)?;
        if asked.wanted == Wanted::Pair
            && !self.directory.may_reserve(request.from.remote.ip(), self.limits.reservations)
        {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let mut plan = Plan { ports: Vec::new(), wanted: asked.wanted, redeemed: None, failed };
        for family in families.into_iter().flatten() {
            match self.draw(family, asked.wanted, now) {
                Some(port) => plan.ports.push(port),
                None => plan.failed = Some((family, ErrorCode::INSUFFICIENT_CAPACITY)),
            }
        }
        if plan.ports.is_empty() { Err(ErrorCode::INSUFFICIENT_CAPACITY) } else { Ok(plan) }
    }

    fn plan_reserved(
        &mut self,
        token: Token,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Plan, ErrorCode> {
        let reservation = self.directory.reservation(&token, now);
        let port = reservation
            .filter(|reservation| reservation.user == request.identity.user)
            .map(|reservation| reservation.port)
            .ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        self.check_quota(request, std::iter::once(port.family), now)?;
        Ok(Plan { ports: vec![port], wanted: Wanted::Any, redeemed: Some(token), failed: None })
    }

    /// Which families to open, and which one of two cannot be had.
    #[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    fn families(
        &self,
        asked: &Asked,
    ) -> Result<([Option<Family>; 2], Option<(Family, ErrorCode)>), ErrorCode> {
        let is_there = |family| match family {
            Family::V4 => self.external.v4.is_some(),
            Family::V6 => self.external.v6.is_some(),
        };
        let unsupported = ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED;
        if !asked.both {
            let family = asked.family.filter(|family| is_there(*family)).ok_or(unsupported)?;
            return Ok(([Some(family), None], None));
        }
        let missing = [Family::V4, Family::V6].into_iter().find(|family| !is_there(*family));
        let families = [Family::V4, Family::V6].map(|family| is_there(family).then_some(family));
        Ok((families, missing.map(|family| (family, unsupported))))
    }

    /// Whether this client may have so many relayed addresses more: 486 if it, or its household, has what it may have, 508 if
    /// there is none for anybody.
    fn check_quota(
        &mut self,
        request: &Request<'_>,
        families: impl Iterator<Item = Family> + Clone,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let ports = u32::try_from(families.clone().count()).unwrap_or(u32::MAX);
        if self.is_draining || self.allocations.len() >= self.limits.allocations {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let Limits { allocations_per_member, allocations_per_user, .. } = self.limits;
        let is_member = request.identity.grant.is_some();
        let of_user_max = if is_member { allocations_per_member } else { allocations_per_user };
        if self.directory.count_of_user(&request.identity.user) + ports > of_user_max {
            return Err(ErrorCode::ALLOCATION_QUOTA_REACHED);
        }
        for family in families {
            let client = request.from.remote.ip();
            let mut checked = self.directory.shares.check(client, family, 1);
            if checked == Err(NoShare::Total) && self.make_room(family, now) {
                checked = self.directory.shares.check(client, family, 1);
            }
            checked.map_err(|none| match none {
                NoShare::Household => ErrorCode::ALLOCATION_QUOTA_REACHED,
                NoShare::Total => ErrorCode::INSUFFICIENT_CAPACITY,
            })?;
        }
        Ok(())
    }

    /// A free port; where there is none, one of an allocation that is not used.
    fn draw(&mut self, family: Family, wanted: Wanted, now: Instant) -> Option<RelayPort> {
        let drawn = self.ports.draw(&mut self.rng, family, wanted);
        if drawn.is_some() || wanted == Wanted::Pair || !self.make_room(family, now) {
            return drawn;
        }
        self.ports.draw(&mut self.rng, family, wanted)
    }

    /// Ends one allocation that has had no permission for a while, if there is one.
    fn make_room(&mut self, family: Family, now: Instant) -> bool {
        let unused =
            now.checked_sub(self.limits.unused).and_then(|before| self.quiet(family).gives_way(before));
        if let Some(id) = unused {
            self.close_family(id, family, EndReason::Unused);
        }
        unused.is_some()
    }

    /// Stores the allocation and asks for its ports.
    fn begin(&mut self, request: Request<'_>, plan: Plan, now: Instant) {
        let Request { message, from, identity } = request;
        let asked = message.get::<Lifetime>().ok().flatten();
        let lifetime_s = self.lifetime_s(asked, &identity, now);
        let expires = now + Duration::from_secs(u64::from(lifetime_s));
        let opening = Opening {
            seal: identity.seal,
            wanted: plan.wanted,
            attempts: self.limits.port_attempts,
            is_redeemed: plan.redeemed.is_some(),
        };
        let rates = self.limits.data_rates(identity.grant.is_some());
        let mut allocation = Allocation {
            client: from,
            user_place: name_place(&identity.user),
            user: identity.user,
            grant: identity.grant,
            credential_expires: identity.expires.map(|expires| self.clock.instant(expires)),
            transaction: message.transaction_id(),
            lifetime_s,
            token: None,
            failed: plan.failed,
            opening: Some(Box::new(opening)),
            v4: None,
            v6: None,
            permissions: Permissions::default(),
            channels: Channels::default(),
            data: DataBuckets::full(rates, now),
            new_peers: Bucket::full(self.limits.new_peers, now),
            epoch: None,
            quiet_since: now,
            deadline: expires,
        };
        for &port in &plan.ports {
            self.directory.count_up(&allocation.user, from.remote.ip(), port.family, true);
            *allocation.slot(port.family) = Some(Relayed { port, expires, is_open: false });
        }
        let ports = plan.ports.clone();
        let deadline = allocation.next_deadline().unwrap_or(expires);
        allocation.deadline = deadline;
        let id = self.allocations.insert(allocation);
        self.clients.insert(from, id);
        self.deadlines.insert((deadline, id));
        for port in ports {
            self.quiet(port.family).insert(from.remote.ip(), now, id);
        }
        if let Some(token) = plan.redeemed {
            self.directory.redeem(&token);
            self.output.events.push_back(Event::News(News::Redeemed { token }));
        }
        for port in plan.ports {
            self.open(id, port, plan.wanted);
        }
    }

    /// What LIFETIME is granted (RFC 8656 7.2): what is asked for, between the default and the maximum, and never longer
    /// than the credential lasts.
    pub(super) fn lifetime_s(&self, asked: Option<Lifetime>, identity: &Identity, now: Instant) -> u32 {
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let (default, max) = (seconds(self.limits.lifetime_default), seconds(self.limits.lifetime_max));
        let granted = asked.map_or(default, |Lifetime(asked)| asked.min(max).max(default));
        match identity.expires {
            Some(expires) => {
                let left = expires.saturating_sub(self.clock.unix_s(now));
                granted.min(u32::try_from(left).unwrap_or(u32::MAX))
            }
            None => granted,
        }
    }

    fn open(&mut self, id: AllocationId, port: RelayPort, wanted: Wanted) {
        self.ports.claim(port, id);
        if wanted == Wanted::Pair {
            self.ports.lend(partner(port));
        }
        self.output.commands.push_back(Command::OpenPort(port));
    }

    pub(super) fn port_opened(&mut self, port: RelayPort, opened: Result<(), PortError>, now: Instant) {
        let Some(id) = self.ports.owner(port) else { return };
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let Some(opening) = &mut allocation.opening else { return };
        match opened {
            Ok(()) => {
                if let Some(relayed) = allocation.slot(port.family) {
                    relayed.is_open = true;
                }
            }
            Err(why) => {
                opening.attempts = opening.attempts.saturating_sub(1);
                let try_again = why == PortError::InUse && opening.attempts > 0 && !opening.is_redeemed;
                let (wanted, is_redeemed) = (opening.wanted, opening.is_redeemed);
                self.forget_port(port, wanted);
                if is_redeemed && let Some(relayed) = self.external.relay_addr(port) {
                    self.output.events.push_back(Event::News(News::Freed { relayed }));
                }
                self.replace_port(id, port, wanted, try_again);
            }
        }
        self.settle(id, now);
        self.count_stored();
    }

    /// A port that did not open is nobody's again.
    fn forget_port(&mut self, port: RelayPort, wanted: Wanted) {
        self.ports.release(port);
        if wanted == Wanted::Pair {
            self.ports.take_back(partner(port));
        }
    }

    /// Another port instead of one that did not open, or none.
    fn replace_port(&mut self, id: AllocationId, taken: RelayPort, wanted: Wanted, try_again: bool) {
        let family = taken.family;
        let drawn = try_again.then(|| self.ports.draw_instead(&mut self.rng, taken, wanted)).flatten();
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        match (drawn, allocation.slot(family)) {
            (Some(port), Some(relayed)) => {
                relayed.port = port;
                self.open(id, port, wanted);
            }
            (_, slot) => {
                *slot = None;
                allocation.failed = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
                let (client, since) = (allocation.client.remote.ip(), allocation.quiet_since);
                self.directory.count_down(&allocation.user, client, family, true);
                self.quiet(family).remove(client, since, id);
            }
        }
    }

    /// Once nothing is being opened any more: success if there is a port, 508 if there is none.
    fn settle(&mut self, id: AllocationId, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        if allocation.relayed().any(|relayed| !relayed.is_open) {
            return;
        }
        let Some(opening) = allocation.opening.take() else { return };
        let Some(first) = allocation.relayed().next() else {
            let (client, transaction) = (allocation.client, allocation.transaction);
            self.answer_not_allocated(client, transaction, ErrorCode::INSUFFICIENT_CAPACITY, &opening.seal);
            return self.end(id, EndReason::NoPort);
        };
        if opening.wanted == Wanted::Pair {
            self.reserve(id, partner(first.port), now);
        }
        self.stats.allocated += 1;
        self.announce(id);
        self.answer_allocated(id, &opening.seal);
        if self.is_taken_back(id) {
            self.end(id, EndReason::Revoked);
        }
    }

    /// Keeps the partner of an even port for whoever shows the token.
    fn reserve(&mut self, id: AllocationId, port: RelayPort, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let mut token = [0; 8];
        self.rng.fill_bytes(&mut token);
        allocation.token = Some(token);
        let (user, client) = (allocation.user.clone(), Some(allocation.client.remote.ip()));
        let expires = now + self.limits.reservation_lifetime;
        self.directory.reserve(token, Reservation { port, user: user.clone(), expires, client });
        self.output.events.push_back(Event::News(News::Reserved { token, port, user }));
    }

    /// Tells everyone what the client now has.
    fn announce(&mut self, id: AllocationId) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let external = self.external;
        let addresses = allocation.relayed().filter_map(|relayed| external.relay_addr(relayed.port));
        let member = allocation.grant.as_ref().map(|grant| grant.member.clone());
        let client_ip = allocation.client.remote.ip().to_canonical();
        for (index, relayed) in addresses.enumerate() {
            let (user, group) = (allocation.user.clone(), allocation.group().cloned());
            let own = Some(Owner { member: member.clone() });
            let holder = Holder { user: user.clone(), group: group.clone(), client: client_ip, own };
            self.directory.add(relayed, holder);
            let events = &mut self.output.events;
            events.push_back(Event::News(News::Allocated { user, group, client: client_ip, relayed }));
            if index == 0 {
                events.push_back(Event::Opened { client: allocation.client, relayed });
            }
        }
        allocation.epoch = allocation.group().and_then(|group| self.directory.groups.epoch(group));
    }

    fn is_taken_back(&self, id: AllocationId) -> bool {
        let grant = self.allocations.get(id).and_then(|allocation| allocation.grant.as_ref());
        grant.is_some_and(|grant| !self.directory.groups.admits(grant))
    }
}

/// The attributes of an Allocate, each alone and together allowed.
struct Asked {
    wanted: Wanted,
    token: Option<Token>,
    /// `None`: a family that nobody knows.
    family: Option<Family>,
    both: bool,
}

impl Asked {
    fn read(message: &Message<'_>) -> Result<Asked, ErrorCode> {
        let bad = |_| ErrorCode::BAD_REQUEST;
        let transport = message.get::<RequestedTransport>().map_err(bad)?.ok_or(ErrorCode::BAD_REQUEST)?;
        if transport != RequestedTransport::UDP {
            return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL);
        }
        message.get::<Lifetime>().map_err(bad)?;
        let even = message.get::<EvenPort>().map_err(bad)?;
        let token = message.get::<ReservationToken>().map_err(bad)?;
        let family = message.get::<RequestedAddressFamily>().map_err(bad)?;
        let additional = message.get::<AdditionalAddressFamily>().map_err(bad)?;
        let wanted = match even {
            None => Wanted::Any,
            Some(EvenPort { reserve_next: false }) => Wanted::Even,
            Some(EvenPort { reserve_next: true }) => Wanted::Pair,
        };
        let has_family = family.is_some() || additional.is_some();
        let is_contradictory = token.is_some() && (even.is_some() || has_family)
            || family.is_some() && additional.is_some()
            || additional.is_some() && wanted == Wanted::Pair
            || additional.is_some_and(|AdditionalAddressFamily(family)| family != WireFamily::V6);
        if is_contradictory {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let family = match family {
            None => Some(Family::V4),
            Some(RequestedAddressFamily(WireFamily(number))) => Family::from_wire(number),
        };
        let token = token.map(|ReservationToken(token)| token);
        Ok(Asked { wanted, token, family, both: additional.is_some() })
    }
}
