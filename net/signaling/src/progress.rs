//! A connection that ends when the other side stops taking what is written to it: a client that does not read would hold its
//! buffers, in here and in the kernel, for as long as it likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// For a client to take something of what is written.
const STALL_MAX: Duration = Duration::from_secs(20);
/// What a client must take on average while something waits for it, bytes a second: 8 kbit/s.
const BYTES_PER_SECOND_MIN: u32 = 1_024;

/// A stream whose writing fails with [`io::ErrorKind::TimedOut`] where it does not get on.
pub(crate) struct Progress<S, P = ()> {
    stream: S,
    /// What it holds as long as it is there, a WebSocket or not.
    _pass: P,
    /// How long we still wait for the client, in all. Each byte that it takes buys a little.
    patience: Duration,
    /// While we wait: since when, and the end of patience.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S, P> Progress<S, P> {
    pub fn new(stream: S, pass: P) -> Self {
        Self { stream, _pass: pass, patience: STALL_MAX, waiting: None }
    }

    fn took(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            let bought =
                Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / BYTES_PER_SECOND_MIN;
            self.patience = (self.patience.saturating_sub(since.elapsed()) + bought).min(STALL_MAX);
        }
    }
}

impl<S: AsyncWrite + Unpin, P> Progress<S, P> {
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                let (now, patience) = (Instant::now(), self.patience);
                let begin = || (now, Box::pin(sleep_until(now + patience)));
                ready!(self.waiting.get_or_insert_with(begin).1.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Ok(bytes)) => {
                self.took(bytes);
                Poll::Ready(Ok(bytes))
            }
            error @ Poll::Ready(Err(_)) => error,
        }
    }
}

impl<S: AsyncRead + Unpin, P: Unpin> AsyncRead for Progress<S, P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl<S: AsyncWrite + Unpin, P: Unpin> AsyncWrite for Progress<S, P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, written)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_after_twenty_seconds() {
        let (ours, _theirs) = duplex(1_000);
        let begun = Instant::now();
        let error = Progress::new(ours, ()).write_all(&[0; 5_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_byte_now_and_then_is_given_up_too() {
        let (ours, mut theirs) = duplex(1_000);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if theirs.read_u8().await.is_err() {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let error = Progress::new(ours, ()).write_all(&[0; 50_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed().as_secs() <= 21);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_but_gets_on_is_waited_for() {
        let (ours, mut theirs) = duplex(1_000);
        tokio::spawn(async move {
            let mut room = [0; 3_000];
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if theirs.read(&mut room).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        });
        let mut ours = Progress::new(ours, ());
        // Twice, with a pause: what was owed once is not remembered against whoever caught up.
        for _ in 0..2 {
            ours.write_all(&[0; 60_000]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    }
}
