//! Token buckets, alone and in tables of fixed size: for answers to those who have not proved themselves, and for data to those
//! who have not answered.

use std::net::IpAddr;
use std::time::Instant;

use twocan_base::Household;

use crate::limits::Rate;
use crate::stats::Discard;

const NANOS: u64 = 1_000_000_000;

/// A token bucket. It is full when made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In billionths of a token.
    level: u64,
    at: Instant,
}

impl Bucket {
    pub fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket { level: u64::from(rate.burst) * NANOS, at: now }
    }

    /// Takes `amount` tokens, or none if there are fewer.
    pub fn take(&mut self, rate: Rate, amount: u32, now: Instant) -> bool {
        let nanos = nanos_since(&mut self.at, now);
        take(&mut self.level, rate, amount, nanos)
    }
}

/// The two buckets of an allocation's data, which are always asked together: bytes and packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataBuckets {
    rates: [Rate; 2],
    levels: [u64; 2],
    at: Instant,
}

impl DataBuckets {
    /// `rates`: of bytes and of packets.
    pub fn full(rates: [Rate; 2], now: Instant) -> DataBuckets {
        DataBuckets { rates, levels: rates.map(|rate| u64::from(rate.burst) * NANOS), at: now }
    }

    /// Takes one packet of so many bytes.
    pub fn take(&mut self, bytes: u32, now: Instant) -> Result<(), Discard> {
        let nanos = nanos_since(&mut self.at, now);
        let ([bytes_rate, packets_rate], [bytes_level, packets_level]) = (self.rates, &mut self.levels);
        let has_packet = take(packets_level, packets_rate, 1, nanos);
        let has_bytes = take(bytes_level, bytes_rate, if has_packet { bytes } else { 0 }, nanos);
        match (has_packet, has_bytes) {
            (false, _) => Err(Discard::PacketRate),
            (true, false) => Err(Discard::ByteRate),
            (true, true) => Ok(()),
        }
    }
}

/// Nanoseconds since `at`, which is `now` from here on.
fn nanos_since(at: &mut Instant, now: Instant) -> u64 {
    if now <= *at {
        return 0;
    }
    let elapsed = now.saturating_duration_since(*at);
    *at = now;
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Fills a bucket for so many nanoseconds, and takes `amount` out, or nothing if there is less.
fn take(level: &mut u64, rate: Rate, amount: u32, nanos: u64) -> bool {
    let gain = nanos.saturating_mul(u64::from(rate.per_second));
    *level = level.saturating_add(gain).min(u64::from(rate.burst) * NANOS);
    let left = level.checked_sub(u64::from(amount) * NANOS);
    *level = left.unwrap_or(*level);
    left.is_some()
}

/// Buckets in each row of a [`Meter`].
const SLOTS: usize = 2_048;

/// Meters what goes to each of any number of places in a table of fixed size: nobody makes it grow. Each key has a bucket in two
/// rows, each with half of the rate, at places that nobody without the key can foretell: a
/// flood that empties one bucket of somebody else's rarely empties the other.
pub(super) struct Meter {
    half: Rate,
    keys: [u64; 2],
    rows: [Box<[Bucket]>; 2],
}

impl Meter {
    pub fn new(rate: Rate, keys: [u64; 2], now: Instant) -> Meter {
        let half = Rate { per_second: rate.per_second.div_ceil(2), burst: rate.burst.div_ceil(2) };
        let row = || vec![Bucket::full(half, now); SLOTS].into_boxed_slice();
        Meter { half, keys, rows: [row(), row()] }
    }

    /// Whether `amount` more may go to the place with this key.
    pub fn admits(&mut self, place: u64, amount: u32, now: Instant) -> bool {
        let mut admitted = false;
        for (row, key) in self.rows.iter_mut().zip(self.keys) {
            if let Some(bucket) = row.get_mut(slot(place, key)) {
                admitted = admitted || bucket.take(self.half, amount, now);
            }
        }
        admitted
    }
}

/// The place of a household: never the same number for two.
pub(super) fn household_place(ip: IpAddr) -> u64 {
    match Household::from(ip).network() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 72).expect("128 - 72 bits") | 1 << 63,
    }
}

/// The place of the network to which an answer goes: the /24 of an IPv4 address, the /56 of an IPv6 one.
pub(super) fn network_place(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        ip @ IpAddr::V6(_) => household_place(ip),
    }
}

/// A number for a name (FNV-1a, 64 bits). Names that somebody chooses may be made to have the same.
pub(super) fn name_place(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A keyed mix (splitmix64's finisher) down to a place in a row.
fn slot(place: u64, key: u64) -> usize {
    let mut mixed = place ^ key;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB ^ key << 1);
    mixed ^= mixed >> 31;
    usize::try_from(mixed % SLOTS as u64).expect("below the number of slots")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        Instant::now()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let now = start();
        let mut bucket = Bucket::full(RATE, now);
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(RATE, 1, now)).count();
        assert_eq!(taken(&mut bucket, now), 20);
        assert_eq!(taken(&mut bucket, now + Duration::from_millis(99)), 0);
        assert_eq!(taken(&mut bucket, now + Duration::from_millis(100)), 1);
        assert_eq!(taken(&mut bucket, now + Duration::from_millis(1_100)), 10);
        assert_eq!(taken(&mut bucket, now + Duration::from_secs(1_000_000)), 20);
    }

    #[test]
    fn a_bucket_that_refuses_keeps_what_it_has() {
        let now = start();
        let mut bucket = Bucket::full(RATE, now);
        assert!(!bucket.take(RATE, 21, now));
        assert!(bucket.take(RATE, 20, now));
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing() {
        let now = start() + Duration::from_secs(10);
        let mut bucket = Bucket::full(RATE, now);
        assert!(bucket.take(RATE, 20, now));
        assert!(!bucket.take(RATE, 1, now - Duration::from_secs(10)));
        assert!(!bucket.take(RATE, 1, now));
    }

    fn admitted(meter: &mut Meter, ip: &str, now: Instant) -> usize {
        let ip = ip.parse().unwrap();
        (0..100).filter(|_| meter.admits(network_place(ip), 1, now)).count()
    }

    #[test]
    fn a_meter_counts_a_prefix_and_not_an_address() {
        let now = start();
        let mut meter = Meter::new(RATE, [3, 4], now);
        assert_eq!(admitted(&mut meter, "198.51.100.1", now), 20);
        assert_eq!(admitted(&mut meter, "198.51.100.255", now), 0);
        assert_eq!(admitted(&mut meter, "198.51.101.1", now), 20);
        assert_eq!(admitted(&mut meter, "2001:db8:0:1::1", now), 20);
        assert_eq!(admitted(&mut meter, "2001:db8:0:ff::1", now), 0);
        assert_eq!(admitted(&mut meter, "2001:db8:0:100::1", now), 20);
    }

    #[test]
    fn a_flood_from_one_prefix_leaves_the_others_their_answers() {
        let now = start();
        let mut meter = Meter::new(RATE, [3, 4], now);
        admitted(&mut meter, "198.51.100.1", now);
        let refused = (0..2_000_u32).filter(|n| !meter.admits(u64::from(0x0001_0000 + n), 1, now)).count();
        assert_eq!(refused, 0);
    }
}
