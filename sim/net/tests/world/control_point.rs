//! A host that asks its router by UPnP: TCP, HTTP and SOAP, as clients do.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use twocan_sim::packet::Payload;
use twocan_sim::tcp::{StreamId, Tcp, TcpEvent};
use twocan_sim::{HostId, Packet};

use super::{Bench, World, addr, ip, secs};

pub const GATEWAY: &str = "192.168.1.1:5000";
pub const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:2";
pub const OLDER: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
const PATIENCE: Duration = secs(60);

pub struct ControlPoint {
    pub host: HostId,
    pub ip: IpAddr,
    pub tcp: Tcp,
    pub to: SocketAddr,
    /// All segments that it got.
    pub heard: Vec<Packet>,
    pub events: Vec<TcpEvent>,
}

impl ControlPoint {
    pub fn new(bench: &Bench, host: HostId, address: &str) -> ControlPoint {
        let ip = ip(address);
        let tcp = Tcp::new(&[ip], 1, bench.world.now);
        ControlPoint { host, ip, tcp, to: addr(GATEWAY), heard: Vec::new(), events: Vec::new() }
    }

    pub fn ada(bench: &Bench) -> ControlPoint {
        ControlPoint::new(bench, bench.ada, "192.168.1.10")
    }

    pub fn bob(bench: &Bench) -> ControlPoint {
        ControlPoint::new(bench, bench.bob, "192.168.1.11")
    }

    /// Everything that happens until then, or until that is so.
    pub fn run(&mut self, world: &mut World, time: Duration, is_enough: impl Fn(&[TcpEvent]) -> bool) {
        let end = world.now + time;
        loop {
            while let Some(packet) = self.tcp.poll_packet() {
                world.network.handle_packet(self.host, packet, world.now);
            }
            let heard = self.heard.len();
            while let Some(delivery) = world.network.poll_delivery() {
                if delivery.host == self.host && matches!(delivery.packet.payload, Payload::Tcp(_)) {
                    self.tcp.handle_packet(&delivery.packet, world.now);
                    self.heard.push(delivery.packet);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.tcp.poll_event()));
            if is_enough(&self.events) {
                return;
            }
            if self.heard.len() > heard {
                continue;
            }
            let due = [self.tcp.poll_timeout(world.now), world.network.poll_timeout()];
            let next = due.into_iter().flatten().min().unwrap_or(end).min(end);
            if next == end && world.now == end {
                return;
            }
            world.now = world.now.max(next);
            world.network.handle_timeout(world.now);
            self.tcp.handle_timeout(world.now);
        }
    }

    /// Begins a connection, and says this.
    pub fn open(&mut self, world: &mut World, said: &[u8]) -> StreamId {
        let stream = self.tcp.connect(self.ip, self.to, world.now);
        self.tcp.send(stream, said, world.now);
        stream
    }

    /// What came by a connection so far.
    pub fn got(&self, stream: StreamId) -> String {
        let mut bytes = Vec::new();
        for event in &self.events {
            if let TcpEvent::Data(at, data) = event
                && *at == stream
            {
                bytes.extend_from_slice(data);
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    pub fn is_over(&self, stream: StreamId) -> bool {
        self.events.contains(&TcpEvent::Closed(stream))
    }

    /// One request on a connection of its own, and all that is answered.
    pub fn ask(&mut self, bench: &mut Bench, said: &[u8]) -> String {
        let stream = self.open(&mut bench.world, said);
        let closed = TcpEvent::Closed(stream);
        self.run(&mut bench.world, PATIENCE, |events| events.contains(&closed));
        self.got(stream)
    }

    pub fn get(&mut self, bench: &mut Bench, path: &str) -> String {
        self.ask(bench, format!("GET {path} HTTP/1.1\r\nHost: {GATEWAY}\r\n\r\n").as_bytes())
    }

    /// Calls an action; its values as they stand in the answer, or the code of the error.
    pub fn call(
        &mut self,
        bench: &mut Bench,
        action: &str,
        arguments: &[(&str, &str)],
    ) -> Result<String, u16> {
        self.call_of(bench, SERVICE, action, arguments)
    }

    pub fn call_of(
        &mut self,
        bench: &mut Bench,
        service: &str,
        action: &str,
        arguments: &[(&str, &str)],
    ) -> Result<String, u16> {
        let answer = self.ask(bench, &post(service, action, &body(service, action, arguments)));
        let between = |start: &str, end: &str| {
            let rest = answer.split_once(start).map(|(_, rest)| rest)?;
            Some(rest.split_once(end)?.0.to_owned())
        };
        if let Some(code) = between("<errorCode>", "</errorCode>") {
            assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
            return Err(code.parse().unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let start = format!("<u:{action}Response xmlns:u=\"{service}\">");
        Ok(between(&start, &format!("</u:{action}Response>")).unwrap())
    }

    /// Maps UDP port `external` to a port of this host.
    pub fn add(&mut self, bench: &mut Bench, external: &str, internal: &str, lease: &str) -> Result<(), u16> {
        let client = self.ip.to_string();
        let arguments = mapping(external, internal, &client, lease);
        self.call(bench, "AddPortMapping", &arguments).map(|values| assert_eq!(values, ""))
    }

    /// Takes that back.
    pub fn delete(&mut self, bench: &mut Bench, external: &str) -> Result<(), u16> {
        self.call(bench, "DeletePortMapping", &key(external)).map(|values| assert_eq!(values, ""))
    }
}

/// What an entry is found by.
pub fn key(external: &str) -> [(&str, &str); 3] {
    [("NewRemoteHost", ""), ("NewExternalPort", external), ("NewProtocol", "UDP")]
}

/// What AddPortMapping takes, for UDP.
pub fn mapping<'a>(
    external: &'a str,
    internal: &'a str,
    client: &'a str,
    lease: &'a str,
) -> Vec<(&'static str, &'a str)> {
    vec![
        ("NewRemoteHost", ""),
        ("NewExternalPort", external),
        ("NewProtocol", "UDP"),
        ("NewInternalPort", internal),
        ("NewInternalClient", client),
        ("NewEnabled", "1"),
        ("NewPortMappingDescription", "a game &amp; its &lt;friends&gt;"),
        ("NewLeaseDuration", lease),
    ]
}

pub fn body(service: &str, action: &str, arguments: &[(&str, &str)]) -> String {
    let arguments: String =
        arguments.iter().map(|(name, value)| format!("<{name}>{value}</{name}>\r\n")).collect();
    format!(
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
         <u:{action} xmlns:u=\"{service}\">{arguments}</u:{action}></s:Body></s:Envelope>\r\n"
    )
}

pub fn post(service: &str, action: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /ctl/IPConn HTTP/1.1\r\nHost: {GATEWAY}\r\nContent-Length: {}\r\nContent-Type: text/xml\r\n\
         SOAPAction: \"{service}#{action}\"\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
