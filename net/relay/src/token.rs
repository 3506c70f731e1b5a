//! What a readiness event is about, packed into mio's number.
//!
//! ```text
//! 63      60 59            36 35 32 31                0
//! |  kind  |   generation   |      |  index or port   |
//! ```

use twocan_turn::{Family, RelayPort};

/// A slot in the table of connections, and which of its successive tenants is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub index: u32,
    pub generation: u32,
}

impl Place {
    const GENERATION_BITS: u32 = 24;

    pub(crate) fn next_generation(generation: u32) -> u32 {
        (generation + 1) & ((1 << Place::GENERATION_BITS) - 1)
    }
}

/// The source of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Something is in the inbox.
    Inbox,
    /// A UDP listener, by its position.
    Udp(u32),
    /// A TCP or TLS listener, by its position.
    Acceptor(u32),
    /// A relayed port.
    Relay(RelayPort),
    /// A connection.
    Stream(Place),
}

const KIND_SHIFT: u32 = 60;
const GENERATION_SHIFT: u32 = 36;

impl From<Token> for mio::Token {
    fn from(token: Token) -> mio::Token {
        let (kind, generation, number) = match token {
            Token::Inbox => (0, 0, 0),
            Token::Udp(index) => (1, 0, index),
            Token::Acceptor(index) => (2, 0, index),
            Token::Relay(RelayPort { family: Family::V4, port }) => (3, 0, port.into()),
            Token::Relay(RelayPort { family: Family::V6, port }) => (4, 0, port.into()),
            Token::Stream(place) => (5, place.generation, place.index),
        };
        mio::Token(kind << KIND_SHIFT | (generation as usize) << GENERATION_SHIFT | number as usize)
    }
}

impl Token {
    /// `None` for a number that no token has.
    pub(crate) fn read(token: mio::Token) -> Option<Token> {
        let number = u32::try_from(token.0 & 0xFFFF_FFFF).ok()?;
        let generation = u32::try_from(token.0 >> GENERATION_SHIFT & 0xFF_FFFF).ok()?;
        let port = |family| Some(Token::Relay(RelayPort { family, port: u16::try_from(number).ok()? }));
        match token.0 >> KIND_SHIFT {
            0 => Some(Token::Inbox),
            1 => Some(Token::Udp(number)),
            2 => Some(Token::Acceptor(number)),
            3 => port(Family::V4),
            4 => port(Family::V6),
            5 => Some(Token::Stream(Place { index: number, generation })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_read_back_as_it_was_written() {
        let last = Place { index: u32::MAX, generation: Place::next_generation(0xFF_FFFE) };
        for token in [
            Token::Inbox,
            Token::Udp(3),
            Token::Acceptor(7),
            Token::Relay(RelayPort { family: Family::V4, port: 65_535 }),
            Token::Relay(RelayPort { family: Family::V6, port: 1 }),
            Token::Stream(Place { index: 0, generation: 1 }),
            Token::Stream(last),
        ] {
            assert_eq!(Token::read(token.into()), Some(token));
        }
        assert_eq!(Token::read(mio::Token(usize::MAX)), None);
    }

    #[test]
    fn generations_start_over_instead_of_spilling_into_the_kind() {
        assert_eq!(Place::next_generation(0xFF_FFFF), 0);
    }
}
