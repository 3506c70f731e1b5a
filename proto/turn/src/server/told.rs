//! What other threads and the lobby tell.

use std::time::Instant;

use super::Server;
use super::allocation::Grant;
use super::directory::{Holder, Reservation};
use super::output::EndReason;
use crate::address::RelayAddr;
use crate::news::{GroupId, MemberId, News};
use crate::stats::Discard;

impl Server {
    pub(super) fn told(&mut self, news: &News, now: Instant) {
        let until = self.clock.unix_s(now) + self.limits.credential_lifetime_max.as_secs();
        let max = self.limits.members;
        // What is taken back has a reserve of its own: a full table must not leave a door open.
        let max_taken_back = max.saturating_mul(2);
        let is_stored = match news {
            News::Allocated { relayed, .. } if self.is_own(*relayed) => true,
            News::Allocated { user, group, client, relayed } => {
                self.told_freed(*relayed);
                self.directory.count_up(user, *client);
                let (user, group) = (user.clone(), group.clone());
                self.directory.add(*relayed, Holder { user, group, client: *client, is_own: false });
                true
            }
            News::Freed { relayed } => {
                self.told_freed(*relayed);
                self.ports.take_back(relayed.port());
                true
            }
            News::Reserved { token, port, user } => {
                let expires = now + self.limits.reservation_lifetime;
                self.directory.reserve(*token, Reservation { port: *port, user: user.clone(), expires });
                true
            }
            News::Redeemed { token } => {
                self.directory.redeem(token);
                true
            }
            News::Granted { group, peer, address, expires } => {
                self.directory.granted(group, peer, *address, *expires, max)
            }
            News::Revoked { group, peer } => {
                let is_stored = self.directory.revoked(group, peer, until, max_taken_back);
                self.take_back(group, Some(peer));
                is_stored
            }
            News::GroupClosed { group } => {
                let is_stored = self.directory.closed(group, until, max_taken_back);
                self.take_back(group, None);
                is_stored
            }
        };
        if !is_stored {
            self.stats.discard(Discard::DirectoryFull);
        }
        self.put_sweep(now);
        self.count_stored();
    }

    /// News about a relayed address of our own is an echo.
    fn is_own(&self, relayed: RelayAddr) -> bool {
        self.directory.holder(relayed).is_some_and(|holder| holder.is_own)
    }

    /// Another thread's relayed address is gone.
    fn told_freed(&mut self, relayed: RelayAddr) {
        if !self.is_own(relayed)
            && let Some(holder) = self.directory.remove(relayed)
        {
            self.directory.count_down(&holder.user, holder.client);
        }
    }

    /// Ends the allocations of one member, or of all. Those still being opened end once they are open.
    fn take_back(&mut self, group: &GroupId, member: Option<&MemberId>) {
        for relayed in self.directory.own_of_group(group) {
            let Some(id) = self.ports.owner(relayed.port()) else { continue };
            let grant = self.allocations.get(id).and_then(|allocation| allocation.grant.as_ref());
            if grant.is_some_and(|grant: &Grant| member.is_none_or(|member| grant.member == *member)) {
                self.end(id, EndReason::Revoked);
            }
        }
    }
}
