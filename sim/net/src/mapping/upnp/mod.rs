//! UPnP's Internet Gateway Device: what SSDP has found is described and asked by HTTP.
//!
//! ```text
//!  host ── TCP 5000 ──► Server ── GET  ──► description.rs
//!           smoltcp     http.rs └─ POST ──► soap.rs ─► control.rs ─► Router::map_port
//! ```
//!
//! One request a connection. IPv4 only, and of the inside only: who has opened a connection has its address.

mod control;
mod description;
mod http;
mod soap;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::network::Router;
use crate::packet::{Packet, Payload};
use crate::random::Random;
use crate::stats::Drop;
use crate::tcp::{StreamId, Tcp, TcpEvent};
use control::Asked;
use description::{COMMON_CONTROL, CONNECTION_CONTROL, CONNECTION_SERVICES};
pub(crate) use description::{DEVICE_PATH, UUIDS};
use http::{Request, Status};
use soap::ErrorCode;

/// Where a router speaks HTTP.
pub(crate) const PORT: u16 = 5000;
/// What it calls itself.
pub(crate) const PRODUCT: &str = "twocan-sim UPnP/1.1";

/// Connections at a time. Who would open one more is not heard, and asks again.
const CONNECTIONS_MAX: usize = 8;
/// No connection lives longer, whatever it is used for.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(10);
/// When a stack that is due at once is asked again.
const STEP_MIN: Duration = Duration::from_millis(1);

/// The HTTP server of a router.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: IpAddr,
    tcp: Tcp,
    clients: BTreeMap<StreamId, Client>,
}

#[derive(Debug)]
struct Client {
    address: IpAddr,
    /// When the connection is reset.
    until: Instant,
    received: Vec<u8>,
    is_answered: bool,
}

impl Server {
    pub(crate) fn new(address: IpAddr, seed: u64, now: Instant) -> Server {
        let mut tcp = Tcp::new(&[address], seed, now);
        tcp.listen(SocketAddr::new(address, PORT));
        Server { address, tcp, clients: BTreeMap::new() }
    }

    /// A segment to its port.
    pub(crate) fn handle_packet(&mut self, packet: &Packet, now: Instant) -> Result<(), Drop> {
        let is_opening = matches!(&packet.payload, Payload::Tcp(segment) if segment.flags().is_opening());
        if is_opening && self.tcp.connections() >= CONNECTIONS_MAX {
            return Err(Drop::TableFull);
        }
        self.tcp.handle_packet(packet, now);
        Ok(())
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.tcp.handle_timeout(now);
        let late = self.clients.iter().filter(|(_, client)| client.until <= now);
        let late: Vec<StreamId> = late.map(|(stream, _)| *stream).collect();
        for stream in late {
            self.clients.remove(&stream);
            self.tcp.abort(stream, now);
        }
    }

    /// Answers whoever has asked.
    pub(crate) fn serve(&mut self, router: &mut Router, now: Instant, random: &mut Random) {
        while let Some(event) = self.tcp.poll_event() {
            match event {
                TcpEvent::Open { stream, remote, .. } => {
                    let (address, until) = (remote.ip(), now + CONNECTION_LIFETIME);
                    let client = Client { address, until, received: Vec::new(), is_answered: false };
                    self.clients.insert(stream, client);
                }
                TcpEvent::Data(stream, bytes) => {
                    let Some(client) = self.clients.get_mut(&stream) else { continue };
                    let asked = Asked { router, client: client.address, now, random };
                    if let Some(answer) = client.hear(&bytes, asked) {
                        self.tcp.send(stream, &answer, now);
                        self.tcp.close(stream, now);
                    }
                }
                TcpEvent::Closed(stream) => {
                    self.clients.remove(&stream);
                }
            }
        }
    }

    /// A packet to send.
    pub(crate) fn poll_packet(&mut self) -> Option<Packet> {
        self.tcp.poll_packet()
    }

    /// When [`Server::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let due = self.tcp.poll_timeout(now).map(|due| due.max(now + STEP_MIN));
        due.into_iter().chain(self.clients.values().map(|client| client.until)).min()
    }
}

impl Client {
    /// More of a request; the answer, once that is whole.
    fn hear(&mut self, bytes: &[u8], asked: Asked<'_>) -> Option<Vec<u8>> {
        if self.is_answered {
            return None;
        }
        self.received.extend_from_slice(bytes);
        let answer = match http::parse(&self.received) {
            Ok(None) => return None,
            Ok(Some(request)) => answer(&request, asked),
            Err(status) => http::response(status, ""),
        };
        self.is_answered = true;
        self.received = Vec::new();
        Some(answer)
    }
}

fn answer(request: &Request, asked: Asked<'_>) -> Vec<u8> {
    let is_control = matches!(request.path.as_str(), CONNECTION_CONTROL | COMMON_CONTROL);
    match (request.method.as_str(), description::document(&request.path)) {
        ("GET", Some(document)) => http::response(Status::OK, &document),
        ("POST", _) if is_control => {
            control(request, asked).unwrap_or_else(|status| http::response(status, ""))
        }
        (_, Some(_)) => http::response(Status::METHOD_NOT_ALLOWED, ""),
        (_, None) if is_control => http::response(Status::METHOD_NOT_ALLOWED, ""),
        (_, None) => http::response(Status::NOT_FOUND, ""),
    }
}

fn control(request: &Request, mut asked: Asked<'_>) -> Result<Vec<u8>, Status> {
    let header = request.soap_action.as_deref().and_then(soap::parse_header);
    let header = header.ok_or(Status::BAD_REQUEST)?;
    let call = soap::parse_body(&request.body).map_err(|_| Status::BAD_REQUEST)?;
    let service = CONNECTION_SERVICES.into_iter().find(|service| *service == call.service);
    let service = service.filter(|_| request.path == CONNECTION_CONTROL);
    let is_meant = header == (call.service.as_str(), call.action.as_str());
    let result = match service.filter(|_| is_meant) {
        Some(service) => asked.act(&call).map(|values| soap::answer(service, &call.action, &values)),
        None => Err(ErrorCode::INVALID_ACTION),
    };
    Ok(match result {
        Ok(body) => http::response(Status::OK, &body),
        Err(code) => http::response(Status::INTERNAL_ERROR, &soap::fault(code)),
    })
}
