//! Which external endpoint a new mapping gets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::config::{Allocation, NatConfig, OnClash, Pooling};
use super::table::Table;
use crate::packet::Protocol;
use crate::random::Random;
use crate::stats::Drop;

/// Draws before the ports are tried one after another.
const DRAWS_MAX: usize = 16;

/// What the allocation of ports remembers.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// By internal address, where pooling is paired.
    paired: BTreeMap<IpAddr, IpAddr>,
    /// What sequential allocation tries next.
    next: Option<u16>,
    /// Blocks that are taken, and by whom.
    blocks: BTreeMap<(IpAddr, u16), IpAddr>,
    by_subscriber: BTreeMap<IpAddr, Vec<(IpAddr, u16)>>,
}

/// Ports from `first` on, `len` of them.
#[derive(Clone, Copy)]
struct Span {
    first: u16,
    len: u32,
}

impl Span {
    fn all(config: &NatConfig) -> Span {
        let len = u32::from(config.port_max).saturating_sub(u32::from(config.port_min)) + 1;
        Span { first: config.port_min, len }
    }

    /// A port of the span, `offset` from its first, or from its first again if that is past its end.
    fn at(self, offset: u32) -> u16 {
        self.first.saturating_add((offset % self.len) as u16)
    }

    fn offset(self, port: u16) -> u32 {
        u32::from(port.wrapping_sub(self.first))
    }

    /// All, beginning there.
    fn from(self, offset: u32) -> impl Iterator<Item = u16> {
        (0..self.len).map(move |n| self.at(offset.wrapping_add(n)))
    }

    fn random_free(self, random: &mut Random, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in 0..DRAWS_MAX {
            let port = self.at(random.below(self.len));
            if is_free(port) {
                return Some(port);
            }
        }
        self.from(random.below(self.len)).find(|port| is_free(*port))
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) protocol: Protocol,
    pub(super) inside: SocketAddr,
    /// Asked for by whom it is for, or preserved.
    pub(super) preferred: u16,
    pub(super) config: &'a NatConfig,
    pub(super) pool: &'a [IpAddr],
    pub(super) table: &'a Table,
    pub(super) now: Instant,
}

impl Request<'_> {
    fn is_free(&self, address: IpAddr, port: u16) -> bool {
        // An echo's identifier 0 cannot be told from the port that a pinging stranger does not have.
        let outside = SocketAddr::new(address, port);
        port != 0 && self.table.by_outside(self.protocol, outside, self.now).is_none()
    }
}

impl Ports {
    /// A free external endpoint.
    pub(super) fn allocate(&mut self, request: Request<'_>, random: &mut Random) -> Result<SocketAddr, Drop> {
        let config = request.config;
        let first = self.address(request, random)?;
        let others = request.pool.iter().copied().filter(|address| *address != first);
        let arbitrary = others.take_while(|_| config.pooling == Pooling::Arbitrary);
        for address in std::iter::once(first).chain(arbitrary) {
            let port = match config.allocation {
                Allocation::Blocks { size, per_subscriber } => {
                    self.of_block(request, address, size, per_subscriber, random)
                }
                _ => self.of_address(request, address, random),
            };
            if let Some(port) = port {
                return Ok(SocketAddr::new(address, port));
            }
        }
        Err(Drop::PortsExhausted)
    }

    /// The preferred port where it is free, as somebody asked for it; else as any other mapping's.
    pub(super) fn requested(
        &mut self,
        request: Request<'_>,
        random: &mut Random,
    ) -> Result<SocketAddr, Drop> {
        let address = self.address(request, random)?;
        let is_block = matches!(request.config.allocation, Allocation::Blocks { .. });
        if !is_block && request.is_free(address, request.preferred) {
            return Ok(SocketAddr::new(address, request.preferred));
        }
        self.allocate(request, random)
    }

    /// Any free port but the preferred one, of the address that this subscriber has.
    pub(super) fn elsewhere(
        &mut self,
        request: Request<'_>,
        may_use: impl Fn(SocketAddr) -> bool,
        random: &mut Random,
    ) -> Result<SocketAddr, Drop> {
        let address = self.address(request, random)?;
        let is_free = |port| request.is_free(address, port) && may_use(SocketAddr::new(address, port));
        let port = Span::all(request.config).random_free(random, is_free).ok_or(Drop::PortsExhausted)?;
        Ok(SocketAddr::new(address, port))
    }

