//! One socket's task: frames from the client to the machine, frames from its queue to the client, pings.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use twocan_base::Household;
use twocan_lobby::{ClientId, Close, Door, Ended, frame_cost};

use crate::frames::{Frames, TooMany};
use crate::machine::{Input, Said};
use crate::metrics::Metrics;
use crate::queue::{Next, Queue};

/// A socket as it is after its upgrade.
pub(crate) type WebSocket = WebSocketStream<Frames<TokioIo<Upgraded>>>;

/// What our SDK closes with for a page that goes: Chromium may keep such a page with its socket open, and has no 1001 for it then.
const UNLOADED: u16 = 4900;
/// For the client to answer a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// The same where there is no room: so that what it had sent already does not tear the close away, and not so long that those who are refused fill the house.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);
/// Frames written before the next is read.
const BATCH_MAX: usize = 64;
/// Written bytes of which the machine is told at once; of fewer, with what follows.
const TOLD_BYTES: usize = 16_384;
/// Frames of one socket that may wait for the machine; it is read no further meanwhile.
const UNHANDLED_MAX: usize = 2;

/// How a socket is kept alive, and when it is given up.
#[derive(Clone, Copy)]
pub(crate) struct Pulse {
    pub ping_every: Duration,
    pub silence_max: Duration,
}

/// How the exchange came to its end.
enum Outcome {
    /// The machine closes.
    Ours(Close),
    /// It cannot be read any further: we close, with this code and reason.
    Broken(u16, &'static str),
    /// The client closes, with this code.
    Theirs(Option<u16>),
    /// No more to be had from this socket.
    Dead,
}

pub(crate) async fn run(
    mut socket: WebSocket,
    client: ClientId,
    (door, hello): (Door, Option<Utf8Bytes>),
    pulse: Pulse,
    machine: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
) {
    let queue = Arc::new(Queue::default());
    let whose = Household::from(door.address);
    let machine =
        Machine { client, whose, inputs: machine, unhandled: Arc::new(Semaphore::new(UNHANDLED_MAX)) };
    if machine.tell(Said::Connected { door, queue: Arc::clone(&queue) }).await.is_err() {
        return;
    }
    // A machine that is gone is noticed by the exchange.
    if let Some(hello) = hello {
        let _ = machine.text(hello).await;
    }
    let code = match exchange(&mut socket, &queue, pulse, &machine).await {
        Outcome::Ours(why) => close(&mut socket, why.code(), why.reason()).await,
        Outcome::Broken(code, reason) => {
            metrics.closed(code);
            close(&mut socket, code, reason).await
        }
        Outcome::Theirs(code) => {
            // The library has the answer ready (RFC 6455 5.5.1); without it the client would take this for a cut.
            let _ = timeout(CLOSE_WITHIN, socket.flush()).await;
            code
        }
        Outcome::Dead => None,
    };
    let how = match code {
        Some(1000) => Ended::Goodbye,
        Some(1001 | UNLOADED) => Ended::Unloaded,
        _ => Ended::Cut,
    };
    // A machine that is gone has no more use for it.
    let _ = machine.tell(Said::Disconnected { how }).await;
}

/// The way from one socket to the machine.
struct Machine {
    client: ClientId,
    whose: Household,
    inputs: mpsc::Sender<Input>,
    unhandled: Arc<Semaphore>,
}

impl Machine {
    async fn tell(&self, said: Said) -> Result<(), Gone> {
        // A place first: while it is waited for, what is said lies here once and not three times.
        let place = self.inputs.reserve().await.map_err(|_| Gone)?;
        place.send(Input::Client { client: self.client, whose: self.whose, said });
        Ok(())
    }

    /// A message, and what comes between them; waits while the machine has not handled those before.
    async fn text(&self, text: Utf8Bytes) -> Result<(), Gone> {
        let permit = self.turn().await?;
        self.tell(Said::Text { text, permit }).await
    }

    async fn ping(&self) -> Result<(), Gone> {
        let permit = self.turn().await?;
        self.tell(Said::Ping { permit }).await
    }

