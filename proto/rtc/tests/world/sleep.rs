//! A peer whose process stands still: what comes meanwhile waits in the kernel, as far as that has room, and its timers are late.

use std::collections::VecDeque;
use std::net::SocketAddr;

use twocan_rtc::Signal;

use super::World;

/// Datagrams that a socket's buffer holds: 212,992 bytes, of which Linux counts 832 for a small datagram (socket(7), SO_RCVBUF).
const DATAGRAMS_MAX: usize = 256;

#[derive(Default)]
pub struct Sleep {
    is_asleep: bool,
    datagrams: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    signals: VecDeque<Signal>,
}

impl Sleep {
    pub fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    /// Whether it waits, or is lost; else it is to be taken now.
    pub(super) fn keep_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        if self.is_asleep && self.datagrams.len() < DATAGRAMS_MAX {
            self.datagrams.push_back((from, to, bytes.to_vec()));
        }
        self.is_asleep
    }

    /// The signal, if it is to be taken now.
    pub(super) fn keep_signal(&mut self, signal: Signal) -> Option<Signal> {
        if !self.is_asleep {
            return Some(signal);
        }
        self.signals.push_back(signal);
        None
    }
}

impl World {
    /// From now on this peer stands still.
    pub fn sleep(&mut self, peer: usize) {
        self.peers[peer].sleep.is_asleep = true;
    }

    /// It goes on: with signals first, then datagrams, then what is due, as its driver does.
    pub fn wake(&mut self, peer: usize) {
        let now = self.now;
        let slept = std::mem::take(&mut self.peers[peer].sleep);
        for signal in slept.signals {
            self.peers[peer].signal(signal, now);
        }
        for (from, to, bytes) in slept.datagrams {
            self.peers[peer].datagram(from, to, &bytes, now);
        }
        self.peers[peer].connection.handle_timeout(now);
        self.drain(peer);
    }
}
