//! The one place where the two halves meet: ICE servers, with relay credentials, for members of lobbies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use twocan_signaling::{Grant, GroupId, IceProvider, IceServer, IceServers, PeerId, is_loopback};
use twocan_turn::{MemberId, News, credential};

use crate::control::Control;
use crate::network::Found;

/// Makes ICE servers for the lobby, and tells the relay whom it may serve.
pub struct Ice {
    /// `None`: the relay runs elsewhere, or not at all.
    pub relay: Option<twocan_relay::Handle>,
    /// The way to a relay that runs elsewhere.
    pub elsewhere: Option<Control>,
    pub grant_key: [u8; 32],
    pub addresses: Addresses,
}

/// Where the relay is reached, as pages are to be told.
pub struct Addresses {
    /// STUN, and TURN over UDP and TCP.
    pub turn: Vec<SocketAddr>,
    /// TURN over TLS.
    pub turns: Vec<SocketAddr>,
    /// The name in the certificate of `turns`, where the operator says it.
    pub turns_host: Option<String>,
    /// Addresses that the operator named; they stand for an unspecified one.
    pub named: Vec<IpAddr>,
    /// Addresses that this machine seems to have, for when a request does not tell.
    pub found: Found,
}

impl IceProvider for Ice {
    fn grant(&self, grant: &Grant, host: &str) -> IceServers {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let expires = now + grant.lifetime.as_secs();
        let (group, peer) = (grant.group.to_string(), grant.peer.to_string());
        let username = credential::username(expires, &group, &peer);
        let password = credential::password(&self.grant_key, &username);
        let (group, peer) = (relay_group(&grant.group), MemberId::new(&peer));
        self.tell(News::Granted { group, peer, address: grant.address, expires });
        let servers = self.addresses.servers(asked_for(host, grant.address), &username, &password);
        IceServers { servers, expires: grant.lifetime.as_secs() }
    }

    fn revoke(&self, group: &GroupId, peer: &PeerId) {
        self.tell(News::Revoked { group: relay_group(group), peer: MemberId::new(&peer.to_string()) });
    }

    fn close_group(&self, group: &GroupId) {
        self.tell(News::GroupClosed { group: relay_group(group) });
    }
}

impl Ice {
    fn tell(&self, news: News) {
        if let Some(relay) = &self.relay {
            relay.tell_news(news);
        } else if let Some(control) = &self.elsewhere {
            control.tell(news);
        }
    }
}

/// The lobby's word for a group in the relay's type.
fn relay_group(group: &GroupId) -> twocan_turn::GroupId {
    twocan_turn::GroupId::new(&group.to_string())
}

impl Addresses {
    fn found(&self) -> Vec<IpAddr> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).addresses().collect()
    }

    /// The list for a page that reached us under `host` (a name without a port).
    fn servers(&self, host: &str, username: &str, credential: &str) -> Vec<IceServer> {
        let host = sound(host);
        let mut stun = Vec::new();
        let mut turn = Vec::new();
        for &listener in &self.turn {
            for name in self.names(listener, host) {
                let place = format!("{name}:{}", listener.port());
                // One name can stand for the listeners of both families.
                if stun.iter().all(|url| url != &format!("stun:{place}")) {
                    stun.push(format!("stun:{place}"));
                    turn.push(format!("turn:{place}?transport=udp"));
                    turn.push(format!("turn:{place}?transport=tcp"));
                }
            }
        }
        for &listener in &self.turns {
            // A certificate is made out to a name, so the name by which the page came is the best guess.
            let said = self.turns_host.as_deref();
            let by_name =
                said.or(host).filter(|host| host.parse::<IpAddr>().is_err() && !host.starts_with('['));
            let names = by_name.map_or_else(|| self.names(listener, host), |name| vec![name.to_owned()]);
            turn.extend(
                names.into_iter().map(|name| format!("turns:{name}:{}?transport=tcp", listener.port())),
            );
        }
        stun.dedup();
        turn.dedup();
        let server = |urls: Vec<String>, username: Option<&str>, credential: Option<&str>| {
            let [username, credential] = [username, credential].map(|text| text.map(str::to_owned));
            (!urls.is_empty()).then_some(IceServer { urls, username, credential })
        };
        [server(stun, None, None), server(turn, Some(username), Some(credential))]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What to write in a URL for a listener: its own address, or for an unspecified one what stands for it.
    fn names(&self, listener: SocketAddr, host: Option<&str>) -> Vec<String> {
        if !listener.ip().is_unspecified() {
            let named = self.named.iter().filter(|ip| ip.is_ipv4() == listener.is_ipv4());
            let named: Vec<String> = named.copied().map(literal).collect();
            return if named.is_empty() || listener.ip().is_loopback() {
                vec![literal(listener.ip())]
            } else {
                named
            };
        }
        let of_family = |addresses: &[IpAddr]| -> Vec<String> {
            addresses.iter().copied().filter(|ip| ip.is_ipv4() == listener.is_ipv4()).map(literal).collect()
        };
        let named = of_family(&self.named);
        match host {
            _ if !named.is_empty() => named,
            Some(host) if suits(host, listener) => vec![host.to_owned()],
            _ => of_family(&self.found()),
        }
    }
}