    async fn pong(&self, payload: &[u8]) -> Result<(), Gone> {
        let permit = self.turn().await?;
        // Pings that only keep the connection alive carry nothing.
        let seq = payload.try_into().ok().map(u64::from_be_bytes);
        self.tell(Said::Pong { seq, permit }).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Gone> {
        Arc::clone(&self.unhandled).acquire_owned().await.map_err(|_| Gone)
    }
}

async fn exchange(socket: &mut WebSocket, queue: &Queue, pulse: Pulse, machine: &Machine) -> Outcome {
    let Pulse { ping_every, silence_max } = pulse;
    let mut heard_at = Instant::now();
    let mut ping_at = heard_at + ping_every;
    let mut untold = 0;
    loop {
        tokio::select! {
            next = queue.next() => {
                match write(socket, queue, next, &mut untold).await {
                    Ok(None) => {}
                    Ok(Some(why)) => return Outcome::Ours(why),
                    Err(Gone) => return Outcome::Dead,
                }
                if untold >= TOLD_BYTES
                    && machine.tell(Said::Written { bytes: std::mem::take(&mut untold) }).await.is_err()
                {
                    return Outcome::Dead;
                }
            },
            message = socket.next() => {
                heard_at = Instant::now();
                let taken = match message {
                    Some(Ok(Message::Text(text))) => machine.text(text).await,
                    // No frame of ours is binary; an empty text is answered as one that cannot be read.
                    Some(Ok(Message::Binary(_) | Message::Frame(_))) => machine.text(Utf8Bytes::from_static("")).await,
                    Some(Ok(Message::Ping(_))) => machine.ping().await,
                    Some(Ok(Message::Pong(payload))) => machine.pong(&payload).await,
                    Some(Ok(Message::Close(frame))) => return Outcome::Theirs(frame.map(|frame| frame.code.into())),
                    Some(Err(error)) => return broken(error),
                    None => return Outcome::Dead,
                };
                if taken.is_err() {
                    return Outcome::Dead;
                }
            }
            () = tokio::time::sleep_until(ping_at) => {
                if heard_at.elapsed() >= silence_max {
                    return Outcome::Dead;
                }
                socket.get_mut().ask();
                if socket.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return Outcome::Dead;
                }
                ping_at += ping_every.min(silence_max - heard_at.elapsed().min(silence_max));
            }
        }
    }
}

/// The client does not take what is written, or is not there.
struct Gone;

/// Writes what waits, in one go, and adds what it costs to `written`; says if the socket is to be closed behind it. A client that
/// does not take it is given up by [`Progress`](crate::progress).
async fn write(
    socket: &mut WebSocket,
    queue: &Queue,
    first: Next,
    written: &mut usize,
) -> Result<Option<Close>, Gone> {
    let mut next = Some(first);
    for n in 1.. {
        match next {
            Some(Next::Frame(frame)) => {
                *written += frame_cost(&frame);
                socket.feed(Message::Text((&*frame).into())).await.map_err(|_| Gone)?;
            }
            Some(Next::Ping(seq)) => {
                let payload = bytes::Bytes::copy_from_slice(&seq.to_be_bytes());
                socket.get_mut().ask();
                socket.feed(Message::Ping(payload)).await.map_err(|_| Gone)?;
            }
            Some(Next::Close(why)) => {
                socket.flush().await.map_err(|_| Gone)?;
                return Ok(Some(why));
            }
            None => break,
        }
        if n == BATCH_MAX {
            break;
        }
        next = queue.pop();
    }
    socket.flush().await.map_err(|_| Gone)?;
    Ok(None)
}

/// Closes the socket and waits for the client's answer, whose code it returns.
async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) -> Option<u16> {
    let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
    let answer = async {
        socket.send(Message::Close(Some(frame))).await.ok()?;
        loop {
            match socket.next().await? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    let patience = if code == Close::Full.code() { REFUSED_WITHIN } else { CLOSE_WITHIN };
    let answered = timeout(patience, answer).await.ok().flatten();
    if answered.is_none() {
        // Of a socket that cannot be read any further, what still comes is taken unread.
        let _ = timeout(REFUSED_WITHIN, tokio::io::copy(socket.get_mut(), &mut tokio::io::sink())).await;
    }
    answered
}

/// How to end a socket that cannot be read any further (RFC 6455 7.4.1).
fn broken(error: Error) -> Outcome {
    match error {
        Error::Capacity(_) => Outcome::Broken(Close::TooLong.code(), Close::TooLong.reason()),
        Error::Utf8(_) => Outcome::Broken(CloseCode::Invalid.into(), "text that is not UTF-8"),
        Error::Protocol(_) => Outcome::Broken(CloseCode::Protocol.into(), "not the WebSocket protocol"),
        Error::Io(error) => match error.downcast::<TooMany>() {
            Ok(TooMany) => Outcome::Broken(Close::TooManyRequests.code(), Close::TooManyRequests.reason()),
            Err(_) => Outcome::Dead,
        },
        _ => Outcome::Dead,
    }
}
