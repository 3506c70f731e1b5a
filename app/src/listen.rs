//! Which addresses the server listens on, and which it tells others: worked out from the settings and this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::bail;
use twocan_turn::External;

use crate::network::{ipv4_somewhere, ipv6_somewhere};
use crate::settings::Settings;

/// The port of `--http` where none is said.
const HTTP_PORT: u16 = 8080;
/// The port of STUN and TURN where none is said (RFC 8489 18.6).
const TURN_PORT: u16 = 3478;

/// Where to listen, and what to advertise.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    pub http: Vec<SocketAddr>,
    pub turn: Vec<SocketAddr>,
    pub turns: Vec<SocketAddr>,
    /// The addresses of relayed candidates, one per family.
    pub external: External,
    /// Whether the operator named the external addresses, rather than us finding them.
    pub external_named: bool,
}

impl Listen {
    /// `primary` tells the address by which this machine is reached in a family: [`crate::network::primary_address`].
    pub fn new(
        settings: &Settings,
        primary: impl Fn(SocketAddr) -> Option<IpAddr>,
    ) -> anyhow::Result<Listen> {
        let any = |port| -> Vec<SocketAddr> {
            // A machine without IPv6 has no primary address of it, and cannot bind `::`. Whoever names one has it.
            let has_v6 =
                primary(ipv6_somewhere()).is_some() || settings.external_ip.iter().any(IpAddr::is_ipv6);
            let v6 = has_v6.then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
            std::iter::once(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).chain(v6).collect()
        };
        let default = |port| match settings.public {
            true => any(port),
            false => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        };
        let http = settings.http.map_or_else(|| default(HTTP_PORT), |address| vec![address]);
        let turn = if settings.turn.is_empty() { default(TURN_PORT) } else { settings.turn.clone() };
        let mut external = External { v4: None, v6: None };
        for &address in &settings.external_ip {
            match address {
                IpAddr::V4(v4) if external.v4.is_none() => external.v4 = Some(v4),
                IpAddr::V6(v6) if external.v6.is_none() => external.v6 = Some(v6),
                _ => bail!("--external-ip is given twice for one family: {address} is one too many"),
            }
        }
        let external_named = !settings.external_ip.is_empty();
        let mut listen = Listen { http, turn, turns: settings.turns.clone(), external, external_named };
        if !external_named {
            listen.external = listen.found(primary);
        }
        Ok(listen)
    }

    /// The addresses of relayed candidates, as far as this machine can know.
    pub fn found(&self, primary: impl Fn(SocketAddr) -> Option<IpAddr>) -> External {
        let mut found = External { v4: None, v6: None };
        for listener in self.turn.iter().chain(&self.turns) {
            match advertised(*listener, &primary) {
                Some(IpAddr::V4(v4)) => found.v4 = found.v4.or(Some(v4)),
                Some(IpAddr::V6(v6)) => found.v6 = found.v6.or(Some(v6)),
                None => {}
            }
        }
        found
    }

    /// One of them, to tell people.
    pub fn external_any(&self) -> Option<IpAddr> {
        self.external.addresses().next()
    }
}

/// The address by which a listener is reached, as far as this machine can know.
fn advertised(listener: SocketAddr, primary: impl Fn(SocketAddr) -> Option<IpAddr>) -> Option<IpAddr> {
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => primary(ipv4_somewhere()),
        IpAddr::V6(ip) if ip.is_unspecified() => primary(ipv6_somewhere()),
        ip => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dual(remote: SocketAddr) -> Option<IpAddr> {
        Some(if remote.is_ipv4() { "192.0.2.7".parse().unwrap() } else { "2001:db8::7".parse().unwrap() })
    }

    fn ipv4_only(remote: SocketAddr) -> Option<IpAddr> {
        remote.is_ipv4().then(|| "192.0.2.7".parse().unwrap())
    }

    fn text(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_settings_only_this_machine_is_served() {
        let listen = Listen::new(&Settings::default(), dual).unwrap();
        assert_eq!(text(&listen.http), ["127.0.0.1:8080"]);
        assert_eq!(text(&listen.turn), ["127.0.0.1:3478"]);
        assert_eq!((listen.external.v4, listen.external.v6), (Some(Ipv4Addr::LOCALHOST), None));
    }

    #[test]
    fn public_means_all_addresses_of_both_families() {
        let public = Settings { public: true, ..Settings::default() };
        let listen = Listen::new(&public, dual).unwrap();
        assert_eq!(text(&listen.http), ["0.0.0.0:8080", "[::]:8080"]);
        assert_eq!(text(&listen.turn), ["0.0.0.0:3478", "[::]:3478"]);
        assert_eq!(listen.external.v4, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(listen.external.v6, Some("2001:db8::7".parse().unwrap()));
    }

    #[test]
    fn public_without_ipv6_listens_on_ipv4_alone() {
        let public = Settings { public: true, ..Settings::default() };
        let listen = Listen::new(&public, ipv4_only).unwrap();
        assert_eq!(
            (text(&listen.http), text(&listen.turn)),
            (vec!["0.0.0.0:8080".into()], vec!["0.0.0.0:3478".into()])
        );
    }

    #[test]
    fn public_with_a_named_ipv6_address_listens_on_ipv6_before_there_is_a_route() {
        let external_ip = vec!["2001:db8::7".parse().unwrap()];
        let listen =
            Listen::new(&Settings { public: true, external_ip, ..Settings::default() }, ipv4_only).unwrap();
        assert_eq!(text(&listen.turn), ["0.0.0.0:3478", "[::]:3478"]);
    }

    #[test]
    fn a_named_address_outweighs_public_and_what_we_would_find() {
        let settings = Settings {
            public: true,
            http: Some("127.0.0.1:9000".parse().unwrap()),
            external_ip: vec!["203.0.113.5".parse().unwrap()],
            ..Settings::default()
        };
        let listen = Listen::new(&settings, dual).unwrap();
        assert_eq!(text(&listen.http), ["127.0.0.1:9000"]);
        assert_eq!((listen.external.v4, listen.external.v6), (Some("203.0.113.5".parse().unwrap()), None));
    }

    #[test]
    fn two_external_addresses_of_one_family_are_refused() {
        let external_ip = vec!["203.0.113.5".parse().unwrap(), "203.0.113.6".parse().unwrap()];
        let settings = Settings { external_ip, ..Settings::default() };
        assert!(Listen::new(&settings, dual).unwrap_err().to_string().contains("203.0.113.6"));
    }
}
