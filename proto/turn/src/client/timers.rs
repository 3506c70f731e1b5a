//! What is due: requests to repeat or give up, the allocation, its permissions and channels, the way to the server.

use std::time::Instant;

use twocan_stun::client::Event as Answered;

use super::config::limits;
use super::request::What;
use super::{Client, State};

impl Client {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let requests = self.pending.iter().filter_map(|pending| pending.transaction.poll_timeout()).min();
        let State::Allocated { refresh_at, .. } = self.state else { return requests };
        let refresh_at = Some(refresh_at).filter(|_| !self.is_refreshing());
        let keepalive_at = Some(self.keepalive_at).filter(|_| !self.config.transport.is_stream());
        [requests, refresh_at, self.renew_at, keepalive_at].into_iter().flatten().min()
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        self.repeat_requests(now);
        let State::Allocated { refresh_at, .. } = self.state else { return };
        if now >= refresh_at {
            self.refresh(now);
        }
        if self.renew_at.is_some_and(|at| now >= at) {
            self.renew_at = None;
            self.renew(now);
        }
        if now >= self.keepalive_at && !self.config.transport.is_stream() {
            if !self.has_sent {
                self.send_keepalive();
            }
            self.has_sent = false;
            self.keepalive_at = now + limits::KEEPALIVE;
        }
    }

    fn repeat_requests(&mut self, now: Instant) {
        for pending in &mut self.pending {
            pending.transaction.handle_timeout(now);
        }
        self.flush();
        let over =
            |pending: &mut super::Pending| pending.transaction.poll_event() == Some(Answered::TimedOut);
        while let Some(index) = self.pending.iter_mut().position(over) {
            let pending = self.pending.swap_remove(index);
            self.timed_out(pending, now);
        }
    }

    /// Channels and permissions in use are asked for again.
    fn renew(&mut self, now: Instant) {
        let (numbers, ips) = self.peers.renew();
        for number in numbers {
            if let Some(peer) = self.peers.peer_of(number) {
                self.request(What::Bind(number, peer), now);
            }
        }
        self.request_permissions(&ips, now);
        self.renew_at = (!self.peers.is_empty()).then(|| now + limits::RENEW);
    }

    fn is_refreshing(&self) -> bool {
        self.pending.iter().any(|pending| pending.what == What::Refresh)
    }
}
