//! Binding, serving, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tower::ServiceExt;
use twocan_lobby::{Keys, Lobbies};

use crate::config::{Config, Died, Error, TrustedProxy};
use crate::front::{self, CameFrom, Front};
use crate::hashing::Hasher;
use crate::ice::IceProvider;
use crate::listener::{Turnstile, listen};
use crate::machine::{INPUTS_MAX, Input, Machine};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::socket::Pulse;

/// For a request's headers to come.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
/// Read buffer of a connection before it is a WebSocket; hyper takes no less.
const HEAD_BYTES_MAX: usize = 16_384;
/// Longest time that the end may take, whatever the clients do.
const END_WITHIN: Duration = Duration::from_secs(10);
/// After a failed accept (out of file descriptors), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens and waits to be run.
pub struct Signaling {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    routes: Router,
    machine: Machine,
    inputs: mpsc::Sender<Input>,
    draining: Arc<AtomicBool>,
    turnstile: Turnstile,
    trusted_proxy: Option<TrustedProxy>,
    metrics: Vec<TcpListener>,
    metrics_routes: Router,
}

/// Listens where the configuration says. `pages` are served beside the server's own routes.
///
/// # Errors
/// Where an address cannot be listened on; the sentence says which and why.
#[allow(clippy::unused_async)] // sockets register with the runtime, so it must be called within one
pub async fn bind(config: Config, ice: Arc<dyn IceProvider>, pages: Router) -> Result<Signaling, Error> {
    let listeners = config.listen.iter().map(|address| listen(*address)).collect::<Result<Vec<_>, _>>()?;
    if listeners.is_empty() {
        return Err(Error::NoAddress);
    }
    let local = |(listener, address): (&TcpListener, &SocketAddr)| {
        listener.local_addr().map_err(|error| Error::Listen { address: *address, error })
    };
    let addresses = listeners.iter().zip(&config.listen).map(local).collect::<Result<_, _>>()?;
    let metrics = Arc::new(Metrics::new());
    let (inputs, receiver) = mpsc::channel(INPUTS_MAX);
    let metrics_listeners =
        config.metrics_listen.iter().map(|address| listen(*address)).collect::<Result<Vec<_>, _>>()?;
    let hasher = Hasher::start(config.limits.hashes_at_once, &inputs.downgrade())?;
    let machine = Machine::new(lobbies(&config)?, receiver, hasher, ice, Arc::clone(&metrics));
    let draining = Arc::new(AtomicBool::new(false));
    let front = Front {
        machine: inputs.clone(),
        metrics,
        more_metrics: config.more_metrics,
        origins: config.origins,
        draining: Arc::clone(&draining),
        pulse: Pulse { ping_every: config.ping_every, silence_max: config.silence_max },
        last_client: AtomicU64::new(1),
        has_warned: AtomicBool::new(false),
    };
    let turnstile = Turnstile::new(config.connections);
    let front = Arc::new(front);
    let metrics_routes = front::metrics_routes(&front);
    let pages = if config.metrics { pages.merge(metrics_routes.clone()) } else { pages };
    let routes = front::routes(&front, pages);
    Ok(Signaling {
        listeners,
        addresses,
        routes,
        machine,
        inputs,
        draining,
        turnstile,
        trusted_proxy: config.trusted_proxy,
        metrics: metrics_listeners,
        metrics_routes,
    })
}

fn lobbies(config: &Config) -> Result<Lobbies, Error> {
    let random = SystemRandom::new();
    let (mut seed, mut local) = ([0; 32], [0; 32]);
    random.fill(&mut seed).map_err(|_| Error::NoRandomness)?;
    random.fill(&mut local).map_err(|_| Error::NoRandomness)?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &config.ticket_secret);
    let tag = hmac::sign(&secret, b"twocan ticket");
    let tickets = tag.as_ref().try_into().expect("a SHA-256 tag has 32 bytes");
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Lobbies::new(config.limits.clone(), Keys::new(tickets, local), seed, unix, Instant::now()))
}

impl Signaling {
    /// The first address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses it listens on.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown`, then sends everyone away in order: 1001, sealed lobbies a little later.
    ///
    /// # Errors
    /// Where a part of it ends before: then nobody is served any longer, and the process should end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Died> {
        let Self { listeners, routes, machine, inputs, draining, turnstile, trusted_proxy, .. } = self;
        // Dropped with this future, should its caller drop it.
        let mut owner = JoinSet::new();
        owner.spawn(machine.run());
        let mut doors = JoinSet::new();
        for listener in listeners {
            doors.spawn(accept(listener, routes.clone(), turnstile.clone(), trusted_proxy.clone()));
        }
        for listener in self.metrics {
            doors.spawn(accept(listener, self.metrics_routes.clone(), turnstile.clone(), None));
        }
        drop(routes);
        tokio::select! {
            () = shutdown => {}
            Some(_) = owner.join_next() => return Err(Died),
            Some(_) = doors.join_next() => return Err(Died),
        }
        draining.store(true, Ordering::Relaxed);
        let (done, drained) = oneshot::channel();
        if inputs.send(Input::Drain { done }).await.is_ok() {
            // Passing the limit is as good an end as any.
            let _ = tokio::time::timeout(END_WITHIN, drained).await;
        }
        owner.shutdown().await;
        doors.shutdown().await;
        Ok(())
    }
}

/// Accepts for as long as it is not aborted; connections end with it.
async fn accept(listener: TcpListener, routes: Router, turnstile: Turnstile, proxy: Option<TrustedProxy>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let from = peer.ip().to_canonical();
                let is_proxy = proxy.as_ref().is_some_and(|trusted| trusted(from));
                if let Some(pass) = turnstile.enter(from, is_proxy) {
                    let serving = serve(stream, from, is_proxy, routes.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(pass);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// The address that the nearest proxy saw: the last that `X-Forwarded-For` names. What stands before it, anybody may have
/// written.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim().trim_matches('"');
    let bare = last.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(last);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| last.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address| address.to_canonical())
}

async fn serve(stream: TcpStream, from: IpAddr, is_proxy: bool, routes: Router) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a connection was gone at once");
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // A proxy speaks for others: where it does not say for whom, nobody is known.
        let from = if is_proxy { forwarded_for(request.headers()) } else { Some(from) };
        request.extensions_mut().insert(CameFrom(from));
        let response = routes.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(response.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Progress::new(stream)), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_entry_is_the_proxys_own_word() {
        let read = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            forwarded_for(&headers).map(|address| address.to_string())
        };
        assert_eq!(read(&["198.51.100.7"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(read(&["10.0.0.1, 198.51.100.7"]).as_deref(), Some("198.51.100.7"));
        assert_eq!(read(&["10.0.0.1", "2001:db8::7"]).as_deref(), Some("2001:db8::7"));
        assert_eq!(read(&["[2001:db8::7]:4711"]).as_deref(), Some("2001:db8::7"));
        assert_eq!(read(&["[2001:db8::7]"]).as_deref(), Some("2001:db8::7"));
        assert_eq!(read(&["\"198.51.100.7\""]).as_deref(), Some("198.51.100.7"));
        assert_eq!(read(&["::ffff:198.51.100.7"]).as_deref(), Some("198.51.100.7"));
        assert_eq!((read(&[]), read(&["unknown"]), read(&["198.51.100.7, "])), (None, None, None));
    }
}
