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

/// `/twocan`: a path that others are below. It is kept without the slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BasePath(pub String);

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
        match path.strip_prefix('/') {
            Some(parts) if parts.split('/').all(is_part) => Ok(BasePath(path.to_owned())),
            None if path.is_empty() => Ok(BasePath(String::new())),
            _ => Err(format!("`{text}` is not a path such as /twocan")),
        }
    }
}

/// The name of a machine, as it stands in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(pub String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let is_name = (1..=253).contains(&text.len()) && text.bytes().all(is_plain);
        if is_name {
            Ok(HostName(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a name such as turn.example"))
        }
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
        let distinct = text.chars().collect::<std::collections::BTreeSet<char>>().len();
        // 128 bits in base64 have 22 letters, and 24 with their padding, which no word has.
        let is_base64 = text.len() == 24 && text.ends_with("==");
        if (text.len() < SECRET_BYTES_MIN && !is_base64) || distinct < SECRET_DISTINCT_MIN {
            let enough = format!("at least {SECRET_BYTES_MIN} random characters");
            return Err(format!("a secret has {enough}: openssl rand -hex 32 makes one"));
        }
        Ok(Secret(text.to_owned()))
    }
}

/// A shorter secret can be found by trying, on the guesser's own machine: every credential that it signs is a test of a guess.
const SECRET_BYTES_MIN: usize = 32;
/// Different characters in it; 32 random hexadecimal digits have fewer once in a hundred thousand.
const SECRET_DISTINCT_MIN: usize = 8;

/// `512M`, `2G`: an amount of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

/// The least memory that a server is of use with.
const SIZE_MIN: u64 = 64 << 20;

/// A number of bytes, with a unit of 1,024 times each perhaps.
pub fn bytes(text: &str) -> Option<u64> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find(|(unit, _)| text.ends_with([*unit, unit.to_ascii_lowercase()]));
    let (number, shift) = match unit {
        Some((_, shift)) => (&text[..text.len() - 1], *shift),
        None => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = bytes(text);
        match bytes {
            Some(SIZE_MIN..) => Ok(Size(bytes.unwrap_or_default())),
            Some(_) => Err(format!("`{text}` is too little memory: 64M at least")),
            None => Err(format!("`{text}` is not an amount of memory such as 512M or 2G")),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line for a person.
    #[default]
    Text,
    /// An object of JSON: `timestamp`, `level`, `message`, and the fields of the line.
    Json,
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

/// `scheme://host[:port]`, as browsers send it; `*.` before the host is any name below it, of https where no scheme is named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(pub String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = text.trim_end_matches('/').to_ascii_lowercase();
        let origin = if origin.starts_with("*.") { format!("https://{origin}") } else { origin };
        // Without the star it is an origin like any other.
        let is_origin = twocan_signaling::is_origin(&origin.replacen("://*.", "://", 1));
        if is_origin || matches!(&*origin, "*" | "null") {
            return Ok(Self(origin));
        }
        Err(format!(
            "`{text}` is not an origin such as https://play.example, https://*.play.example, tauri://localhost, null or *"
        ))
    }
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
from_string!(BasePath, HostName, PortRange, User, Secret, Size, Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_kept_without_its_last_slash() {
        for (text, kept) in
            [("/twocan", "/twocan"), ("/twocan/", "/twocan"), ("/a/b.c-d", "/a/b.c-d"), ("/", ""), ("", "")]
        {
            assert_eq!(text.parse(), Ok(BasePath(kept.to_owned())));
        }
        for text in ["twocan", "/a b", "/a//b", "/../b", "https://play.example/twocan", "/a?b"] {
            assert!(text.parse::<BasePath>().unwrap_err().contains(text), "{text}");
        }
    }

    #[test]
    fn origins_are_those_that_pages_and_apps_have() {
        for (text, expected) in [
            ("https://Play.example/", "https://play.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("*.play.example", "https://*.play.example"),
            ("https://*.play.example:8443", "https://*.play.example:8443"),
            ("tauri://localhost", "tauri://localhost"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("null", "null"),
            ("*", "*"),
        ] {
            assert_eq!(text.parse(), Ok(Origin(expected.to_owned())));
        }
        let wrong =
            ["play.example", "https://", "https://*", "https://a b", "https://u@play.example", "://x", ""];
        for text in wrong.into_iter().chain(["https://play.example/page", "https://a.*.example"]) {
            assert!(text.parse::<Origin>().unwrap_err().contains(text), "{text}");
        }
    }

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
    fn a_secret_that_can_be_guessed_is_refused_and_a_good_one_is_never_printed() {
        for weak in [
            "",
            "hunter22",
            "0123456789abcdef0123456789abcde",
            &"ab".repeat(32),
            "correct horse battery staple",
        ] {
            let error = weak.parse::<Secret>().unwrap_err();
            assert!(
                error.contains("openssl rand -hex 32") && (weak.is_empty() || !error.contains(weak)),
                "{error}"
            );
        }
        for good in ["6f1ed002ab5595859014ebf0951522d9", "bx7QAqtVlYWQFOvwlRUi2Q=="] {
            assert_eq!(format!("{:?}", good.parse::<Secret>().unwrap()), "…");
        }
    }

    #[test]
    fn memory_is_a_number_with_a_unit() {
        assert_eq!("512M".parse(), Ok(Size(512 << 20)));
        assert_eq!("2g".parse(), Ok(Size(2 << 30)));
        assert_eq!("67108864".parse(), Ok(Size(64 << 20)));
        for wrong in ["", "M", "1.5G", "-1G", "63M", "1000", "999999999999T"] {
            assert!(wrong.parse::<Size>().unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
    }
}
