//! Who may take part in a handshake that nothing protects yet: one ClientHello and its repetitions, not every
//! stranger's. A stranger who came first only delays: after a while another may try.

use std::time::Instant;

use super::DtlsRole;
use super::limits::{HELLO_PATIENCE, HELLO_REPEAT_PAUSE};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;

/// What to do with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Drop,
    /// Another ClientHello is given its chance.
    Anew,
}

pub(super) struct Gate {
    role: DtlsRole,
    hello: Option<Hello>,
}

struct Hello {
    random: [u8; 32],
    since: Instant,
    repeated: Instant,
}

impl Gate {
    pub(super) fn new(role: DtlsRole) -> Self {
        Self { role, hello: None }
    }

    /// `settled`: the peer has shown its certificate.
    pub(super) fn judge(&mut self, datagram: &[u8], settled: bool, now: Instant) -> Verdict {
        let message = match datagram {
            [HANDSHAKE, _, _, 0, 0, _, _, _, _, _, _, _, _, message @ ..] => message,
            // Nothing can be decrypted before the peer said hello.
            _ if self.role == DtlsRole::Server && self.hello.is_none() => return Verdict::Drop,
            _ => return Verdict::Pass,
        };
        match (self.role, message.first()) {
            (DtlsRole::Client, Some(&CLIENT_HELLO)) => Verdict::Drop,
            (DtlsRole::Server, Some(&(SERVER_HELLO | HELLO_VERIFY_REQUEST))) => Verdict::Drop,
            (DtlsRole::Server, Some(&CLIENT_HELLO)) => self.judge_hello(message, settled, now),
            _ => Verdict::Pass,
        }
    }

    /// Type, length, number; offset and length of the fragment; version, random.
    fn judge_hello(&mut self, message: &[u8], settled: bool, now: Instant) -> Verdict {
        let first = message.get(6..9).is_some_and(|offset| offset == [0; 3]);
        let Some(&random) = message.get(14..).and_then(<[u8]>::first_chunk).filter(|_| first) else {
            // A later fragment, which may come first.
            return if settled { Verdict::Drop } else { Verdict::Pass };
        };
        match &mut self.hello {
            Some(hello) if hello.random == random => {
                if now < hello.repeated {
                    return Verdict::Drop;
                }
                hello.repeated = now + HELLO_REPEAT_PAUSE;
                Verdict::Pass
            }
            Some(hello) if settled || now < hello.since + HELLO_PATIENCE => Verdict::Drop,
            known => {
                let verdict = if known.is_some() { Verdict::Anew } else { Verdict::Pass };
                *known = Some(Hello { random, since: now, repeated: now + HELLO_REPEAT_PAUSE });
                verdict
            }
        }
    }

    /// The handshake begins anew.
    pub(super) fn forget(&mut self) {
        self.hello = None;
    }
}