    fn address(&mut self, request: Request<'_>, random: &mut Random) -> Result<IpAddr, Drop> {
        let pool = request.pool;
        let [first, _, ..] = pool else { return pool.first().copied().ok_or(Drop::PortsExhausted) };
        let drawn = pool.get(random.below(pool.len() as u32) as usize).unwrap_or(first);
        if request.config.pooling == Pooling::Arbitrary {
            return Ok(*drawn);
        }
        let paired = self.paired.entry(request.inside.ip()).or_insert(*drawn);
        if !pool.contains(paired) {
            *paired = *drawn;
        }
        Ok(*paired)
    }

    fn of_address(&mut self, request: Request<'_>, address: IpAddr, random: &mut Random) -> Option<u16> {
        let span = Span::all(request.config);
        let is_free = |port| request.is_free(address, port);
        match request.config.allocation {
            Allocation::Preserving { .. } if is_free(request.preferred) => Some(request.preferred),
            Allocation::Preserving { on_clash: OnClash::Next } => {
                span.from(span.offset(request.preferred).wrapping_add(1)).find(|port| is_free(*port))
            }
            Allocation::Sequential { step } => {
                let step = u32::from(step.max(1));
                let start = self.next.map_or_else(|| random.below(span.len), |next| span.offset(next));
                // A step that divides the span does not pass all ports: then one after another.
                let port = (0..span.len)
                    .map(|n| span.at(start.wrapping_add(n.wrapping_mul(step))))
                    .find(|port| is_free(*port))
                    .or_else(|| span.from(start).find(|port| is_free(*port)))?;
                self.next = Some(span.at(span.offset(port) + step));
                Some(port)
            }
            Allocation::Preserving { on_clash: OnClash::Random }
            | Allocation::Random
            | Allocation::Blocks { .. } => span.random_free(random, is_free),
        }
    }

    /// A free port of the subscriber's blocks at this address, or of a new block.
    fn of_block(
        &mut self,
        request: Request<'_>,
        address: IpAddr,
        size: u16,
        per_subscriber: u16,
        random: &mut Random,
    ) -> Option<u16> {
        let subscriber = request.inside.ip();
        let span = |block: u16| Span {
            first: request.config.port_min.saturating_add(block.saturating_mul(size)),
            len: u32::from(size.max(1)),
        };
        let is_free = |port| request.is_free(address, port);
        let own = self.by_subscriber.entry(subscriber).or_default();
        for (_, block) in own.iter().filter(|(at, _)| *at == address) {
            if let Some(port) = span(*block).random_free(random, is_free) {
                return Some(port);
            }
        }
        if own.len() >= usize::from(per_subscriber) {
            return None;
        }
        let count = Span::all(request.config).len / u32::from(size.max(1));
        let blocks = Span { first: 0, len: count.max(1) };
        let mut block = blocks.random_free(random, |block| !self.blocks.contains_key(&(address, block)));
        if block.is_none() {
            self.give_back_unused(request, |block| (span(block).first, span(block).at(u32::from(size) - 1)));
            block = blocks.random_free(random, |block| !self.blocks.contains_key(&(address, block)));
        }
        let block = block.filter(|_| count > 0)?;
        self.blocks.insert((address, block), subscriber);
        self.by_subscriber.entry(subscriber).or_default().push((address, block));
        span(block).random_free(random, is_free)
    }

    /// Blocks without a mapping are anybody's again.
    fn give_back_unused(&mut self, request: Request<'_>, ports: impl Fn(u16) -> (u16, u16)) {
        self.blocks.retain(|(address, block), _| {
            let (first, last) = ports(*block);
            request.table.uses(*address, first, last, request.now)
        });
        let blocks = &self.blocks;
        self.by_subscriber.retain(|_, own| {
            own.retain(|block| blocks.contains_key(block));
            !own.is_empty()
        });
    }
}
