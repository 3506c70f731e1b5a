//! The actions of WANIPConnection:2: ports are mapped, found and given back.
//!
//! ```text
//!  AddPortMapping       this port or none ─┐
//!  AddAnyPortMapping    another if need be ┴─► Router::map_port      DeletePortMapping ─► Router::unmap_port
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::soap::{Call, ErrorCode};
use crate::mapping::MapError;
use crate::network::Router;
use crate::packet::Protocol;
use crate::random::Random;

/// The longest lease, and what 0 means (WANIPConnection:2 section 2.3.18).
const LEASE_MAX_SECS: u32 = 604_800;

/// Who asks whom.
pub(super) struct Asked<'a> {
    pub(super) router: &'a mut Router,
    pub(super) client: IpAddr,
    pub(super) now: Instant,
    pub(super) random: &'a mut Random,
}

type Values = Vec<(&'static str, String)>;

impl Asked<'_> {
    /// What an action gives.
    pub(super) fn act(&mut self, call: &Call) -> Result<Values, ErrorCode> {
        match call.action.as_str() {
            "AddPortMapping" => self.add(&Wanted::parse(call)?),
            "AddAnyPortMapping" => self.add_any(&Wanted::parse(call)?),
            "DeletePortMapping" => self.delete(Key::parse(call)?),
            "GetSpecificPortMappingEntry" => self.entry(Key::parse(call)?),
            "GetExternalIPAddress" => {
                let address = self.router.external_address().ok_or(ErrorCode::ACTION_FAILED)?;
                Ok(vec![("NewExternalIPAddress", address.to_string())])
            }
            "GetStatusInfo" => Ok(self.status()),
            _ => Err(ErrorCode::INVALID_ACTION),
        }
    }

    fn status(&self) -> Values {
        let is_connected = self.router.external_address().is_some();
        let status = if is_connected { "Connected" } else { "Disconnected" };
        vec![
            ("NewConnectionStatus", status.to_owned()),
            ("NewLastConnectionError", "ERROR_NONE".to_owned()),
            ("NewUptime", self.router.epoch(self.now).to_string()),
        ]
    }

    /// Exactly this external port.
    fn add(&mut self, wanted: &Wanted) -> Result<Values, ErrorCode> {
        let (Key { protocol, port }, inside) = (wanted.key, wanted.inside);
        self.check(wanted)?;
        // An internal endpoint has one mapping in this model, by whatever it was made.
        if self.router.external_port(protocol, inside, self.now).is_some_and(|other| other != port) {
            return Err(ErrorCode::OTHER_MECHANISM);
        }
        if let Some((owner, until)) = self.router.mapped_at(protocol, port, self.now)
            && owner != inside
        {
            if owner.ip() != inside.ip() || until.is_none() {
                return Err(ErrorCode::CONFLICT);
            }
            // The client's own entry is overwritten (section 2.5.16).
            self.router.drop_port(protocol, owner, self.now);
        }
        if self.map(wanted)? != port {
            self.router.unmap_port(protocol, inside, self.now);
            return Err(ErrorCode::CONFLICT);
        }
        Ok(Vec::new())
    }

    /// This external port, or another.
    fn add_any(&mut self, wanted: &Wanted) -> Result<Values, ErrorCode> {
        self.check(wanted)?;
        let port = self.map(wanted)?;
        Ok(vec![("NewReservedPort", port.to_string())])
    }

    /// Nobody maps for somebody else, and only a NAT has ports to give.
    fn check(&self, wanted: &Wanted) -> Result<(), ErrorCode> {
        if wanted.inside.ip() != self.client {
            return Err(ErrorCode::NOT_AUTHORIZED);
        }
        self.router.external_address().map(|_| ()).ok_or(ErrorCode::ACTION_FAILED)
    }

    fn map(&mut self, wanted: &Wanted) -> Result<u16, ErrorCode> {
        let Wanted { key: Key { protocol, port }, inside, lease } = *wanted;
        let mapped = self.router.map_port(protocol, inside, port, lease, self.now, self.random);
        mapped.map(|external| external.port()).map_err(|error| match error {
            MapError::NoResources(_) => ErrorCode::NO_PORTS,
            MapError::NoNat | MapError::NotInside => ErrorCode::ACTION_FAILED,
        })
    }

    /// The mapping at an external port that somebody asked for, and how long it still lives.
    fn asked_for(&self, Key { protocol, port }: Key) -> Result<(SocketAddr, Duration), ErrorCode> {
        let (inside, until) =
            self.router.mapped_at(protocol, port, self.now).ok_or(ErrorCode::NO_SUCH_ENTRY)?;
        Ok((inside, until.ok_or(ErrorCode::NO_SUCH_ENTRY)?.saturating_duration_since(self.now)))
    }

    fn delete(&mut self, key: Key) -> Result<Values, ErrorCode> {
        let (inside, _) = self.asked_for(key)?;
        if inside.ip() != self.client {
            return Err(ErrorCode::NOT_AUTHORIZED);
        }
        self.router.unmap_port(key.protocol, inside, self.now);
        Ok(Vec::new())
    }

    /// What it was described as is not kept.
    fn entry(&self, key: Key) -> Result<Values, ErrorCode> {
        let (inside, left) = self.asked_for(key)?;
        Ok(vec![
            ("NewInternalPort", inside.port().to_string()),
            ("NewInternalClient", inside.ip().to_string()),
            ("NewEnabled", "1".to_owned()),
            ("NewPortMappingDescription", String::new()),
            ("NewLeaseDuration", left.as_secs().to_string()),
        ])
    }
}

