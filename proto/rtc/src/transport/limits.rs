//! Every queue, table and string of the transport has its limit here.

use std::time::Duration;

/// Channels open at one time, ours and the peer's together.
pub const CHANNELS_MAX: usize = 1_024;
/// Bytes of a label, and of a protocol's name.
pub const LABEL_LEN_MAX: usize = 1_024;
/// Bytes waiting to be sent or acknowledged; past this `send` says [`Full`](super::SendError::Full).
pub const SEND_BUFFER_MAX: usize = 1 << 20;
/// Bytes of one message that we send or accept; what we offer as `a=max-message-size`.
pub const MESSAGE_LEN_MAX: usize = 256 * 1024;
/// Bytes of received data that are not yet whole messages, or not yet in order.
pub const RECEIVE_WINDOW: usize = 4 << 20;
/// Bytes of a datagram that we send.
pub const MTU: usize = 1_200;
/// How long the handshake, or an unacknowledged packet, may take before the peer is taken for dead.
pub const PEER_SILENCE_MAX: Duration = Duration::from_secs(60);
