//! CHANNEL-NUMBER (RFC 8656 section 18.1).

use super::shape::number;

number!(
    /// The number that stands for a peer. Which are allowed is for TURN to say.
    ChannelNumber = CHANNEL_NUMBER, u16, then 2
);
