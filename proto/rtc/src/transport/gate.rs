//! Who may take part in a handshake that nothing protects yet: one ClientHello and its repetitions, not every
//! stranger's. A stranger who came first only delays: after a while another may try.

use std::time::Instant;

use super::limits::{HELLO_PATIENCE, HELLO_REPEAT_PAUSE};
use super::{Alert, DtlsRole};

const ALERT: u8 = 21;
const FATAL: u8 = 2;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
const RECORD_HEADER_LEN: usize = 13;
const FRAGMENT_HEADER_LEN: usize = 12;
/// Records of one datagram that the machine takes.
const RECORDS_MAX: usize = 8;

/// How far a handshake is.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// We sent something.
    pub(super) is_answered: bool,
    /// The peer has shown its certificate.
    pub(super) is_settled: bool,
}

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

    pub(super) fn judge(&mut self, datagram: &[u8], progress: Progress, now: Instant) -> Verdict {
        let Progress { is_answered, is_settled } = progress;
        let mut random = None;
        let (mut any, mut has_hello) = (false, false);
        for message in fragments(datagram) {
            any = true;
            match (self.role, message.first()) {
                (DtlsRole::Client, Some(&CLIENT_HELLO)) => return Verdict::Drop,
                (DtlsRole::Server, Some(&(SERVER_HELLO | HELLO_VERIFY_REQUEST))) => return Verdict::Drop,
                (DtlsRole::Server, Some(&CLIENT_HELLO)) => {
                    has_hello = true;
                    random = random.or_else(|| random_of(message));
                }
                _ => {}
            }
        }
        if !any {
            // Nothing can be decrypted before the peer said hello.
            let is_early = self.role == DtlsRole::Server && self.hello.is_none() && !is_answered;
            return if is_early { Verdict::Drop } else { Verdict::Pass };
        }
        match random {
            Some(random) => self.judge_hello(random, progress, now),
            // Without its beginning, which may come later.
            None if has_hello && is_settled => Verdict::Drop,
            None => Verdict::Pass,
        }
    }

    fn judge_hello(&mut self, random: [u8; 32], progress: Progress, now: Instant) -> Verdict {
        match &mut self.hello {
            // The same beginning may come in other pieces, as long as the rest is missing.
            Some(hello) if hello.random == random && !progress.is_answered => Verdict::Pass,
            Some(hello) if hello.random == random => {
                if now < hello.repeated {
                    return Verdict::Drop;
                }
                hello.repeated = now + HELLO_REPEAT_PAUSE;
                Verdict::Pass
            }
            Some(hello) if progress.is_settled || now < hello.since + HELLO_PATIENCE => Verdict::Drop,
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

/// The alert of a datagram that is nothing but a fatal alert in the clear.
pub(super) fn fatal_alert(datagram: &[u8]) -> Option<Alert> {
    match split_record(datagram)? {
        (&[ALERT, _, _, 0, 0, ..], &[FATAL, description], []) => Some(Alert(description)),
        _ => None,
    }
}

/// The datagram in parts of as many records as the machine takes at once. It begins with a record in the clear, or is one part.
pub(super) fn parts(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut len = 0;
        for _ in 0..RECORDS_MAX {
            let Some((_, _, rest)) = datagram.get(len..).and_then(split_record) else {
                len = datagram.len();
                break;
            };
            len = datagram.len() - rest.len();
        }
        let (part, rest) = datagram.split_at_checked(len).filter(|(part, _)| !part.is_empty())?;
        datagram = rest;
        Some(part)
    })
}

/// The header and the content of a record with a header of DTLS 1.2, and what follows it.
fn split_record(datagram: &[u8]) -> Option<(&[u8; RECORD_HEADER_LEN], &[u8], &[u8])> {
    let (head, rest) = datagram.split_first_chunk::<RECORD_HEADER_LEN>()?;
    let &[20..=26, .., l0, l1] = head else { return None };
    let (content, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((head, content, rest))
}

/// The fragments of handshake messages in the clear.
fn fragments(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let records = std::iter::from_fn(move || {
        let (head, content, rest) = split_record(datagram)?;
        let &[kind, _, _, e0, e1, ..] = head;
        datagram = rest;
        Some(if kind == HANDSHAKE && [e0, e1] == [0; 2] { content } else { &[] })
    });
    records.flat_map(|mut content| {
        std::iter::from_fn(move || {
            let &[_, _, _, _, _, _, _, _, _, f0, f1, f2, ..] = content else { return None };
            let len = u32::from_be_bytes([0, f0, f1, f2]) as usize;
            let (fragment, rest) = content.split_at_checked(FRAGMENT_HEADER_LEN + len)?;
            content = rest;
            Some(fragment)
        })
    })
}

/// The random of a ClientHello, if this fragment begins it: behind the header, whose offset is zero, and the version.
fn random_of(fragment: &[u8]) -> Option<[u8; 32]> {
    fragment.get(6..9).filter(|offset| *offset == [0; 3])?;
    fragment.get(FRAGMENT_HEADER_LEN + 2..)?.first_chunk().copied()
}
