//! A pretend internet.
//!
#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod arena;
mod event;
mod firewall;
mod ids;
pub mod kinds;
mod link;
mod mapping;
mod nat;
mod nat64;
mod network;
pub mod packet;
mod prefix;
mod random;
mod session;
mod stats;
pub mod tcp;

pub use event::{Delivery, Event, Place, Step, Summary};
pub use firewall::{FirewallConfig, Inbound, Outbound, Refusal, Service};
pub use ids::{BlockId, HostId, InterfaceId, PacketId, RouterId, SegmentId};
pub use kinds::Kind;
pub use link::{Access, Direction, Link};
pub use mapping::{MapError, Services};
pub use nat::{Allocation, Behavior, Hairpin, NatConfig, OnClash, Pooling, Uninvited};
pub use network::{Attachment, Block, Network, RouterConfig, SegmentConfig, Site, SiteConfig};
pub use packet::Packet;
pub use prefix::{NotAPrefix, Prefix};
pub use random::Chance;
pub use session::Timeouts;
pub use stats::{Drop, Stats};
