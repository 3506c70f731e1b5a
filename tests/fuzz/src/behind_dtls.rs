//! A peer that completed the DTLS handshake and then misbehaves: its packets are changed, cut, repeated, held back, or
//! written by hand, while both sides use their channels.
//!
//! No panic; no packet larger than a datagram; no message larger than was offered; no endless output; timers that go
//! forward; nothing after the end.

use std::time::{Duration, Instant};

use twocan_rtc::transport::{
    Certificate, ChannelId, ChannelInit, Config, DtlsRole, Event, Payload, Protected, Reliability, limits,
};

use crate::input::Input;

/// Packets held back at most.
const HELD_MAX: usize = 64;

struct End {
    machine: Protected,
    channels: Vec<ChannelId>,
    /// Packets on their way to this end.
    held: Vec<Vec<u8>>,
}

struct World {
    ends: [End; 2],
    now: Instant,
    /// Each end's verification tag, as its packets' receiver says it.
    tags: [[u8; 4]; 2],
}

/// Plays the story that these bytes tell.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new();
    if input.byte().is_some_and(|byte| byte & 1 == 0) {
        world.settle();
    }
    while world.step(&mut input).is_some() {}
    // Whatever was done, both can be left alone.
    for _ in 0..200 {
        world.time(Duration::from_millis(500));
    }
}

impl World {
    fn new() -> Self {
        static CERTIFICATE: std::sync::OnceLock<Certificate> = std::sync::OnceLock::new();
        let config = Config::new(CERTIFICATE.get_or_init(Certificate::generate).clone());
        let now = Instant::now();
        let ends = [DtlsRole::Client, DtlsRole::Server].map(|role| {
            let mut machine = Protected::new(&config, [role as u8; 32]);
            let init = ChannelInit::new("agreed").negotiated(0);
            let channel = machine.open(init, now).expect("the first channel");
            machine.start(role, 5_000, 0, Some(Duration::from_millis(20)), now);
            machine.associate(None, now);
            End { machine, channels: vec![channel], held: Vec::new() }
        });
        Self { ends, now, tags: [[0; 4]; 2] }
    }

    /// Lets both do what they want until they are quiet.
    fn settle(&mut self) {
        for _ in 0..10 {
            for end in 0..2 {
                self.collect(end);
                for packet in std::mem::take(&mut self.ends[1 - end].held) {
                    let _ = self.ends[1 - end].machine.handle_packet(&packet, self.now);
                }
            }
        }
        self.events();
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let what = input.byte()?;
        let end = usize::from(what >> 7);
        match what & 15 {
            0..=3 => self.deliver(end, input)?,
            4 | 5 => self.forge(end, input)?,
            6 => self.drop_or_repeat(end, input)?,
            7..=9 => self.use_channels(end, input)?,
            10 => self.ends[end].machine.shut_down(self.now),
            11 => self.ends[end].machine.path_changed(Some(Duration::from_millis(5)), self.now),
            12 => self.settle(),
            _ => self.time(Duration::from_millis(u64::from(input.byte()?) * 10)),
        }
        for end in 0..2 {
            self.collect(end);
        }
        self.events();
        Some(())
    }

    /// A packet that was held back, changed in a few places.
    fn deliver(&mut self, end: usize, input: &mut Input<'_>) -> Option<()> {
        let which = usize::from(input.byte()?);
        let changes = input.byte()? % 4;
        if self.ends[end].held.is_empty() {
            return Some(());
        }
        let which = which % self.ends[end].held.len();
        let mut packet = self.ends[end].held.remove(which);
        for _ in 0..changes {
            let at = usize::from(input.short()?) % packet.len().max(1);
            let value = input.byte()?;
            if let Some(byte) = packet.get_mut(at) {
                *byte = value;
            }
        }
        if changes > 0 {
            // Zero stands for a right checksum.
            packet.get_mut(8..12).into_iter().for_each(|checksum| checksum.fill(0));
        }
        self.take(end, &packet);
        Some(())
    }

