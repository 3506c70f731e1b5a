//! The shapes of single values of the command line and the file: each is read from a string, and says what it wanted.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;

/// `A-B`: a range of ports, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (0 < first && first <= last).then_some(PortRange(first..=last))
        });
        range.ok_or_else(|| format!("`{text}` is not a range of ports such as 49152-65535"))
    }
}

/// `NAME:PASSWORD`: a static user of the relay. The name has no colon, the password may.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct User {
    pub name: String,
    pub password: String,
}

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                Ok(User { name: name.to_owned(), password: password.to_owned() })
            }
            // What was given is a secret, so it is not repeated.
            _ => Err("a user is given as NAME:PASSWORD, neither of them empty".to_owned()),
        }
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:…", self.name)
    }
}

/// A string that is never printed: a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(pub String);

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.len() {
            0..SECRET_BYTES_MIN => Err(format!("a secret has at least {SECRET_BYTES_MIN} characters")),
            _ => Ok(Secret(text.to_owned())),
        }
    }
}

/// A shorter secret can be found by trying: every credential that it signs is a test of a guess.
const SECRET_BYTES_MIN: usize = 8;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// One half of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// The page, signaling, /healthz and /metrics.
    Signaling,
    /// STUN and TURN.
    Relay,
}

macro_rules! from_string {
    ($($value:ty),*) => {$(
        impl TryFrom<String> for $value {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}
from_string!(PortRange, User, Secret);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_has_two_ends_in_order() {
        assert_eq!("49152-65535".parse(), Ok(PortRange(49152..=65535)));
        for wrong in ["", "1", "5-4", "0-9", "1-65536", "a-b", "1-2-3", "-1"] {
            assert!(wrong.parse::<PortRange>().unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_password_may_hold_a_colon_and_is_never_printed() {
        let user: User = "ann:a:b".parse().unwrap();
        assert_eq!((user.name.as_str(), user.password.as_str()), ("ann", "a:b"));
        assert_eq!(format!("{user:?}"), "ann:…");
        assert!(!":secret".parse::<User>().unwrap_err().contains("secret"));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!("1234567".parse::<Secret>().is_err());
        assert_eq!(format!("{:?}", "12345678".parse::<Secret>().unwrap()), "…");
    }
}
