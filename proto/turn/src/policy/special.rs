//! The addresses that are not for everyone: IANA's special-purpose registries, and what lies outside unicast space.

use std::net::IpAddr;

use super::cidr::Cidr;

/// The whole of both IANA special-purpose registries (iana-ipv4-special-registry, iana-ipv6-special-registry; RFC 6890
/// and its updates), globally reachable entries included: none of them is a peer's address.
pub const SPECIAL_PURPOSE: &[Cidr] = &[
    Cidr::v4(0, 0, 0, 0, 8),                             // "this network"
    Cidr::v4(0, 0, 0, 0, 32),                            // "this host on this network"
    Cidr::v4(10, 0, 0, 0, 8),                            // private use
    Cidr::v4(100, 64, 0, 0, 10),                         // shared address space
    Cidr::v4(127, 0, 0, 0, 8),                           // loopback
    Cidr::v4(169, 254, 0, 0, 16),                        // link-local
    Cidr::v4(172, 16, 0, 0, 12),                         // private use
    Cidr::v4(192, 0, 0, 0, 24),                          // IETF protocol assignments
    Cidr::v4(192, 0, 0, 0, 29),                          // IPv4 service continuity
    Cidr::v4(192, 0, 0, 8, 32),                          // IPv4 dummy address
    Cidr::v4(192, 0, 0, 9, 32),                          // PCP anycast
    Cidr::v4(192, 0, 0, 10, 32),                         // TURN anycast
    Cidr::v4(192, 0, 0, 170, 32),                        // NAT64/DNS64 discovery
    Cidr::v4(192, 0, 0, 171, 32),                        // NAT64/DNS64 discovery
    Cidr::v4(192, 0, 2, 0, 24),                          // documentation
    Cidr::v4(192, 31, 196, 0, 24),                       // AS112
    Cidr::v4(192, 52, 193, 0, 24),                       // AMT
    Cidr::v4(192, 88, 99, 0, 24),                        // 6to4 relay anycast, deprecated
    Cidr::v4(192, 88, 99, 2, 32),                        // 6a44 relay anycast
    Cidr::v4(192, 168, 0, 0, 16),                        // private use
    Cidr::v4(192, 175, 48, 0, 24),                       // direct delegation AS112
    Cidr::v4(198, 18, 0, 0, 15),                         // benchmarking
    Cidr::v4(198, 51, 100, 0, 24),                       // documentation
    Cidr::v4(203, 0, 113, 0, 24),                        // documentation
    Cidr::v4(240, 0, 0, 0, 4),                           // reserved
    Cidr::v4(255, 255, 255, 255, 32),                    // limited broadcast
    Cidr::v6([0, 0, 0, 0, 0, 0, 0, 1], 128),             // loopback
    Cidr::v6([0; 8], 128),                               // unspecified
    Cidr::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),         // IPv4-mapped
    Cidr::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),      // NAT64
    Cidr::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),      // NAT64, local use
    Cidr::v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),          // discard only
    Cidr::v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64),          // dummy prefix
    Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),         // IETF protocol assignments
    Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),         // Teredo
    Cidr::v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128),        // PCP anycast
    Cidr::v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128),        // TURN anycast
    Cidr::v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128),        // DNS-SD SRP anycast
    Cidr::v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48),         // benchmarking
    Cidr::v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32),         // AMT
    Cidr::v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48),     // AS112
    Cidr::v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28),      // ORCHID, deprecated
    Cidr::v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28),      // ORCHIDv2
    Cidr::v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28),      // drone remote identification
    Cidr::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),     // documentation
    Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),         // 6to4
    Cidr::v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // direct delegation AS112
    Cidr::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),         // documentation
    Cidr::v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),         // segment routing SIDs
    Cidr::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),          // unique local
    Cidr::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),         // link-local unicast
];

/// IPv4 below multicast (224.0.0.0/4); IPv6 in 2000::/3: all else is multicast, deprecated or never given out.
pub(super) fn is_unicast_space(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] < 224,
        IpAddr::V6(ip) => ip.segments()[0] & 0xE000 == 0x2000,
    }
}
