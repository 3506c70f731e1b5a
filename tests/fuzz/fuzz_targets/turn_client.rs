//! A story of a TURN client, its server and whoever writes in the server's name (`twocan_fuzz::turn_client`): nothing forged is
//! believed, nothing is sent that is malformed, nothing comes from a peer that was not asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| twocan_fuzz::turn_client::run(bytes));
