//! `twocan serve`: both halves started, told of each other, and ended together.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use twocan_relay::{Relay, StreamLimits};
use twocan_signaling::{Limits, MEMORY_DEFAULT, Quota, Signaling};
use twocan_turn::{Policy, Transport, control, credential, policy::Cidr};

use crate::control::Control;
use crate::files::{Share, Wanted};
use crate::ice::{Addresses, Ice};
use crate::listen::Listen;
use crate::network::{self, Found, primary_address};
use crate::settings::{REALM, Settings};
use crate::tls::Certificate;
use crate::values::{Half, Secret};
use crate::{limits, page, relay_metrics, state, tls};

/// How long what is under way may take to finish once we are asked to end. A second signal ends it at once.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// How often the relay is asked whether it is empty while it drains; its counters are about a second old anyway.
const DRAIN_POLL: Duration = Duration::from_millis(250);

/// Runs the server until a signal ends it.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    end_on_panic();
    network::wait(&settings);
    let listen = Listen::new(&settings, primary_address)?;
    let found = Found::new(listen.external.into());
    let keys = Keys::new(&settings)?;
    let certificate = certificate(&settings, &listen)?;
    let limits = limits(&settings)?;
    let tables = Tables::new(&settings, &listen, &limits);
    let relay = match settings.only {
        Some(Half::Signaling) => None,
        _ => Some(start_relay(&settings, &listen, &keys, (&tables, limits.relay), certificate.as_ref())?),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let outcome = runtime.block_on(async {
        let signaling = match settings.only {
            Some(Half::Relay) => None,
            _ => Some(
                start_signaling(&settings, &listen, &keys, (&tables, limits.lobby), relay.as_ref(), &found)
                    .await?,
            ),
        };
        tables.warn_if_short();
        announce(&settings, &listen, relay.as_ref(), signaling.as_ref());
        tokio::select! {
            ended = until_ended(signaling, relay.as_ref()) => ended,
            Err(error) = tls::keep_fresh(certificate) => Err(error),
            () = network::follow(listen, relay.as_ref().map(Relay::handle), found) => Ok(()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(relay) = relay {
        relay.stop();
    }
    if outcome.is_ok() {
        info!("ended");
    }
    outcome
}

/// Text for `/metrics`.
type MoreMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is drawn or derived once.
struct Keys {
    grant: [u8; 32],
    tickets: Vec<u8>,
}

impl Keys {
    /// From the operator's secret, else from one that is kept, so that a restart ends no relayed game and no ticket.
    fn new(settings: &Settings) -> anyhow::Result<Keys> {
        let Secret(secret) = match &settings.turn_secret {
            Some(secret) => secret.clone(),
            None => match kept_secret(settings) {
                Ok(secret) => secret,
                Err(error) => {
                    warn!(
                        "{error:#}; credentials and tickets of this run will be good for nothing after it (--state)"
                    );
                    return Ok(Keys { grant: draw()?, tickets: draw()?.to_vec() });
                }
            },
        };
        Ok(Keys { grant: credential::grant_key(secret.as_bytes()), tickets: secret.as_bytes().to_vec() })
    }
}

fn kept_secret(settings: &Settings) -> anyhow::Result<Secret> {
    let variable = |name: &str| std::env::var(name).ok();
    let folder = state::folder(settings, variable).context("there is no folder to keep a secret in")?;
    state::secret(&folder, draw)
}

/// A part that panicked would leave a server that looks alive and serves nobody: the process ends, and whoever watches it starts
/// it anew.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("twocan: ended by a panic, which is a bug of ours");
        std::process::abort();
    }));
}

fn draw() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(bytes)
}

fn certificate(settings: &Settings, listen: &Listen) -> anyhow::Result<Option<Arc<Certificate>>> {
    let has_no_relay = settings.only == Some(Half::Signaling);
    match (has_no_relay || listen.turns.is_empty(), &settings.tls_cert, &settings.tls_key) {
        (true, None, None) => Ok(None),
        (false, Some(certificate), Some(key)) => Certificate::read(certificate, key).map(Some),
        (false, ..) => bail!("--turns needs both --tls-cert and --tls-key"),
        (true, ..) if has_no_relay => Ok(None),
        (true, ..) => bail!("--tls-cert and --tls-key are for --turns, which is not given"),
    }
}

