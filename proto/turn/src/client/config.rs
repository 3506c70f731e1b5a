//! What a client is told once, and its limits.

use std::time::Duration;

use twocan_stun::client::Schedule;

use crate::{Family, Transport};

/// Every limit of a client, by name.
pub mod limits {
    use std::time::Duration;

    /// Peers (IP addresses) with a permission; beyond: [`super::super::SendError::TooManyPeers`].
    pub const PERMISSIONS_MAX: usize = 256;
    /// Peers (addresses and ports) with a channel; beyond: Send indications.
    pub const CHANNELS_MAX: usize = 128;
    /// How often one request is sent anew because of a stale nonce (438); then it has failed.
    pub const ATTEMPTS_MAX: u8 = 4;
    /// Bytes of data to a peer: what fits a UDP datagram.
    pub const DATA_LEN_MAX: usize = 65_507;
    /// The longest time to a refresh, whatever lifetime the server gives.
    pub const REFRESH_MAX: Duration = Duration::from_secs(3_600);
    /// The shortest time to a refresh, whatever lifetime the server gives.
    pub const REFRESH_MIN: Duration = Duration::from_secs(5);
    /// How long before the end of its lifetime an allocation is refreshed; half the lifetime if that is shorter.
    pub const REFRESH_MARGIN: Duration = Duration::from_secs(60);
    /// How often permissions and channels are asked for again: they last 5 and 10 minutes (RFC 8656 9, 12).
    pub const RENEW: Duration = Duration::from_secs(240);
    /// How long a peer that was refused is left alone.
    pub const REFUSED: Duration = Duration::from_secs(1);
    /// How often a silent UDP path to the server is kept open.
    pub const KEEPALIVE: Duration = Duration::from_secs(20);
    /// How long requests other than the first Allocate are repeated before the allocation is given up as lost.
    pub const PATIENCE: Duration = Duration::from_secs(30);
    /// How long a Refresh that frees the allocation is repeated.
    pub const PATIENCE_CLOSING: Duration = Duration::from_secs(2);
    /// The shortest first wait for an answer, however fast earlier ones came.
    pub const FIRST_WAIT_MIN: Duration = Duration::from_millis(100);
    /// The longest.
    pub const FIRST_WAIT_MAX: Duration = Duration::from_millis(1_000);
}

/// Everything a [`super::Client`] is told once.
#[derive(Clone)]
pub struct Config {
    /// How the server is reached.
    pub transport: Transport,
    /// The user name of the long-term credential (RFC 8489 9.2).
    pub username: String,
    /// Its password.
    pub password: String,
    /// The family of the relayed address.
    pub family: Family,
    /// How long the first answer over UDP is waited for; each further wait is twice as long.
    pub first_wait: Duration,
    /// How long an Allocate is repeated before it has failed.
    pub patience: Duration,
    /// Whether to stop at [`super::Event::Challenged`] until [`super::Client::proceed`]: so that of several ways to one
    /// server the first that works is taken, and costs the server one allocation.
    pub hold: bool,
}

impl Config {
    /// For an IPv4 address by UDP, with the waits of a browser: 250 ms, and 10 s in all.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Config {
        Config {
            transport: Transport::Udp,
            username: username.into(),
            password: password.into(),
            family: Family::V4,
            first_wait: Duration::from_millis(250),
            patience: Duration::from_secs(10),
            hold: false,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("transport", &self.transport)
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// When a request is repeated that is given up after `patience`: the first wait doubles as long as a tenth of the
/// patience remains for the last answer.
pub(super) fn schedule(transport: Transport, first_wait: Duration, patience: Duration) -> Schedule {
    if transport.is_stream() {
        return Schedule { first_wait: patience, requests_max: 1, last_wait_factor: 1 };
    }
    let first_wait = first_wait.max(Duration::from_millis(1));
    let (mut requests_max, mut sent_at, mut wait) = (1, Duration::ZERO, first_wait);
    while sent_at + wait <= patience * 9 / 10 {
        sent_at += wait;
        wait *= 2;
        requests_max += 1;
    }
    let rest = patience.saturating_sub(sent_at);
    let last_wait_factor =
        u32::try_from(rest.as_millis() / first_wait.as_millis().max(1)).unwrap_or(u32::MAX);
    Schedule { first_wait, requests_max, last_wait_factor: last_wait_factor.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_over_udp_are_repeated_until_patience_ends() {
        let made = schedule(Transport::Udp, Duration::from_millis(250), Duration::from_secs(10));
        let expected =
            Schedule { first_wait: Duration::from_millis(250), requests_max: 6, last_wait_factor: 9 };
        assert_eq!(made, expected, "at 0, 250, 750, 1750, 3750, 7750, and 2250 ms more");
    }

    #[test]
    fn requests_over_a_stream_are_sent_once() {
        let made = schedule(Transport::Tls, Duration::from_millis(250), Duration::from_secs(10));
        assert_eq!((made.requests_max, made.first_wait), (1, Duration::from_secs(10)));
    }
}
