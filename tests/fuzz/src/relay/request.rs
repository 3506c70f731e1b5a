//! What a client that knows the protocol, and breaks it at will, has to say.

use twocan_stun::attribute::{
    AdditionalAddressFamily, ChangeRequest, ChannelNumber, Data, DontFragment, EvenPort, Family, Lifetime,
    Nonce, Padding, Realm, RequestedAddressFamily, RequestedTransport, ReservationToken, ResponsePort,
    Username, XorPeerAddress,
};
use twocan_stun::{BuildError, Builder, Class, Method, TransactionId};

use super::cast::REALM;
use super::{Cause, World};
use crate::input::Input;

/// A message in the making fits.
const ROOM: usize = 1_024;

impl World {
    /// A request with a credential, unless the story wants it otherwise.
    pub(super) fn request(&mut self, input: &mut Input<'_>) -> Option<Cause> {
        let index = self.client(input)?;
        let flags = input.byte()?;
        let method = input.pick(&[
            Method::ALLOCATE,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::REFRESH,
            Method::ALLOCATE,
            Method::BINDING,
        ])?;
        let mut buffer = [0; ROOM];
        // Few transaction ids, so that some requests repeat one.
        let id = TransactionId([input.byte()? & 3; 12]);
        let mut builder = Builder::new(&mut buffer, Class::Request, method, id).expect("there is room");
        match method {
            Method::ALLOCATE => self.allocate(&mut builder, input)?,
            Method::REFRESH => add_lifetime(&mut builder, input)?,
            Method::CREATE_PERMISSION => {
                for _ in 0..input.byte()? % 5 {
                    builder.add(&XorPeerAddress(self.peer(input)?)).expect("there is room");
                }
            }
            Method::CHANNEL_BIND => {
                let number = ChannelNumber(0x3FFE_u16.wrapping_add(u16::from(input.byte()?)));
                builder.add(&number).expect("there is room");
                builder.add(&XorPeerAddress(self.peer(input)?)).expect("there is room");
            }
            _ => discover(&mut builder, input)?,
        }
        let packet = self.protect(builder, index, flags).expect("there is room");
        Some(self.say(index, &packet))
    }

    fn allocate(&self, builder: &mut Builder<'_>, input: &mut Input<'_>) -> Option<()> {
        let wants = input.byte()?;
        let result = (|| {
            if wants & 1 == 0 {
                builder.add(&RequestedTransport::UDP)?;
            }
            if wants & 2 != 0 {
                builder.add(&RequestedAddressFamily(Family::V6))?;
            }
            if wants & 4 != 0 {
                builder.add(&AdditionalAddressFamily(Family::V6))?;
            }
            if wants & 8 != 0 {
                builder.add(&EvenPort { reserve_next: wants & 16 != 0 })?;
            }
            if wants & 32 != 0 {
                builder.add(&ReservationToken(self.token))?;
            }
            if wants & 64 != 0 {
                builder.add(&DontFragment)?;
            }
            Ok::<(), BuildError>(())
        })();
        result.expect("there is room");
        if wants & 128 != 0 { add_lifetime(builder, input) } else { Some(()) }
    }

    /// Adds what the server wants to see: nothing, half of it, or all.
    fn protect(&mut self, mut builder: Builder<'_>, index: usize, flags: u8) -> Result<Vec<u8>, BuildError> {
        let client = &self.clients[index];
        let Some(nonce) = client.nonce.as_ref().filter(|_| flags & 7 != 7) else {
            return Ok(builder.finish().to_vec());
        };
        let who = if flags & 0x38 == 0x38 { (index + 1) % self.clients.len() } else { index };
        let credential = &self.clients[who];
        builder.add(&Username(&credential.username))?.add(&Realm(REALM))?.add(&Nonce(nonce))?;
        let builder = builder.integrity(&credential.key)?;
        self.anyone_proved_himself = true;
        let bytes = if flags & 0x40 != 0 { builder.fingerprint()?.finish() } else { builder.finish() };
        Ok(bytes.to_vec())
    }

    /// A Send indication.
    pub(super) fn send(&mut self, input: &mut Input<'_>) -> Option<Cause> {
        let index = self.client(input)?;
        let (peer, data) = (self.peer(input)?, input.chunk()?);
        let mut buffer = [0; ROOM];
        let mut builder = Builder::new(&mut buffer, Class::Indication, Method::SEND, TransactionId([0; 12]))
            .expect("there is room");
        if data.first() == Some(&0xDF) {
            builder.add(&DontFragment).expect("there is room");
        }
        builder
            .add(&XorPeerAddress(peer))
            .and_then(|builder| builder.add(&Data(data)))
            .expect("there is room");
        let packet = builder.finish();
        Some(self.say(index, packet))
    }

    /// ChannelData whose length may lie.
    pub(super) fn channel_data(&mut self, input: &mut Input<'_>) -> Option<Cause> {
        let index = self.client(input)?;
        let number = 0x3FFE_u16.wrapping_add(u16::from(input.byte()?));
        let lie = input.byte()?;
        let data = input.chunk()?;
        let len = (data.len() as u16).wrapping_add(if lie > 250 { u16::from(lie) } else { 0 });
        let packet = [&number.to_be_bytes()[..], &len.to_be_bytes(), data].concat();
        Some(self.say(index, &packet))
    }
}

/// What RFC 5780 adds to a Binding request.
fn discover(builder: &mut Builder<'_>, input: &mut Input<'_>) -> Option<()> {
    let wants = input.byte()?;
    let result = (|| {
        if wants & 1 != 0 {
            builder.add(&ChangeRequest { ip: wants & 2 != 0, port: wants & 4 != 0 })?;
        }
        if wants & 8 != 0 {
            builder.add(&ResponsePort(u16::from(wants >> 4) * 1_000))?;
        }
        if wants & 0x30 == 0x10 {
            builder.add(&Padding(&[0; 100]))?;
        }
        Ok::<(), BuildError>(())
    })();
    result.expect("there is room");
    Some(())
}

fn add_lifetime(builder: &mut Builder<'_>, input: &mut Input<'_>) -> Option<()> {
    let seconds = input.pick(&[0, 1, 600, 3_600, 1_000_000, u32::MAX])?;
    builder.add(&Lifetime(seconds)).expect("there is room");
    Some(())
}
