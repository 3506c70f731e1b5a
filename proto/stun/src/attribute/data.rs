//! DATA (RFC 8656 section 18.4).

use super::shape::bytes;

bytes!(
    /// What a peer sent, or shall get, uninterpreted.
    Data = DATA, at most 65_535
);
