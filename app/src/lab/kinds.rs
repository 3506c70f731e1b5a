//! The kinds of networks, a line each.

use std::io::Write as _;

use anyhow::bail;
use twocan_lab::sim::Kind;

/// `twocan lab kinds`.
pub fn print() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for kind in Kind::ALL {
        writeln!(out, "{:<22}{}", kind.name(), says(kind))?;
    }
    Ok(())
}

/// Reads a kind's name, for clap.
pub fn parse(text: &str) -> anyhow::Result<Kind> {
    match text.parse() {
        Ok(kind) => Ok(kind),
        Err(_) => {
            let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
            bail!("there is no such kind of network; there are {}", names.join(", "))
        }
    }
}

/// What it is, for somebody who does not read RFC 4787.
fn says(kind: Kind) -> &'static str {
    match kind {
        Kind::Public => "an address of the internet itself, no NAT",
        Kind::Home => "most homes: the port is kept, only who was written to may answer",
        Kind::HomePcp => "a home whose router opens ports on request (NAT-PMP, PCP, UPnP)",
        Kind::Hairpinning => "a home whose hosts reach each other by their outer addresses",
        Kind::LinuxRace => "a home with a plain Linux router: who comes too early moves the port",
        Kind::FullCone => "whoever knows the outer port may use it",
        Kind::Restricted => "whoever was written to may answer, from any port",
        Kind::Symmetric => "another random port for each destination: many offices and campuses",
        Kind::SymmetricSequential => "another port for each destination, one after the other",
        Kind::SymmetricPreserving => "the first destination sees the port kept, others random ones",
        Kind::AdmAdf => "another random port for each address; answers from that address",
        Kind::AdmApdf => "another random port for each address; answers from that port alone",
        Kind::ApdmEif => "another random port for each destination; anybody may use each",
        Kind::ApdmAdf => "another random port for each destination; answers from that address",
        Kind::Cgnat => "a phone behind its carrier's NAT, as RFC 6888 asks",
        Kind::CgnatSymmetric => "a phone behind a carrier's NAT that maps by destination",
        Kind::DoubleNat => "a home behind its carrier's NAT",
        Kind::DoubleNatSymmetric => "a home behind a carrier's NAT that maps by destination",
        Kind::UdpBlocked => "an office where no UDP leaves",
        Kind::Only443 => "an office where nothing leaves but TCP to port 443",
        Kind::Ipv6Only => "a mobile network without IPv4, but for NAT64",
    }
}
