//! What comes from the server: data from peers at once, answers to their requests.

use std::time::Instant;

use twocan_stun::attribute::{Data as DataAttribute, XorPeerAddress};
use twocan_stun::{AttributeType, Class, Message, Method};

use super::Client;
use super::output::{Data, Discard};
use super::request::What;
use crate::wire::{ChannelData, is_channel_data};

impl Client {
    pub(super) fn inbound<'a>(&mut self, bytes: &'a [u8], now: Instant) -> Result<Option<Data<'a>>, Discard> {
        if bytes.first().is_some_and(|first| is_channel_data(*first)) {
            let ChannelData { channel, data } = ChannelData::parse(bytes).ok_or(Discard::ChannelData)?;
            let peer = self.peers.peer_of(channel).ok_or(Discard::UnknownChannel)?;
            self.heard_at = now;
            return Ok(Some(Data { peer, bytes: data }));
        }
        let message = Message::parse(bytes)?;
        match message.class() {
            Class::Indication if message.method() == Method::DATA => self.data(&message, now),
            Class::Request | Class::Indication => Err(Discard::NotForAClient),
            Class::Success | Class::Error => {
                self.answer(&message, now)?;
                self.heard_at = now;
                Ok(None)
            }
        }
    }

    /// A Data indication (RFC 8656 11.4). Whoever has sent something is worth a channel.
    fn data<'a>(&mut self, message: &Message<'a>, now: Instant) -> Result<Option<Data<'a>>, Discard> {
        if message.unknown_comprehension_required(AttributeType::ALL).next().is_some() {
            return Err(Discard::UnknownAttribute);
        }
        let XorPeerAddress(peer) = message.get()?.ok_or(Discard::Missing)?;
        if !self.peers.is_permitted(peer.ip()) {
            return Err(Discard::UnknownPeer);
        }
        // An ICMP error about what we sent has no DATA (RFC 8656 11.6): ICE finds out by itself.
        let Some(DataAttribute(bytes)) = message.get()? else { return Ok(None) };
        if self.relayed().is_some()
            && let Some(number) = self.peers.number_for(peer)
        {
            self.request(What::Bind(number, peer), now);
        }
        Ok(Some(Data { peer, bytes }))
    }
}
