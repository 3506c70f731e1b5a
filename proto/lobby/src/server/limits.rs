//! Every limit of the lobby machine, by name. `docs/protocol.md` §1.8 tells them to clients; a test reaches each.

use std::time::Duration;

/// A client's frame, bytes of JSON text.
pub const FRAME_BYTES_MAX: usize = 16_384;
/// A lobby's `data`, and a filter, bytes.
pub const DATA_BYTES_MAX: usize = 2_048;
/// A member's `me`, bytes.
pub const ME_BYTES_MAX: usize = 512;
/// A password, bytes of UTF-8.
pub const PASSWORD_BYTES_MAX: usize = 128;
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
/// Bytes of one list, about: a list of the largest lobbies is shorter than [`LIST_MAX`].
pub const LIST_BYTES_MAX: usize = 49_152;
/// Lobbies looked at for one `list` or `quick` with a filter, newest first.
pub const SCANNED_MAX: usize = 2_000;
/// Changes told to one watcher at a time.
pub const CHANGES_MAX: usize = 100;
/// Lobbies that one watcher is kept informed of.
pub const SHOWN_MAX: usize = 1_000;
/// Shortest time between two reports of changes: four a second.
pub const LIST_INTERVAL: Duration = Duration::from_millis(250);

/// What `list`, `quick` and `update` count for, in frames: they cost more, or reach many.
pub const COSTLY_FRAMES: u32 = 5;
/// Frames credited for each new link, so that a large lobby can negotiate.
pub const FRAMES_PER_LINK: u32 = 20;
/// Frames refused one after another before the socket is closed with 4003.
pub const REFUSALS_MAX: u32 = 200;
/// Codes of which wrong guesses are remembered.
pub const GUESSED_CODES_MAX: usize = 65_536;
/// Passwords waiting to be hashed, from everyone.
pub const HASHES_MAX: usize = 64;
/// Passwords waiting to be hashed, from one address.
pub const HASHES_PER_ADDRESS: u32 = 8;
/// What those beyond are told to wait.
pub const HASH_RETRY: Duration = Duration::from_secs(2);
/// Lobbies up to which codes stay short.
pub const CODES_SHORT_MAX: usize = 30_000;

/// For `hello` to come.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// For a cut session to come back.
pub const RESUME_WITHIN: Duration = Duration::from_secs(30);
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

/// The limits an operator may want to change.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Frames a second that a session may send.
    pub frames_per_second: u32,
    /// Frames it may send at once.
    pub frames_burst: u32,
    /// Joins with a wrong code or password a minute, from one address.
    pub guesses_per_address: u32,
    /// Joins with a wrong password a minute, for one code.
    pub guesses_per_lobby: u32,
    /// Sockets from one address.
    pub sockets_per_address: u32,
    /// Sessions from one address.
    pub sessions_per_address: u32,
    /// Lobbies opened from one address, at a time.
    pub lobbies_per_address: u32,
    /// Lobbies opened from one address, a minute.
    pub openings_per_address: u32,
    /// Passwords hashed for one address, a minute.
    pub hashes_per_address: u32,
    /// Sessions in all.
    pub sessions: usize,
    /// Lobbies in all.
    pub lobbies: usize,
    /// Frames kept for a session that may come back.
    pub replay_frames: usize,
    /// Bytes kept for it.
    pub replay_bytes: usize,
    /// How long reflexive candidates wait for those of the other side; zero: not at all.
    pub hold: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_per_second: 20,
            frames_burst: 200,
            guesses_per_address: 10,
            guesses_per_lobby: 20,
            sockets_per_address: 128,
            sessions_per_address: 64,
            lobbies_per_address: 16,
            openings_per_address: 30,
            hashes_per_address: 60,
            sessions: 200_000,
            lobbies: 100_000,
            replay_frames: 256,
            replay_bytes: 262_144,
            hold: HOLD_WITHIN,
        }
    }
}
