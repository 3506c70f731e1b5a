//! One request and its answer over a path that loses packets (RFC 8489 section 6.2): when to send again, and when to give
//! up. Who reads the answer verifies its integrity first: what does not verify was never received (section 9.1.4).
//!
//! ```text
//! sent at   0   500   1500   3500   7500   15500   31500 ms        gives up at 39500 ms
//! ```

use std::time::{Duration, Instant};

use crate::{Class, Header, Message, Method, ParseError, TransactionId};

/// When a request is sent again (RFC 8489 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// After the first request; each further wait is twice as long. RTO, 500 ms.
    pub first_wait: Duration,
    /// How often the request is sent in all; at least once. Rc, 7.
    pub requests_max: u32,
    /// How many times `first_wait` passes after the last request. Rm, 16.
    pub last_wait_factor: u32,
}

impl Schedule {
    /// The RFC's recommendation for UDP.
    pub const UDP: Schedule =
        Schedule { first_wait: Duration::from_millis(500), requests_max: 7, last_wait_factor: 16 };

    /// For TCP and TLS: sent once, given up after 39.5 s (RFC 8489 section 6.2.2).
    pub const RELIABLE: Schedule =
        Schedule { first_wait: Duration::from_millis(39_500), requests_max: 1, last_wait_factor: 1 };
}

/// What became of a request. There is one event a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An answer came. The time since the request was sent, if it was sent only once: else nobody knows which of them was
    /// answered.
    Answered {
        /// The round-trip time.
        rtt: Option<Duration>,
    },
    /// No answer came in time.
    TimedOut,
}

/// Why a message is not the answer. It is counted and forgotten; the transaction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// A request or an indication.
    #[error("not an answer")]
    NotAnAnswer,
    /// Another transaction id, or another method.
    #[error("the answer to another request")]
    OtherTransaction,
    /// The answer came before, or too late.
    #[error("the transaction is over")]
    Over,
}

/// A request on its way.
#[derive(Debug)]
pub struct Transaction {
    request: Box<[u8]>,
    transaction_id: TransactionId,
    method: Method,
    schedule: Schedule,
    state: State,
    to_send: u32,
    event: Option<Event>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Waiting { first_sent: Instant, sent: u32, wait: Duration, until: Instant },
    Over,
}

impl Transaction {
    /// Sends a request: a whole message, as [`crate::Builder`] wrote it.
    ///
    /// # Errors
    /// The bytes do not begin with a header.
    pub fn new(request: &[u8], schedule: Schedule, now: Instant) -> Result<Transaction, ParseError> {
        let header = Header::parse(request)?;
        let (wait, until) = (schedule.first_wait, now + schedule.wait_after(1, schedule.first_wait));
        Ok(Transaction {
            request: request.into(),
            transaction_id: header.transaction_id,
            method: header.method,
            schedule,
            state: State::Waiting { first_sent: now, sent: 1, wait, until },
            to_send: 1,
            event: None,
        })
    }

    /// The id that the answer will carry.
    pub fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// Takes the answer, success or error, and ends the transaction.
    ///
    /// # Errors
    /// It is not the answer; nothing has changed then.
    pub fn handle_answer(&mut self, answer: &Message<'_>, now: Instant) -> Result<(), Discard> {
        if !matches!(answer.class(), Class::Success | Class::Error) {
            return Err(Discard::NotAnAnswer);
        }
        if answer.transaction_id() != self.transaction_id || answer.method() != self.method {
            return Err(Discard::OtherTransaction);
        }
        let State::Waiting { first_sent, sent, .. } = self.state else { return Err(Discard::Over) };
        let rtt = (sent == 1).then(|| now.saturating_duration_since(first_sent));
        self.end(Event::Answered { rtt });
        Ok(())
    }

    /// Sends again, or gives up, if it is time to.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Waiting { first_sent, sent, wait, until } = self.state else { return };
        if now < until {
            return;
        }
        if sent >= self.schedule.requests_max {
            self.end(Event::TimedOut);
            return;
        }
        let (sent, wait) = (sent + 1, wait * 2);
        let until = now + self.schedule.wait_after(sent, wait);
        self.state = State::Waiting { first_sent, sent, wait, until };
        self.to_send += 1;
    }

    /// The request, whenever it is to be sent.
    pub fn poll_transmit(&mut self) -> Option<&[u8]> {
        self.to_send = self.to_send.checked_sub(1)?;
        Some(&self.request)
    }

    /// How it ended.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    /// When [`Transaction::handle_timeout`] wants to be called; `None` once it is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Over => None,
        }
    }

    fn end(&mut self, event: Event) {
        self.state = State::Over;
        self.to_send = 0;
        self.event = Some(event);
    }
}

impl Schedule {
    fn wait_after(&self, sent: u32, wait: Duration) -> Duration {
        if sent >= self.requests_max { self.first_wait * self.last_wait_factor } else { wait }
    }
}
