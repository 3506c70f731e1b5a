//! The front door: routes, and who may open the socket.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use twocan_base::Rate;
use twocan_lobby::client::hello;
use twocan_lobby::{ClientId, Door};

use crate::frames::Frames;
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
/// Between two lines of the log on pages that are refused.
const SAID_EVERY: Duration = Duration::from_secs(10);
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
    /// Frames of a socket that complete no message.
    pub frames: Rate,
    pub last_client: AtomicU64,
    /// It has been said that a proxy does not tell whom it speaks for.
    pub has_warned: AtomicBool,
    /// Pages that were refused.
    pub refused: Mutex<Refused>,
}

/// What the log has of pages that were refused.
#[derive(Default)]
pub(crate) struct Refused {
    said_at: Option<Instant>,
    left_out: u64,
}

impl Refused {
    /// One more; where it is said, how many were not since the last time.
    fn another(&mut self, now: Instant) -> Option<u64> {
        if self.said_at.is_some_and(|said| now.duration_since(said) < SAID_EVERY) {
            self.left_out += 1;
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Front {
    /// A page may not open the socket, and its browser does not tell it why. Said once in a while, however many ask.
    fn refused(&self, origin: &str) {
        self.metrics.refused_origin();
        let said = self.refused.lock().unwrap_or_else(PoisonError::into_inner).another(Instant::now());
        if let Some(left_out) = said {
            // Said only where there is something to say.
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(
                origin,
                left_out,
                "a page of this origin may not open the signaling socket; `--origin {origin}` lets it in"
            );
        }
    }
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
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).filter(|host| host.len() <= HOST_MAX).unwrap_or_default();
    let from = text(header::ORIGIN);
    if !origin::allowed(from, host, &front.origins) {
        front.refused(origin::printable(from.unwrap_or_default()));
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
    if request.method() != Method::GET || !wants_websocket(headers) {
        let sentence = "This is the signaling socket: it wants a WebSocket with the subprotocol twocan.v1.\n";
        let wanted = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, wanted, sentence).into_response();
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())) else {
        let sentence = "The Sec-WebSocket-Key must be 16 bytes in base64 (RFC 6455 4.2.1).\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    };
    if !lists(headers, header::SEC_WEBSOCKET_PROTOCOL, |protocol| protocol == SUBPROTOCOL) {
        let sentence =
            "The signaling socket speaks the WebSocket subprotocol twocan.v1, which was not asked for.\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    }
    let accept = derive_accept_key(key.as_bytes());
    let hello = hello_of(query);
    let client = ClientId(front.last_client.fetch_add(1, Ordering::Relaxed));
    let door = Door { address, host: origin::name_of(host).into() };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // A client that is gone before its answer is no client.
        let Ok(upgraded) = upgrade.await else { return };
        let frames = Frames::new(TokioIo::new(upgraded), front.frames);
        let socket = WebSocketStream::from_raw_socket(frames, Role::Server, Some(websocket_config())).await;
        let (machine, metrics) = (front.machine.clone(), Arc::clone(&front.metrics));
        let pulse = front.pulse;
        drop(front);
        socket::run(socket, client, (door, hello), pulse, machine, metrics).await;
    });
    let answer = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        (header::SEC_WEBSOCKET_ACCEPT, &accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, answer, Body::empty()).into_response()
}

fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// RFC 6455 4.2.1, but for the key.
fn wants_websocket(headers: &HeaderMap) -> bool {
    lists(headers, header::CONNECTION, |option| option.eq_ignore_ascii_case("upgrade"))
        && lists(headers, header::UPGRADE, |protocol| protocol.eq_ignore_ascii_case("websocket"))
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
}

/// Whether an entry of a list, in however many lines, is such a one.
fn lists(headers: &HeaderMap, name: HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|entry| is_it(entry.trim()))
}

/// 16 bytes in base64.
fn is_key(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    text.len() == 24 && text.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(is_digit))
}

/// The hello of a session that begins: its welcome is there with the socket. What says more than one application, or what does not belong into
/// an address, is as good as a hello that cannot be read.
fn hello_of(query: Vec<(String, String)>) -> Option<Utf8Bytes> {
    let is_secret = query.iter().any(|(name, _)| matches!(&**name, "session" | "resume"));
    let mut apps = query.into_iter().filter(|(name, _)| name == "app").map(|(_, app)| app);
    match (apps.next(), apps.next()) {
        (Some(app), None) if !is_secret => Some(hello(&app, None).into()),
        (None, _) if !is_secret => None,
        _ => Some(Utf8Bytes::from_static("")),
    }
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

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a beginning of time
mod tests {
    use super::*;

    #[test]
    fn of_refused_pages_one_in_ten_seconds_is_said_and_the_others_are_counted() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        assert_eq!(refused.another(start), Some(0));
        (1..8).for_each(|n| assert_eq!(refused.another(start + Duration::from_secs(n)), None));
        assert_eq!(refused.another(start + SAID_EVERY), Some(7));
        assert_eq!(refused.another(start + SAID_EVERY * 2), Some(0));
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(b"+/+/+/+/+/+/+/+/+/+/+w=="));
        for odd in [
            "",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=!",
            "dGhl IHNhbXBsZSBub25jZ==",
            "dGhlIHNhbXBsZSBub25jZXh4",
            "dGhlIHNhbXBsZSBub25jZGhlIHNhbXBsZQ==",
        ] {
            assert!(!is_key(odd.as_bytes()), "{odd}");
        }
    }
}
