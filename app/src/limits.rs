//! The limits that an operator may set: `--limit sessions-per-household=1000`, `TWOCAN_LIMIT`, or `[limits]` in the file. What each is for,
//! and what it costs, is in docs/limits.md.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::bail;
use serde::Deserialize;
use twocan_relay::StreamLimits;
use twocan_signaling::{Limits, Quota};

use crate::values::bytes;

/// Everything that a limit may be in.
#[derive(Clone, Debug)]
pub struct All {
    pub lobby: Limits,
    /// HTTP and WebSocket.
    pub connections: Quota,
    pub relay: twocan_turn::Limits,
    pub streams: StreamLimits,
}

/// One of them.
struct Limit {
    name: &'static str,
    what: &'static str,
    place: Place,
}

/// Where its number is.
enum Place {
    Number(fn(&mut All) -> &mut u32),
    /// Of everybody together.
    Total(fn(&mut All) -> &mut Quota),
    /// Of one household; a site has a multiple of it.
    Household(fn(&mut All) -> &mut Quota),
    /// Of a second, and as much at once.
    Rate(fn(&mut All) -> &mut twocan_turn::Rate),
}

const LIMITS: [Limit; 24] = [
    limit("connections", "HTTP and WebSocket connections", Place::Total(|all| &mut all.connections)),
    limit("connections-per-household", "of one household", Place::Household(|all| &mut all.connections)),
    limit("sockets", "WebSockets", Place::Total(|all| &mut all.lobby.sockets)),
    limit("sockets-per-household", "of one household", Place::Household(|all| &mut all.lobby.sockets)),
    limit("sessions", "sessions, with those that may come back", Place::Total(|all| &mut all.lobby.sessions)),
    limit("sessions-per-household", "of one household", Place::Household(|all| &mut all.lobby.sessions)),
    limit("lobbies", "open lobbies", Place::Total(|all| &mut all.lobby.lobbies)),
    limit("lobbies-per-household", "opened by one household", Place::Household(|all| &mut all.lobby.lobbies)),
    limit(
        "openings-per-household",
        "lobbies opened, a minute",
        Place::Number(|all| &mut all.lobby.openings_per_address),
    ),
    limit(
        "frames-per-second",
        "frames of one session",
        Place::Number(|all| &mut all.lobby.frames_per_second),
    ),
    limit("frames-at-once", "frames of one session", Place::Number(|all| &mut all.lobby.frames_burst)),
    limit(
        "guesses-per-session",
        "wrong joins, a minute",
        Place::Number(|all| &mut all.lobby.guesses_per_session),
    ),
    limit(
        "guesses-per-household",
        "wrong codes, a minute",
        Place::Number(|all| &mut all.lobby.guesses_per_address),
    ),
    limit(
        "passwords-per-code",
        "wrong passwords, a minute, from all",
        Place::Number(|all| &mut all.lobby.passwords_per_code),
    ),
    limit(
        "relay-connections",
        "TCP and TLS connections of the relay",
        Place::Total(|all| &mut all.streams.connections),
    ),
    limit(
        "relay-connections-per-household",
        "of one household",
        Place::Household(|all| &mut all.streams.connections),
    ),
    limit(
        "allocations",
        "allocations of one thread of the relay",
        Place::Number(|all| &mut all.relay.allocations),
    ),
    limit(
        "allocations-per-household",
        "relayed addresses of one family",
        Place::Number(|all| &mut all.relay.allocations_per_household),
    ),
    limit(
        "allocations-per-user",
        "relayed addresses of a --turn-user",
        Place::Number(|all| &mut all.relay.allocations_per_user),
    ),
    limit(
        "allocations-per-member",
        "relayed addresses of a member of a lobby",
        Place::Number(|all| &mut all.relay.allocations_per_member),
    ),
    limit(
        "permissions-per-allocation",
        "permissions",
        Place::Number(|all| &mut all.relay.permissions_per_allocation),
    ),
    limit("channels-per-allocation", "channels", Place::Number(|all| &mut all.relay.channels_per_allocation)),
    limit(
        "bytes-per-user",
        "relayed bytes a second, of one allocation of a --turn-user",
        Place::Rate(|all| &mut all.relay.bytes),
    ),
    limit(
        "bytes-per-member",
        "relayed bytes a second, of one allocation of a member of a lobby",
        Place::Rate(|all| &mut all.relay.bytes_of_member),
    ),
];

const fn limit(name: &'static str, what: &'static str, place: Place) -> Limit {
    Limit { name, what, place }
}

/// What the operator says, by name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Chosen(BTreeMap<String, Amount>);

/// A number, with a unit perhaps: `4M`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
struct Amount(u64);

/// As the file has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Amount {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Ok(Amount(number)),
            Written::Text(text) => {
                let number = bytes(&text).map(Amount);
                number.ok_or_else(|| format!("`{text}` is not a number such as 1000 or 4M"))
            }
        }
    }
}

