//! Refresh (RFC 8656 8): a longer life, or an end.

use std::time::{Duration, Instant};

use twocan_stun::ErrorCode;
use twocan_stun::attribute::{Family as WireFamily, Lifetime, RequestedAddressFamily};

use super::Server;
use super::allocation::{Allocation, AllocationId};
use super::answer::Request;
use super::output::EndReason;
use crate::address::Family;

impl Server {
    pub(super) fn refresh(&mut self, request: &Request<'_>, now: Instant) {
        match self.try_refresh(request, now) {
            Ok(lifetime_s) => self.accept(request, Some(lifetime_s)),
            Err(code) => self.refuse(request, code),
        }
    }

    fn try_refresh(&mut self, request: &Request<'_>, now: Instant) -> Result<u32, ErrorCode> {
        let id = self.own_allocation(request)?;
        let bad = |_| ErrorCode::BAD_REQUEST;
        let asked = request.message.get::<Lifetime>().map_err(bad)?;
        let families = self.refreshed_families(request, id)?;
        if asked == Some(Lifetime(0)) {
            for family in families {
                self.close_family(id, family, EndReason::Freed);
            }
            return Ok(0);
        }
        let lifetime_s = self.lifetime_s(asked, &request.identity, now);
        let expires = now + Duration::from_secs(u64::from(lifetime_s));
        let credential_expires = request.identity.expires.map(|expires| self.clock.instant(expires));
        if let Some(allocation) = self.allocations.get_mut(id) {
            for family in families {
                if let Some(relayed) = allocation.slot(family) {
                    relayed.expires = expires;
                }
            }
            allocation.credential_expires = credential_expires;
        }
        self.put_deadline(id);
        Ok(lifetime_s)
    }

    /// The sender's allocation: 437 if there is none, 441 if another user made it.
    pub(super) fn own_allocation(&self, request: &Request<'_>) -> Result<AllocationId, ErrorCode> {
        let id = self.clients.get(&request.from).copied().ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let allocation = self.allocations.get(id).filter(|allocation| allocation.opening.is_none());
        let allocation = allocation.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.user == request.identity.user { Ok(id) } else { Err(ErrorCode::WRONG_CREDENTIALS) }
    }

    /// The family that is named, if the allocation has it; else all that it has.
    fn refreshed_families(&self, request: &Request<'_>, id: AllocationId) -> Result<Vec<Family>, ErrorCode> {
        let named = request.message.get::<RequestedAddressFamily>().map_err(|_| ErrorCode::BAD_REQUEST)?;
        let has: Vec<Family> = self
            .allocations
            .get(id)
            .into_iter()
            .flat_map(Allocation::relayed)
            .map(|relayed| relayed.port.family)
            .collect();
        let Some(RequestedAddressFamily(WireFamily(number))) = named else { return Ok(has) };
        Family::from_wire(number)
            .filter(|family| has.contains(family))
            .map(|family| vec![family])
            .ok_or(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)
    }
}
