//! What ends by itself, and how an allocation ends.

use std::time::{Duration, Instant};

use super::Server;
use super::allocation::{Allocation, AllocationId, Relayed};
use super::output::{Command, EndReason, Event};
use super::ports::{Wanted, partner};
use crate::address::Family;
use crate::news::News;

/// How often members whose credentials have run out are forgotten, as long as there are any.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Server {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        [deadline, self.directory.next_reservation(), self.sweep_at].into_iter().flatten().min()
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.expire(id, now);
        }
        while let Some(port) = self.directory.expired_reservation(now) {
            self.ports.take_back(port);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.directory.sweep(self.clock.unix_s(now));
            self.sweep_at = None;
            self.put_sweep(now);
        }
        self.count_stored();
    }

    /// Wants a sweep in a while, if there is anything to sweep.
    pub(super) fn put_sweep(&mut self, now: Instant) {
        if self.directory.members() > 0 && self.sweep_at.is_none() {
            self.sweep_at = Some(now + SWEEP_EVERY);
        }
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
            let (user, client) = (allocation.user.clone(), allocation.client);
            self.directory.count_down(&user, client.remote.ip());
            self.close_port(relayed);
        }
        self.put_deadline(id);
    }

    /// The end of an allocation: its ports are closed, everything about it is forgotten, everyone is told.
    pub(super) fn end(&mut self, id: AllocationId, why: EndReason) {
        let Some(allocation) = self.allocations.remove(id) else { return };
        let Allocation { client, ref user, deadline, .. } = allocation;
        self.clients.remove(&client);
        self.deadlines.remove(&(deadline, id));
        self.stats.stored.permissions -= allocation.permissions.len();
        self.stats.stored.channels -= allocation.channels.len();
        let is_pair = allocation.opening.as_ref().is_some_and(|opening| opening.wanted == Wanted::Pair);
        for relayed in allocation.relayed() {
            self.directory.count_down(user, client.remote.ip());
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
