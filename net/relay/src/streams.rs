//! All TCP and TLS connections of one thread: found by client or by token, and closed when their time is up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mio::{Interest, Registry};
use twocan_turn::ClientAddr;

use crate::config::StreamLimits;
use crate::stream::{Ended, Queued, Stream};
use crate::token::{Place, Token};

/// The table.
pub(crate) struct Streams {
    limits: StreamLimits,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_client: BTreeMap<ClientAddr, Place>,
    /// One entry a connection, not later than its real deadline.
    deadlines: BTreeSet<(Instant, Place)>,
    /// Connections with something queued since the last `flush`.
    unflushed: Vec<Place>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    stream: Option<Stream>,
    deadline: Option<Instant>,
}

impl Streams {
    pub(crate) fn new(limits: StreamLimits) -> Streams {
        Streams {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            by_client: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            unflushed: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Takes a connection in, registered for reading and writing.
    pub(crate) fn insert(&mut self, mut stream: Stream, registry: &Registry) -> std::io::Result<Place> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("connections are limited to far fewer")
        });
        let slot = &mut self.slots[index as usize];
        let place = Place { index, generation: slot.generation };
        let token = Token::Stream(place).into();
        if let Err(error) =
            registry.register(&mut stream.socket, token, Interest::READABLE | Interest::WRITABLE)
        {
            self.free.push(index);
            return Err(error);
        }
        let deadline = stream.deadline(&self.limits);
        self.by_client.insert(stream.client, place);
        self.deadlines.insert((deadline, place));
        slot.deadline = Some(deadline);
        slot.stream = Some(stream);
        Ok(place)
    }

    /// `None` for a connection that is gone, even if another has its slot now.
    pub(crate) fn at(&mut self, place: Place) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(place.index as usize)?;
        if slot.generation == place.generation { slot.stream.as_mut() } else { None }
    }

    pub(crate) fn place_of(&self, client: &ClientAddr) -> Option<Place> {
        self.by_client.get(client).copied()
    }

    /// Closes a connection and forgets it.
    pub(crate) fn remove(&mut self, place: Place, registry: &Registry) -> Option<ClientAddr> {
        let slot = self.slots.get_mut(place.index as usize)?;
        if slot.generation != place.generation {
            return None;
        }
        let mut stream = slot.stream.take()?;
        slot.generation = Place::next_generation(slot.generation);
        if let Some(deadline) = slot.deadline.take() {
            self.deadlines.remove(&(deadline, place));
        }
        self.by_client.remove(&stream.client);
        self.free.push(place.index);
        stream.close();
        let _ = registry.deregister(&mut stream.socket);
        Some(stream.client)
    }

    /// Closes all of them.
    pub(crate) fn close_all(&mut self, registry: &Registry) {
        while let Some((_, place)) = self.by_client.first_key_value().map(|(client, place)| (*client, *place))
        {
            self.remove(place, registry);
        }
    }

    /// Queues a message; `None` where there is no such connection.
    pub(crate) fn push(
        &mut self,
        client: &ClientAddr,
        message: &[u8],
        now: Instant,
    ) -> Option<Result<Queued, (Place, Ended)>> {
        let place = self.place_of(client)?;
        let limits = self.limits;
        let queued = self.at(place)?.push(message, &limits, now);
        if self.unflushed.last() != Some(&place) {
            self.unflushed.push(place);
        }
        Some(queued.map_err(|ended| (place, ended)))
    }

    /// Writes what was queued since the last time. Returns the connections that turned out to be over.
    pub(crate) fn flush(&mut self, now: Instant) -> Vec<(Place, Ended)> {
        let mut over = Vec::new();
        let mut unflushed = std::mem::take(&mut self.unflushed);
        for place in unflushed.drain(..) {
            let Some(stream) = self.at(place) else { continue };
            match stream.flush(now) {
                Ok(()) => self.touch(place),
                Err(ended) => over.push((place, ended)),
            }
        }
        self.unflushed = unflushed;
        over
    }

    /// When `expired` should be asked next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Brings a connection's deadline forward where its state now asks for an earlier one.
    pub(crate) fn touch(&mut self, place: Place) {
        let Some(slot) = self.slots.get_mut(place.index as usize) else { return };
        let (Some(stream), Some(noted)) = (&slot.stream, slot.deadline) else { return };
        let deadline = stream.deadline(&self.limits);
        if slot.generation == place.generation && deadline < noted {
            self.deadlines.remove(&(noted, place));
            self.deadlines.insert((deadline, place));
            slot.deadline = Some(deadline);
        }
    }

    /// One connection whose time is up. Those that were heard of meanwhile get a new deadline.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Place> {
        while let Some((noted, place)) = self.deadlines.first().copied().filter(|(noted, _)| *noted <= now) {
            let deadline = self.slots.get(place.index as usize)?.stream.as_ref()?.deadline(&self.limits);
            if deadline <= now {
                return Some(place);
            }
            self.deadlines.remove(&(noted, place));
            self.deadlines.insert((deadline, place));
            self.slots[place.index as usize].deadline = Some(deadline);
        }
        None
    }
}
