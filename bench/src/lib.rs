//! What the measurements share: the stacks behind one set of doors, pretend networks, tables.

pub mod bulk;
pub mod connect;
pub mod ice;
pub mod memory;
pub mod peer;
pub mod progress;
pub mod report;
pub mod veth;
