//! What ought to come of a world, from what is known of its boxes, without running it.
//!
//! The rule of RFC 4787's words for plain RFC 8445 ICE over IPv4: one side maps independently of the endpoint, and it filters by address
//! at most, or the other side maps so too.

use twocan_sim::kinds::Traits;
use twocan_sim::{Behavior, Kind};

use crate::plan::{At, Plan, What};
use crate::player::{PlayerKind, Settings};

/// What ought to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected {
    /// A direct path exists, and plain ICE finds it.
    Direct,
    /// Only a relay helps.
    Relayed,
    /// Nothing does; the word that the failure ought to carry, where it is certain.
    Nothing(Option<&'static str>),
    /// It depends on when what happens.
    Unknown,
}

/// Whether plain ICE finds a way between two kinds without a relay, over IPv4.
pub fn is_direct_v4(one: Kind, other: Kind) -> bool {
    let [one, other] = [one, other].map(Kind::traits);
    let independent = |behavior: Behavior| behavior == Behavior::EndpointIndependent;
    let reachable = |to: &Traits, from: &Traits| {
        let lets_in = to.filtering <= Behavior::AddressDependent || independent(from.mapping);
        independent(to.mapping) && lets_in
    };
    // Whoever comes is let in, and answers come from where the asker has sent: each learns the other's mapping by a check.
    let learns = |open: &Traits, other: &Traits| {
        let by_address = Behavior::AddressDependent;
        independent(open.filtering) && other.mapping <= by_address && other.filtering <= by_address
    };
    let finds = |one, other| reachable(one, other) || learns(one, other);
    let speak = one.udp && other.udp && one.ipv4 && other.ipv4;
    speak && (finds(&one, &other) || finds(&other, &one))
}

/// Whether a kind's boxes let UDP out, over IPv6 as over IPv4.
fn speaks_udp(kind: Kind) -> bool {
    kind.traits().udp
}

/// Whether hosts of this kind have IPv6, or were given it.
fn has_v6(kind: Kind, given: bool) -> bool {
    given || !kind.traits().ipv4
}

/// Whether the two find each other without a relay.
pub fn is_direct(plan: &Plan) -> bool {
    let [one, other] = plan.kinds;
    if plan.together {
        return true;
    }
    let both_v6 = has_v6(one, plan.ipv6[0]) && has_v6(other, plan.ipv6[1]);
    // A dead STUN server costs nothing: TURN says the same.
    both_v6 && speaks_udp(one) && speaks_udp(other) || is_direct_v4(one, other)
}

/// Whether two pages may not come to their relays within 20 s: each check shows the other side a port that it has not seen, and a browser asks
/// whoever asked it before it asks anybody anew (libwebrtc, `BasicIceController`, rule 3), so there is always one more. One pair of this kind in forty.
pub fn is_starved(plan: &Plan) -> bool {
    let is_page = |settings: &Settings| settings.kind == PlayerKind::Page;
    let multiplies = |kind: Kind| {
        let Traits { mapping, filtering, .. } = kind.traits();
        mapping != Behavior::EndpointIndependent && filtering == Behavior::EndpointIndependent
    };
    plan.settings.iter().all(is_page) && plan.kinds.into_iter().all(multiplies)
}

/// What ought to come of a world.
pub fn expected(plan: &Plan) -> Expected {
    let happens = |wanted: fn(&What) -> bool| plan.faults.iter().any(|fault| wanted(&fault.what));
    let dies_early = plan
        .faults
        .iter()
        .any(|fault| fault.what == What::ServerDies && matches!(fault.at, At::Join(_) | At::Start));
    if dies_early {
        return Expected::Unknown;
    }
    let relay_only = plan.settings.iter().any(|settings| settings.relay_only);
    if !relay_only && is_direct(plan) {
        return Expected::Direct;
    }
    let refused = happens(|what| matches!(what, What::WrongPassword | What::ExpiredCredential));
    let dead = happens(|what| matches!(what, What::TurnDead));
    if is_starved(plan) {
        return Expected::Unknown;
    }
    if refused {
        return Expected::Nothing(Some("turn-rejected"));
    }
    if dead {
        return Expected::Nothing(Some("turn-unreachable"));
    }
    Expected::Relayed
}
