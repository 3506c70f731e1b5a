//! Behaviour discovery against every kind of NAT, with time that is arithmetic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod nat;

use std::time::Duration;

use nat::{ANOTHER, Kind, Serves, World};
use twocan_stun::discovery::{Allocation, Behaviour, Filtering, Finding, Lifetime, Mapping, Unknown};

const MAPPINGS: [Mapping; 3] =
    [Mapping::EndpointIndependent, Mapping::AddressDependent, Mapping::AddressAndPortDependent];
const FILTERINGS: [Filtering; 3] =
    [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];
const ALLOCATIONS: [Allocation; 4] = [
    Allocation::Preserving,
    Allocation::Sequential { step: 1 },
    Allocation::Sequential { step: -2 },
    Allocation::Random,
];

const HOME: Kind = Kind {
    mapping: Mapping::EndpointIndependent,
    filtering: Filtering::AddressAndPortDependent,
    allocation: Allocation::Preserving,
    hairpin: false,
    lifetime: Duration::from_secs(30),
};

fn seconds(list: &[u64]) -> Vec<Duration> {
    list.iter().copied().map(Duration::from_secs).collect()
}

fn kinds() -> impl Iterator<Item = Kind> {
    MAPPINGS.into_iter().flat_map(|mapping| {
        FILTERINGS.into_iter().flat_map(move |filtering| {
            ALLOCATIONS.into_iter().flat_map(move |allocation| {
                [true, false].map(|hairpin| Kind { mapping, filtering, allocation, hairpin, ..HOME })
            })
        })
    })
}

/// What a NAT of this kind looks like from inside.
fn expected(kind: Kind) -> (Mapping, Filtering, Allocation, bool) {
    let is_independent = kind.mapping == Mapping::EndpointIndependent;
    // A second mapping of one socket cannot keep the port that the first has.
    let allocation = match kind.allocation {
        Allocation::Preserving if !is_independent => Allocation::Random,
        other => other,
    };
    // A socket with a new outer port for everybody is not whom the other one has asked.
    let is_let_in = is_independent || kind.filtering == Filtering::EndpointIndependent;
    (kind.mapping, kind.filtering, allocation, kind.hairpin && is_let_in)
}

fn found(behaviour: &Behaviour) -> (Mapping, Filtering, Allocation, bool) {
    let Behaviour { mapping, filtering, allocation, hairpin, .. } = behaviour;
    (
        mapping.known().expect("a mapping"),
        filtering.known().expect("a filtering"),
        allocation.known().expect("an allocation"),
        hairpin.known().expect("hairpin or not"),
    )
}

#[test]
fn every_kind_of_nat_is_told_for_what_it_is_within_four_seconds() {
    for kind in kinds() {
        let mut world = World::new(Some(kind), 1);
        let behaviour = world.discover(&[], &[]);
        assert_eq!(found(&behaviour), expected(kind), "{kind:?}");
        assert_eq!(behaviour.is_translated(), Some(true));
        assert!(world.ms() < 4_000, "{} ms", world.ms());
    }
}

#[test]
fn a_tenth_of_all_packets_may_be_lost() {
    let mut wrong = Vec::new();
    for (seed, kind) in (0..).zip(std::iter::repeat_n((), 10).flat_map(|()| kinds())) {
        let mut world = World::new(Some(kind), seed);
        world.lost_percent = 10;
        let behaviour = world.discover(&[], &[]);
        let told = (behaviour.mapping.known(), behaviour.filtering.known());
        if told != (Some(kind.mapping), Some(kind.filtering)) {
            wrong.push((seed, kind, behaviour));
        }
    }
    // One answer in two thousand is never had; each of 720 worlds needs five.
    assert!(wrong.len() <= 5, "{} wrong: {wrong:?}", wrong.len());
}