fn start_relay(
    settings: &Settings,
    listen: &Listen,
    keys: &Keys,
    (tables, limits): (&Tables, twocan_turn::Limits),
    certificate: Option<&Arc<Certificate>>,
) -> anyhow::Result<Relay> {
    let tls = certificate.map(Certificate::server_config).transpose()?;
    let config = twocan_relay::Config {
        turn: listen.turn.clone(),
        turns: listen.turns.clone(),
        alternate: settings.alternate.clone(),
        tls,
        external: listen.external,
        listeners_besides: if settings.only.is_none() { listen.http.clone() } else { Vec::new() },
        relay_ports: tables.relay_ports.clone(),
        threads: relay_threads(settings),
        realm: settings.realm.clone().unwrap_or_else(|| REALM.to_owned()),
        users: settings.turn_user.iter().map(|user| (user.name.clone(), user.password.clone())).collect(),
        secret: settings.turn_secret.as_ref().map(|secret| secret.0.clone().into_bytes()),
        control_key: settings.turn_secret.as_ref().map(|secret| control::key(secret.0.as_bytes())),
        policy: policy(settings)?,
        streams: tables.streams,
        limits,
        ..twocan_relay::Config::new(keys.grant)
    };
    Relay::start(config).map_err(|error| match error {
        twocan_relay::Error::PortTaken { .. } => {
            anyhow!("{error}; end the other program, or name another port with --turn")
        }
        error @ twocan_relay::Error::NoSuchAddress { .. } => anyhow!("{error}; {}", network::LATER),
        twocan_relay::Error::Alternate { address, why } => anyhow!("--alternate {address}: {why}"),
        other => other.into(),
    })
}

fn relay_threads(settings: &Settings) -> usize {
    settings.relay_threads.or(std::thread::available_parallelism().ok()).map_or(1, Into::into)
}

/// The tables of which each entry is an open file: as large as there is memory for, and files.
#[derive(Clone)]
struct Tables {
    /// HTTP and WebSocket.
    connections: Quota,
    /// TCP and TLS connections of the relay, and what waits for them.
    streams: StreamLimits,
    /// Ports of each family. What a household may have is a part of them.
    relay_ports: RangeInclusive<u16>,
    files: Share,
    /// Fewer files may be open than all the tables want: how many, and how many those are.
    short: Option<(u64, u64)>,
}

impl Tables {
    fn new(settings: &Settings, listen: &Listen, limits: &limits::All) -> Self {
        let tables = Self {
            connections: limits.connections,
            streams: limits.streams,
            relay_ports: settings.relay_range(),
            files: Share::ALL,
            short: None,
        };
        let families = [listen.external.v4.is_some(), listen.external.v6.is_some()];
        let families = families.into_iter().filter(|is_there| *is_there).count() as u64;
        let of_signaling = tables.connections.total;
        let of_relay = tables.streams.connections.total + tables.relay_ports.len() as u64 * families;
        let wanted = Wanted {
            tables: match settings.only {
                None => of_signaling + of_relay,
                Some(Half::Signaling) => of_signaling,
                Some(Half::Relay) => of_relay,
            },
            threads: relay_threads(settings) as u64,
        };
        let files = twocan_relay::raise_file_limit();
        let share = wanted.of(files);
        let short = (!share.is_all()).then(|| (files, wanted.in_all()));
        Self { short, ..tables.shared(share) }
    }

    /// As large as there are files for.
    fn shared(self, files: Share) -> Self {
        let connections = files.quota(self.connections);
        let streams = StreamLimits { connections: files.quota(self.streams.connections), ..self.streams };
        let relay_ports = files.ports(&self.relay_ports);
        Self { connections, streams, relay_ports, files, ..self }
    }

    fn warn_if_short(&self) {
        if let Some((files, wanted)) = self.short {
            warn!(
                "{files} files may be open at once, and {wanted} are wanted: fewer connections and relayed ports are let in; \
                 `LimitNOFILE={wanted}` (systemd) or `ulimit -n {wanted}` allows all"
            );
        }
    }

    /// There are no more sockets and sessions than there are connections.
    fn limits(&self, limits: Limits) -> Limits {
        Limits {
            sockets: self.files.quota(limits.sockets),
            sessions: self.files.quota(limits.sessions),
            ..limits
        }
    }
}

/// More than a household has.
const ALLOCATIONS_MIN: u32 = 1_024;

/// Where there is less memory than usual, less is allocated in it; where there is more, permissions and channels grow with it.
fn relay_limits(memory: u64) -> twocan_turn::Limits {
    let default = twocan_turn::Limits::default();
    let scaled = u64::from(default.allocations) * memory.min(MEMORY_DEFAULT) / MEMORY_DEFAULT;
    twocan_turn::Limits {
        allocations: u32::try_from(scaled).unwrap_or(default.allocations).max(ALLOCATIONS_MIN),
        members: default.members.scaled(memory.min(MEMORY_DEFAULT), MEMORY_DEFAULT),
        peers: default.peers.scaled(memory, MEMORY_DEFAULT),
        ..default
    }
}

