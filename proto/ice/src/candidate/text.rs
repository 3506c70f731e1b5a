//! The text of a candidate (RFC 8839 section 5.1, RFC 6544 section 4.5), strictly read, unknown extensions passed over.
//!
//! ```text
//! candidate:1 1 udp 2122260223 192.0.2.7 54321 typ srflx raddr 10.0.0.2 rport 54321 ufrag Wx7q
//!           │ │ │   │          │         │         │                               └ extensions: name, value
//!           │ │ │   priority   address   port      kind
//!           │ │ transport
//!           │ component
//!           foundation
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::SplitAsciiWhitespace;

use super::{Candidate, Kind, Named, Parsed, TcpType, Transport};
use crate::credentials::is_ice_text;
use crate::{ParseError, pasted};

/// The longest name of a host.
const NAME_LEN_MAX: usize = 253;

impl Candidate {
    /// The longest text that is read, in bytes.
    pub const TEXT_LEN_MAX: usize = 1024;

    /// Reads `candidate:…`, with `a=` before it or not, and with what comes with text that was [pasted](crate::pasted).
    ///
    /// # Errors
    /// Says what is wrong; `UnknownTransport` and `UnknownKind` are to be ignored by whoever reads a description.
    pub fn parse(text: &str) -> Result<Parsed, ParseError> {
        if text.len() > Self::TEXT_LEN_MAX {
            return Err(ParseError::TooLong);
        }
        let text = pasted::tidy(text);
        let text = text.strip_prefix("a=").unwrap_or(&text).trim_start();
        let mut words =
            text.strip_prefix("candidate:").ok_or(ParseError::NotACandidate)?.split_ascii_whitespace();
        let mut word = || words.next().ok_or(ParseError::Truncated);
        let foundation = word()?.to_owned();
        if !is_ice_text(&foundation, 1, 32) {
            return Err(ParseError::Foundation);
        }
        let component = number(word()?).filter(|c| (1..=256).contains(c)).ok_or(ParseError::Component)?;
        let component = u16::try_from(component).map_err(|_| ParseError::Component)?;
        let transport = word()?.to_ascii_lowercase();
        let priority = number(word()?).filter(|p| *p > 0).ok_or(ParseError::Priority)?;
        let priority = u32::try_from(priority).map_err(|_| ParseError::Priority)?;
        let address = word()?;
        let port = number(word()?).and_then(|p| u16::try_from(p).ok()).ok_or(ParseError::Port)?;
        if word()? != "typ" {
            return Err(ParseError::NoKind);
        }
        let kind = kind_of(word()?)?;
        let extensions = Extensions::parse(words)?;
        let transport = match transport.as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp(extensions.tcp.ok_or(ParseError::TcpType)?),
            _ => return Err(ParseError::UnknownTransport),
        };
        let (related, ufrag) = (extensions.related(), extensions.ufrag);
        let with = |ip: IpAddr| Candidate {
            kind,
            transport,
            address: SocketAddr::new(ip, port),
            related,
            foundation,
            priority,
            component,
            ufrag,
        };
        match address.parse() {
            Ok(ip) => Ok(Parsed::Candidate(with(ip))),
            Err(_) if is_name(address) => {
                let name = address.to_owned();
                Ok(Parsed::Named(Named { name, port, candidate: with(Ipv4Addr::UNSPECIFIED.into()) }))
            }
            Err(_) => Err(ParseError::Address),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, address: &dyn fmt::Display) -> fmt::Result {
        let Candidate { foundation, component, transport, priority, kind, .. } = self;
        let port = self.address.port();
        write!(f, "candidate:{foundation} {component} {transport} {priority} {address} {port} typ {kind}")?;
        match self.related {
            Some(related) => write!(f, " raddr {} rport {}", related.ip(), related.port())?,
            None if *kind == Kind::Host => {}
            None if self.address.is_ipv6() => f.write_str(" raddr :: rport 0")?,
            None => f.write_str(" raddr 0.0.0.0 rport 0")?,
        }
        if let Transport::Tcp(tcp) = transport {
            write!(f, " tcptype {tcp}")?;
        }
        match &self.ufrag {
            Some(ufrag) => write!(f, " ufrag {ufrag}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &self.address.ip())
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.candidate.write(f, &self.name)
    }
}

/// What may follow the kind; the first of each counts.
#[derive(Default)]
struct Extensions {
    address: Option<IpAddr>,
    port: Option<u16>,
    tcp: Option<TcpType>,
    ufrag: Option<String>,
}

impl Extensions {
    fn parse(mut words: SplitAsciiWhitespace<'_>) -> Result<Extensions, ParseError> {
        let mut found = Extensions::default();
        while let Some(name) = words.next() {
            let value = words.next().ok_or(ParseError::Truncated)?;
            match name {
                // A name stands there where the address is hidden: it is of no use to us.
                "raddr" if found.address.is_none() => found.address = value.parse().ok(),
                "rport" if found.port.is_none() => {
                    let port = number(value).and_then(|p| u16::try_from(p).ok());
                    found.port = Some(port.ok_or(ParseError::Port)?);
                }
                "tcptype" if found.tcp.is_none() => found.tcp = Some(tcp_type_of(value)?),
                "ufrag" if found.ufrag.is_none() => {
                    if !is_ice_text(value, 4, 256) {
                        return Err(ParseError::Ufrag);
                    }
                    found.ufrag = Some(value.to_owned());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// An unspecified address is how one says that it is hidden.
    fn related(&self) -> Option<SocketAddr> {
        let address = self.address.filter(|address| !address.is_unspecified())?;
        Some(SocketAddr::new(address, self.port.unwrap_or(0)))
    }
}

fn kind_of(word: &str) -> Result<Kind, ParseError> {
    Ok(match word {
        "host" => Kind::Host,
        "srflx" => Kind::ServerReflexive,
        "prflx" => Kind::PeerReflexive,
        "relay" => Kind::Relayed,
        _ => return Err(ParseError::UnknownKind),
    })
}

fn tcp_type_of(word: &str) -> Result<TcpType, ParseError> {
    Ok(match word {
        "active" => TcpType::Active,
        "passive" => TcpType::Passive,
        "so" => TcpType::SimultaneousOpen,
        _ => return Err(ParseError::TcpType),
    })
}

/// Digits only: no sign, at most ten of them.
fn number(word: &str) -> Option<u64> {
    let digits = (1..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// Labels of letters, digits, `-` and `_`, the last of them not a number: `10.0.0.256` is a mistyped address, no name.
fn is_name(word: &str) -> bool {
    let labels_are_sound = word.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    let ends_in_a_word =
        word.rsplit('.').next().is_some_and(|label| !label.bytes().all(|byte| byte.is_ascii_digit()));
    word.len() <= NAME_LEN_MAX && labels_are_sound && ends_in_a_word
}
