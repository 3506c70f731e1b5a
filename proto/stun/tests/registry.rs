//! Our numbers and names against IANA's registry, as committed in `tests/iana`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use twocan_stun::{AttributeType, ErrorCode, Method};

/// Number to name.
fn registry(csv: &'static str) -> BTreeMap<u16, &'static str> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    csv.lines()
        .skip(1)
        .map(|line| {
            let mut fields = line.split(',');
            let value = number(fields.next().unwrap()).unwrap();
            (value, fields.next().unwrap())
        })
        .collect()
}

#[test]
fn every_attribute_has_the_number_and_the_name_of_the_registry() {
    let registry = registry(include_str!("iana/attributes.csv"));
    assert_eq!(AttributeType::ALL.len(), 38);
    for kind in AttributeType::ALL {
        assert_eq!(registry.get(&kind.0).copied(), kind.name(), "{:#06x}", kind.0);
    }
}

#[test]
fn every_method_has_the_number_and_the_name_of_the_registry() {
    let registry = registry(include_str!("iana/methods.csv"));
    assert_eq!(Method::ALL.len(), 7);
    for method in Method::ALL {
        assert_eq!(registry.get(&method.number()).copied(), method.name());
    }
}

#[test]
fn every_error_code_has_the_number_and_the_reason_of_the_registry() {
    let registry = registry(include_str!("iana/error_codes.csv"));
    assert_eq!(ErrorCode::ALL.len(), 15);
    for code in ErrorCode::ALL {
        assert_eq!(registry.get(&code.number()).copied(), code.reason());
    }
}

#[test]
fn the_constants_stand_in_order_and_nowhere_twice() {
    assert!(AttributeType::ALL.is_sorted_by(|a, b| a < b));
    assert!(Method::ALL.is_sorted_by(|a, b| a < b));
    assert!(ErrorCode::ALL.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_number_without_a_name_is_shown_as_a_number() {
    assert_eq!(AttributeType::XOR_PEER_ADDRESS.to_string(), "XOR-PEER-ADDRESS");
    assert_eq!(AttributeType(0xC070).to_string(), "0xc070");
    assert_eq!(ErrorCode::STALE_NONCE.to_string(), "438 Stale Nonce");
    assert_eq!(ErrorCode::new(699).unwrap().to_string(), "699");
    assert_eq!(format!("{:?}", Method::CREATE_PERMISSION), "CreatePermission");
}
