//! The numbers of the client's side, the same as the SDK's for pages.

use std::time::Duration;

/// From the beginning of a socket to its welcome.
pub const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// From a request to its reply.
pub const REPLY_WITHIN: Duration = Duration::from_secs(15);
/// From the last frame received to a ping.
pub const PING_AFTER: Duration = Duration::from_secs(15);
/// From a ping to the end of patience with a silent socket.
pub const PONG_WITHIN: Duration = Duration::from_secs(10);
/// The same where there is reason to think that it is dead, beside half the time from the beginning of the socket to its welcome: two round trips or more.
pub const DOUBT_WITHIN: Duration = Duration::from_millis(500);
/// Sockets that failed in a row before the server is given up: about a minute.
pub const ATTEMPTS_MAX: u32 = 16;
/// The same of a session in a lobby: about a quarter of an hour, longer than a seat waits.
pub const SEATED_ATTEMPTS_MAX: u32 = 240;
/// First wait before a new socket; it doubles, and is drawn from 50 to 100 % of that.
pub const BACKOFF: Duration = Duration::from_millis(250);
/// Longest wait before a new socket.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Frames sent at once: a little below what the server allows.
pub const BURST: u32 = 180;
/// Between two frames of a session that has used up its burst.
pub const FRAME_EVERY: Duration = Duration::from_nanos(1_000_000_000 / 18);
/// A message's JSON: the 16,384 bytes of a frame, less 64 for its `id` and `ack`. The server ends a session that goes
/// beyond.
pub const MESSAGE_BYTES_MAX: usize = 16_320;
/// Frames that wait for the server; beyond, requests are refused with `backlog`, and notes are dropped.
pub const OUTBOX_FRAMES_MAX: usize = 1_024;
/// Frames received before they are acknowledged without being asked.
pub const ACK_EVERY: u64 = 64;

/// From the beginning of a link to the first description of the other side; what comes after that is the connection's
/// to time.
pub const HEAR_WITHIN: Duration = Duration::from_secs(20);
/// From one connection of a link to the next, where the other side begins anew: each costs sockets and allocations.
pub const ANEW_EVERY: Duration = Duration::from_millis(500);
/// And twice as long from each to the next, so many times.
pub const ANEW_DOUBLINGS: u64 = 4;
/// Of silence before a link that was up is said to be mended.
pub const FALTER_AFTER: Duration = Duration::from_millis(300);
/// What the restart over the link itself is given, before the ticket is used.
pub const ALONE_FOR: Duration = Duration::from_millis(200);
/// How long a member that closed its page may take to come back, as a reload does.
pub const RELOAD_WITHIN: Duration = Duration::from_secs(60);
/// How long one whose link was given up is waited for at the server.
pub const AWAY_WITHIN: Duration = Duration::from_secs(600);
/// From one return to the server to the next, while a link is down and the other side is not back.
pub const RETURN_EVERY: Duration = Duration::from_secs(4);
/// The same where nothing is mended, and somebody is waited for.
pub const LOOK_EVERY: Duration = Duration::from_secs(12);
/// How long a report waits for the way that a link takes to be known.
pub const REPORT_WITHIN: Duration = Duration::from_millis(500);
/// Candidates of ours that are kept to be said again over the link, when the server lets go.
pub const RECENT_MAX: usize = 32;
/// Members of a lobby that are kept, whatever the server says.
pub const MEMBERS_MAX: usize = 256;
/// Lobbies in a list that are kept, whatever the server says.
pub const LISTED_MAX: usize = 1_024;
