//! Rules that drop packets wherever they cross a segment, until they are taken back.

use crate::firewall::Service;
use crate::packet::Packet;
use crate::prefix::Prefix;
use crate::{BlockId, Network};

/// What is dropped: all that matches each part that is said. The default is everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// From there.
    pub source: Option<Prefix>,
    /// To there.
    pub destination: Option<Prefix>,
    /// By this protocol, to this port.
    pub service: Option<Service>,
}

impl Block {
    fn matches(&self, packet: &Packet) -> bool {
        let is_service = |service: Service| packet.flow().is_some_and(|flow| service.matches(&flow));
        self.source.is_none_or(|prefix| prefix.contains(packet.source))
            && self.destination.is_none_or(|prefix| prefix.contains(packet.destination))
            && self.service.is_none_or(is_service)
    }
}

impl Network {
    /// From now on, drops what matches, in every segment, before and after translations.
    pub fn block(&mut self, block: Block) -> BlockId {
        let id = BlockId(self.blocks_made);
        self.blocks_made += 1;
        self.blocks.push((id, block));
        id
    }

    /// Takes a rule back.
    pub fn unblock(&mut self, id: BlockId) {
        self.blocks.retain(|(other, _)| *other != id);
    }

    pub(super) fn is_blocked(&self, packet: &Packet) -> bool {
        self.blocks.iter().any(|(_, block)| block.matches(packet))
    }
}