/// What connections of the relay may hold together grows with the memory that there is.
fn streams(memory: u64) -> StreamLimits {
    let default = StreamLimits::default();
    let scale = |quota: Quota| quota.scaled(memory, MEMORY_DEFAULT);
    StreamLimits {
        connections: scale(default.connections),
        buffer_bytes: scale(default.buffer_bytes),
        ..default
    }
}

/// As large as there is memory for, and as the operator says.
fn limits(settings: &Settings) -> anyhow::Result<limits::All> {
    let memory = settings.memory.map_or(MEMORY_DEFAULT, |size| size.0);
    let lobby = Limits::for_memory(memory);
    let away = settings.away.map_or(lobby.away, Duration::from_secs);
    let mut all = limits::All {
        lobby: Limits { hashes_at_once: hashes_at_once(), away, ..lobby },
        connections: twocan_signaling::Config::CONNECTIONS.scaled(memory, MEMORY_DEFAULT),
        relay: relay_limits(memory),
        streams: streams(memory),
    };
    settings.limits.apply(&mut all)?;
    Ok(all)
}

/// Says what would keep the server from starting, as far as that can be known without listening.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    let listen = Listen::new(settings, primary_address)?;
    certificate(settings, &listen)?;
    policy(settings)?;
    ranges("--trusted-proxy", &settings.trusted_proxy)?;
    limits(settings)?;
    Ok(())
}

/// The settings that are in force, as a file has them.
pub fn print(settings: &Settings) -> anyhow::Result<String> {
    let listen = Listen::new(settings, primary_address)?;
    Ok(format!("{}\n[limits]\n{}", settings.print(&listen), limits::print(limits(settings)?)))
}

/// The built-in policy, with the operator's ranges over it.
fn policy(settings: &Settings) -> anyhow::Result<Policy> {
    let allowed = ranges("--allow-peer", &settings.allow_peer)?.into_iter();
    let denied = ranges("--deny-peer", &settings.deny_peer)?.into_iter();
    Ok(denied.fold(allowed.fold(Policy::default(), Policy::allow), Policy::deny))
}

fn ranges(flag: &str, texts: &[String]) -> anyhow::Result<Vec<Cidr>> {
    texts.iter().map(|text| text.parse().map_err(|error| anyhow!("{flag}: {error}"))).collect()
}

async fn start_signaling(
    settings: &Settings,
    listen: &Listen,
    keys: &Keys,
    (tables, limits): (&Tables, Limits),
    relay: Option<&Relay>,
    found: &Found,
) -> anyhow::Result<Signaling> {
    let addresses = |transport| relay.map(|relay| relay.local_addrs(transport).collect::<Vec<_>>());
    // The relay may run elsewhere: then it is where the operator says, and knows our secret.
    let elsewhere = relay.is_none() && settings.turn_secret.is_some() && listen.external_named;
    let (turn, turns) = match relay {
        None if !elsewhere => (Vec::new(), Vec::new()),
        _ => (
            addresses(Transport::Udp).unwrap_or_else(|| listen.turn.clone()),
            addresses(Transport::Tls).unwrap_or_else(|| listen.turns.clone()),
        ),
    };
    let elsewhere = match (&settings.turn_secret, turn.first(), settings.external_ip.first()) {
        (Some(Secret(secret)), Some(listener), Some(&ip)) if relay.is_none() => {
            let at = SocketAddr::new(ip, listener.port());
            Some(Control::start(at, control::key(secret.as_bytes()), draw()?).await?)
        }
        _ => None,
    };
    let ice = Ice {
        relay: relay.map(Relay::handle),
        elsewhere,
        grant_key: keys.grant,
        addresses: Addresses {
            turn,
            turns,
            turns_host: settings.turns_host.as_ref().map(|name| name.0.clone()),
            named: settings.external_ip.clone(),
            found: Arc::clone(found),
        },
    };
    let mut config = twocan_signaling::Config::new(listen.http.clone(), keys.tickets.clone());
    config.limits = tables.limits(limits);
    config.connections = tables.connections;
    config.base_path = base_path(settings).to_owned();
    (config.metrics, config.metrics_listen) = metrics(settings, listen);
    config.origins = settings.origin.iter().map(|origin| origin.0.clone()).collect();
    let proxies = ranges("--trusted-proxy", &settings.trusted_proxy)?;
    config.trusted_proxy = Some(Arc::new(move |ip| proxies.iter().any(|range| range.contains(ip))));
    config.more_metrics = relay
        .map(Relay::handle)
        .map(|handle| -> MoreMetrics { Arc::new(move || relay_metrics::text(&handle.stats())) });
    let bound = twocan_signaling::bind(config, Arc::new(ice), page::router()).await;
    bound.map_err(|error| match error {
        twocan_signaling::Error::PortTaken { address } => {
            let port = address.port();
            anyhow!("port {port} is already taken: HTTP cannot listen on {address}; end the other program, or name another port with --http")
        }
        twocan_signaling::Error::Listen { error, .. } if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            anyhow!("this machine has no address {}: HTTP cannot listen there; {}", listen.http[0].ip(), network::LATER)
        }
        other => other.into(),
    })
}

