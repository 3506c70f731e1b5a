//! A peer behind DTLS that misbehaves (`twocan_fuzz::behind_dtls`): SCTP and DCEP changed, cut, repeated, held back and forged.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::behind_dtls::run(bytes));
