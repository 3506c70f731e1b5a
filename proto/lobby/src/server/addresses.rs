//! What each address uses: sockets, sessions, lobbies, guesses. An IPv6 address counts as its /56.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use twocan_base::{Rate, Spent};

use super::limits::{GUESSED_CODES_MAX, HASHES_PER_ADDRESS, Limits};
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

/// What is limited per address and minute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paced {
    Guess,
    Opening,
    Hash,
}

#[derive(Default)]
struct Row {
    counts: [u32; 4],
    /// By [`Paced`].
    spent: [Option<Spent>; 3],
}

impl Row {
    fn spent(&mut self, what: Paced, now: Instant) -> &mut Spent {
        self.spent[what as usize].get_or_insert(Spent::nothing(now))
    }

    /// Nothing is in use, and nothing that was spent has still to come back.
    fn is_empty(&self, now: Instant) -> bool {
        self.counts == [0; 4] && self.spent.iter().flatten().all(|spent| spent.is_full(now))
    }
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
    /// By [`Paced`].
    per_address: [Rate; 3],
    per_lobby: Rate,
    /// Rows at which those that are empty are looked for.
    sweep_at: usize,
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
            per_address: [limits.guesses_per_address, limits.openings_per_address, limits.hashes_per_address]
                .map(Rate::per_minute),
            per_lobby: Rate::per_minute(limits.guesses_per_lobby),
            sweep_at: GUESSED_CODES_MAX,
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
            if row.is_empty(now) {
                self.rows.remove(&key);
            }
        }
        if self.rows.len() > self.sweep_at {
            self.rows.retain(|_, row| !row.is_empty(now));
            // Only once it has doubled: a sweep that finds nothing is not repeated at every turn.
            self.sweep_at = GUESSED_CODES_MAX.max(2 * self.rows.len());
        }
    }

    /// Spends one of what is paced, or says how long to wait.
    pub fn spend(&mut self, key: AddressKey, what: Paced, now: Instant) -> Result<(), Duration> {
        let rate = self.per_address[what as usize];
        self.rows.entry(key).or_default().spent(what, now).spend(1, rate, now)
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
        let (by_address, rate) = (row.spent(Paced::Guess, now), self.per_address[Paced::Guess as usize]);
        by_address.spend(1, rate, now)?;
        if let Some(key) = &code {
            let spent = match self.codes.get_mut(key) {
                Some(spent) => spent.spend(1, self.per_lobby, now),
                None if table_full => Err(Duration::from_secs(60)),
                None => {
                    self.codes.entry(key.clone()).or_insert(Spent::nothing(now)).spend(1, self.per_lobby, now)
                }
            };
            if let Err(wait) = spent {
                by_address.refund(1, rate);
                return Err(wait);
            }
        }
        Ok(Charge { address, code })
    }

    /// The guess was right: it does not count.
    pub fn refund(&mut self, charge: &Charge, now: Instant) {
        if let Some(row) = self.rows.get_mut(&charge.address) {
            row.spent(Paced::Guess, now).refund(1, self.per_address[Paced::Guess as usize]);
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
