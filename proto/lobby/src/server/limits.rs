//! Every limit of the lobby machine, by name. `docs/protocol.md` §1.8 tells them to clients; a test reaches each.

use std::time::Duration;

use twocan_base::{Quota, Rate};

/// Memory of a whole server that the default tables are made for, bytes.
pub const MEMORY_DEFAULT: u64 = 512 << 20;
/// A client's frame, bytes of JSON text.
pub const FRAME_BYTES_MAX: usize = 16_384;
/// A lobby's `data`, and a filter, bytes.
pub const DATA_BYTES_MAX: usize = 2_048;
/// A member's `me`, bytes.
pub const ME_BYTES_MAX: usize = 512;
/// A password, bytes of UTF-8: 128 letters of any script.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// A ticket, bytes: one of 64 members has about 1,300.
pub const TICKET_BYTES_MAX: usize = 4_096;
/// Fewest seats of a lobby.
pub const SIZE_MIN: i64 = 2;
/// Most seats of a lobby.
pub const SIZE_MAX: i64 = 64;
/// Seats where none are asked for.
pub const SIZE_DEFAULT: i64 = 8;
/// Highest number of a frame: what a page's number can hold.
pub const ID_MAX: u64 = (1 << 53) - 1;
/// Longest time to connect that a peer may report, ms.
pub const LINK_MS_MAX: u64 = 600_000;

/// Lobbies in one list.
pub const LIST_MAX: usize = 100;
/// Bytes of one list, about: a list of large lobbies is shorter than [`LIST_MAX`]. A socket's buffer keeps the room of the longest
/// frame that went through it.
pub const LIST_BYTES_MAX: usize = 24_576;
/// The same for a household that holds more than its share of bytes, or where they run short.
pub const LIST_BYTES_SHORT: usize = 4_096;
/// Bytes by which lobbies of a household count as more than another's, where a list cannot show all; within them the newest comes first.
pub const LIST_STEP_BYTES: usize = 512;
/// A site's lobbies together count as so many households'.
pub const LIST_SITE_SHARE: usize = 4;
/// Lobbies looked at for one `list` or `quick` with a filter, newest first.
pub const SCANNED_MAX: usize = 1_000;
/// Changes told to one watcher at a time.
pub const CHANGES_MAX: usize = 100;
/// Changes of one application that wait to be told; beyond, a change is told with the next one of the same lobby.
pub const CHANGED_MAX: usize = 16_384;
/// Lobbies that one watcher is kept informed of.
pub const SHOWN_MAX: usize = 500;
/// What remembering one of them is counted for, bytes.
pub const SHOWN_COST: u64 = 24;
/// Watchers told of what changed in one go; the others follow at once, with whatever else waits in between.
pub const WATCHERS_AT_ONCE: usize = 4;
/// Shortest time between two such goes, so that they leave most of the time to others.
pub const WATCHERS_INTERVAL: Duration = Duration::from_millis(2);
/// Shortest time between two reports of changes: four a second.
pub const LIST_INTERVAL: Duration = Duration::from_millis(250);

/// What `list`, `quick` and `update` count for, in frames: they cost more, or reach many.
pub const COSTLY_FRAMES: u32 = 5;
/// Frames credited for each new link, so that a large lobby can negotiate.
pub const FRAMES_PER_LINK: u32 = 20;
/// Frames refused one after another before the socket is closed with 4003.
pub const REFUSALS_MAX: u32 = 200;
/// Keys of a filter.
pub const FILTER_KEYS_MAX: usize = 16;

