//! A story of gathering among servers that lie (`twocan_fuzz::gather`): sockets, streams and relays are never mixed up, nothing is kept
//! without limit, no hurry.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::gather::run(bytes));
