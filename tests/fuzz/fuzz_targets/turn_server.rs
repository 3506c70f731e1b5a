//! A story of clients, peers and a TURN server (`twocan_fuzz::relay`): nothing reaches a peer that is denied, nobody is
//! answered twice, and in the end nothing is left.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::relay::run(bytes));
