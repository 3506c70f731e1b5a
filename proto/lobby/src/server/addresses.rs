//! What each household uses and has spent: sockets, sessions, lobbies, hashes, bytes; openings, guesses, entries.
//! `docs/limits.md` has what it comes to over all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

use twocan_base::{Household, Ledger, Rate, Spent};

use super::limits::{CODES_PER_ADDRESS_MAX, GUESSED_CODES_MAX, HOUSEHOLDS_MAX, Limits};
use crate::wire::names::{AppName, LobbyCode};

/// What is limited in time per household.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paced {
    /// Joins with a wrong code, of sessions that guessed wrong before.
    Guess,
    /// The same, of sessions that did not.
    FirstGuess,
    Opening,
    Hash,
    /// New sessions.
    Session,
    /// Ways into a lobby.
    Entry,
    /// Reports of links that are counted in the metrics.
    Report,
}

const PACED: usize = 7;
/// Rows looked at for each one that is asked for, so that those with nothing to remember go.
const SWEPT_EACH: usize = 4;

type CodeKey = (AppName, LobbyCode);

/// Wrong passwords at one code.
#[derive(Clone, Debug)]
struct AtCode {
    key: CodeKey,
    /// Of sessions that guessed wrong before; of those that did not.
    spent: [Spent; 2],
}

#[derive(Default)]
struct Row {
    /// By [`Paced`].
    spent: [Option<Spent>; PACED],
    codes: Vec<AtCode>,
}

impl Row {
    fn spent(&mut self, what: Paced, now: Instant) -> &mut Spent {
        self.spent[what as usize].get_or_insert(Spent::nothing(now))
    }

    fn at_code(&mut self, key: &CodeKey, now: Instant) -> &mut AtCode {
        let nothing = || AtCode { key: key.clone(), spent: [Spent::nothing(now); 2] };
        let at = match self.codes.iter().position(|each| each.key == *key) {
            Some(at) => at,
            None => {
                self.codes.retain(|each| !each.is_full(now));
                if self.codes.len() >= CODES_PER_ADDRESS_MAX {
                    self.codes.remove(0);
                }
                self.codes.push(nothing());
                self.codes.len() - 1
            }
        };
        &mut self.codes[at]
    }

    /// All that was spent has come back.
    fn is_empty(&self, now: Instant) -> bool {
        self.spent.iter().flatten().all(|spent| spent.is_full(now))
            && self.codes.iter().all(|each| each.is_full(now))
    }
}

impl AtCode {
    fn is_full(&self, now: Instant) -> bool {
        self.spent.iter().all(|spent| spent.is_full(now))
    }
}

/// A guess that was charged; it is given back when it was right.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    address: IpAddr,
    what: Paced,
    /// For a password: at which code, and how much.
    code: Option<(CodeKey, u32)>,
}

pub(super) struct Addresses {
    pub sockets: Ledger,
    pub sessions: Ledger,
    pub lobbies: Ledger,
    pub hashes: Ledger,
    /// Frames kept, signals that wait, what lobbies say of themselves.
    pub bytes: Ledger,
    rows: BTreeMap<Household, Row>,
    swept: Option<Household>,
    /// Wrong passwords at each code from all, whether or not there is such a lobby: so being limited tells nothing.
    codes: BTreeMap<CodeKey, Spent>,
    swept_code: Option<CodeKey>,
    /// By [`Paced`].
    rates: [Rate; PACED],
    /// Of one household at one code, as [`AtCode`] has it.
    at_code: [Rate; 2],
    per_code: Rate,
}

impl Addresses {
    pub fn new(limits: &Limits) -> Self {
        Self {
            sockets: Ledger::new(limits.sockets),
            sessions: Ledger::new(limits.sessions),
            lobbies: Ledger::new(limits.lobbies),
            hashes: Ledger::new(limits.hashes),
            bytes: Ledger::new(limits.bytes),
            rows: BTreeMap::new(),
            swept: None,
            codes: BTreeMap::new(),
            swept_code: None,
            rates: [
                Rate::per_minute(limits.guesses_per_address),
                Rate::per_minute(limits.first_guesses_per_address),
                Rate::per_minute(limits.openings_per_address),
                Rate::per_minute(limits.hashes_per_address),
                limits.session_starts,
                limits.entries,
                Rate::per_minute(limits.reports_per_address),
            ],
            at_code: [limits.passwords_per_address, limits.first_passwords_per_address].map(Rate::per_minute),
            per_code: Rate::per_minute(limits.passwords_per_code),
        }
    }

