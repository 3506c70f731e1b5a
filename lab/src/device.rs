//! The TUN device of a host: it is made here, goes into the host's namespace, and is called `eth0` there, since libwebrtc
//! takes `tun0` for a VPN. The end that reads and writes packets stays with us.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::Error;
use crate::namespace::Namespace;
use crate::tool::{ip_batch, run};

/// Its name in the namespace.
pub(crate) const NAME: &str = "eth0";

/// Packets that wait for us, at most; the kernel drops what comes then.
const QUEUE_LEN_MAX: usize = 2_000;

/// How a host is plugged in, as its kernel is told.
#[derive(Debug)]
pub(crate) struct Wiring {
    /// With the length of the network that is on the link.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    /// Of each family, at most one.
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) mtu: u16,
}

/// Our end.
#[derive(Debug)]
pub(crate) struct Device(File);

impl Device {
    /// Makes one, and wires the namespace with it.
    pub(crate) fn create(number: usize, namespace: &Namespace, wiring: &Wiring) -> Result<Device, Error> {
        if let Err(error) = std::fs::metadata("/dev/net/tun") {
            return Err(Error::NoTun(error));
        }
        // Fifteen bytes at most, for a process id of seven digits.
        let name = format!("tc{}n{number}", std::process::id());
        let interface = tappers::Interface::new(&name).map_err(Error::Tun)?;
        let mut tun = tappers::Tun::new_named(interface).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::NoTun(error),
            _ => Error::Tun(error),
        })?;
        tun.set_nonblocking(true).map_err(Error::Tun)?;
        let file = File::from(tun.as_fd().try_clone_to_owned().map_err(Error::Tun)?);
        run("ip", &["link", "set", &name, "netns", namespace.name(), "name", NAME], "")?;
        ip_batch(namespace.name(), &wiring.commands())?;
        Ok(Device(file))
    }

    /// The next packet that the host sends, if there is one.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// A packet for the host.
    pub(crate) fn write(&self, packet: &[u8]) -> io::Result<usize> {
        (&self.0).write(packet)
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wiring {
    fn commands(&self) -> Vec<String> {
        let Wiring { addresses, gateways, mtu } = self;
        let mut commands = vec![
            "link set lo up".to_owned(),
            // The kernel makes no link-local address of its own, which nobody else would know.
            format!("link set {NAME} mtu {mtu} txqueuelen {QUEUE_LEN_MAX} addrgenmode none"),
        ];
        // The kernel prefers the IPv4 address that came first, and the IPv6 address that came last.
        let (v4, v6): (Vec<_>, Vec<_>) = addresses.iter().partition(|(address, _)| address.is_ipv4());
        for (address, bits) in v4.iter().chain(v6.iter().rev()) {
            let more = if address.is_ipv6() { " nodad" } else { " broadcast +" };
            commands.push(format!("addr add {address}/{bits} dev {NAME}{more}"));
        }
        commands.push(format!("link set {NAME} up"));
        // Browsers gather nothing without a default route, and servers find their address by it.
        for (all, is_v4) in [("0.0.0.0/0", true), ("::/0", false)] {
            if addresses.iter().any(|(address, _)| address.is_ipv4() == is_v4) {
                let gateway = gateways.iter().find(|gateway| gateway.is_ipv4() == is_v4);
                let via = gateway.map(|gateway| format!("via {gateway} ")).unwrap_or_default();
                commands.push(format!("route add {all} {via}dev {NAME}"));
            }
        }
        commands
    }
}
