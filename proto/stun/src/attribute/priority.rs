//! PRIORITY (RFC 8445 section 7.1.1).

use super::shape::number;

number!(
    /// The priority of a candidate that this check may discover.
    Priority = PRIORITY, u32
);
