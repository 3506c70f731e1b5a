//! Nonces that need no memory (RFC 8489 9.2): each carries its time, and a keyed MAC over that time and the 5-tuple's far
//! end. The key is derived anew for every lifetime; the one before it is good until its last nonce has run out.
//!
//! ```text
//! obMatJos2 gAAA base64( seconds: 4 bytes | HMAC-SHA256 truncated to 16 bytes )
//! cookie    password algorithms (RFC 8489 9.2, 18.1)
//! ```

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::address::{ClientAddr, Transport};

/// The nonce cookie and the one security feature: password algorithms, the leftmost of 24 bits.
const COOKIE: &str = "obMatJos2gAAA";
const TIME_LEN: usize = 4;
const MAC_LEN: usize = 16;
/// Base64 of 20 bytes, without padding.
const BODY_LEN: usize = 27;
/// Bytes in a nonce.
pub(super) const NONCE_LEN: usize = COOKIE.len() + BODY_LEN;

/// The keys of this lifetime and the one before.
pub(super) struct Nonces {
    master: hmac::Key,
    lifetime_s: u64,
    epoch: u64,
    current: hmac::Key,
    previous: hmac::Key,
}

impl Nonces {
    pub fn new(key: &[u8; 32], lifetime_s: u64, unix_s: u64) -> Nonces {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key);
        let lifetime_s = lifetime_s.max(1);
        let epoch = unix_s / lifetime_s;
        let current = key_of(&master, epoch);
        let previous = key_of(&master, epoch.wrapping_sub(1));
        Nonces { master, lifetime_s, epoch, current, previous }
    }

    /// A nonce for this client, good for one lifetime.
    pub fn issue(&mut self, client: &ClientAddr, unix_s: u64) -> String {
        self.roll(unix_s);
        let mut body = [0; TIME_LEN + MAC_LEN];
        let (time, mac) = body.split_at_mut(TIME_LEN);
        time.copy_from_slice(&wire_time(unix_s));
        mac.copy_from_slice(&mac_of(&self.current, wire_time(unix_s), client));
        let mut nonce = String::with_capacity(NONCE_LEN);
        nonce.push_str(COOKIE);
        STANDARD_NO_PAD.encode_string(body, &mut nonce);
        nonce
    }

    /// Whether the nonce is ours, this client's and not older than a lifetime.
    pub fn is_good(&mut self, nonce: &[u8], client: &ClientAddr, unix_s: u64) -> bool {
        self.roll(unix_s);
        let Some(body) = nonce.strip_prefix(COOKIE.as_bytes()).filter(|body| body.len() == BODY_LEN) else {
            return false;
        };
        // The decoder wants room for whole groups of four characters.
        let mut bytes = [0; 21];
        if STANDARD_NO_PAD.decode_slice(body, &mut bytes) != Ok(TIME_LEN + MAC_LEN) {
            return false;
        }
        let [t0, t1, t2, t3, mac @ .., _] = bytes;
        let issued = u64::from(u32::from_be_bytes([t0, t1, t2, t3]));
        if issued > unix_s || unix_s - issued >= self.lifetime_s {
            return false;
        }
        let key = if issued / self.lifetime_s == self.epoch { &self.current } else { &self.previous };
        mac_of(key, [t0, t1, t2, t3], client).ct_eq(&mac).into()
    }

    fn roll(&mut self, unix_s: u64) {
        let epoch = unix_s / self.lifetime_s;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.current = key_of(&self.master, epoch);
            self.previous = key_of(&self.master, epoch.wrapping_sub(1));
        }
    }
}

/// Unix seconds in 32 bits, good until 2106.
fn wire_time(unix_s: u64) -> [u8; TIME_LEN] {
    u32::try_from(unix_s).unwrap_or(u32::MAX).to_be_bytes()
}

fn key_of(master: &hmac::Key, epoch: u64) -> hmac::Key {
    let mut context = hmac::Context::with_key(master);
    context.update(b"twocan nonce");
    context.update(&epoch.to_be_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
}

fn mac_of(key: &hmac::Key, time: [u8; TIME_LEN], client: &ClientAddr) -> [u8; MAC_LEN] {
    let address = match client.remote.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let transport = match client.transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
    };
    let mut context = hmac::Context::with_key(key);
    context.update(&time);
    context.update(&[transport]);
    context.update(&client.remote.port().to_be_bytes());
    context.update(&address.octets());
    let tag = context.sign();
    *tag.as_ref().first_chunk().expect("HMAC-SHA256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: u64 = 3_600;
    /// In the middle of a key's time.
    const T: u64 = 1_790_000_000 / LIFETIME * LIFETIME + 1_800;

    fn client(text: &str) -> ClientAddr {
        let local = "203.0.113.5:3478".parse().unwrap();
        ClientAddr { remote: text.parse().unwrap(), local, transport: Transport::Udp }
    }

    #[test]
    fn a_nonce_is_good_for_its_lifetime_across_one_change_of_key() {
        let mut nonces = Nonces::new(&[7; 32], LIFETIME, T);
        let client = client("192.0.2.1:4000");
        let nonce = nonces.issue(&client, T);
        assert_eq!(nonce.len(), NONCE_LEN);
        for (after, good) in
            [(0, true), (1, true), (1_801, true), (3_599, true), (3_600, false), (7_200, false)]
        {
            assert_eq!(nonces.is_good(nonce.as_bytes(), &client, T + after), good, "after {after} s");
        }
    }

    #[test]
    fn a_nonce_is_good_for_one_address_one_port_and_one_transport() {
        let mut nonces = Nonces::new(&[7; 32], LIFETIME, T);
        let nonce = nonces.issue(&client("192.0.2.1:4000"), T);
        for other in ["192.0.2.1:4001", "192.0.2.2:4000", "[2001:db8::1]:4000"] {
            assert!(!nonces.is_good(nonce.as_bytes(), &client(other), T), "{other}");
        }
        let tcp = ClientAddr { transport: Transport::Tcp, ..client("192.0.2.1:4000") };
        assert!(!nonces.is_good(nonce.as_bytes(), &tcp, T));
    }

    #[test]
    fn threads_that_share_the_key_accept_each_others_nonces() {
        let client = client("192.0.2.1:4000");
        let nonce = Nonces::new(&[7; 32], LIFETIME, T - LIFETIME).issue(&client, T);
        assert!(Nonces::new(&[7; 32], LIFETIME, T).is_good(nonce.as_bytes(), &client, T + 1));
        assert!(!Nonces::new(&[8; 32], LIFETIME, T).is_good(nonce.as_bytes(), &client, T + 1));
    }

    #[test]
    fn no_byte_of_a_nonce_can_be_changed() {
        let mut nonces = Nonces::new(&[7; 32], LIFETIME, T);
        let client = client("192.0.2.1:4000");
        let nonce = nonces.issue(&client, T).into_bytes();
        for index in 0..nonce.len() {
            let mut forged = nonce.clone();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            assert!(!nonces.is_good(&forged, &client, T), "byte {index}");
        }
        for wrong in [&nonce[..NONCE_LEN - 1], b"", b"obMatJos2gAAA"] {
            assert!(!nonces.is_good(wrong, &client, T));
        }
    }

    #[test]
    fn the_cookie_says_that_password_algorithms_are_known() {
        let features = STANDARD_NO_PAD.decode(&COOKIE[9..]).unwrap();
        assert_eq!(features, [0b1000_0000, 0, 0]);
    }
}