/// The name that a client at `address` asked for, or nothing: a proxy that does not pass the name on (nginx by default) puts in its own
/// for us, which leads a client elsewhere to itself.
fn asked_for(host: &str, address: IpAddr) -> &str {
    if is_loopback(host) && !address.to_canonical().is_loopback() { "" } else { host }
}

/// Whether a name can lead to a listener: an address must be of its family.
fn suits(host: &str, listener: SocketAddr) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => ip.is_ipv4() == listener.is_ipv4(),
        Err(_) => true,
    }
}

/// `host` if it may stand in a URL. It comes from a request, so it may be anything.
fn sound(host: &str) -> Option<&str> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok().then_some(host);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (!host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(plain)).then_some(host)
}

/// The longest name of a host (RFC 1035 3.1, as text).
const HOST_BYTES_MAX: usize = 253;

/// An address as it stands in a URL.
fn literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use twocan_turn::External;

    use super::*;

    fn addresses(turn: &[&str], turns: &[&str], named: &[&str]) -> Addresses {
        Addresses {
            turn: turn.iter().map(|text| text.parse().unwrap()).collect(),
            turns: turns.iter().map(|text| text.parse().unwrap()).collect(),
            turns_host: None,
            named: named.iter().map(|text| text.parse().unwrap()).collect(),
            found: Found::new(
                External { v4: "198.51.100.7".parse().ok(), v6: "2001:db8::7".parse().ok() }.into(),
            ),
        }
    }

    fn urls(addresses: &Addresses, host: &str) -> Vec<String> {
        addresses.servers(host, "name", "word").into_iter().flat_map(|server| server.urls).collect()
    }

    #[test]
    fn a_listener_on_one_address_is_named_by_it() {
        let local = addresses(&["127.0.0.1:3478"], &[], &[]);
        assert_eq!(
            urls(&local, "localhost"),
            ["stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp"]
        );
    }

    #[test]
    fn only_turn_servers_carry_credentials() {
        let servers = addresses(&["127.0.0.1:3478"], &[], &[]).servers("localhost", "name", "word");
        assert_eq!((servers[0].username.as_deref(), servers[0].credential.as_deref()), (None, None));
        assert_eq!(
            (servers[1].username.as_deref(), servers[1].credential.as_deref()),
            (Some("name"), Some("word"))
        );
    }

    #[test]
    fn a_listener_on_all_addresses_is_named_as_the_page_named_us() {
        let all = addresses(&["0.0.0.0:3478", "[::]:3478"], &[], &[]);
        assert!(urls(&all, "play.example").contains(&"stun:play.example:3478".to_owned()));
        assert_eq!(urls(&all, "play.example").len(), 3, "each once");
        // An IPv4 address does not lead to the IPv6 listener.
        let mixed = urls(&all, "203.0.113.9");
        assert!(
            mixed.contains(&"stun:203.0.113.9:3478".to_owned())
                && mixed.contains(&"stun:[2001:db8::7]:3478".to_owned())
        );
    }

    #[test]
    fn what_the_operator_named_outweighs_the_request() {
        let all = addresses(&["0.0.0.0:3478"], &[], &["203.0.113.5"]);
        assert_eq!(urls(&all, "evil.example")[0], "stun:203.0.113.5:3478");
        let behind_nat = addresses(&["10.0.0.5:3478"], &[], &["203.0.113.5"]);
        assert_eq!(urls(&behind_nat, "play.example")[0], "stun:203.0.113.5:3478");
    }

    #[test]
    fn who_is_elsewhere_is_not_led_to_itself() {
        let [here, there] = ["127.0.0.1", "192.0.2.7"].map(|ip| ip.parse().unwrap());
        for host in ["127.0.0.1", "localhost", "[::1]", "LocalHost", "127.1.2.3"] {
            assert_eq!((asked_for(host, here), asked_for(host, there)), (host, ""), "{host}");
        }
        assert_eq!(asked_for("play.example", there), "play.example");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let all = addresses(&["0.0.0.0:3478"], &[], &[]);
        for host in ["", "a b", "x\"y", "[zz]", "a/b", &"a".repeat(254)] {
            assert_eq!(urls(&all, host)[0], "stun:198.51.100.7:3478", "{host}");
        }
    }

    #[test]
    fn tls_goes_by_the_name_of_the_certificate_where_the_page_has_one() {
        let tls = addresses(&[], &["0.0.0.0:5349"], &["203.0.113.5"]);
        assert_eq!(urls(&tls, "play.example"), ["turns:play.example:5349?transport=tcp"]);
        assert_eq!(urls(&tls, "203.0.113.5"), ["turns:203.0.113.5:5349?transport=tcp"]);
        // The relay may be elsewhere.
        let said = Addresses { turns_host: Some("turn.example".into()), ..tls };
        for host in ["play.example", "203.0.113.5", ""] {
            assert_eq!(urls(&said, host), ["turns:turn.example:5349?transport=tcp"]);
        }
    }
}