/// `NAME=N`.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice(String, Amount);

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` is not a limit such as sessions-per-household=1000");
        let (name, amount) = text.split_once('=').ok_or_else(wanted)?;
        let amount = bytes(amount.trim()).map(Amount).ok_or_else(wanted)?;
        known(name.trim())?;
        Ok(Choice(name.trim().to_owned(), amount))
    }
}

/// The limit of that name, or which there are.
fn known(name: &str) -> Result<&'static Limit, String> {
    LIMITS.iter().find(|limit| limit.name == name).ok_or_else(|| {
        let names: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
        format!("there is no limit `{name}`; there are {}", names.join(", "))
    })
}

impl Chosen {
    /// Those of a file, with those of the command line over them.
    pub fn with(mut self, choices: &[Choice]) -> Chosen {
        self.0.extend(choices.iter().map(|Choice(name, amount)| (name.clone(), *amount)));
        self
    }

    /// Puts them in place.
    ///
    /// # Errors
    /// Where there is no such limit, or it cannot be so.
    pub fn apply(&self, all: &mut All) -> anyhow::Result<()> {
        for (name, Amount(number)) in &self.0 {
            let number = *number;
            let limit = known(name).map_err(anyhow::Error::msg)?;
            if number == 0 || !limit.set(all, number) {
                bail!("the limit {name} cannot be {number}");
            }
        }
        for limit in &LIMITS {
            if let Place::Household(quota) = limit.place
                && let quota = *quota(all)
                && quota.household > quota.total
            {
                bail!(
                    "{} is {}, more than the {} that there are for all",
                    limit.name,
                    quota.household,
                    quota.total
                );
            }
        }
        Ok(())
    }
}

impl Limit {
    /// `false`: it is a number of a smaller kind.
    fn set(&self, all: &mut All, number: u64) -> bool {
        let small = u32::try_from(number);
        match self.place {
            Place::Number(place) => small.map(|small| *place(all) = small).is_ok(),
            Place::Total(place) => {
                place(all).total = number;
                true
            }
            Place::Household(place) => {
                let quota = place(all);
                let sites = (quota.site / quota.household.max(1)).max(1);
                let (site, floor) = (number.saturating_mul(sites), quota.floor.min(number));
                *quota = Quota { household: number, site, floor, ..*quota };
                true
            }
            Place::Rate(place) => {
                let set = |small| *place(all) = twocan_turn::Rate { per_second: small, burst: small };
                small.map(set).is_ok()
            }
        }
    }

    fn get(&self, all: &mut All) -> u64 {
        match self.place {
            Place::Number(place) => u64::from(*place(all)),
            Place::Total(place) => place(all).total,
            Place::Household(place) => place(all).household,
            Place::Rate(place) => u64::from(place(all).per_second),
        }
    }
}

/// All of them as they are, as the file has them.
pub fn print(mut all: All) -> String {
    let line = |limit: &Limit| format!("{} = {} # {}\n", limit.name, limit.get(&mut all), limit.what);
    LIMITS.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> All {
        All {
            lobby: Limits::default(),
            connections: twocan_signaling::Config::CONNECTIONS,
            relay: twocan_turn::Limits::default(),
            streams: StreamLimits::default(),
        }
    }

    fn chosen(text: &str) -> anyhow::Result<All> {
        let mut all = all();
        toml::from_str::<Chosen>(text)?.apply(&mut all)?;
        Ok(all)
    }

    #[test]
    fn each_can_be_set_and_is_printed_as_it_was_set() {
        for (at, limit) in LIMITS.iter().enumerate() {
            // Households have less than all.
            let number = if matches!(limit.place, Place::Total(_)) { 100_000 } else { 100 } + at as u64;
            let mut set = all();
            Chosen::default()
                .with(&[format!("{}={number}", limit.name).parse().unwrap()])
                .apply(&mut set)
                .unwrap();
            assert!(print(set.clone()).contains(&format!("{} = {number} #", limit.name)), "{}", limit.name);
            // And nothing else has changed.
            let (before, after) = (print(all()), print(set));
            let changed = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
            assert_eq!(changed.count(), 1, "{}", limit.name);
        }
    }

    #[test]
    fn what_is_printed_can_be_read() {
        assert_eq!(print(chosen(&print(all())).unwrap()), print(all()));
    }

    #[test]
    fn a_site_and_the_floor_follow_the_household() {
        let set = chosen("sessions-per-household = 1000").unwrap();
        assert_eq!((set.lobby.sessions.household, set.lobby.sessions.site), (1_000, 4_000));
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(chosen("bytes-per-member = '2M'").unwrap().relay.bytes_of_member.per_second, 2 << 20);
        assert!("bytes-per-member=2M".parse::<Choice>().is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        for (text, why) in [
            ("sesions = 5", "there is no limit `sesions`; there are connections, "),
            ("sessions = 0", "the limit sessions cannot be 0"),
            ("lobbies-per-household = 9999999", "lobbies-per-household is 9999999, more than the 2560"),
            ("frames-per-second = 5000000000", "the limit frames-per-second cannot be 5000000000"),
        ] {
            let error = chosen(text).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
        for text in ["sessions", "sessions=", "sessions=many", "sesions=5"] {
            assert!(text.parse::<Choice>().is_err(), "{text}");
        }
    }
}
