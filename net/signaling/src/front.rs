//! The front door: routes, and who may open the socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::mpsc;
use twocan_lobby::client::hello;
use twocan_lobby::{ClientId, Door};

use crate::machine::Input;
use crate::metrics::Metrics;
use crate::{origin, socket};

/// The subprotocol of `docs/protocol.md` §1.
pub(crate) const SUBPROTOCOL: &str = "twocan.v1";
/// The machine refuses frames over 16,384 bytes with a proper close; beyond this the socket ends unread.
const MESSAGE_BYTES_MAX: usize = 32_768;
/// Read buffer of one socket. It is kept while the socket is idle, and grows for a frame that is longer.
const READ_BUFFER: usize = 512;
/// What a socket may hold unwritten; the queue in front of it is what counts.
const WRITE_BUFFER_MAX: usize = 1 << 20;
/// Longest `Host` that is looked at: a name of 253 letters and a port.
const HOST_MAX: usize = 262;

/// The address a connection comes from; `None` where a proxy should say and does not.
#[derive(Clone, Copy)]
pub(crate) struct CameFrom(pub Option<IpAddr>);

pub(crate) struct Front {
    pub machine: mpsc::Sender<Input>,
    pub metrics: Arc<Metrics>,
    pub more_metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    pub origins: Vec<String>,
    pub draining: Arc<AtomicBool>,
    pub pulse: socket::Pulse,
    pub last_client: AtomicU64,
    /// It has been said that a proxy does not tell whom it speaks for.
    pub has_warned: AtomicBool,
}

pub(crate) fn routes(front: &Arc<Front>, pages: Router) -> Router {
    let own = Router::new().route("/v1", get(open_socket)).route("/healthz", get(health));
    own.with_state(Arc::clone(front)).merge(pages)
}

/// What an operator watches, for a listener of its own or beside the pages.
pub(crate) fn metrics_routes(front: &Arc<Front>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(front))
}

async fn open_socket(
    State(front): State<Arc<Front>>,
    Query(query): Query<Vec<(String, String)>>,
    Extension(CameFrom(address)): Extension<CameFrom>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).filter(|host| host.len() <= HOST_MAX).unwrap_or_default();
    if !origin::allowed(text(header::ORIGIN), host, &front.origins) {
        let sentence =
            "Pages of this origin may not open the signaling socket; the server's --origin says which may.\n";
        return (StatusCode::FORBIDDEN, sentence).into_response();
    }
    let Some(address) = address else {
        if !front.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a trusted proxy sends no readable X-Forwarded-For: its visitors are refused; have it set that header"
            );
        }
        let sentence =
            "The reverse proxy in front of this server does not say who is asking (X-Forwarded-For).\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    };
    let Ok(upgrade) = upgrade else {
        let sentence = "This is the signaling socket: it wants a WebSocket with the subprotocol twocan.v1.\n";
        return (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "websocket")], sentence).into_response();
    };
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    if upgrade.selected_protocol().is_none() {
        let sentence =
            "The signaling socket speaks the WebSocket subprotocol twocan.v1, which was not asked for.\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    }
    // The hello of a session that begins: its welcome is there with the socket.
    let app = query.into_iter().find(|(name, _)| name == "app");
    let hello = app.map(|(_, app)| hello(&app, None).into());
    let client = ClientId(front.last_client.fetch_add(1, Ordering::Relaxed));
    let door = Door { address, host: origin::name_of(host).into() };
    let (pulse, machine) = (front.pulse, front.machine.clone());
    upgrade.on_upgrade(move |socket| socket::run(socket, client, (door, hello), pulse, machine))
}

async fn health(State(front): State<Arc<Front>>) -> Response {
    let draining = front.draining.load(Ordering::Relaxed);
    let (status, word) =
        if draining { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ok") };
    let body = format!("{{\"status\":\"{word}\"}}\n");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let more = front.more_metrics.as_ref().map(|more| more()).unwrap_or_default();
    let body = front.metrics.render() + &more;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response()
}
