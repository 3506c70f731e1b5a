//! Names nobody can guess, from one seeded generator (ChaCha20), so that a run can be replayed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::wire::names::{ALPHABET, GroupId, LobbyCode, PeerId, SessionId};

pub(super) struct Ids(ChaCha20Rng);

impl Ids {
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number that says nothing of how many there are.
    pub fn session(&mut self) -> SessionId {
        SessionId(u64::from_be_bytes(self.bytes()))
    }

    pub fn peer(&mut self) -> PeerId {
        let text = self.letters(8);
        PeerId::parse(&text).expect("eight letters of the alphabet")
    }

    pub fn group(&mut self) -> GroupId {
        let text = URL_SAFE_NO_PAD.encode(self.bytes::<16>());
        GroupId::parse(&text).expect("16 bytes are 22 characters")
    }

    pub fn code(&mut self, letters: usize) -> LobbyCode {
        let text = self.letters(letters);
        LobbyCode::parse(&text).expect("letters of the alphabet")
    }

    /// Five bits a letter; values beyond the alphabet are drawn again, so that each letter is as likely.
    fn letters(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        while text.len() < count {
            let [byte] = self.bytes::<1>();
            if let Some(letter) = ALPHABET.get(usize::from(byte & 31)) {
                text.push(char::from(*letter));
            }
        }
        text
    }
}
