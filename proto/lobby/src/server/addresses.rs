//! What each address uses: sockets, sessions, lobbies, guesses. An IPv6 address counts as its /56.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::limits::{GUESSED_CODES_MAX, HASHES_PER_ADDRESS, Limits};
use super::rate::{Rate, Spent};
use crate::wire::names::{AppName, LobbyCode};

/// An address as limits see it: an IPv4 address, or the /56 of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 72)).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// What is counted per address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    Socket,
    Session,
    Lobby,
    Hash,
}

#[derive(Default)]
struct Row {
    counts: [u32; 4],
    guesses: Option<Spent>,
}

/// Guesses charged for one join; they are given back when it was right.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    address: AddressKey,
    code: Option<(AppName, LobbyCode)>,
}

pub(super) struct Addresses {
    rows: BTreeMap<AddressKey, Row>,
    /// Guesses at each code, whether or not there is such a lobby: so being limited tells nothing.
    codes: BTreeMap<(AppName, LobbyCode), Spent>,
    most: [u32; 4],
    per_address: Rate,
    per_lobby: Rate,
}

impl Addresses {
    pub fn new(limits: &Limits) -> Self {
        Self {
            rows: BTreeMap::new(),
            codes: BTreeMap::new(),
            most: [
                limits.sockets_per_address,
                limits.sessions_per_address,
                limits.lobbies_per_address,
                HASHES_PER_ADDRESS,
            ],
            per_address: Rate::per_minute(limits.guesses_per_address),
            per_lobby: Rate::per_minute(limits.guesses_per_lobby),
        }
    }

    /// Counts one more, unless that is too many.
    pub fn take(&mut self, key: AddressKey, what: Use) -> bool {
        let count = &mut self.rows.entry(key).or_default().counts[what as usize];
        let free = *count < self.most[what as usize];
        *count += u32::from(free);
        free
    }

    /// There is room for one more.
    pub fn fits(&self, key: AddressKey, what: Use) -> bool {
        self.rows.get(&key).is_none_or(|row| row.counts[what as usize] < self.most[what as usize])
    }

    /// Counts one more, though it is too many: it is there until it is closed.
    pub fn take_beyond(&mut self, key: AddressKey, what: Use) {
        self.rows.entry(key).or_default().counts[what as usize] += 1;
    }

    /// Counts one less.
    pub fn give(&mut self, key: AddressKey, what: Use, now: Instant) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.counts[what as usize] = row.counts[what as usize].saturating_sub(1);
            // Wrong guesses are remembered beyond the socket that made them.
            if row.counts == [0; 4] && row.guesses.is_none_or(|spent| spent.is_full(now)) {
                self.rows.remove(&key);
            }
        }
        if self.rows.len() > GUESSED_CODES_MAX {
            self.rows.retain(|_, row| {
                row.counts != [0; 4] || row.guesses.is_some_and(|spent| !spent.is_full(now))
            });
        }
    }

    /// Charges one guess to the address and the code, or says how long to wait.
    pub fn charge(
        &mut self,
        address: AddressKey,
        code: Option<(AppName, LobbyCode)>,
        now: Instant,
    ) -> Result<Charge, Duration> {
        if self.codes.len() >= GUESSED_CODES_MAX {
            self.codes.retain(|_, spent| !spent.is_full(now));
        }
        let table_full = self.codes.len() >= GUESSED_CODES_MAX;
        let row = self.rows.entry(address).or_default();
        let by_address = row.guesses.get_or_insert(Spent::nothing(now));
        by_address.spend(1, self.per_address, now)?;
        if let Some(key) = &code {
            let spent = match self.codes.get_mut(key) {
                Some(spent) => spent.spend(1, self.per_lobby, now),
                None if table_full => Err(Duration::from_secs(60)),
                None => {
                    self.codes.entry(key.clone()).or_insert(Spent::nothing(now)).spend(1, self.per_lobby, now)
                }
            };
            if let Err(wait) = spent {
                by_address.refund(1, self.per_address);
                return Err(wait);
            }
        }
        Ok(Charge { address, code })
    }

    /// The guess was right: it does not count.
    pub fn refund(&mut self, charge: &Charge, now: Instant) {
        if let Some(spent) = self.rows.get_mut(&charge.address).and_then(|row| row.guesses.as_mut()) {
            spent.refund(1, self.per_address);
        }
        if let Some(key) = &charge.code
            && let Some(spent) = self.codes.get_mut(key)
        {
            spent.refund(1, self.per_lobby);
            if spent.is_full(now) {
                self.codes.remove(key);
            }
        }
    }
}
