//! Binding, serving, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect};
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
use twocan_base::Rate;
use twocan_lobby::{Keys, Lobbies};

use crate::answers::Answers;
use crate::base_path;
use crate::config::{Config, Died, Error, TrustedProxy};
use crate::front::{self, CameFrom, Front};
use crate::hashing::Hasher;
use crate::ice::IceProvider;
use crate::listener::{Pass, Turnstile, listen};
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
    base_path: Arc<str>,
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
        frames: Rate::per_second(config.limits.frames_per_second, config.limits.frames_burst),
        has_warned: AtomicBool::new(false),
        refused: Mutex::default(),
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
        base_path: config.base_path.into(),
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
    Ok(Lobbies::new(config.limits.clone(), Keys::new(tickets, local), seed, unix_now(), Instant::now()))
}

/// The wall clock, in Unix seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
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
        let Self {
            listeners, routes, base_path, machine, inputs, draining, turnstile, trusted_proxy, ..
        } = self;
        // Dropped with this future, should its caller drop it.
        let mut owner = JoinSet::new();
        owner.spawn(machine.run());
        let mut doors = JoinSet::new();
        let door = Door {
            routes,
            base_path,
            turnstile,
            proxy: trusted_proxy,
            answers: Some(Arc::new(Answers::new())),
        };
        for listener in self.metrics {
            // The operator's own.
            let routes = self.metrics_routes.clone();
            doors.spawn(accept(listener, Door { routes, proxy: None, answers: None, ..door.clone() }));
        }
        for listener in listeners {
            doors.spawn(accept(listener, door.clone()));
        }
        drop(door);
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

/// What is behind a listener.
#[derive(Clone)]
struct Door {
    routes: Router,
    /// Taken off the paths of requests that have it.
    base_path: Arc<str>,
    turnstile: Turnstile,
    proxy: Option<TrustedProxy>,
    /// Paces what goes out, where strangers come.
    answers: Option<Arc<Answers>>,
}

/// Accepts for as long as it is not aborted; connections end with it.
async fn accept(listener: TcpListener, door: Door) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let from = peer.ip().to_canonical();
                let proxy = door.proxy.clone().filter(|is_trusted| is_trusted(from));
                if let Some(pass) = door.turnstile.enter(from, proxy.is_some()) {
                    connections.spawn(serve(stream, pass, from, Door { proxy, ..door.clone() }));
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

/// The address that the nearest trusted proxy saw and that is no proxy's itself: the entries of `X-Forwarded-For`, or where that is missing
/// of `Forwarded` (RFC 7239 section 5.2), are gone through from the last one on. What stands before it, anybody may have written.
fn forwarded_for(headers: &HeaderMap, is_trusted: &dyn Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let entries = |name: &str| {
        let lines: Option<Vec<&str>> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
        let entries = lines?.join(",");
        Some(
            entries
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .filter(|entry| !entry.is_empty())
                .collect(),
        )
    };
    let mut hops: Vec<String> = entries("x-forwarded-for")?;
    if hops.is_empty() {
        hops = entries("forwarded")?;
        for hop in &mut hops {
            let mut parameters = hop.split(';').filter_map(|parameter| parameter.split_once('='));
            let (_, node) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
            *hop = node.trim().to_owned();
        }
    }
    let mut nearest = None;
    for hop in hops.iter().rev() {
        nearest = Some(node(hop)?);
        if !nearest.is_some_and(is_trusted) {
            break;
        }
    }
    nearest
}

/// An address as proxies write it: with a port or without, in brackets, in quotes, with a zone.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _zone)| address);
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

async fn serve(stream: TcpStream, pass: Pass, from: IpAddr, door: Door) {
    let Door { routes, base_path, proxy, answers, .. } = door;
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a connection was gone at once");
    }
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // A proxy speaks for others: where it does not say for whom, nobody is known.
        let from = match proxy.as_deref() {
            Some(is_trusted) => forwarded_for(request.headers(), is_trusted),
            None => Some(from),
        };
        request.extensions_mut().insert(CameFrom(from));
        let is_base = base_path::take_off(&base_path, request.uri_mut()).is_none();
        let redirect = is_base.then(|| Redirect::permanent(&format!("{base_path}/")).into_response());
        let response = routes.clone().oneshot(request.map(Body::new));
        // Whom nobody is known for is the proxy itself, which asks how we are.
        let (paced, is_proxied) = (answers.clone().zip(from), proxy.is_some());
        async move {
            let response = match redirect {
                Some(redirect) => redirect,
                None => response.await.unwrap_or_else(|never| match never {}),
            };
            Ok::<_, Infallible>(match paced {
                Some((answers, from)) => answers.pace(from, is_proxied, response).await,
                None => response,
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Progress::new(stream, pass)), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(axum::http::HeaderName::try_from(name).unwrap(), line.parse().unwrap());
        }
        let trusted = |address: IpAddr| {
            ["10.0.0.", "198.51.100.", "2001:db8:ff::"]
                .iter()
                .any(|part| address.to_string().starts_with(part))
        };
        forwarded_for(&headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_last_entry_that_is_no_proxys_counts_in_every_form() {
        let client = |lines: &[&str]| read("x-forwarded-for", lines);
        for (lines, address) in [
            (&["203.0.113.5"][..], "203.0.113.5"),
            (&["203.0.113.5:4711"], "203.0.113.5"),
            (&["2001:db8::5"], "2001:db8::5"),
            (&["[2001:db8::5]:4711"], "2001:db8::5"),
            (&["[2001:db8::5]"], "2001:db8::5"),
            (&["203.0.113.5,"], "203.0.113.5"),
            (&["\"203.0.113.5\""], "203.0.113.5"),
            (&["\"[2001:db8::5]:4711\""], "2001:db8::5"),
            (&["fe80::5%eth0"], "fe80::5"),
            (&["::ffff:203.0.113.5"], "203.0.113.5"),
            // What the client itself may have written stands before it, in this line or in another.
            (&["192.0.2.1, 203.0.113.5"], "203.0.113.5"),
            (&["192.0.2.1", "203.0.113.5"], "203.0.113.5"),
            // Two proxies, and three.
            (&["203.0.113.5, 198.51.100.9"], "203.0.113.5"),
            (&["192.0.2.1, 203.0.113.5, 10.0.0.7", "[2001:db8:ff::1]:80"], "203.0.113.5"),
            // Somebody in the proxy's own network.
            (&["10.0.0.7"], "10.0.0.7"),
            (&["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        ] {
            assert_eq!(client(lines).as_deref(), Some(address), "{lines:?}");
        }
        for lines in
            [&[][..], &["unknown"], &[" , "], &["203.0.113.5, _hidden"], &["203.0.113.5, unknown, 10.0.0.7"]]
        {
            assert_eq!(client(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn a_proxy_may_say_it_by_forwarded() {
        let client = |line: &str| read("forwarded", &[line]);
        assert_eq!(client("for=203.0.113.5").as_deref(), Some("203.0.113.5"));
        assert_eq!(
            client("For=\"[2001:db8::5]:4711\";proto=https;by=10.0.0.7").as_deref(),
            Some("2001:db8::5")
        );
        assert_eq!(
            client("for=192.0.2.1, for=203.0.113.5;proto=http, for=10.0.0.7").as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!((client("for=unknown"), client("for=_secret"), client("proto=https")), (None, None, None));
    }
}
