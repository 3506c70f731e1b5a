//! The connection's own limits and times. Those of its parts are in [`transport::limits`](crate::transport::limits), [`gather`](crate::gather)
//! and `twocan_ice`.

use std::time::Duration;

/// From the first signal to the first time that data can flow.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// From the first sign of trouble to the end of mending.
pub const MEND_TIMEOUT: Duration = Duration::from_secs(90);
/// How long ICE may be `Disconnected` before it is restarted: what was given up is tried once more meanwhile.
pub const FALTER_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a side leaves it to what is under way, before it restarts ICE itself: to checks with the credentials in force where nobody carries an offer, and to the
/// controlling side where a direct path is looked for.
pub const RESTART_PATIENCE: Duration = Duration::from_secs(2);
/// How long a path that was found with the credentials in force may carry without a nomination before ICE is restarted over it, beside two round trips.
pub const NOMINATION_TIMEOUT: Duration = Duration::from_millis(150);
/// How long nothing may come by the selected pair while the other side sends by another one, beside a round trip, before the controlling side asks whether it is dead.
pub const TURNED_TIMEOUT: Duration = Duration::from_millis(50);
/// Between two restarts while a connection is mended; the side that answered begins half of this later.
pub const RESTART_INTERVAL: Duration = Duration::from_secs(8);
/// When ICE is restarted for a direct path, after a direct one was lost to a relayed one.
pub const DIRECT_RETRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(60)];

/// How long after a page's first reflexive candidate our private host candidates are said, see `connection/hosts.rs`.
pub const HOSTS_AFTER: Duration = Duration::from_millis(100);
/// And how long after its description at most.
pub const HOSTS_WITHIN: Duration = Duration::from_secs(1);

/// How long relays are kept after the last words went through them: a relay that is given back takes what it has not sent yet with it.
pub const FAREWELL_TIME: Duration = Duration::from_millis(100);
/// How long data may remain unacknowledged, beside two round trips, before ICE is to ask whether the path is still there.
pub const STALL_TIMEOUT: Duration = Duration::from_millis(300);
/// How long it may remain so, or a HEARTBEAT without its answer, while the checks of ICE are answered: they are by a page that has lost every way that it would send by. Then the path is not one.
pub const UNHEARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two such questions, or a round trip and a quarter.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(200);
/// And at most this, the longer nothing is acknowledged: an eighth of that time.
pub const PROBE_INTERVAL_MAX: Duration = Duration::from_millis(500);

/// Descriptions taken from the other side within [`DESCRIPTIONS_WITHIN`]: each may come by two ways.
pub const DESCRIPTIONS_MAX: usize = 20;
/// See [`DESCRIPTIONS_MAX`].
pub const DESCRIPTIONS_WITHIN: Duration = Duration::from_secs(10);
/// Candidates kept that came before the description they belong to.
pub const EARLY_CANDIDATES_MAX: usize = 64;
/// Names (`….local`) that are being resolved at one time.
pub const QUERIES_MAX: usize = 16;
/// Names that wait for their turn.
pub const WAITING_NAMES_MAX: usize = 48;
/// Bytes of a candidate, as it stands in a signal.
pub const CANDIDATE_LEN_MAX: usize = 1_024;

/// DTLS datagrams kept that came from a pair under check.
pub const EARLY_DATAGRAMS_MAX: usize = 8;
/// Bytes of them.
pub const EARLY_BYTES_MAX: usize = 16 * 1024;
/// DTLS datagrams that came in checks and are known again when they are repeated.
pub const EMBEDDED_KNOWN_MAX: usize = 4;
/// Sockets that one connection has at a time.
pub const SOCKETS_MAX: usize = 64;
/// TCP listeners that one connection has at a time.
pub const LISTENERS_MAX: usize = 16;
/// Streams between candidates at a time: so many that we open, and so many that come in.
pub const STREAMS_MAX: usize = 32;
/// How long a stream that came in may be without a check of the other side's; strangers have none.
pub const STRANGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of messages that wait in the connection to be polled; what comes beyond waits in the transport's window.
pub const UNREAD_BYTES_MAX: usize = 64 * 1024;
