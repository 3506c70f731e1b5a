//! A story of players and a lobby machine (`twocan_fuzz::lobby`): numbered without gaps, one reply to each request, no
//! signal without a link, never oversold, and in the end nothing is left.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::lobby::run(bytes));
