//! Every queue, table and string of the transport has its limit here.

use std::time::Duration;

/// Channels open at one time, ours and the peer's together.
pub const CHANNELS_MAX: usize = 1_024;
/// Bytes of a label, and of a protocol's name.
pub const LABEL_LEN_MAX: usize = 1_024;
/// Bytes of messages that wait to be sent; past this `send` says [`Full`](super::SendError::Full).
pub const SEND_BUFFER_MAX: usize = 1 << 20;
/// Bytes of one message that we send or accept; what we offer as `a=max-message-size`.
pub const MESSAGE_LEN_MAX: usize = 256 * 1024;
/// Events that wait to be polled, beyond which received packets are dropped, and with them what is said of the path. Twice as many as the
/// messages that fit into [`RECEIVE_WINDOW`], so that a program that reads nothing holds the peer back long before.
pub const EVENTS_MAX: usize = 2 * RECEIVE_WINDOW / FRAGMENT_OVERHEAD;

/// Bytes of a datagram that we send, at most: with all headers as many as any path of IPv6 takes. Fewer until the path has shown
/// that it lets so many through.
pub const MTU: usize = 1_232;
/// Bytes of a datagram of the handshake: with the headers of UDP and IPv4 they are 1,200 (RFC 8831 5).
pub const HANDSHAKE_MTU: usize = 1_172;
/// Bytes by which DTLS makes a packet longer: 1.2 adds 37 at most.
pub const DTLS_OVERHEAD: usize = 40;
/// The same for 1.3.
pub const DTLS_13_OVERHEAD: usize = 22;
/// Bytes of datagrams that go out in one run, and how many of them: what the kernel takes at once (UDP_SEGMENT).
pub const RUN_LEN_MAX: usize = 64_000;
/// See [`RUN_LEN_MAX`].
pub const RUN_DATAGRAMS_MAX: usize = 64;
/// How long a handshake with one ClientHello may take before another is listened to.
pub const HELLO_PATIENCE: Duration = Duration::from_secs(3);
/// How often a repeated ClientHello is answered.
pub const HELLO_REPEAT_PAUSE: Duration = Duration::from_millis(20);
/// How long a client whose peer answered waits for the handshake to end before it begins anew: somebody else may have answered.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a handshake that somebody disturbed.
pub const RESTART_PAUSE: Duration = Duration::from_millis(20);
/// The shortest pause between two attempts at a flight of the handshake.
pub const FLIGHT_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The same, on the side that answers the ClientHello.
pub const SERVER_FLIGHT_PAUSE_MIN: Duration = Duration::from_millis(400);
/// The longest pause between two attempts at a flight of the handshake.
pub const FLIGHT_PAUSE_MAX: Duration = Duration::from_millis(2_500);
/// Datagrams of application data that are kept until the handshake has ended.
pub const EARLY_RECORDS_MAX: usize = 8;
/// How long the handshakes may take before the peer is taken for dead.
pub const PEER_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a packet may be unacknowledged once they are done: whoever owns the path, and mends it, decides sooner.
pub const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(600);
/// From when an association is up to its first HEARTBEAT.
pub const HEARTBEAT_FIRST: Duration = Duration::from_secs(2);
/// From the last acknowledgement to a HEARTBEAT, where nothing is sent (RFC 9260 8.3 has 30 s).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// From one that was not answered to the next; twice that each time, up to the interval.
pub const HEARTBEAT_AGAIN: Duration = Duration::from_secs(1);
/// How long a close in good order may take.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long a passive end waits for the peer's INIT, which a client sends right behind its handshake, before it sends its own.
pub const INIT_WAIT: Duration = Duration::from_millis(200);

/// Bytes of received data that are not yet whole messages, or not yet in order.
pub const RECEIVE_WINDOW: usize = 4 << 20;
/// What a piece of a message, or a message that waits to be polled, costs besides its bytes.
pub const FRAGMENT_OVERHEAD: usize = 256;
/// Separate ranges of numbers received beyond what is missing.
pub const GAPS_MAX: usize = 1_024;
/// How far beyond the last number without gap another is taken.
pub const TSN_AHEAD_MAX: u64 = 32_768;
/// Bytes underway.
pub const IN_FLIGHT_MAX: usize = 4 << 20;
/// How long a single packet waits to be acknowledged (RFC 9260 6.2: at most 500 ms).
pub const SACK_DELAY: Duration = Duration::from_millis(20);
/// Retransmission timeout.
pub const RTO_MIN: Duration = Duration::from_millis(120);
/// Retransmission timeout, backed off.
pub const RTO_MAX: Duration = Duration::from_secs(2);
/// Bytes of control chunks waiting.
pub const CONTROL_MAX: usize = 1_000;
/// Packets of the handshake waiting.
pub const ALONE_MAX: usize = 8;
/// Bytes of the peer's state cookie.
pub const COOKIE_LEN_MAX: usize = 1_000;
