//! USERNAME (RFC 8489 section 14.3).

use super::shape::text;

text!(
    /// Who sends this, in ICE `theirs:mine`. Fewer than 509 bytes.
    Username = USERNAME, at most 508
);
