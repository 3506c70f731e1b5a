//! The servers, one entry a URL: where they are, what they gave, and asking them whenever a socket or an address is new.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use twocan_turn::Transport;

use super::{
    CandidateError, Command, Event, Gatherer, IceServer, IceUrl, QueryId, Scheme, TransportPolicy,
    UrlTransport, limits,
};

/// Which entry; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerId(pub u32);

/// URLs of one `IceServer`: ways to the same relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group(pub u32);

pub(super) struct Server {
    pub id: ServerId,
    pub group: Group,
    pub url: IceUrl,
    pub username: String,
    pub credential: String,
    pub whereabouts: Whereabouts,
    /// It gave a candidate, or its like did.
    pub has_given: bool,
    /// What went wrong last, until it is said.
    pub error: Option<(u16, &'static str)>,
    /// It was said that it gives nothing.
    pub is_reported: bool,
}

pub(super) enum Whereabouts {
    Asked(QueryId),
    Known(Vec<IpAddr>),
    Unknown,
}

impl Server {
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let known = match &self.whereabouts {
            Whereabouts::Known(addresses) => addresses.as_slice(),
            Whereabouts::Asked(_) | Whereabouts::Unknown => &[],
        };
        known.iter().map(|address| SocketAddr::new(*address, self.url.port))
    }

    /// How a relay is reached by this URL; `None` if it is no relay's, or DTLS is asked for.
    pub fn relay_transport(&self) -> Option<Transport> {
        match (self.url.scheme, self.url.transport) {
            (Scheme::Turn, UrlTransport::Udp) => Some(Transport::Udp),
            (Scheme::Turn, UrlTransport::Tcp) => Some(Transport::Tcp),
            (Scheme::Turns, UrlTransport::Tcp) => Some(Transport::Tls),
            (Scheme::Turns, UrlTransport::Udp) | (Scheme::Stun | Scheme::Stuns, _) => None,
        }
    }

    /// Whether it answers Binding requests by UDP.
    pub fn is_stun(&self) -> bool {
        self.url.transport == UrlTransport::Udp && !self.url.scheme.is_secure()
    }
}

impl Gatherer {
    /// Takes over a list of servers; those with a URL known before go on.
    pub(super) fn replace_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        let mut former = std::mem::take(&mut self.servers);
        let used = self.worth_asking(&servers);
        for server in servers {
            let group = Group(self.next_number());
            for url in server.urls {
                if self.servers.iter().any(|known| known.url == url) {
                    continue;
                }
                if !used.contains(&url) {
                    let (url, code, text) =
                        (url.to_string(), CandidateError::UNREACHABLE, "too many servers");
                    self.events.push_back(Event::CandidateError(CandidateError { url, code, text }));
                    continue;
                }
                let known =
                    former.iter().position(|known| known.url == url).map(|index| former.swap_remove(index));
                let (username, credential) = (server.username.clone(), server.credential.clone());
                let server = match known {
                    Some(known) => Server { group, username, credential, is_reported: false, ..known },
                    None => self.new_server(group, url, (username, credential), now),
                };
                self.servers.push(server);
            }
        }
        let servers = &self.servers;
        self.bindings.retain(|binding| servers.iter().any(|server| server.id == binding.server));
        self.relays_of_other_servers(now);
    }

    /// Of more URLs than are asked, the first of each way to a server before the second ones, and what is of no use at the end.
    fn worth_asking(&self, servers: &[IceServer]) -> Vec<IceUrl> {
        let mut urls: Vec<&IceUrl> = Vec::new();
        for url in servers.iter().flat_map(|server| &server.urls) {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        let way = |url: &IceUrl| (url.scheme, url.transport);
        let is_useless = |url: &IceUrl| match way(url) {
            (Scheme::Stun, UrlTransport::Udp) => self.policy == TransportPolicy::Relay,
            (Scheme::Turns, UrlTransport::Udp) | (Scheme::Stun | Scheme::Stuns, _) => true,
            (Scheme::Turn | Scheme::Turns, _) => false,
        };
        let key = |(index, url): &(usize, &IceUrl)| {
            let before = urls.iter().take(*index).filter(|other| way(other) == way(url));
            (is_useless(url), before.count())
        };
        let mut ordered: Vec<(usize, &IceUrl)> = urls.iter().copied().enumerate().collect();
        ordered.sort_by_cached_key(key);
        ordered.into_iter().take(limits::URLS_MAX).map(|(_, url)| url.clone()).collect()
    }

    fn new_server(
        &mut self,
        group: Group,
        url: IceUrl,
        (username, credential): (String, String),
        now: Instant,
    ) -> Server {
        let id = ServerId(self.next_number());
        let mut server = Server {
            id,
            group,
            url,
            username,
            credential,
            whereabouts: Whereabouts::Unknown,
            has_given: false,
            error: None,
            is_reported: false,
        };
        self.progress.more(now);
        self.locate(&mut server);
        server
    }

    /// Finds out where the server is, unless it is of no use.
    fn locate(&mut self, server: &mut Server) {
        let is_wanted =
            server.relay_transport().is_some() || server.is_stun() && self.policy == TransportPolicy::All;
        if !is_wanted {
            return;
        }
        server.whereabouts = match server.url.address() {
            Some(address) => Whereabouts::Known(vec![address]),
            None => {
                let query = QueryId(self.next_number());
                self.commands.push_back(Command::Resolve { query, name: server.url.host.clone() });
                Whereabouts::Asked(query)
            }
        };
    }

    pub(super) fn resolved(&mut self, query: QueryId, addresses: &[IpAddr]) {
        let asked =
            |server: &&mut Server| matches!(server.whereabouts, Whereabouts::Asked(id) if id == query);
        let Some(server) = self.servers.iter_mut().find(asked) else { return };
        let mut known: Vec<IpAddr> = Vec::new();
        for address in addresses.iter().map(IpAddr::to_canonical) {
            let of_family = known.iter().filter(|known| known.is_ipv4() == address.is_ipv4()).count();
            let is_usable = !address.is_unspecified() && !address.is_multicast();
            if is_usable && of_family < limits::ADDRESSES_MAX && !known.contains(&address) {
                known.push(address);
            }
        }
        if known.is_empty() {
            server.error = Some((CandidateError::UNREACHABLE, "the server's name has no address"));
            server.whereabouts = Whereabouts::Unknown;
        } else {
            server.whereabouts = Whereabouts::Known(known);
        }
    }

    /// Names that had no address are asked for again.
    pub(super) fn retry_servers(&mut self) {
        let mut servers = std::mem::take(&mut self.servers);
        for server in &mut servers {
            server.error = None;
            server.is_reported = false;
            if matches!(server.whereabouts, Whereabouts::Unknown) {
                self.locate(server);
            }
        }
        self.servers = servers;
    }

    /// Sends what has not been sent yet: of every socket to every server of its family.
    pub(super) fn ask_servers(&mut self, now: Instant) {
        for index in 0..self.servers.len() {
            self.ask_bindings(index, now);
        }
        // Datagrams first: streams wait for them.
        for is_stream in [false, true] {
            for index in 0..self.servers.len() {
                self.ask_relays(index, is_stream, now);
            }
        }
    }

    pub(super) fn server(&mut self, id: ServerId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == id)
    }

    /// Remembers what went wrong with a server, in case that nothing else comes of it.
    pub(super) fn blame(&mut self, id: ServerId, code: u16, text: &'static str) {
        if let Some(server) = self.server(id) {
            server.error = Some((code, text));
        }
    }
}