/// What keeping a frame or a signal takes besides its text, bytes.
pub const FRAME_OVERHEAD: usize = 64;
/// Bytes that may wait for one socket ([`frame_cost`](super::frame_cost) each); beyond, it is closed with 4002. Only what it
/// asked for itself gets that far: what others send waits once the queue is half full.
pub const QUEUE_BYTES_MAX: usize = 196_608;
/// Bytes that a socket's send buffer in the kernel may hold besides.
pub const KERNEL_BYTES_MAX: usize = 131_072;
/// Bytes kept for a session that may come back: all that a cut can lose.
pub const REPLAY_BYTES_MAX: usize = QUEUE_BYTES_MAX + KERNEL_BYTES_MAX;
/// Bytes kept of what was written for which a client is asked how far it has come.
pub const ASK_BYTES: usize = 16_384;
/// Waiting bytes below which a session gets what it asks for though its household uses more than its share.
pub const QUEUE_SMALL_BYTES: usize = 16_384;
/// Signals of one side of a link that wait until the other reads, bytes; beyond, they are refused.
pub const BACKLOG_BYTES_MAX: usize = 65_536;
/// Waiting signals below which a sender is not refused though its household uses more than its share.
pub const BACKLOG_SMALL_BYTES: usize = 8_192;
/// Pairs that `unsealed` names.
pub const MISSING_MAX: usize = 64;

/// Wrong joins of one session at once.
pub const GUESSES_PER_SESSION_BURST: u32 = 20;
/// Wrong joins after which a session's guesses count as those of somebody who guesses.
pub const GUESSES_FIRST: u8 = 2;
/// Households of which something is remembered; beyond, one is forgotten for each that comes.
pub const HOUSEHOLDS_MAX: usize = 32_768;
/// Codes of which wrong passwords are remembered; beyond, one is forgotten for each that comes.
pub const GUESSED_CODES_MAX: usize = 32_768;
/// Codes of which a household's wrong passwords are remembered.
pub const CODES_PER_ADDRESS_MAX: usize = 16;
/// What those are told to wait for whom there is no room at the moment: a password, a signal, an answer.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);
/// People shown out of one lobby that are remembered.
pub const BANS_MAX: usize = 256;
/// Households of which a lobby remembers how often they came in.
pub const ENTRANTS_MAX: usize = 256;
/// Completed lobbies of which it is remembered who was shown out when they came back.
pub const RETURNED_BANS_MAX: usize = 16_384;
/// Lobbies of one application up to which its codes have four letters, five, six; beyond, eight. A guess hits with less than
/// 1 in 14,000: 29⁴ ÷ 50, 29⁵ ÷ 1,400, 29⁶ ÷ 40,000.
pub const CODES_MAX: [usize; 3] = [50, 1_400, 40_000];

/// For `hello` to come.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// For a cut session without a lobby to come back, and for one with a seat where sessions are scarce.
pub const RESUME_WITHIN: Duration = Duration::from_secs(30);
/// For a member whose device sleeps, or has no network, to come back to its seat.
pub const AWAY_WITHIN: Duration = Duration::from_secs(600);
/// The same where a page was closed or reloaded.
pub const RELOAD_WITHIN: Duration = Duration::from_secs(20);
/// Without a socket until the others are told.
pub const AWAY_AFTER: Duration = Duration::from_secs(3);
/// From then on, until the lobby of an owner that is away belongs to a member that is there.
pub const OWNER_AWAY: Duration = Duration::from_secs(30);
/// For reflexive candidates to wait for those of the other side.
pub const HOLD_WITHIN: Duration = Duration::from_secs(1);
/// Signals that wait so, of one side of a link; what comes then goes at once.
pub const HELD_MAX: usize = 16;
/// For every pair of a sealed lobby to be linked.
pub const SEAL_WITHIN: Duration = Duration::from_secs(30);
/// For sealed lobbies to complete while the server shuts down.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// A lobby's longest life.
pub const LOBBY_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Of tickets.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Of relay credentials; in a lobby they are renewed at half of it. A browser refreshes an allocation with the credential it
/// was made with, whatever comes later, so the first one must last for the whole game. It is taken back when the lobby ends.
pub const GRANT_LIFETIME: Duration = TICKET_LIFETIME;

