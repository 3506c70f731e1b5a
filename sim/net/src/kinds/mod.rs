//! Networks that people are in, by name.

mod boxes;

use std::str::FromStr;

pub use boxes::*;

use crate::firewall::{FirewallConfig, Inbound, Outbound, Service};
use crate::mapping::Services;
use crate::nat::{Allocation, Behavior, Hairpin};
use crate::network::RouterConfig;
use crate::packet::Protocol;

/// Defines the kinds, their names, and the list of all of them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal: $boxes:expr,)*) => {
        /// What is between a host and the internet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: [Kind; [$(Kind::$kind),*].len()] = [$(Kind::$kind),*];

            /// Its name, as [`Kind::from_str`] reads it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }

            /// The boxes between the internet and the host, from the internet on.
            pub fn boxes(self) -> Vec<RouterConfig> {
                match self {
                    $(Kind::$kind => $boxes,)*
                }
            }
        }
    };
}

kinds! {
    /// A host of the internet itself: EIM/EIF, as it were.
    Public = "public": vec![],
    /// [`home`]: EIM/APDF, ports preserved, no hairpinning.
    Home = "home": vec![home()],
    /// [`home_pcp`]: a home whose router maps ports by NAT-PMP, PCP and UPnP.
    HomePcp = "home-pcp": vec![home_pcp()],
    /// [`hairpinning`]: a home that hairpins.
    Hairpinning = "hairpinning": vec![hairpinning()],
    /// [`linux_race`]: a home whose mapping is moved by who comes too early.
    LinuxRace = "linux-race": vec![linux_race()],
    /// [`full_cone`]: EIM/EIF.
    FullCone = "full-cone": vec![full_cone()],
    /// [`restricted`]: EIM/ADF.
    Restricted = "restricted": vec![restricted()],
    /// [`symmetric`]: APDM/APDF, random ports.
    Symmetric = "symmetric": vec![symmetric()],
    /// [`symmetric_sequential`]: APDM/APDF, one port after another.
    SymmetricSequential = "symmetric-sequential": vec![symmetric_sequential()],
    /// [`symmetric_preserving`]: APDM/APDF, the first mapping keeps the port.
    SymmetricPreserving = "symmetric-preserving": vec![symmetric_preserving()],
    /// [`adm_adf`]
    AdmAdf = "adm-adf": vec![adm_adf()],
    /// [`adm_apdf`]
    AdmApdf = "adm-apdf": vec![adm_apdf()],
    /// [`apdm_eif`]
    ApdmEif = "apdm-eif": vec![apdm_eif()],
    /// [`apdm_adf`]
    ApdmAdf = "apdm-adf": vec![apdm_adf()],
    /// [`cgnat`]: a phone behind its carrier's NAT, EIM/EIF, port blocks.
    Cgnat = "cgnat": vec![cgnat()],
    /// [`cgnat_symmetric`]: a phone behind its carrier's NAT, APDM/APDF, port blocks.
    CgnatSymmetric = "cgnat-symmetric": vec![cgnat_symmetric()],
    /// A [`home`] behind its carrier's NAT ([`cgnat`]).
    DoubleNat = "double-nat": vec![cgnat(), home()],
    /// A [`home`] behind its carrier's symmetric NAT ([`cgnat_symmetric`]).
    DoubleNatSymmetric = "double-nat-symmetric": vec![cgnat_symmetric(), home()],
    /// [`udp_blocked`]: a home or an office where no UDP leaves.
    UdpBlocked = "udp-blocked": vec![udp_blocked()],
    /// [`only_443`]: an office where nothing leaves but TCP to port 443.
    Only443 = "only-443": vec![only_443()],
    /// [`ipv6_only`]: no IPv4 but by NAT64.
    Ipv6Only = "ipv6-only": vec![ipv6_only()],
}

/// Text that names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a kind of network")]
pub struct NotAKind;

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Kind, NotAKind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or(NotAKind)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a kind looks from the IPv4 internet, all its boxes taken together: what an oracle needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The most dependent of its mappings.
    pub mapping: Behavior,
    /// The most dependent of its filterings; a firewall's counts.
    pub filtering: Behavior,
    /// Of the outermost NAT; `None` without one.
    pub allocation: Option<Allocation>,
    /// Whether two hosts behind the same boxes reach each other by their external endpoints, which are the outermost
    /// NAT's.
    pub hairpins: bool,
    /// Whether UDP leaves at all.
    pub udp: bool,
    /// Whether TCP leaves to any port.
    pub tcp: bool,
    /// Whether TCP leaves to port 443.
    pub tcp_443: bool,
    /// Whether hosts have an IPv4 address: else only NAT64 leads there.
    pub ipv4: bool,
    /// Whether an early stranger moves a mapping ([`crate::Uninvited::Claim`]).
    pub races: bool,
    /// Whether the innermost router maps ports by NAT-PMP, PCP or UPnP.
    pub maps_ports: bool,
}

impl Kind {
    /// How it looks from the IPv4 internet.
    pub fn traits(self) -> Traits {
        let boxes = self.boxes();
        let independent = Behavior::EndpointIndependent;
        let nats = || boxes.iter().filter_map(|each| each.nat.as_ref());
        let firewalls = || boxes.iter().filter_map(|each| each.firewall.as_ref());
        let is_guarded = firewalls().any(|firewall| firewall.inbound == Inbound::Replies);
        let guarded = if is_guarded { Behavior::AddressAndPortDependent } else { independent };
        let leaves = |service| firewalls().all(|firewall| allows(firewall, service));
        Traits {
            mapping: nats().map(|nat| nat.mapping).max().unwrap_or(independent),
            filtering: nats().map(|nat| nat.filtering).max().unwrap_or(independent).max(guarded),
            allocation: nats().next().map(|nat| nat.allocation),
            hairpins: nats().next().is_none_or(|nat| nat.hairpin == Hairpin::ExternalSource),
            udp: leaves(Service::all(Protocol::Udp)),
            tcp: leaves(Service::all(Protocol::Tcp)),
            tcp_443: leaves(Service::at(Protocol::Tcp, 443)),
            ipv4: boxes.iter().all(|each| each.nat64.is_none()),
            races: nats().any(|nat| nat.uninvited == crate::Uninvited::Claim),
            maps_ports: boxes.last().is_some_and(|each| each.services != Services::default()),
        }
    }
}

/// Whether all of a service may leave.
fn allows(firewall: &FirewallConfig, service: Service) -> bool {
    let covers = |rule: &Service| {
        rule.protocol == service.protocol && (rule.port.is_none() || rule.port == service.port)
    };
    match &firewall.outbound {
        Outbound::All => true,
        Outbound::Only(rules) => rules.iter().any(covers),
        Outbound::Except(rules) => !rules.iter().any(|rule| rule.protocol == service.protocol),
    }
}