    /// A packet that is nobody's, with the right tag.
    fn forge(&mut self, end: usize, input: &mut Input<'_>) -> Option<()> {
        let kind = input.byte()?;
        let flags = input.byte()?;
        let value = input.chunk()?;
        let mut packet = vec![19, 136, 19, 136];
        packet.extend_from_slice(&if kind == 1 { [0; 4] } else { self.tags[end] });
        packet.extend_from_slice(&[0, 0, 0, 0, kind, flags]);
        packet.extend_from_slice(&(value.len() as u16 + 4).to_be_bytes());
        packet.extend_from_slice(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
        self.take(end, &packet);
        Some(())
    }

    fn take(&mut self, end: usize, packet: &[u8]) {
        let machine = &mut self.ends[end].machine;
        let ended = machine.ended();
        let _ = machine.handle_packet(packet, self.now);
        if ended.is_some() {
            assert_eq!(machine.ended(), ended, "the end is the end");
        }
    }

    fn drop_or_repeat(&mut self, end: usize, input: &mut Input<'_>) -> Option<()> {
        let which = input.byte()?;
        let held = &mut self.ends[end].held;
        if held.is_empty() {
            return Some(());
        }
        let index = usize::from(which >> 1) % held.len();
        if which & 1 == 0 {
            held.remove(index);
        } else if held.len() < HELD_MAX {
            let packet = held[index].clone();
            held.push(packet);
        }
        Some(())
    }

    fn use_channels(&mut self, end: usize, input: &mut Input<'_>) -> Option<()> {
        let now = self.now;
        let what = input.byte()?;
        let End { machine, channels, .. } = &mut self.ends[end];
        let channel = channels[usize::from(what >> 4) % channels.len()];
        match what & 7 {
            0 => {
                let reliability = match input.byte()? % 3 {
                    0 => Reliability::Reliable,
                    1 => Reliability::MaxRetransmits(0),
                    _ => Reliability::MaxPacketLifeTime(Duration::from_millis(50)),
                };
                let init = ChannelInit::new("more").reliability(reliability);
                let init = if what & 8 == 0 { init.unordered() } else { init };
                channels.extend(machine.open(init, now));
            }
            1 => machine.close_channel(channel, now),
            2 => machine.set_buffered_amount_low_threshold(channel, usize::from(input.short()?)),
            _ => {
                let len = usize::from(input.short()?);
                let _ = machine.send(channel, Payload::Binary, vec![what; len].into(), now);
                assert!(machine.buffered_amount(channel) <= limits::SEND_BUFFER_MAX);
            }
        }
        Some(())
    }

    fn time(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1_000 {
            let due = self.ends.iter().filter_map(|end| end.machine.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= until) else { break };
            self.now = self.now.max(due);
            for end in 0..2 {
                if self.ends[end].machine.poll_timeout().is_some_and(|due| due <= self.now) {
                    self.ends[end].machine.handle_timeout(self.now);
                    self.collect(end);
                    let next = self.ends[end].machine.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "a timer that goes forward");
                }
            }
        }
        self.now = until;
    }

    /// Takes what an end has to send.
    fn collect(&mut self, end: usize) {
        let mut packet = Vec::new();
        for count in 0.. {
            assert!(count < 20_000, "output without end");
            if !self.ends[end].machine.poll_transmit(&mut packet, self.now) {
                break;
            }
            assert!(packet.len() <= limits::MTU, "{} bytes", packet.len());
            if let Some(&tag) = packet.get(4..).and_then(<[u8]>::first_chunk)
                && tag != [0; 4]
            {
                self.tags[1 - end] = tag;
            }
            let held = &mut self.ends[1 - end].held;
            if held.len() < HELD_MAX {
                held.push(packet.clone());
            }
        }
    }

    fn events(&mut self) {
        for End { machine, channels, .. } in &mut self.ends {
            while let Some(event) = machine.poll_event() {
                match event {
                    Event::Message { bytes, .. } => assert!(bytes.len() <= limits::MESSAGE_LEN_MAX),
                    Event::ChannelOpen { id, init } => {
                        assert!(init.label.len() <= limits::LABEL_LEN_MAX);
                        if !channels.contains(&id) && channels.len() < 64 {
                            channels.push(id);
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
