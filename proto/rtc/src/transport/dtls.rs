//! DTLS, by `dimpl`: 1.3, or 1.2 with those who have no more.
//!
//! What `dimpl` wants of its driver: time before each packet, all output taken after each packet, and no further use once it
//! returned an error. Anyone can send a packet that is an error while the handshake is not protected, so a handshake
//! that fails is begun anew; afterwards only the peer can.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, DtlsCertificate, Error, Output, ProtocolVersion, SecurityError};

use super::gate::{self, Gate, Progress, Verdict};
use super::limits::{
    ANSWER_PATIENCE, DTLS_13_OVERHEAD, DTLS_OVERHEAD, EARLY_RECORDS_MAX, FLIGHT_PAUSE_MAX, FLIGHT_PAUSE_MIN,
    MESSAGE_LEN_MAX, RESTART_PAUSE, SERVER_FLIGHT_PAUSE_MIN,
};
use super::outbox::Outbox;
use super::{Alert, Certificate, CloseReason, DtlsRole, DtlsVersions, Refusal, crypto};

/// A year, and another measure of "never" for the machine's own clock.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) struct Dtls {
    machine: dimpl::Dtls,
    setup: Setup,
    seed: u64,
    buffer: Vec<u8>,
    /// The machine's clock is ahead by this: its timer doubles without end, so its time is put forward where it would wait
    /// too long.
    ahead: Duration,
    timeout: Option<Instant>,
    connected: bool,
    /// The peer has shown its certificate: nobody else can take its place.
    certified: bool,
    gate: Gate,
    /// This attempt has sent something.
    has_sent: bool,
    /// A disturbed handshake rests until then.
    resting: Option<Instant>,
    /// A client's peer, or somebody else, answered at this time.
    answered: Option<Instant>,
    /// Application data that came before the handshake's end. The machine would keep it, too, and be full before that end comes.
    early: VecDeque<Vec<u8>>,
}

/// What every attempt has in common.
pub(super) struct Setup {
    pub(super) certificate: Certificate,
    pub(super) role: DtlsRole,
    pub(super) versions: DtlsVersions,
    pub(super) mtu: usize,
    /// As far as known.
    pub(super) rtt: Option<Duration>,
}