/// What an entry is found by.
#[derive(Clone, Copy)]
struct Key {
    protocol: Protocol,
    /// The external one.
    port: u16,
}

impl Key {
    fn parse(call: &Call) -> Result<Key, ErrorCode> {
        let protocol = match argument(call, "NewProtocol")? {
            name if name.eq_ignore_ascii_case("UDP") => Protocol::Udp,
            name if name.eq_ignore_ascii_case("TCP") => Protocol::Tcp,
            _ => return Err(ErrorCode::INVALID_ARGS),
        };
        let port = number(call, "NewExternalPort")?;
        // Some leave it away, some write a star: both mean everybody.
        match argument(call, "NewRemoteHost").unwrap_or_default() {
            "" | "*" => Ok(Key { protocol, port }),
            _ => Err(ErrorCode::ONLY_ANY_REMOTE),
        }
    }
}

/// A mapping that is asked for.
struct Wanted {
    key: Key,
    inside: SocketAddr,
    lease: Duration,
}

impl Wanted {
    fn parse(call: &Call) -> Result<Wanted, ErrorCode> {
        let key = Key::parse(call)?;
        let client: Ipv4Addr =
            argument(call, "NewInternalClient")?.parse().map_err(|_| ErrorCode::INVALID_ARGS)?;
        let inside = SocketAddr::new(client.into(), number(call, "NewInternalPort")?);
        let secs = match number(call, "NewLeaseDuration")? {
            0 => LEASE_MAX_SECS,
            secs => LEASE_MAX_SECS.min(secs),
        };
        match argument(call, "NewEnabled")? {
            "1" | "true" | "yes" => {}
            // One that is there and does nothing is nothing in this model.
            "0" | "false" | "no" => return Err(ErrorCode::ACTION_FAILED),
            _ => return Err(ErrorCode::INVALID_ARGS),
        }
        match (key.port, inside.port()) {
            (0, _) => Err(ErrorCode::EXTERNAL_WILDCARD),
            (_, 0) => Err(ErrorCode::INTERNAL_WILDCARD),
            _ => Ok(Wanted { key, inside, lease: Duration::from_secs(secs.into()) }),
        }
    }
}

fn argument<'a>(call: &'a Call, name: &str) -> Result<&'a str, ErrorCode> {
    call.arguments.get(name).map(|value| value.trim()).ok_or(ErrorCode::INVALID_ARGS)
}

fn number<T: std::str::FromStr>(call: &Call, name: &str) -> Result<T, ErrorCode> {
    argument(call, name)?.parse().map_err(|_| ErrorCode::INVALID_ARGS)
}
