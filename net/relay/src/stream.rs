//! One TCP or TLS connection of a client: frames in, bytes out, and a bound on what either may cost.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ServerConnection;
use socket2::SockRef;
use twocan_turn::ClientAddr;
use twocan_turn::wire::{Frame, frame_len};

use crate::admission::Seat;
use crate::config::StreamLimits;
use crate::frames::{Frames, Malformed, Trust};

/// About so many bytes are given to TLS at a time; what is inside of it cannot be taken back or counted.
const TLS_PIECE_BYTES: usize = 16 << 10;
/// An empty queue that has room for more than this gives its memory back.
const KEPT_BYTES: usize = 4 << 10;
/// What may wait in the process for one connection, or of a frame that is not whole, before the books are asked.
const FREE_BYTES: usize = 8 << 10;
/// The same of TLS, inside rustls: a piece, and what it is put into.
const TLS_BUFFER_BYTES: usize = 24 << 10;
/// What the kernel may keep of what goes to a client that has proved who it is, as it counts (twice of what is asked for).
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client closed it, or it broke.
    ByClient,
    /// What came is neither STUN nor ChannelData.
    Malformed,
    /// The TLS handshake, or a record, failed.
    Tls,
    /// More answers are waiting than the client may leave unread, or it takes nothing at all.
    TooSlow,
    /// It ran into one of the limits in time.
    TimedOut,
}

impl From<Malformed> for Ended {
    fn from(Malformed: Malformed) -> Ended {
        Ended::Malformed
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// Nothing is there: the next readiness event will tell.
    Nothing,
    /// TLS took something in; the next read tells what is in it, if anything.
    Inside,
    Bytes(usize),
}

/// What became of a message for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    /// Relayed data that the client is too slow for.
    Dropped,
}

/// What a message to a client is, as far as its connection must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Relayed data: ChannelData, or a Data indication.
    Data,
    /// The success of a request that needs credentials.
    Proof,
    /// Anything else.
    Answer,
}

impl Kind {
    fn of(message: &[u8]) -> Kind {
        const DATA_INDICATION: u16 = 0x0017;
        const BINDING_SUCCESS: u16 = 0x0101;
        const CLASS: u16 = 0x0110;
        const SUCCESS: u16 = 0x0100;
        match message.first_chunk().map(|first| u16::from_be_bytes(*first)) {
            Some(0x4000..=0x7FFF | DATA_INDICATION) => Kind::Data,
            Some(number) if number & CLASS == SUCCESS && number != BINDING_SUCCESS => Kind::Proof,
            _ => Kind::Answer,
        }
    }
}

/// One connection.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) client: ClientAddr,
    /// It waits for its turn.
    pub(crate) in_line: bool,
    tls: Option<Box<ServerConnection>>,
    frames: Frames,
    waiting: VecDeque<u8>,
    /// TLS: how much of the frame at the front of `waiting` is still to come.
    frame_left: usize,
    opened: Instant,
    /// When the last frame ended.
    heard: Instant,
    /// When a frame began that has not ended.
    partial_since: Option<Instant>,
    proved: bool,
    /// Since when something waits of which nothing was taken.
    stalled_since: Option<Instant>,
    seat: Seat,
}

