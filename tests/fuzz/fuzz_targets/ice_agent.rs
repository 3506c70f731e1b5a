//! A story around an ICE agent (`twocan_fuzz::ice`): nothing is validated that was not proven, and what it sends is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::ice::run(bytes));
