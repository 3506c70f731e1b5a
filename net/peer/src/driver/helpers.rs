//! What takes its time, beside the task: opening streams, looking names up, answering for names. All of it ends with the task.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use twocan_ice::SocketId;
use twocan_rtc::QueryId;

use super::mdns;
use super::stream::Stream;
use crate::connection::Roots;

/// How long the system may look for a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses of one name that are used, of each family.
const IPS_MAX: usize = 8;

/// What a helper has come to.
pub enum Done {
    /// A stream is open, or could not be opened.
    Stream { socket: SocketId, opened: io::Result<Stream> },
    /// A name stands for these; for nothing, if it is unknown.
    Resolved { query: QueryId, ips: Vec<IpAddr> },
    /// Nothing to be told.
    Nothing,
}

/// The helpers of one task.
#[derive(Default)]
pub struct Helpers {
    tasks: JoinSet<Done>,
    /// Streams that are being opened.
    opening: BTreeMap<SocketId, AbortHandle>,
    /// To the one that answers for our names.
    names: Option<mpsc::UnboundedSender<(String, IpAddr)>>,
}

impl Helpers {
    pub fn open_stream(
        &mut self,
        socket: SocketId,
        to: SocketAddr,
        tls: Option<String>,
        from: Option<IpAddr>,
        roots: Roots,
    ) {
        let opening =
            async move { Done::Stream { socket, opened: Stream::open(to, from, tls, roots).await } };
        self.opening.insert(socket, self.tasks.spawn(opening));
    }

    /// Nobody wants this stream any more.
    pub fn close_stream(&mut self, socket: SocketId) {
        if let Some(opening) = self.opening.remove(&socket) {
            opening.abort();
        }
    }

    /// `….local` by mDNS on the interfaces with these addresses, else as the system does.
    pub fn resolve(&mut self, query: QueryId, name: String, interfaces: Vec<IpAddr>) {
        let is_local = name.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case("local"));
        self.tasks.spawn(async move {
            let ips = match is_local {
                true => mdns::resolve(name, v4(interfaces)).await,
                false => resolve(&name).await,
            };
            Done::Resolved { query, ips }
        });
    }

    pub fn announce(&mut self, name: String, ip: IpAddr, interfaces: Vec<IpAddr>) {
        let tasks = &mut self.tasks;
        let names = self.names.get_or_insert_with(|| {
            let (sender, names) = mpsc::unbounded_channel();
            tasks.spawn(async move {
                mdns::respond(names, v4(interfaces)).await;
                Done::Nothing
            });
            sender
        });
        // Where the responder could not start, nobody finds us by this name.
        let _ = names.send((name, ip));
    }

    /// What the next helper has come to.
    pub fn poll_done(&mut self, context: &mut Context<'_>) -> Option<Done> {
        match self.tasks.poll_join_next(context) {
            // A stream that opened just before nobody wanted it is dropped.
            Poll::Ready(Some(Ok(Done::Stream { socket, .. }))) if self.opening.remove(&socket).is_none() => {
                Some(Done::Nothing)
            }
            Poll::Ready(Some(done)) => Some(done.unwrap_or(Done::Nothing)),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }
}

async fn resolve(name: &str) -> Vec<IpAddr> {
    match tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(addresses)) => {
            let mut ips: Vec<IpAddr> = Vec::new();
            for ip in addresses.map(|address| address.ip()) {
                let alike = ips.iter().filter(|known| known.is_ipv4() == ip.is_ipv4()).count();
                if alike < IPS_MAX && !ips.contains(&ip) {
                    ips.push(ip);
                }
            }
            ips
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a name cannot be resolved");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

fn v4(ips: Vec<IpAddr>) -> Vec<Ipv4Addr> {
    ips.into_iter().filter_map(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None }).collect()
}