fn base_path(settings: &Settings) -> &str {
    settings.base_path.as_ref().map_or("", |path| &path.0)
}

/// Whether `/metrics` is served beside the page, and where else. Beside the page only where that is for this machine alone, or where
/// the operator says so: behind a proxy, this machine's loopback is the public.
fn metrics(settings: &Settings, listen: &Listen) -> (bool, Vec<SocketAddr>) {
    match settings.metrics {
        Some(address) if listen.http.contains(&address) => (true, Vec::new()),
        Some(address) => (false, vec![address]),
        None => {
            let is_local = listen.http.iter().all(|address| address.ip().is_loopback());
            (is_local && settings.trusted_proxy.is_empty(), Vec::new())
        }
    }
}

/// Hashes take a core each: most of the cores are for everything else.
fn hashes_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 4).max(1))
}

/// One line for each fact a person needs.
fn announce(settings: &Settings, listen: &Listen, relay: Option<&Relay>, signaling: Option<&Signaling>) {
    if let Some(relay) = relay {
        for (name, transport) in [("UDP and TCP", Transport::Udp), ("TLS", Transport::Tls)] {
            for address in relay.local_addrs(transport) {
                info!("STUN and TURN over {name} on {address}");
            }
        }
        for address in &settings.alternate {
            info!("behaviour discovery (RFC 5780) by {address}");
        }
        let external: Vec<String> = listen.external.addresses().map(|ip| ip.to_string()).collect();
        info!("relayed candidates carry {}", external.join(" and "));
    }
    if settings.public && !listen.external_named {
        info!("if this machine is behind a NAT, say its public address: --external-ip");
    }
    if settings.public && !listen.http.iter().chain(&listen.turn).any(SocketAddr::is_ipv6) {
        warn!(
            "listening on IPv4 alone: this machine has no way to the IPv6 Internet yet; once it has, start anew, or say its \
             address: --external-ip"
        );
    }
    let is_plain = |address: &SocketAddr| !address.ip().is_loopback();
    if signaling.is_some() && settings.trusted_proxy.is_empty() && listen.http.iter().any(is_plain) {
        warn!(
            "HTTP is open to the network without encryption: passwords, sessions and TURN credentials can be read on the way, and \
             browsers give no page without HTTPS a camera; put a reverse proxy with a certificate in front (--trusted-proxy)"
        );
    }
    if let Some(address) = settings.metrics {
        info!("metrics at http://{address}/metrics");
    }
    match signaling {
        Some(signaling) => {
            let mut address = signaling.local_addr();
            if address.ip().is_unspecified() {
                address.set_ip(listen.external_any().unwrap_or(address.ip()));
            }
            info!("ready: the page is at http://{address}{}", base_path(settings));
        }
        None => info!("ready: relay only"),
    }
}

/// Waits for a signal, then for what is under way, for so long.
async fn until_ended(signaling: Option<Signaling>, relay: Option<&Relay>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut asked = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let (drain, draining) = tokio::sync::oneshot::channel::<()>();
    let running = async {
        match signaling {
            Some(signaling) => signaling.run(async { drop(draining.await) }).await,
            None => {
                drop(draining.await);
                Ok(())
            }
        }
    };
    tokio::pin!(running);
    let failure = async {
        match relay {
            Some(relay) => relay.failure().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = &mut running => match ended {
            Ok(()) => bail!("the signaling server ended by itself"),
            Err(died) => bail!("{died}, which is a bug of ours; start the server again"),
        },
        () = failure => bail!("a thread of the relay has ended, which is a bug of ours; start the server again"),
        () = asked() => {}
    }
    info!("ending: no new lobbies or allocations; what is under way has {} s", DRAIN_LIMIT.as_secs());
    let _ = drain.send(());
    if let Some(relay) = relay {
        relay.handle().drain();
    }
    let finish = async {
        // It is ending anyway.
        let _ = running.await;
        relay_is_empty(relay).await;
    };
    tokio::select! {
        // Both the end of the work and the end of its time are an orderly end.
        _ = tokio::time::timeout(DRAIN_LIMIT, finish) => {}
        () = asked() => {}
    }
    Ok(())
}

async fn relay_is_empty(relay: Option<&Relay>) {
    let Some(handle) = relay.map(Relay::handle) else { return };
    while handle.stats().sockets.relay_ports > 0 {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}