#[test]
fn without_a_nat_there_is_nothing_to_allocate_and_everything_comes_in() {
    let mut world = World::new(None, 1);
    let behaviour = world.discover(&seconds(&[5]), &[]);
    assert_eq!(behaviour.mapped, Some(world.local[0]));
    assert_eq!(behaviour.is_translated(), Some(false));
    assert_eq!(behaviour.mapping, Finding::Known(Mapping::EndpointIndependent));
    assert_eq!(behaviour.filtering, Finding::Known(Filtering::EndpointIndependent));
    assert_eq!(behaviour.allocation, Finding::Unknown(Unknown::NotTranslated));
    assert_eq!(behaviour.hairpin, Finding::Unknown(Unknown::NotTranslated));
    assert_eq!(behaviour.lifetime, Finding::Unknown(Unknown::NotTranslated));
    assert_eq!(behaviour.rtt, Some(Duration::from_millis(40)));
    assert_eq!(world.ms(), 80, "there is no mapping to wait for");
}

#[test]
fn where_nothing_is_answered_nothing_is_known() {
    let mut world = World::new(Some(HOME), 1);
    world.serves = Serves::Nothing;
    let behaviour = world.discover(&seconds(&[5]), &[ANOTHER]);
    assert_eq!((behaviour.mapped, behaviour.is_translated()), (None, None));
    assert_eq!(behaviour.mapping, Finding::Unknown(Unknown::NoAnswer));
    assert_eq!(behaviour.filtering, Finding::Unknown(Unknown::NoAnswer));
    assert_eq!(world.ms(), 3_150);
}

#[test]
fn a_server_with_one_address_tells_the_allocation_alone() {
    let mut world = World::new(Some(HOME), 1);
    world.serves = Serves::Binding;
    let behaviour = world.discover(&seconds(&[5]), &[]);
    assert_eq!(behaviour.mapping, Finding::Unknown(Unknown::OneAddress));
    assert_eq!(behaviour.filtering, Finding::Unknown(Unknown::OneAddress));
    assert_eq!(behaviour.lifetime, Finding::Unknown(Unknown::OneAddress));
    assert_eq!(behaviour.allocation, Finding::Known(Allocation::Preserving));
    assert_eq!(behaviour.hairpin, Finding::Known(false));
}

#[test]
fn two_servers_with_one_address_each_tell_whether_the_mapping_depends() {
    for (mapping, told) in [
        (Mapping::EndpointIndependent, Mapping::EndpointIndependent),
        (Mapping::AddressDependent, Mapping::Dependent),
        (Mapping::AddressAndPortDependent, Mapping::Dependent),
    ] {
        let mut world = World::new(Some(Kind { mapping, ..HOME }), 1);
        world.serves = Serves::Binding;
        assert_eq!(world.discover(&[], &[ANOTHER]).mapping, Finding::Known(told));
    }
}

#[test]
fn another_port_of_the_same_server_tells_only_that_the_port_counts() {
    let same_address = ["192.0.2.1:3479"];
    let mut world = World::new(Some(Kind { mapping: Mapping::AddressAndPortDependent, ..HOME }), 1);
    world.serves = Serves::Binding;
    let mapping = world.discover(&[], &same_address).mapping;
    assert_eq!(mapping, Finding::Known(Mapping::AddressAndPortDependent));
    let mut world = World::new(Some(HOME), 1);
    world.serves = Serves::Binding;
    assert_eq!(world.discover(&[], &same_address).mapping, Finding::Unknown(Unknown::OneAddress));
}

#[test]
fn the_lifetime_lies_between_the_last_that_lived_and_the_first_that_did_not() {
    let lifetimes = [5, 15, 25, 45, 60, 600];
    let mut world = World::new(Some(HOME), 1);
    let Finding::Known(lifetime) = world.discover(&seconds(&lifetimes), &[]).lifetime else {
        panic!("it is not known")
    };
    let (at_least, less_than) = (Some(Duration::from_secs(25)), Some(Duration::from_secs(45)));
    assert_eq!(lifetime, Lifetime { at_least, less_than });
    assert!(world.ms() < 50_000, "it does not wait for what cannot be: {} ms", world.ms());
}

#[test]
fn a_short_look_at_the_lifetime_says_at_least_so_long() {
    let mut world = World::new(Some(HOME), 1);
    let lifetime = world.discover(&seconds(&[5]), &[]).lifetime;
    let at_least = Some(Duration::from_secs(5));
    assert_eq!(lifetime, Finding::Known(Lifetime { at_least, less_than: None }));
    assert!(world.ms() < 5_200, "{} ms", world.ms());
}
