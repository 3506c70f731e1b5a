//! Any text as a candidate: what can be read can be written, and is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twocan_ice::{Candidate, Parsed};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Candidate::parse(text) {
        Ok(Parsed::Candidate(candidate)) => {
            assert_eq!(Candidate::parse(&candidate.to_string()), Ok(Parsed::Candidate(candidate)));
        }
        Ok(Parsed::Named(named)) => {
            assert_eq!(Candidate::parse(&named.to_string()), Ok(Parsed::Named(named.clone())));
            let resolved = named.resolve([192, 0, 2, 1].into());
            assert_eq!(Candidate::parse(&resolved.to_string()), Ok(Parsed::Candidate(resolved)));
        }
        Err(_) => {}
    }
});