/// The limits an operator may want to change. An address is a household: an IPv4 address, or an IPv6 /56.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Frames a second that a session may send.
    pub frames_per_second: u32,
    /// Frames it may send at once.
    pub frames_burst: u32,
    /// Joins with a wrong code or password a minute, of one session.
    pub guesses_per_session: u32,
    /// Joins with a wrong code a minute, of an address's sessions that guessed wrong before.
    pub guesses_per_address: u32,
    /// The same of those that did not: they do not pay for their neighbours.
    pub first_guesses_per_address: u32,
    /// Wrong passwords at one code a minute, of an address's sessions that guessed wrong before.
    pub passwords_per_address: u32,
    /// The same of those that did not.
    pub first_passwords_per_address: u32,
    /// Wrong passwords at one code a minute, from all; beyond, one a minute of each address that has not tried lately.
    pub passwords_per_code: u32,
    /// Lobbies opened from one address, a minute.
    pub openings_per_address: u32,
    /// Passwords hashed for one address, a minute.
    pub hashes_per_address: u32,
    /// Reports of links from one address that are counted in the metrics, a minute.
    pub reports_per_address: u32,
    /// Signals of one side of a link, bytes: four whole negotiations at once.
    pub signal_bytes: Rate,
    /// New sessions of one address.
    pub session_starts: Rate,
    /// Ways into a lobby of one address.
    pub entries: Rate,
    /// The same into one lobby: a page has 500 connections in its life, and each entry takes one of everybody's.
    pub entries_of_lobby: Rate,
    /// Sockets.
    pub sockets: Quota,
    /// Sessions.
    pub sessions: Quota,
    /// Lobbies that are open, by who opened them.
    pub lobbies: Quota,
    /// Passwords that wait to be hashed.
    pub hashes: Quota,
    /// Passwords hashed at the same time.
    pub hashes_at_once: usize,
    /// Bytes of frames kept, of signals that wait, and of what lobbies say of themselves.
    pub bytes: Quota,
    /// How long reflexive candidates wait for those of the other side; zero: not at all.
    pub hold: Duration,
    /// How long a member's seat waits for it once its socket is gone.
    pub away: Duration,
    /// How long relay credentials last that a lobby's members get. Where the relay is told when somebody leaves, they may
    /// last for the whole game.
    pub grant_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_per_second: 20,
            frames_burst: 200,
            guesses_per_session: 12,
            guesses_per_address: 30,
            first_guesses_per_address: 60,
            passwords_per_address: 10,
            first_passwords_per_address: 30,
            passwords_per_code: 60,
            openings_per_address: 60,
            hashes_per_address: 480,
            reports_per_address: 600,
            signal_bytes: Rate::per_second(4_096, 65_536),
            session_starts: Rate::per_second(4, 512),
            entries: Rate::per_second(4, 512),
            entries_of_lobby: Rate { interval: Duration::from_secs(2), burst: 96 },
            sockets: Quota::new(2_560, 384),
            sessions: Quota::new(2_560, 384),
            lobbies: Quota::new(2_560, 128),
            hashes: Quota::new(1_024, 512),
            hashes_at_once: 1,
            bytes: Quota::new(48 << 20, 6 << 20),
            hold: HOLD_WITHIN,
            away: AWAY_WITHIN,
            grant_lifetime: GRANT_LIFETIME,
        }
    }
}

impl Limits {
    /// The default limits, with tables for a server of `memory` bytes instead of [`MEMORY_DEFAULT`].
    #[must_use]
    pub fn for_memory(memory: u64) -> Self {
        let scale = |quota: Quota| quota.scaled(memory, MEMORY_DEFAULT);
        let default = Self::default();
        Self {
            sockets: scale(default.sockets),
            sessions: scale(default.sessions),
            lobbies: scale(default.lobbies),
            bytes: scale(default.bytes),
            ..default
        }
    }
}
