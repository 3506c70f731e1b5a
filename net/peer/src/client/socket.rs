//! One WebSocket to the server, as a task: opened, read, written and closed.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use twocan_lobby::client::SocketId;

use super::url::Place;
use super::{Input, SocketEvent};
use crate::connection::Roots;

/// Read and write buffers: a socket that says little should hold little.
const BUFFER_BYTES: usize = 4_096;
/// The longest message of a server: a list of 48 KiB, or 64 members with what they say of themselves.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Close code of a socket that ended without one.
pub(super) const CUT: u16 = 1006;

/// What a socket is told.
pub enum ToSocket {
    Text(String),
    Close(Option<u16>),
}

/// Opens the socket and serves it until its end, which is told last.
pub async fn run(
    id: SocketId,
    (place, app): (Arc<Place>, Option<String>),
    roots: Roots,
    mut told: mpsc::UnboundedReceiver<ToSocket>,
    inputs: mpsc::Sender<Input>,
) {
    let opening = open(&place, app, roots);
    tokio::pin!(opening);
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened,
            what = told.recv() => match what {
                Some(ToSocket::Text(_)) => {}
                // Nobody waits for it any more.
                Some(ToSocket::Close(_)) | None => return,
            },
        }
    };
    let (code, why) = match opened {
        Ok(Stream::Plain(socket)) => {
            let from = local(socket.get_ref());
            serve(id, from, *socket, &mut told, &inputs).await
        }
        Ok(Stream::Tls(socket)) => {
            let from = local(socket.get_ref().get_ref().0);
            serve(id, from, *socket, &mut told, &inputs).await
        }
        Err(why) => (CUT, why),
    };
    let _ = inputs.send(Input::Socket(id, SocketEvent::Closed { code, why })).await;
}

enum Stream {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>>),
}

fn local(tcp: &TcpStream) -> Option<IpAddr> {
    tcp.local_addr().ok().map(|local| local.ip().to_canonical())
}

/// The error is a sentence for a person.
async fn open(place: &Place, app: Option<String>, roots: Roots) -> Result<Stream, String> {
    let tcp = TcpStream::connect((place.host.as_str(), place.port)).await.map_err(|error| plain(&error))?;
    // Signals are small, and each of them is waited for.
    tcp.set_nodelay(true).map_err(|error| plain(&error))?;
    let uri = app.map_or_else(|| place.uri.to_string(), |app| format!("{}?app={app}", place.uri));
    let mut request = uri.into_client_request().map_err(|error| refused(&error))?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("twocan.v1"));
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    if !place.tls {
        let opened = tokio_tungstenite::client_async_with_config(request, tcp, Some(config)).await;
        return opened.map(|(socket, _)| Stream::Plain(Box::new(socket))).map_err(|error| refused(&error));
    }
    // Reads the system's certificates the first time.
    let tls = tokio::task::spawn_blocking(move || roots.client_config());
    let tls = tls.await.map_err(|_| "the program is ending".to_owned())?;
    let name = rustls::pki_types::ServerName::try_from(place.host.clone());
    let name = name.map_err(|_| "no certificate can carry this name".to_owned())?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| plain(&error))?;
    let opened = tokio_tungstenite::client_async_with_config(request, tls, Some(config)).await;
    opened.map(|(socket, _)| Stream::Tls(Box::new(socket))).map_err(|error| refused(&error))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    id: SocketId,
    from: Option<IpAddr>,
    mut socket: WebSocketStream<S>,
    told: &mut mpsc::UnboundedReceiver<ToSocket>,
    inputs: &mpsc::Sender<Input>,
) -> (u16, String) {
    if inputs.send(Input::Socket(id, SocketEvent::Open(from))).await.is_err() {
        return (CUT, String::new());
    }
    loop {
        tokio::select! {
            what = told.recv() => {
                let done = match what {
                    Some(ToSocket::Text(text)) => socket.send(Message::text(text)).await,
                    Some(ToSocket::Close(code)) => {
                        let frame = code.map(|code| CloseFrame {
                            code: CloseCode::from(code),
                            reason: "".into(),
                        });
                        let _ = socket.close(frame).await;
                        return (CUT, String::new());
                    }
                    None => return (CUT, String::new()),
                };
                if let Err(error) = done {
                    return (CUT, refused(&error));
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let event = SocketEvent::Text(text.as_str().to_owned());
                    if inputs.send(Input::Socket(id, event)).await.is_err() {
                        return (CUT, String::new());
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    // The answer to the close goes out with the next look.
                    let _ = socket.next().await;
                    return frame.map_or((CUT, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                }
                // Pings are answered with the next look.
                Some(Ok(Message::Ping(_))) => {
                    let _ = socket.flush().await;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return (CUT, refused(&error)),
                None => return (CUT, "the socket was cut".to_owned()),
            },
        }
    }
}

/// What the system says, without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn refused(error: &WsError) -> String {
    match error {
        WsError::Io(error) => plain(error),
        WsError::Http(response) => format!("it answers {}", response.status()),
        WsError::Protocol(_) | WsError::HttpFormat(_) => "it is no Twocan server".to_owned(),
        other => other.to_string(),
    }
}
