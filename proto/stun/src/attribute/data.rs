//! DATA (RFC 8656 section 18.4).

use super::shape::bytes;

bytes!(
    /// What a peer sent, or shall get, uninterpreted: at most what fits one message.
    Data = DATA, at most 65_528
);