/// What came out of a datagram.
pub(super) enum Record<'a> {
    Certificate(&'a [u8]),
    Connected,
    Data(&'a [u8]),
    CloseNotify,
}

/// DTLS is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed(pub(super) CloseReason);

const FAILED: Failed = Failed(CloseReason::DtlsFailed);

impl Dtls {
    pub(super) fn new(setup: Setup, seed: u64, now: Instant) -> Result<Self, Failed> {
        Ok(Self {
            machine: setup.machine(seed, now)?,
            gate: Gate::new(setup.role),
            setup,
            seed,
            buffer: vec![0; 2_048],
            ahead: Duration::ZERO,
            timeout: None,
            connected: false,
            certified: false,
            has_sent: false,
            resting: None,
            answered: None,
            early: VecDeque::new(),
        })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Bytes by which a packet becomes longer.
    pub(super) fn overhead(&self) -> usize {
        match self.machine.protocol_version() {
            Some(ProtocolVersion::DTLS1_3) => DTLS_13_OVERHEAD,
            _ => DTLS_OVERHEAD,
        }
    }

    /// Takes a datagram, `false`: it is of no use; [`drain`](Self::drain) must follow.
    pub(super) fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<bool, Failed> {
        if self.resting.is_some_and(|until| now < until) {
            return Ok(false);
        }
        let progress = Progress { is_answered: self.has_sent, is_settled: self.certified };
        match self.gate.judge(datagram, progress, now) {
            Verdict::Pass => {}
            Verdict::Drop => return Ok(false),
            Verdict::Anew => self.begin_anew(now)?,
        }
        // The machine does not listen to an alert before it knows the version, nor to one in the clear once it has keys.
        if let Some(alert) = gate::fatal_alert(datagram).filter(|_| self.has_sent && !self.certified) {
            return Err(Failed(CloseReason::PeerRefused(alert)));
        }
        if !self.connected && is_application_data(datagram) {
            if self.early.len() < EARLY_RECORDS_MAX {
                self.early.push_back(datagram.to_vec());
            }
            return Ok(true);
        }
        let mut result = self.machine.handle_timeout(now + self.ahead);
        for datagram in gate::parts(datagram) {
            result = result.and_then(|()| self.machine.handle_packet(datagram));
        }
        result.or_else(|error| self.failed(&error, now))?;
        if self.setup.role == DtlsRole::Client
            && self.answered.is_none()
            && self.machine.protocol_version().is_some()
        {
            self.answered = Some(now);
        }
        Ok(true)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        if self.patience().is_some_and(|until| until <= now) {
            return self.begin_anew(now);
        }
        let result = self.machine.handle_timeout(now + self.ahead);
        result.or_else(|error| self.failed(&error, now))
    }

    /// A handshake that somebody disturbed begins anew, one that does not fit is over: who offers what does not fit would offer it
    /// again. Afterwards only the peer can disturb.
    fn failed(&mut self, error: &Error, now: Instant) -> Result<(), Failed> {
        let undecided = self.machine.protocol_version().is_none();
        if undecided && matches!(error, Error::UnexpectedMessage(_)) {
            return Ok(());
        }
        if let Error::SecurityError(SecurityError::FatalAlert { description }) = *error {
            return Err(Failed(CloseReason::PeerRefused(Alert(description))));
        }
        if self.connected || matches!(error, Error::Timeout(_)) {
            return Err(FAILED);
        }
        if let Some(refusal) = Refusal::of(error) {
            return Err(Failed(CloseReason::Refused(refusal)));
        }
        self.gate.forget();
        self.resting = Some(now + RESTART_PAUSE);
        self.begin_anew(now)
    }

    fn begin_anew(&mut self, now: Instant) -> Result<(), Failed> {
        (self.ahead, self.answered, self.certified) = (Duration::ZERO, None, false);
        self.has_sent = false;
        self.early.clear();
        self.seed = self.seed.wrapping_add(1);
        self.machine = self.setup.machine(self.seed, now)?;
        Ok(())
    }

    /// Takes all output: datagrams into the outbox, what was received to `received`.
    pub(super) fn drain(&mut self, outbox: &mut Outbox, now: Instant, mut received: impl FnMut(Record<'_>)) {
        loop {
            match self.machine.poll_output(&mut self.buffer) {
                Output::Packet(datagram) => {
                    self.has_sent = true;
                    outbox.push(datagram);
                }
                Output::PeerCert(certificate) => {
                    self.certified = true;
                    received(Record::Certificate(certificate));
                }
                Output::Connected => {
                    self.connected = true;
                    received(Record::Connected);
                }
                Output::ApplicationData(data) => received(Record::Data(data)),
                Output::CloseNotify => received(Record::CloseNotify),
                Output::BufferTooSmall { needed } if needed <= MESSAGE_LEN_MAX => {
                    self.buffer.resize(needed, 0);
                }
                Output::Timeout(at) => {
                    let early = if self.connected { self.early.pop_front() } else { None };
                    let Some(datagram) = early else { return self.wait_until(at, now) };
                    // Strangers may have sent it: what it is of no use for, nobody hears of.
                    let _ = self.machine.handle_timeout(now + self.ahead);
                    let _ = self.machine.handle_packet(&datagram);
                }
                Output::BufferTooSmall { .. } => return,
                // Keys for SRTP, which we have no use for.
                _ => {}
            }
        }
    }

    fn wait_until(&mut self, at: Instant, now: Instant) {
        let pause = at.saturating_duration_since(now + self.ahead);
        self.timeout = None;
        if pause > 6 * YEAR {
            return;
        }
        let pause_max = self.setup.first_pause().max(FLIGHT_PAUSE_MAX);
        self.ahead += pause.saturating_sub(pause_max);
        self.timeout = Some(now + pause.min(pause_max));
    }

    /// Encrypts one packet into the outbox.
    pub(super) fn send(&mut self, packet: &[u8], outbox: &mut Outbox, now: Instant) -> Result<(), Failed> {
        self.machine.send_application_data(packet).map_err(|_| FAILED)?;
        self.drain(outbox, now, |_| {});
        Ok(())
    }

    /// Says that the peer is refused; [`drain`](Self::drain) must follow.
    pub(super) fn refuse(&mut self, alert: Alert) {
        // A machine that cannot say it has no keys yet, or has said it by itself.
        let _ = self.machine.alert(alert.0);
    }

    /// Says close_notify, if there is somebody to say it to; [`drain`](Self::drain) must follow.
    pub(super) fn close(&mut self) {
        // A machine that cannot close has nothing to say.
        let _ = self.machine.close();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timeout.into_iter().chain(self.patience()).min()
    }

    /// How long a client waits for more of an answer.
    fn patience(&self) -> Option<Instant> {
        self.answered.filter(|_| !self.certified).map(|answered| answered + ANSWER_PATIENCE)
    }
}

/// Whether a datagram begins with a record of application data: DTLS 1.3 tells by the lowest bits of the epoch, which are those of epoch 3 (RFC 9147
/// section 4), 1.2 by the type.
pub(super) fn is_application_data(datagram: &[u8]) -> bool {
    const APPLICATION_DATA: u8 = 23;
    datagram.first().is_some_and(|first| *first == APPLICATION_DATA || first & 0b1110_0011 == 0b0010_0011)
}

impl Setup {
    /// How long the first attempt at a flight waits for an answer. A server need not hurry: what it waits for takes the client a key
    /// exchange, a slow one a tenth of a second and more, and a client that misses our flight says hello again before.
    fn first_pause(&self) -> Duration {
        let pause_min = match self.role {
            DtlsRole::Client => FLIGHT_PAUSE_MIN,
            DtlsRole::Server => SERVER_FLIGHT_PAUSE_MIN,
        };
        let pause = self.rtt.map_or(Duration::from_millis(400), |rtt| rtt * 2);
        pause.clamp(pause_min, Duration::from_secs(3))
    }

    /// A machine that has begun.
    fn machine(&self, seed: u64, now: Instant) -> Result<dimpl::Dtls, Failed> {
        let first_pause = self.first_pause();
        // As many attempts as the machine can count before its clock, see `ahead`, runs out.
        let retries = ((4 * YEAR).as_millis() / first_pause.as_millis()).ilog2() as usize;
        let config = Config::builder()
            .mtu(self.mtu)
            .use_server_cookie(false)
            .require_client_certificate(true)
            .flight_start_rto(first_pause)
            .flight_retries(retries)
            .handshake_timeout(9 * YEAR)
            .with_crypto_provider(crypto::provider())
            // Hello randoms and jitter; keys and signatures draw from the system all the same.
            .dangerously_set_rng_seed(seed)
            .build();
        let config = Arc::new(config.map_err(|_| FAILED)?);
        let certificate = DtlsCertificate {
            certificate: self.certificate.der().to_vec(),
            private_key: self.certificate.private_key().to_vec(),
        };
        let mut machine = match self.versions {
            DtlsVersions::Any => dimpl::Dtls::new_auto(config, certificate, now),
            DtlsVersions::Only12 => dimpl::Dtls::new_12(config, certificate, now),
            DtlsVersions::Only13 => dimpl::Dtls::new_13(config, certificate, now),
        };
        machine.set_active(self.role == DtlsRole::Client);
        machine.handle_timeout(now).map_err(|_| FAILED)?;
        Ok(machine)
    }
}
