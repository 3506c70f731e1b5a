//! How many WebSocket frames a client sends, of whichever kind, seen as they come: those that complete a message the machine counts, which
//! refuses them one by one; all others (pings, pongs, pieces) are counted here, for nothing else would notice them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use twocan_base::{Rate, Spent};

/// A client sends more frames than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many frames")]
pub(crate) struct TooMany;

/// A stream of WebSocket frames; reading it fails once with [`TooMany`], and goes on uncounted.
pub(crate) struct Frames<S> {
    stream: S,
    at: At,
    rate: Rate,
    spent: Spent,
    /// Frames that we asked for, and do not count.
    asked: u32,
    is_over: bool,
}

/// Where in a frame we are (RFC 6455 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    First,
    Second,
    /// So many bytes of the length are to come.
    Length {
        missing: u8,
        length: u64,
        is_masked: bool,
    },
    /// So many bytes are to come, the mask among them.
    Rest(u64),
}

impl<S> Frames<S> {
    pub fn new(stream: S, rate: Rate) -> Self {
        let spent = Spent::nothing(Instant::now());
        Self { stream, at: At::First, rate, spent, asked: 0, is_over: false }
    }

    /// We send a ping: one more frame is to come.
    pub fn ask(&mut self) {
        self.asked = (self.asked + 1).min(self.rate.burst);
    }

    fn came(&mut self, frames: u32) -> Result<(), TooMany> {
        let answers = frames.min(self.asked);
        self.asked -= answers;
        let others = frames - answers;
        if others == 0 || self.is_over || self.spent.spend(others, self.rate, Instant::now()).is_ok() {
            return Ok(());
        }
        self.is_over = true;
        Err(TooMany)
    }
}

impl At {
    /// Goes through what came, and says how many frames begin in it that complete no message.
    fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut frames = 0;
        loop {
            if let Self::Rest(left) = *self {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.get(skipped..).unwrap_or_default();
                *self = Self::rest(left - skipped as u64);
            }
            let Some((&byte, after)) = bytes.split_first() else { return frames };
            bytes = after;
            *self = match *self {
                Self::First => {
                    let (is_last, opcode) = (byte & 0x80 != 0, byte & 0x0F);
                    frames += u32::from(!(is_last && opcode <= 2));
                    Self::Second
                }
                Self::Second => {
                    let is_masked = byte & 0x80 != 0;
                    match byte & 0x7F {
                        126 => Self::Length { missing: 2, length: 0, is_masked },
                        127 => Self::Length { missing: 8, length: 0, is_masked },
                        length => Self::body(length.into(), is_masked),
                    }
                }
                Self::Length { missing, length, is_masked } => {
                    let length = length << 8 | u64::from(byte);
                    match missing {
                        1 => Self::body(length, is_masked),
                        _ => Self::Length { missing: missing - 1, length, is_masked },
                    }
                }
                Self::Rest(_) => *self,
            };
        }
    }

    fn body(length: u64, is_masked: bool) -> Self {
        Self::rest(length.saturating_add(if is_masked { 4 } else { 0 }))
    }

    fn rest(left: u64) -> Self {
        if left == 0 { Self::First } else { Self::Rest(left) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, room))?;
        let frames = self.at.count(room.filled().get(before..).unwrap_or_default());
        Poll::Ready(self.came(frames).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// A frame as a client sends it, masked with zeros.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | payload as u8),
            126..65_536 => {
                bytes.push(0xFE);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0xFF);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.resize(bytes.len() + 4 + payload, 0x89);
        bytes
    }

    #[test]
    fn whatever_completes_no_message_counts_however_it_is_cut() {
        let text = [frame(0x81, 0), frame(0x82, 125), frame(0x81, 126), frame(0x80, 70_000)].concat();
        let others = [frame(0x89, 0), frame(0x8A, 8), frame(0x01, 300), frame(0x00, 0)].concat();
        let all = [&text[..], &others, &text, &others].concat();
        for size in [1, 2, 3, 7, 512, all.len()] {
            let mut at = At::First;
            let counted: u32 = all.chunks(size).map(|piece| at.count(piece)).sum();
            assert_eq!((counted, at), (8, At::First), "in pieces of {size}");
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_is_no_more_than_a_length() {
        let mut at = At::First;
        assert_eq!(at.count(&[&[0x89, 0xFF][..], &[0xFF; 8], &[0x89; 100]].concat()), 1);
    }

    #[tokio::test]
    async fn too_many_are_said_once_and_what_we_asked_for_does_not_count() {
        let pings = frame(0x89, 0).repeat(31);
        let mut frames = Frames::new(&pings[..], Rate::per_minute(10));
        (0..20).for_each(|_| frames.ask());
        assert_eq!(frames.asked, 10, "no more than may come at once");
        let mut room = [0; 6 * 20];
        assert_eq!(frames.read(&mut room).await.unwrap(), room.len());
        let error = frames.read(&mut room[..6]).await.unwrap_err();
        assert_eq!(error.downcast::<TooMany>().unwrap(), TooMany);
        assert_eq!(frames.read(&mut room[..6]).await.unwrap(), 6);
    }
}
