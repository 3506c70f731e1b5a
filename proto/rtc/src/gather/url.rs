//! URLs of STUN and TURN servers (RFC 7064, RFC 7065).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// What is spoken, and whether within TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `stun:`
    Stun,
    /// `stuns:`, which gives no candidates for data over UDP and is not asked.
    Stuns,
    /// `turn:`
    Turn,
    /// `turns:`
    Turns,
}

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UrlTransport {
    /// `?transport=udp`, and the default of `stun` and `turn`.
    Udp,
    /// `?transport=tcp`, and the default of `stuns` and `turns`.
    Tcp,
}

/// The URL of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IceUrl {
    /// What is spoken.
    pub scheme: Scheme,
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The port: 3478, or 5349 with TLS, where the URL has none.
    pub port: u16,
    /// How the server is reached.
    pub transport: UrlTransport,
    /// Whether the URL said so.
    has_transport: bool,
}

/// Not a URL of a STUN or TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum UrlError {
    /// Longer than [`IceUrl::LEN_MAX`].
    #[error("the URL is too long")]
    TooLong,
    /// Neither `stun`, `stuns`, `turn` nor `turns`.
    #[error("the scheme is none of stun, stuns, turn, turns")]
    Scheme,
    /// No host, or not one.
    #[error("the host is no name and no address")]
    Host,
    /// Not 1 to 65,535.
    #[error("the port is not a port")]
    Port,
    /// Something other than `transport=udp` and `transport=tcp`, or either after `stun`.
    #[error("what follows the port is not transport=udp or transport=tcp")]
    Query,
}

impl IceUrl {
    /// The longest URL that is read, bytes.
    pub const LEN_MAX: usize = 512;

    /// Reads `stun:host:port` or `turns:host:port?transport=tcp`.
    ///
    /// # Errors
    /// Says which part is wrong.
    pub fn parse(text: &str) -> Result<IceUrl, UrlError> {
        if text.len() > Self::LEN_MAX {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "stun" => Scheme::Stun,
            "stuns" => Scheme::Stuns,
            "turn" => Scheme::Turn,
            "turns" => Scheme::Turns,
            _ => return Err(UrlError::Scheme),
        };
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(port) => read_port(port)?,
            None if scheme.is_secure() => 5_349,
            None => 3_478,
        };
        let transport = match query {
            None if scheme.is_secure() => UrlTransport::Tcp,
            None => UrlTransport::Udp,
            Some(_) if matches!(scheme, Scheme::Stun | Scheme::Stuns) => return Err(UrlError::Query),
            Some(query) => match query.to_ascii_lowercase().as_str() {
                "transport=udp" => UrlTransport::Udp,
                "transport=tcp" => UrlTransport::Tcp,
                _ => return Err(UrlError::Query),
            },
        };
        Ok(IceUrl { scheme, host: host.into(), port, transport, has_transport: query.is_some() })
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl Scheme {
    /// Whether TLS is spoken.
    pub fn is_secure(self) -> bool {
        matches!(self, Scheme::Stuns | Scheme::Turns)
    }

    /// Whether the server relays.
    pub fn is_turn(self) -> bool {
        matches!(self, Scheme::Turn | Scheme::Turns)
    }
}

impl FromStr for IceUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<IceUrl, UrlError> {
        IceUrl::parse(text)
    }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Stun => "stun",
            Scheme::Stuns => "stuns",
            Scheme::Turn => "turn",
            Scheme::Turns => "turns",
        })?;
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, ":[{host}]:{port}") } else { write!(f, ":{host}:{port}") }?;
        match (self.has_transport, self.transport) {
            (false, _) => Ok(()),
            (true, UrlTransport::Udp) => f.write_str("?transport=udp"),
            (true, UrlTransport::Tcp) => f.write_str("?transport=tcp"),
        }
    }
}

/// Host and port; brackets of an IPv6 address are taken off.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if port.is_empty() => Ok((host, None)),
            None => Err(UrlError::Port),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
        return Err(UrlError::Host);
    }
    Ok((host, port))
}

fn read_port(text: &str) -> Result<u16, UrlError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Scheme, String, u16, UrlTransport) {
        let url = IceUrl::parse(text).unwrap();
        (url.scheme, url.host, url.port, url.transport)
    }

    #[test]
    fn a_url_without_a_port_has_the_one_of_its_scheme() {
        assert_eq!(parts("stun:a.example"), (Scheme::Stun, "a.example".into(), 3_478, UrlTransport::Udp));
        assert_eq!(parts("turns:192.0.2.1"), (Scheme::Turns, "192.0.2.1".into(), 5_349, UrlTransport::Tcp));
    }

    #[test]
    fn a_url_may_name_port_and_transport() {
        let tcp = parts("TURN:[2001:db8::1]:80?transport=TCP");
        assert_eq!(tcp, (Scheme::Turn, "2001:db8::1".into(), 80, UrlTransport::Tcp));
    }

    #[test]
    fn a_url_is_written_as_it_was_read() {
        for text in ["stun:a.example:1", "turn:[2001:db8::1]:80?transport=tcp", "turns:a:443"] {
            assert_eq!(IceUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        let cases = [
            ("http:a", UrlError::Scheme),
            ("stun", UrlError::Scheme),
            ("stun:", UrlError::Host),
            ("stun://a", UrlError::Host),
            ("stun:a b", UrlError::Host),
            ("stun:[::1", UrlError::Host),
            ("stun:[a]", UrlError::Host),
            ("stun:[::1]3", UrlError::Port),
            ("stun:a:", UrlError::Port),
            ("stun:a:0", UrlError::Port),
            ("stun:a:65536", UrlError::Port),
            ("stun:a:+1", UrlError::Port),
            ("stun:a?transport=udp", UrlError::Query),
            ("turn:a?transport=sctp", UrlError::Query),
            ("turn:a?", UrlError::Query),
        ];
        for (text, error) in cases {
            assert_eq!(IceUrl::parse(text), Err(error), "{text}");
        }
        assert_eq!(IceUrl::parse(&format!("stun:{}", "a".repeat(512))), Err(UrlError::TooLong));
    }
}
