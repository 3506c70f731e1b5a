//! What the lobby of another process tells: see [`crate::control`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use ring::hmac;
use twocan_stun::attribute::{Data, Nonce};
use twocan_stun::{Builder, Class, ErrorCode, IntegrityKey, Message};

use super::Server;
use super::output::{Event, Via};
use crate::address::ClientAddr;
use crate::config::Config;
use crate::control::{self, Told};
use crate::stats::Discard;

/// Sessions of lobbies whose last number is remembered; of more, the oldest is forgotten. A process of a lobby has one.
const SESSIONS: usize = 64;
/// Room for an answer: header, DATA with the epoch, MESSAGE-INTEGRITY-SHA256.
const ANSWER_ROOM: usize = 20 + 12 + 36;

/// This end.
pub(super) struct Control {
    key: IntegrityKey,
    /// Of this process, the same in all threads.
    epoch: [u8; 8],
    numbers: BTreeMap<[u8; 8], u64>,
    order: VecDeque<[u8; 8]>,
}

impl Control {
    pub fn new(config: &Config) -> Option<Control> {
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, &config.nonce_key);
        let tag = hmac::sign(&nonces, b"twocan epoch");
        Some(Control {
            key: control::integrity_key(config.control_key.as_ref()?),
            epoch: *tag.as_ref().first_chunk()?,
            numbers: BTreeMap::new(),
            order: VecDeque::new(),
        })
    }

    /// Whether this is the next of its session. The last one again: it is answered again, and told no more.
    fn is_next(&mut self, told: &Told) -> Result<bool, Discard> {
        match self.numbers.get_mut(&told.session) {
            Some(last) if told.number < *last => return Err(Discard::Replay),
            Some(last) if told.number == *last => return Ok(false),
            Some(last) => *last = told.number,
            None => {
                if self.order.len() >= SESSIONS
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.numbers.remove(&oldest);
                }
                self.order.push_back(told.session);
                self.numbers.insert(told.session, told.number);
            }
        }
        Ok(true)
    }
}

impl Server {
    #[cold]
    pub(super) fn control(
        &mut self,
        message: &Message<'_>,
        from: ClientAddr,
        now: Instant,
    ) -> Result<(), Discard> {
        let unix_s = self.clock.unix_s(now);
        let Some(control) = &mut self.control else { return Err(Discard::UnknownMethod) };
        let nonce = message.get::<Nonce<'_>>().ok().flatten();
        if !nonce.is_some_and(|Nonce(nonce)| self.access.is_good_nonce(nonce, &from, unix_s)) {
            self.refuse_unproved(message, from, ErrorCode::STALE_NONCE, &[], now);
            return Ok(());
        }
        let is_sha256 = message.has(twocan_stun::AttributeType::MESSAGE_INTEGRITY_SHA256);
        if !is_sha256 || message.verify_integrity(&control.key).is_err() {
            self.refuse_unproved(message, from, ErrorCode::FORBIDDEN, &[], now);
            return Ok(());
        }
        let data = message.get::<Data<'_>>().ok().flatten();
        let told = data.and_then(|Data(data)| control::read(data)).ok_or(Discard::Malformed)?;
        let is_next = control.is_next(&told)?;
        let (key, epoch) = (control.key.clone(), control.epoch);
        for news in told.news.into_iter().filter(|_| is_next) {
            self.told(&news, now);
            self.output.events.push_back(Event::News(news));
        }
        let id = message.transaction_id();
        self.output.message(Via::Client(from), ANSWER_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Success, control::method(), id)?;
            builder.add(&Data(&epoch))?;
            Ok(builder.integrity_sha256(&key)?.finish().len())
        });
        Ok(())
    }
}
