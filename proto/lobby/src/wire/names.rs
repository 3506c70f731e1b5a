//! Names: of applications, lobbies, peers, sessions and sockets. Each is a type of its own, so none passes for another.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The letters of lobby codes and peer names: none that people mistake for another.
pub const ALPHABET: &[u8; 29] = b"23456789ABCDEFGHJKMNPRSTVWXYZ";
/// Letters that lobby codes have: more of them where many are taken.
pub const CODE_LENGTHS: [usize; 5] = [4, 5, 6, CODE_LARGEST, CODE_LONG];
/// Letters where very many are taken.
pub const CODE_LARGEST: usize = 8;
/// Letters of a code that nobody can guess: one in 4·10¹⁴.
pub const CODE_LONG: usize = 10;

/// One socket, as `net/signaling` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One session; it outlives its socket by the resume window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub(crate) u64);

/// An application: 1–64 characters of `A-Z a-z 0-9 . _ -`. Lobbies of one are never seen by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppName(Arc<str>);

impl AppName {
    /// Reads a name; `None` where it breaks the rule above.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A lobby's code, in capitals: letters of [`ALPHABET`], as many as [`CODE_LENGTHS`] has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LobbyCode {
    letters: [u8; CODE_LONG],
    len: u8,
}

impl LobbyCode {
    /// Reads a code without regard to case. `None` where no lobby can have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters = [0; CODE_LONG];
        if !CODE_LENGTHS.contains(&text.len()) {
            return None;
        }
        for (slot, letter) in letters.iter_mut().zip(text.bytes()) {
            let letter = letter.to_ascii_uppercase();
            *slot = ALPHABET.contains(&letter).then_some(letter)?;
        }
        Some(Self { letters, len: text.len() as u8 })
    }

    /// The code as people read it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..usize::from(self.len)]).expect("letters are ASCII")
    }
}

/// A peer's public name: eight letters of [`ALPHABET`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId([u8; 8]);

impl PeerId {
    /// Reads a name as the server wrote it; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 8] = text.as_bytes().try_into().ok()?;
        letters.iter().all(|letter| ALPHABET.contains(letter)).then_some(Self(letters))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters are ASCII")
    }
}

/// One life of a lobby, as relay credentials name it: 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId([u8; 22]);

impl GroupId {
    /// Reads 22 characters of base64url; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 22] = text.as_bytes().try_into().ok()?;
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        letters.iter().all(plain).then_some(Self(letters))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters are ASCII")
    }
}

macro_rules! written_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom(stringify!($name)))
            }
        }
    )*};
}
written_as_text!(AppName LobbyCode PeerId GroupId);

macro_rules! debugged_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
debugged_as_text!(LobbyCode PeerId GroupId);
