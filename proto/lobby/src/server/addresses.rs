//! What each household uses and has spent: sockets, sessions, lobbies, hashes, bytes; openings, guesses, entries.
//! `docs/limits.md` has what it comes to over all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

use twocan_base::{Household, Ledger, Rate, Site, Spent};

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

pub(super) type CodeKey = (AppName, LobbyCode);

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

    /// Whether a session may guess: a code, and the password at `code` where it gives one. `is_first`: it has not guessed wrong
    /// before, and is not to pay for a neighbour who has. Or how long it is to wait.
    ///
    /// Where all together guess too much at one code, a household that has not guessed there lately still has a try: a lock
    /// against guessing is none against entering.
    pub fn may_guess(
        &mut self,
        address: IpAddr,
        code: Option<&CodeKey>,
        is_first: bool,
        now: Instant,
    ) -> Result<(), Duration> {
        let what = if is_first { Paced::FirstGuess } else { Paced::Guess };
        let rate = self.rates[what as usize];
        self.row(address, now).spent(what, now).check(1, rate, now)?;
        let Some(key) = code else { return Ok(()) };
        let (rate, per_code) = (self.at_code[usize::from(is_first)], self.per_code);
        let by_all = self.code(key, now).check(1, per_code, now);
        // At one code, a site is one: a /48 has 256 households to try with.
        let at_code = self.row(Site::from(address).address(), now).at_code(key, now);
        match by_all {
            Err(_) if at_code.is_full(now) => Ok(()),
            Err(wait) => Err(wait),
            Ok(()) => at_code.spent[usize::from(is_first)].check(1, rate, now),
        }
    }

    /// It guessed, and it was wrong: only then it counts. A siege costs a household all that it may guess there in a minute.
    pub fn guessed_wrong(&mut self, address: IpAddr, code: Option<&CodeKey>, is_first: bool, now: Instant) {
        let what = if is_first { Paced::FirstGuess } else { Paced::Guess };
        let rate = self.rates[what as usize];
        self.row(address, now).spent(what, now).spend_surely(1, rate, now);
        let Some(key) = code else { return };
        let (rate, per_code) = (self.at_code[usize::from(is_first)], self.per_code);
        let spent = self.code(key, now);
        let units = if spent.check(1, per_code, now).is_ok() { 1 } else { rate.burst };
        if units == 1 {
            spent.spend_surely(1, per_code, now);
        }
        let site = Site::from(address).address();
        self.row(site, now).at_code(key, now).spent[usize::from(is_first)].spend_surely(units, rate, now);
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