    /// Spends one of what is paced, or says how long to wait.
    pub fn spend(&mut self, address: IpAddr, what: Paced, now: Instant) -> Result<(), Duration> {
        let rate = self.rates[what as usize];
        self.row(address, now).spent(what, now).spend(1, rate, now)
    }

    /// Charges one guess: at a code alone, or at the password of one. `is_first`: this session has not guessed wrong before,
    /// and is not to pay for a neighbour who has. Or says how long to wait.
    pub fn charge(
        &mut self,
        address: IpAddr,
        password_at: Option<CodeKey>,
        is_first: bool,
        now: Instant,
    ) -> Result<Charge, Duration> {
        let what = if is_first { Paced::FirstGuess } else { Paced::Guess };
        let Some(key) = password_at else {
            self.spend(address, what, now)?;
            return Ok(Charge { address, what, code: None });
        };
        let units = self.charge_code(address, &key, is_first, now)?;
        Ok(Charge { address, what, code: Some((key, units)) })
    }

    /// A wrong password counts at its code, for the household and for all. Where all together guess too much, a household
    /// that has not guessed there lately still has one try a minute: a lock against guessing is none against entering.
    fn charge_code(
        &mut self,
        address: IpAddr,
        key: &CodeKey,
        is_first: bool,
        now: Instant,
    ) -> Result<u32, Duration> {
        let (rate, per_code) = (self.at_code[usize::from(is_first)], self.per_code);
        let by_all = self.code(key, now).spend(1, per_code, now);
        let at_code = self.row(address, now).at_code(key, now);
        let units = match by_all {
            Ok(()) => 1,
            Err(_) if at_code.is_full(now) => rate.burst,
            Err(wait) => return Err(wait),
        };
        let spent = at_code.spent[usize::from(is_first)].spend(units, rate, now);
        if spent.is_err() && by_all.is_ok() {
            // A household that is stopped does not use up what all may guess.
            self.code(key, now).refund(1, per_code);
        }
        spent.map(|()| units)
    }

    /// The guess was right: it does not count.
    pub fn refund(&mut self, charge: &Charge, now: Instant) {
        let (at_code, per_code) = (self.at_code, self.per_code);
        let is_first = matches!(charge.what, Paced::FirstGuess);
        let rate = self.rates[charge.what as usize];
        let row = self.row(charge.address, now);
        let Some((key, units)) = &charge.code else {
            return row.spent(charge.what, now).refund(1, rate);
        };
        let at = usize::from(is_first);
        row.at_code(key, now).spent[at].refund(*units, at_code[at]);
        if *units == 1 {
            self.code(key, now).refund(1, per_code);
        }
    }

    /// A household's row. A few others are looked at, and go if there is nothing to remember.
    fn row(&mut self, address: IpAddr, now: Instant) -> &mut Row {
        let is_full = |rows: &BTreeMap<Household, Row>| rows.len() >= HOUSEHOLDS_MAX;
        sweep(&mut self.rows, &mut self.swept, is_full, |row| row.is_empty(now));
        self.rows.entry(address.into()).or_default()
    }

    fn code(&mut self, key: &CodeKey, now: Instant) -> &mut Spent {
        let is_full = |codes: &BTreeMap<CodeKey, Spent>| codes.len() >= GUESSED_CODES_MAX;
        sweep(&mut self.codes, &mut self.swept_code, is_full, |spent| spent.is_full(now));
        self.codes.entry(key.clone()).or_insert(Spent::nothing(now))
    }
}

/// Looks at the next few entries of a table and drops those that hold nothing; of a full table, at least one goes all the same.
fn sweep<K: Clone + Ord, V>(
    table: &mut BTreeMap<K, V>,
    swept: &mut Option<K>,
    is_full: impl Fn(&BTreeMap<K, V>) -> bool,
    is_empty: impl Fn(&V) -> bool,
) {
    let from = swept.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let looked: Vec<(K, bool)> = table
        .range((from, Bound::Unbounded))
        .take(SWEPT_EACH)
        .map(|(key, value)| (key.clone(), is_empty(value)))
        .collect();
    *swept = looked.last().map(|(key, _)| key.clone());
    for (key, empty) in &looked {
        if *empty {
            table.remove(key);
        }
    }
    if is_full(table) {
        let oldest = looked.first().map(|(key, _)| key.clone());
        if let Some(key) = oldest.or_else(|| table.keys().next().cloned()) {
            table.remove(&key);
        }
    }
}
