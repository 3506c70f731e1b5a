//! What the parts are still to have.
#![allow(missing_docs, clippy::unused_self)]

use std::time::{Duration, Instant};

use crate::transport::{DtlsRole, Fingerprint, Transport};

pub(super) struct Remote {
    pub role: DtlsRole,
    pub fingerprints: Vec<Fingerprint>,
    pub sctp_port: u16,
    pub max_message_size: u32,
    pub sctp_init: Option<String>,
}

pub(super) trait TransportBridge {
    fn start(&mut self, remote: Remote, rtt: Option<Duration>, now: Instant) {
        let Remote { role, fingerprints, sctp_port, max_message_size, sctp_init } = remote;
        let _ = (role, fingerprints, sctp_port, max_message_size, sctp_init, rtt, now);
    }
    fn path_changed(&mut self, rtt: Option<Duration>, now: Instant) {
        let _ = (rtt, now);
    }
    fn sctp_init(&self) -> Option<String> {
        None
    }
}

impl TransportBridge for Transport {}
