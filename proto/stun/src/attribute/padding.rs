//! PADDING (RFC 5780 section 7.6).

use super::shape::bytes;

bytes!(
    /// Makes a message so long that it is cut into fragments on its way.
    Padding = PADDING, at most 65_515
);
