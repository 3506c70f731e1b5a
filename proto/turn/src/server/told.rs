//! What other threads and the lobby tell.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::Server;
use super::directory::{Holder, Reservation};
use super::output::EndReason;
use super::timers::ENDS_PER_TURN;
use crate::address::RelayAddr;
use crate::news::{GroupId, MemberId, News};
use crate::stats::Discard;

/// Allocations that the lobby ended, from one on.
pub(super) struct TakeBack {
    pub since: Instant,
    group: GroupId,
    /// `None`: of all who are not let in again.
    member: Option<MemberId>,
    after: (MemberId, RelayAddr),
}

impl Server {
    pub(super) fn told(&mut self, news: &News, now: Instant) {
        match news {
            News::Allocated { relayed, .. } if self.is_own(*relayed) => {}
            News::Allocated { user, group, client, relayed } => {
                self.told_freed(*relayed);
                self.ports.lend_if_free(relayed.port());
                self.directory.count_up(user, *client, relayed.port().family, false);
                let (user, group) = (user.clone(), group.clone());
                self.directory.add(*relayed, Holder { user, group, client: *client, own: None });
            }
            News::Freed { relayed } => {
                self.told_freed(*relayed);
                self.ports.take_back(relayed.port());
            }
            News::Reserved { token, port, user } => {
                let expires = now + self.limits.reservation_lifetime;
                self.ports.lend_if_free(*port);
                self.directory
                    .reserve(*token, Reservation { port: *port, user: user.clone(), expires, client: None });
            }
            News::Redeemed { token } => self.directory.redeem(token),
            News::Granted { group, peer, address, expires } => {
                if !self.directory.groups.granted(group, peer, *address, *expires) {
                    self.stats.discard(Discard::DirectoryFull);
                }
            }
            News::Revoked { group, peer } => {
                self.directory.groups.revoked(group, peer);
                self.take_back(group, Some(peer), now);
            }
            News::GroupClosed { group } => {
                self.directory.groups.closed(group);
                self.take_back(group, None, now);
            }
        }
        self.count_stored();
    }

    /// News about a relayed address of our own is an echo.
    fn is_own(&self, relayed: RelayAddr) -> bool {
        self.directory.holder(relayed).is_some_and(|holder| holder.own.is_some())
    }

    /// Another thread's relayed address is gone.
    fn told_freed(&mut self, relayed: RelayAddr) {
        if !self.is_own(relayed)
            && let Some(holder) = self.directory.remove(relayed)
        {
            self.directory.count_down(&holder.user, holder.client, relayed.port().family, false);
        }
    }

    /// Ends the allocations of one member, or of all. Those still being opened end once they are open.
    fn take_back(&mut self, group: &GroupId, member: Option<&MemberId>, now: Instant) {
        // No relayed address has port 0, so this is before the first.
        let first = RelayAddr(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let after = (member.cloned().unwrap_or_else(|| MemberId::new("")), first);
        let take_back = TakeBack { since: now, group: group.clone(), member: member.cloned(), after };
        if let Some(rest) = self.take_back_some(take_back) {
            self.taking_back.push_back(rest);
        }
    }

    pub(super) fn go_on_taking_back(&mut self, now: Instant) {
        if self.taking_back.front().is_some_and(|next| next.since <= now)
            && let Some(next) = self.taking_back.pop_front()
            && let Some(rest) = self.take_back_some(next)
        {
            self.taking_back.push_back(rest);
        }
    }

    /// Ends some of them and returns what is left to do. Whoever was let in again meanwhile keeps what he has.
    fn take_back_some(&mut self, mut take_back: TakeBack) -> Option<TakeBack> {
        let TakeBack { group, member, after, .. } = &mut take_back;
        let some = self.directory.groups.own(group, after, ENDS_PER_TURN);
        for next in &some {
            let (owner, relayed) = next;
            if member.as_ref().is_some_and(|member| member != owner) {
                return None;
            }
            if !self.directory.groups.has_member(group, owner)
                && let Some(id) = self.ports.owner(relayed.port())
            {
                self.end(id, EndReason::Revoked);
            }
            after.clone_from(next);
        }
        (some.len() == ENDS_PER_TURN).then_some(take_back)
    }
}
