//! Connectivity checks on the wire: the requests, their answers, and which of them are still out.
//!
//! `twocan_stun::client::Transaction` repeats the same bytes and so cannot say which of two requests was answered. Here
//! every request is a transaction of its own: the round trip is exact even under loss, and a repetition says what is true
//! now (role, nomination, embedded bytes).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::attribute::{
    ErrorReply, IceControlled, IceControlling, Priority, UnknownAttributes, UseCandidate, Username,
    XorMappedAddress,
};
use twocan_stun::{
    AttributeType, BuildError, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId,
};

use crate::role::Claim;
use crate::{Config, Credentials, Role};

/// What may be embedded in one message, in bytes, headers of the attributes included.
pub(crate) const EMBEDDED_LEN_MAX: usize = 1024;

/// Room for any message of ours: the longest user name, and what is embedded.
const MESSAGE_LEN_MAX: usize = EMBEDDED_LEN_MAX + 700;

/// Credentials, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    pub credentials: Credentials,
    pub key: IntegrityKey,
}

impl Keyed {
    pub fn new(credentials: Credentials) -> Keyed {
        let key = IntegrityKey::short_term(&credentials.pwd);
        Keyed { credentials, key }
    }
}

/// Attributes of a kind we do not know, to go with each message.
pub(crate) type Embedded = Vec<(AttributeType, Vec<u8>)>;

/// What a request says.
pub(crate) struct Request<'a> {
    pub id: TransactionId,
    pub local: &'a Credentials,
    pub remote: &'a Keyed,
    pub claim: Claim,
    pub priority: u32,
    pub nominate: bool,
    pub embedded: &'a Embedded,
}

/// A Binding request (RFC 8445 section 7.1).
pub(crate) fn request(parts: &Request<'_>) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, parts.id)?;
    let username = format!("{}:{}", parts.remote.credentials.ufrag, parts.local.ufrag);
    builder.add(&Username(&username))?.add(&Priority(parts.priority))?;
    match parts.claim {
        Claim { role: Role::Controlling, tie_breaker } => builder.add(&IceControlling(tie_breaker))?,
        Claim { role: Role::Controlled, tie_breaker } => builder.add(&IceControlled(tie_breaker))?,
    };
    builder.add_optional(parts.nominate.then_some(&UseCandidate))?;
    embed(&mut builder, parts.embedded)?;
    Ok(builder.integrity(&parts.remote.key)?.fingerprint()?.finish().to_vec())
}

/// The answer to a request that was carried out (RFC 8445 section 7.3.1.2).
pub(crate) fn success(
    request: &Message<'_>,
    from: SocketAddr,
    key: &IntegrityKey,
    embedded: &Embedded,
) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let mut builder = Builder::success(&mut buffer, request)?;
    builder.add(&XorMappedAddress(from))?;
    embed(&mut builder, embedded)?;
    Ok(builder.integrity(key)?.fingerprint()?.finish().to_vec())
}

/// The answer to a request that was not, without a reason: it is never longer than the request. `key` is there if the
/// request was authentic (RFC 8489 section 9.1.3).
pub(crate) fn refusal(
    request: &Message<'_>,
    code: ErrorCode,
    unknown: &[AttributeType],
    key: Option<&IntegrityKey>,
) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let mut builder = Builder::error(&mut buffer, request, ErrorReply::bare(code))?;
    if !unknown.is_empty() {
        builder.add(&UnknownAttributes::new(unknown))?;
    }
    let bytes = match key {
        Some(key) => builder.integrity(key)?.fingerprint()?.finish(),
        None => builder.fingerprint()?.finish(),
    };
    Ok(bytes.to_vec())
}

fn embed(builder: &mut Builder<'_>, embedded: &Embedded) -> Result<(), BuildError> {
    embedded.iter().try_for_each(|(kind, value)| builder.add_raw(*kind, value).map(|_| ()))
}

/// A request that may still be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub id: TransactionId,
    pub at: Instant,
    pub role: Role,
    pub nominating: bool,
}

/// The last requests of one pair.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outstanding(VecDeque<Asked>);

impl Outstanding {
    /// More than a pair sends in a row.
    const MAX: usize = 16;

    pub fn push(&mut self, asked: Asked) {
        if self.0.len() == Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back(asked);
    }

    pub fn has(&self, id: TransactionId) -> bool {
        self.0.iter().any(|asked| asked.id == id)
    }

    /// The request of that id, which can be answered only once; those before it may still be, they are only late.
    pub fn take(&mut self, id: TransactionId) -> Option<Asked> {
        let index = self.0.iter().position(|asked| asked.id == id)?;
        self.0.remove(index)
    }
}

/// The wait for an answer, if the round trip takes that long.
pub(crate) fn rto(config: &Config, rtt: Option<Duration>) -> Duration {
    let rto = rtt.map_or(config.rto, |rtt| rtt * 3 / 2);
    rto.clamp(config.rto_min, config.rto_max.max(config.rto_min))
}

/// The wait after the so-manieth request in a row: twice the same, then doubled each time.
pub(crate) fn wait(config: &Config, rto: Duration, request: u32) -> Duration {
    let doublings = request.saturating_sub(2).min(16);
    (rto * (1 << doublings)).min(config.rto_max).max(rto)
}
