//! One socket's task: frames from the client to the machine, frames from its queue to the client, pings.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use twocan_base::Household;
use twocan_lobby::{ClientId, Close, Door, Ended, frame_cost};

use crate::machine::{Input, Said};
use crate::queue::{Next, Queue};

/// For the client to answer a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
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
    /// We close, with this code and reason.
    Ours(u16, &'static str),
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
        Outcome::Ours(code, reason) => close(&mut socket, code, reason).await,
        Outcome::Theirs(code) => {
            // The library has the answer ready (RFC 6455 5.5.1); without it the client would take this for a cut.
            let _ = timeout(CLOSE_WITHIN, socket.flush()).await;
            code
        }
        Outcome::Dead => None,
    };
    // 1001 is what a browser says for a page that is closed or reloaded (RFC 6455 7.4.1): its session is lost with it.
    let goodbye = [Close::Complete, Close::GoingAway].map(Close::code);
    let how = if code.is_some_and(|code| goodbye.contains(&code)) { Ended::Goodbye } else { Ended::Cut };
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

    /// A frame; waits while the machine has not handled those before.
    async fn text(&self, text: Utf8Bytes) -> Result<(), Gone> {
        let permit = Arc::clone(&self.unhandled).acquire_owned().await.map_err(|_| Gone)?;
        self.tell(Said::Text { text, permit }).await
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
                    Ok(Some(why)) => return Outcome::Ours(why.code(), why.reason()),
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
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    // No frame of ours is binary; an empty text is answered as one that cannot be read.
                    Some(Ok(Message::Binary(_))) => Utf8Bytes::from_static(""),
                    Some(Ok(Message::Pong(payload))) => {
                        // Pings that only keep the connection alive carry nothing.
                        if let Ok(seq) = <[u8; 8]>::try_from(&payload[..])
                            && machine.tell(Said::Seen { seq: u64::from_be_bytes(seq) }).await.is_err()
                        {
                            return Outcome::Dead;
                        }
                        continue;
                    }
                    Some(Ok(Message::Ping(_))) => continue,
                    Some(Ok(Message::Close(frame))) => return Outcome::Theirs(frame.map(|frame| frame.code)),
                    Some(Err(error)) => return broken(&error),
                    None => return Outcome::Dead,
                };
                if machine.text(text).await.is_err() {
                    return Outcome::Dead;
                }
            }
            () = tokio::time::sleep_until(ping_at) => {
                if heard_at.elapsed() >= silence_max {
                    return Outcome::Dead;
                }
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
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    let answer = async {
        socket.send(Message::Close(Some(frame))).await.ok()?;
        loop {
            match socket.next().await? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    timeout(CLOSE_WITHIN, answer).await.ok().flatten()
}

/// How to end a socket that cannot be read any further (RFC 6455 7.4.1). The library's error has no public type here, so
/// its words are looked at; a test holds each.
fn broken(error: &axum::Error) -> Outcome {
    let words = error.to_string();
    if words.contains("too long") {
        Outcome::Ours(Close::TooLong.code(), Close::TooLong.reason())
    } else if words.contains("UTF-8") {
        Outcome::Ours(close_code::INVALID, "text that is not UTF-8")
    } else if words.contains("protocol error") {
        Outcome::Ours(close_code::PROTOCOL, "not the WebSocket protocol")
    } else {
        Outcome::Dead
    }
}