impl Stream {
    pub(crate) fn new(
        socket: TcpStream,
        tls: Option<ServerConnection>,
        client: ClientAddr,
        seat: Seat,
        now: Instant,
    ) -> Stream {
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(TLS_BUFFER_BYTES));
            Box::new(tls)
        });
        Stream {
            socket,
            client,
            in_line: false,
            tls,
            frames: Frames::default(),
            waiting: VecDeque::new(),
            frame_left: 0,
            opened: now,
            heard: now,
            partial_since: None,
            proved: false,
            stalled_since: None,
            seat,
        }
    }

    /// Whether the TLS handshake has not ended.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Reads once, as much as fits.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<Read, Ended> {
        let Some(tls) = &mut self.tls else {
            return match would_block(self.socket.read(room)) {
                Ok(Some(0)) | Err(_) => Err(Ended::ByClient),
                Ok(Some(length)) => Ok(Read::Bytes(length)),
                Ok(None) => Ok(Read::Nothing),
            };
        };
        match would_block(tls.reader().read(room)) {
            Ok(Some(0)) | Err(_) => return Err(Ended::ByClient),
            Ok(Some(length)) => return Ok(Read::Bytes(length)),
            Ok(None) => {}
        }
        match would_block(tls.read_tls(&mut self.socket)) {
            Ok(Some(0)) | Err(_) => return Err(Ended::ByClient),
            Ok(None) => return Ok(Read::Nothing),
            Ok(Some(_)) => {}
        }
        if tls.process_new_packets().is_err() {
            // The alert says why. It goes out if it can.
            let _ = tls.write_tls(&mut self.socket);
            return Err(Ended::Tls);
        }
        Ok(Read::Inside)
    }

    /// Hands on every frame that is whole with what `read` has read.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        now: Instant,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Ended> {
        let mut whole = false;
        let trust = if self.proved { Trust::Proved } else { Trust::Unproved };
        self.frames.take(bytes, trust, |frame| {
            whole = true;
            each(frame);
        })?;
        if whole {
            self.heard = now;
            self.partial_since = None;
        }
        self.partial_since = self.frames.is_partial().then(|| self.partial_since.unwrap_or(now));
        if self.held() > FREE_BYTES && !self.seat.hold(self.held()) {
            return Err(Ended::TooSlow);
        }
        Ok(())
    }

    /// Queues a message for the client. Call `flush` soon.
    pub(crate) fn push(
        &mut self,
        message: &[u8],
        limits: &StreamLimits,
        now: Instant,
    ) -> Result<Queued, Ended> {
        let kind = Kind::of(message);
        if kind == Kind::Proof && !self.proved {
            self.proved = true;
            self.enlarge_send_buffer();
        }
        let limit = match kind {
            _ if !self.proved => FREE_BYTES,
            Kind::Data => limits.waiting_data_bytes,
            Kind::Proof | Kind::Answer => limits.waiting_bytes,
        };
        if !self.has_room(message.len(), limit) {
            self.flush(now)?;
        }
        if self.has_room(message.len(), limit) {
            if self.waiting.capacity() < self.waiting.len() + message.len() {
                // Not twice as much, as it would by itself: what is not used is memory as well.
                self.waiting.reserve_exact(message.len().next_multiple_of(FREE_BYTES));
            }
            self.waiting.extend(message);
            return Ok(Queued::Yes);
        }
        if kind == Kind::Data { Ok(Queued::Dropped) } else { Err(Ended::TooSlow) }
    }

    /// Whether `more` bytes may wait as well.
    fn has_room(&mut self, more: usize, limit: usize) -> bool {
        let held = self.held() + more;
        self.waiting.len() + more <= limit && (held <= FREE_BYTES || self.seat.hold(held))
    }

    /// What the process keeps for this connection.
    fn held(&self) -> usize {
        self.waiting.len() + self.frames.partial_len()
    }

    /// Data may come for a client that has proved itself: the kernel may keep more of it, if the household has room left.
    fn enlarge_send_buffer(&mut self) {
        let socket = SockRef::from(&self.socket);
        let before = socket.send_buffer_size().unwrap_or(SEND_BUFFER_BYTES);
        let more = SEND_BUFFER_BYTES.saturating_sub(before);
        if more > 0 && self.seat.take_kernel(more as u64) {
            // Where it cannot be had, the smaller one does as well.
            let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES / 2);
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, now: Instant) -> Result<(), Ended> {
        let before = self.unsent();
        if self.tls.is_some() {
            self.flush_tls()?;
        } else {
            self.flush_plain()?;
        }
        let after = self.unsent();
        self.stalled_since = match self.stalled_since {
            _ if after == 0 => None,
            Some(since) if after >= before => Some(since),
            _ => Some(now),
        };
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_BYTES {
            self.waiting = VecDeque::new();
        }
        if self.held() <= FREE_BYTES {
            self.seat.hold(0);
        }
        Ok(())
    }

    /// What waits to be sent; inside TLS, as far as can be told.
    fn unsent(&self) -> usize {
        let is_inside = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        self.waiting.len() + usize::from(is_inside)
    }

    fn flush_plain(&mut self) -> Result<(), Ended> {
        while !self.waiting.is_empty() {
            match would_block(self.socket.write(self.waiting.as_slices().0)) {
                Ok(Some(0)) | Err(_) => return Err(Ended::ByClient),
                Ok(None) => return Ok(()),
                Ok(Some(length)) => drop(self.waiting.drain(..length)),
            }
        }
        Ok(())
    }

    /// Puts each frame into a record of its own: coturn's client takes a record for a message, and loses what else is
    /// in it. Several records still go out in one write.
    fn flush_tls(&mut self) -> Result<(), Ended> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        // What is already inside goes out before more goes in, so that what is inside stays bounded.
        let (mut inside, mut writing) = (0, true);
        loop {
            let nothing_to_add = self.waiting.is_empty() || tls.is_handshaking();
            if tls.wants_write() && (writing || nothing_to_add) {
                match would_block(tls.write_tls(&mut self.socket)) {
                    Ok(Some(0)) | Err(_) => return Err(Ended::ByClient),
                    Ok(None) => return Ok(()),
                    Ok(Some(_)) => continue,
                }
            }
            if nothing_to_add {
                return Ok(());
            }
            if !tls.wants_write() {
                inside = 0;
            }
            if self.frame_left == 0 {
                self.frame_left = first_frame(&self.waiting);
            }
            if self.waiting.as_slices().0.len() < self.frame_left {
                self.waiting.make_contiguous();
            }
            let next = self.waiting.as_slices().0;
            let frame = next.get(..self.frame_left).unwrap_or(next);
            let taken = tls.writer().write(frame).map_err(|_| Ended::Tls)?;
            self.frame_left = self.frame_left.saturating_sub(taken);
            self.waiting.drain(..taken);
            inside += taken;
            writing = inside >= TLS_PIECE_BYTES;
        }
    }

    /// Says goodbye, where the protocol has a word for it.
    pub(crate) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        let _ = if self.tls.is_some() { self.flush_tls() } else { self.flush_plain() };
    }

    /// When the connection will have run out of time, unless something happens.
    pub(crate) fn deadline(&self, limits: &StreamLimits) -> Instant {
        let idle = self.heard + if self.proved { limits.idle_proved } else { limits.idle_unproved };
        let handshake = self.is_handshaking().then(|| self.opened + limits.handshake);
        let frame = self.partial_since.map(|since| since + limits.frame);
        let proof = (!self.proved).then(|| self.opened + limits.unproved);
        let stalled = self.stalled_since.map(|since| since + limits.stalled);
        [handshake, frame, proof, stalled].into_iter().flatten().fold(idle, Instant::min)
    }
}

/// The length of the frame that `waiting` begins with; only whole frames are put into it.
fn first_frame(waiting: &VecDeque<u8>) -> usize {
    let mut start = [0; 4];
    for (byte, first) in start.iter_mut().zip(waiting) {
        *byte = *first;
    }
    match frame_len(&start) {
        Frame::Len(length) => length.min(waiting.len()),
        Frame::Short | Frame::Garbage => waiting.len(),
    }
}

/// `Ok(None)` where a call would have had to wait.
fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
