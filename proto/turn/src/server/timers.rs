//! What ends by itself, and how an allocation ends.

use std::time::{Duration, Instant};

use super::Server;
use super::allocation::{Allocation, AllocationId, Peers, Relayed};
use super::output::{Command, EndReason, Event};
use super::ports::{Wanted, partner};
use crate::address::Family;
use crate::news::News;

/// Allocations that end in one turn of the timers, at most.
pub(super) const ENDS_PER_TURN: usize = 4;
/// Reservations that run out in one turn, at most.
const RESERVATIONS_PER_TURN: usize = 32;
/// Members that are looked at in one turn, until at least one group is done.
const MEMBERS_PER_TURN: usize = 32;
/// Where a turn leaves something to do, the next one comes so much later: packets are handled meanwhile.
const TURN: Duration = Duration::from_millis(1);

impl Server {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let due = self.directory.groups.next_due().map(|due| self.clock.instant(due));
        let taking_back = self.taking_back.front().map(|take_back| take_back.since);
        let next =
            [deadline, self.directory.next_reservation(), due, taking_back].into_iter().flatten().min();
        next.map(|next| self.turn_at.map_or(next, |turn| turn.max(next)))
    }

    /// One turn: so much of what is due that it takes no longer than a few packets.
    pub(super) fn run_timers(&mut self, now: Instant) {
        self.turn_at = None;
        for _ in 0..ENDS_PER_TURN {
            let Some((_, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)
            else {
                break;
            };
            self.expire(id, now);
        }
        for _ in 0..RESERVATIONS_PER_TURN {
            let Some(port) = self.directory.expired_reservation(now) else { break };
            self.ports.take_back(port);
        }
        self.go_on_taking_back(now);
        let (unix_s, mut looked_at) = (self.clock.unix_s(now), 0);
        while looked_at < MEMBERS_PER_TURN {
            match self.directory.groups.sweep(unix_s) {
                0 => break,
                more => looked_at += more,
            }
        }
        if self.next_timeout().is_some_and(|next| next <= now) {
            self.turn_at = Some(now + TURN);
        }
        self.count_stored();
    }

    /// Ends what has run out of this allocation, and puts the rest back into the table of deadlines.
    fn expire(&mut self, id: AllocationId, now: Instant) {
        let Some(allocation) = self.allocations.get(id) else { return };
        if allocation.credential_expires.is_some_and(|expires| expires <= now) {
            return self.end(id, EndReason::CredentialExpired);
        }
        let has_expired = |relayed: &Relayed| relayed.expires <= now;
        let expired: Vec<Family> =
            allocation.relayed().filter(has_expired).map(|relayed| relayed.port.family).collect();
        for family in expired {
            self.close_family(id, family, EndReason::Expired);
        }
        self.put_deadline(id);
    }

    /// Moves the allocation to where its next deadline stands.
    pub(super) fn put_deadline(&mut self, id: AllocationId) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let Some(next) = allocation.next_deadline() else { return };
        self.deadlines.remove(&(allocation.deadline, id));
        self.deadlines.insert((next, id));
        allocation.deadline = next;
    }

    /// Closes one relayed address; the last one takes the allocation with it.
    pub(super) fn close_family(&mut self, id: AllocationId, family: Family, why: EndReason) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let others = allocation.relayed().filter(|relayed| relayed.port.family != family).count();
        if others == 0 {
            return self.end(id, why);
        }
        if let Some(relayed) = allocation.slot(family).take() {
            let (user, client, since) = (allocation.user.clone(), allocation.client, allocation.quiet_since);
            self.directory.count_down(&user, client.remote.ip(), family, true);
            self.quiet(family).remove(client.remote.ip(), since, id);
            self.close_port(relayed);
        }
        self.put_deadline(id);
    }

    /// The end of an allocation: its ports are closed, everything about it is forgotten, everyone is told.
    pub(super) fn end(&mut self, id: AllocationId, why: EndReason) {
        let Some(allocation) = self.allocations.remove(id) else { return };
        let Allocation { client, ref user, deadline, quiet_since, .. } = allocation;
        self.clients.remove(&client);
        self.deadlines.remove(&(deadline, id));
        self.count_peers(client.remote.ip(), allocation.peers(), Peers::default());
        let is_pair = allocation.opening.as_ref().is_some_and(|opening| opening.wanted == Wanted::Pair);
        for relayed in allocation.relayed() {
            self.directory.count_down(user, client.remote.ip(), relayed.port.family, true);
            self.quiet(relayed.port.family).remove(client.remote.ip(), quiet_since, id);
            self.close_port(relayed);
            if is_pair {
                self.ports.take_back(partner(relayed.port));
            }
        }
        if why != EndReason::NoPort {
            self.stats.freed += 1;
            self.output.events.push_back(Event::Ended { client, why });
        }
        let is_taken_back = matches!(why, EndReason::Revoked | EndReason::CredentialExpired);
        if is_taken_back && client.transport.is_stream() {
            self.output.commands.push_back(Command::CloseClient(client));
        }
        self.count_stored();
    }

    fn close_port(&mut self, relayed: Relayed) {
        self.ports.release(relayed.port);
        self.output.commands.push_back(Command::ClosePort(relayed.port));
        if let Some(address) = self.external.relay_addr(relayed.port) {
            self.directory.remove(address);
            self.output.events.push_back(Event::News(News::Freed { relayed: address }));
        }
    }
}
