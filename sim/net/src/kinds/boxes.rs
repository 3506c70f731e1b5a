//! The boxes, one constructor each.

use std::time::Duration;

use crate::firewall::{FirewallConfig, Outbound, Refusal, Service};
use crate::mapping::Services;
use crate::nat::{Allocation, Behavior, Hairpin, NatConfig, Pooling, Uninvited};
use crate::network::RouterConfig;
use crate::packet::Protocol;
use crate::prefix::Prefix;
use crate::session::Timeouts;

use Behavior::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

/// Ports of a subscriber behind a carrier's NAT.
const BLOCK_SIZE: u16 = 512;

/// Blocks of a subscriber.
const BLOCKS_PER_SUBSCRIBER: u16 = 2;

/// A router with a NAT and nothing else.
fn nat(nat: NatConfig) -> RouterConfig {
    RouterConfig { nat: Some(nat), ..RouterConfig::default() }
}

/// A NAT with random ports, as those that map by destination mostly are.
fn random(mapping: Behavior, filtering: Behavior) -> RouterConfig {
    nat(NatConfig { mapping, filtering, allocation: Allocation::Random, ..NatConfig::default() })
}

/// Most homes: EIM/APDF, ports preserved, no hairpinning.
pub fn home() -> RouterConfig {
    nat(NatConfig::default())
}

/// A home whose router opens ports by NAT-PMP, PCP and UPnP.
pub fn home_pcp() -> RouterConfig {
    RouterConfig { services: Services::ALL, ..home() }
}

/// A home that hairpins as RFC 4787 asks, with the external source.
pub fn hairpinning() -> RouterConfig {
    nat(NatConfig { hairpin: Hairpin::ExternalSource, ..NatConfig::default() })
}

/// EIM/EIF ("full cone"): who knows the mapping can use it.
pub fn full_cone() -> RouterConfig {
    nat(NatConfig { filtering: EndpointIndependent, ..NatConfig::default() })
}

/// EIM/ADF ("restricted cone").
pub fn restricted() -> RouterConfig {
    nat(NatConfig { filtering: AddressDependent, ..NatConfig::default() })
}

/// APDM/APDF ("symmetric"), random ports.
pub fn symmetric() -> RouterConfig {
    random(AddressAndPortDependent, AddressAndPortDependent)
}

/// APDM/APDF, each mapping one port above the last: it can be predicted.
pub fn symmetric_sequential() -> RouterConfig {
    nat(NatConfig {
        mapping: AddressAndPortDependent,
        allocation: Allocation::Sequential { step: 1 },
        ..NatConfig::default()
    })
}

/// APDM/APDF: the first mapping keeps the port, those to other destinations get random ones.
pub fn symmetric_preserving() -> RouterConfig {
    nat(NatConfig { mapping: AddressAndPortDependent, ..NatConfig::default() })
}

/// ADM/ADF, random ports.
pub fn adm_adf() -> RouterConfig {
    random(AddressDependent, AddressDependent)
}

/// ADM/APDF, random ports.
pub fn adm_apdf() -> RouterConfig {
    random(AddressDependent, AddressAndPortDependent)
}

/// APDM/EIF, random ports.
pub fn apdm_eif() -> RouterConfig {
    random(AddressAndPortDependent, EndpointIndependent)
}

/// APDM/ADF, random ports.
pub fn apdm_adf() -> RouterConfig {
    random(AddressAndPortDependent, AddressDependent)
}

/// A carrier's NAT as RFC 6888 asks: EIM/EIF, hairpinning, a block of ports for each subscriber, paired addresses.
pub fn cgnat() -> RouterConfig {
    nat(NatConfig {
        filtering: EndpointIndependent,
        allocation: Allocation::Blocks { size: BLOCK_SIZE, per_subscriber: BLOCKS_PER_SUBSCRIBER },
        hairpin: Hairpin::ExternalSource,
        pooling: Pooling::Paired,
        ..NatConfig::default()
    })
}

/// A carrier's NAT that maps by destination: APDM/APDF, a block of ports for each subscriber, short memory.
pub fn cgnat_symmetric() -> RouterConfig {
    nat(NatConfig {
        mapping: AddressAndPortDependent,
        allocation: Allocation::Blocks { size: BLOCK_SIZE, per_subscriber: BLOCKS_PER_SUBSCRIBER },
        timeouts: Timeouts { udp: Duration::from_secs(30), ..Timeouts::default() },
        ..NatConfig::default()
    })
}

/// A home with Linux that does not drop uninvited input: who comes too early moves the mapping.
pub fn linux_race() -> RouterConfig {
    nat(NatConfig { uninvited: Uninvited::Claim, ..NatConfig::default() })
}

/// A home or an office where no UDP leaves.
pub fn udp_blocked() -> RouterConfig {
    let outbound = Outbound::Except(vec![Service::all(Protocol::Udp)]);
    RouterConfig { firewall: Some(FirewallConfig { outbound, ..FirewallConfig::default() }), ..home() }
}

/// An office where nothing leaves but TCP to port 443; all else is refused aloud.
pub fn only_443() -> RouterConfig {
    let outbound = Outbound::Only(vec![Service::at(Protocol::Tcp, 443)]);
    let refusal = Refusal::Answer;
    let firewall = FirewallConfig { outbound, refusal, ..FirewallConfig::default() };
    RouterConfig { firewall: Some(firewall), ..home() }
}

/// A mobile network without IPv4: NAT64 (EIM) at the well-known prefix, and a firewall that lets only replies in.
pub fn ipv6_only() -> RouterConfig {
    RouterConfig {
        nat: Some(NatConfig { filtering: AddressDependent, ..NatConfig::default() }),
        nat64: Some(Prefix::NAT64),
        firewall: Some(FirewallConfig::default()),
        services: Services::default(),
    }
}
