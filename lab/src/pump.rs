//! The loop: one thread owns the model and our ends of all devices, and moves packets between them in real time.
//!
//! ```text
//!  TUN of host n ─► read ─► Network::handle_packet(n, packet, now)
//!                           Network::poll_event     ─► the ledger
//!  TUN of host m ◄─ write ◄ Network::poll_delivery          a timer ─► Network::handle_timeout(now)
//! ```

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tracing::warn;
use twocan_sim::packet::Packet;
use twocan_sim::{HostId, Network};

use crate::Error;
use crate::device::Device;
use crate::ledger::Ledger;
use crate::way::{Look, Ports, Side};

/// Packets of one host that are read before it is another's turn.
const BATCH: usize = 32;

/// Devices that are looked at before the next system call.
const EVENTS: usize = 64;

/// The longest packet that a device gives.
const PACKET_LEN_MAX: usize = 65_535;

/// Changes that wait for the loop, at most; whoever has another one waits, too.
const JOBS_MAX: usize = 16;

/// Tokens of what is no host's.
const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

type Job = Box<dyn FnOnce(&mut Pump) + Send>;

/// The loop's inside.
pub(crate) struct Pump {
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    /// Addresses of the server, and its host.
    pub(crate) server: (Option<HostId>, Vec<IpAddr>),
    ports: Ports,
    devices: BTreeMap<usize, Device>,
    epoll: OwnedFd,
    timer: OwnedFd,
    wake: OwnedFd,
    /// When the timer goes off.
    armed: Option<Instant>,
    jobs: Receiver<Job>,
    /// A packet on its way out, and one on its way in.
    out: Vec<u8>,
    buffer: Vec<u8>,
    /// Of the packet that is setting out.
    look: Look,
}

/// How others speak to the loop. It ends with this value.
pub(crate) struct Handle {
    jobs: Option<SyncSender<Job>>,
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Starts the loop.
    pub(crate) fn start(network: Network, ports: Ports) -> Result<Handle, Error> {
        let failed = |error: rustix::io::Errno| Error::Loop(error.into());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(failed)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        for (fd, token) in [(&timer, TIMER), (&wake, WAKE)] {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
                .map_err(failed)?;
        }
        let (sender, jobs) = sync_channel(JOBS_MAX);
        let handle_wake = wake.try_clone().map_err(Error::Loop)?;
        let mut pump = Pump {
            network,
            ledger: Ledger::default(),
            server: (None, Vec::new()),
            ports,
            devices: BTreeMap::new(),
            epoll,
            timer,
            wake,
            armed: None,
            jobs,
            out: Vec::with_capacity(PACKET_LEN_MAX),
            buffer: vec![0; PACKET_LEN_MAX],
            look: Look::OTHER,
        };
        pump.network.set_tracing(true);
        let thread = std::thread::Builder::new().name("lab".to_owned()).spawn(move || {
            if let Err(error) = pump.run() {
                warn!(%error, "the packet loop ended");
            }
        });
        Ok(Handle { jobs: Some(sender), wake: handle_wake, thread: Some(thread.map_err(Error::Loop)?) })
    }

    /// Until nobody holds the handle any more.
    fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                // Copied out: the struct is packed.
                let token = event.data.u64();
                match token {
                    WAKE => {
                        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
                        if !self.work() {
                            return Ok(());
                        }
                    }
                    TIMER => {
                        let _ = rustix::io::read(&self.timer, &mut [0_u8; 8]);
                        self.armed = None;
                    }
                    token => self.take_in(token as usize),
                }
            }
            self.network.handle_timeout(Instant::now());
            self.hand_out();
            self.arm()?;
        }
    }

    /// Does what was asked for; false once nobody can ask any more.
    fn work(&mut self) -> bool {
        loop {
            match self.jobs.try_recv() {
                Ok(job) => job(self),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// What a host sends.
    fn take_in(&mut self, index: usize) {
        for _ in 0..BATCH {
            let Some(device) = self.devices.get(&index) else { return };
            let len = match device.read(&mut self.buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    warn!(host = index, %error, "a device is gone");
                    return self.unplug(HostId::from(index));
                }
            };
            let now = Instant::now();
            let bytes = self.buffer.get(..len).unwrap_or_default();
            let host = HostId::from(index);
            match Packet::parse(bytes) {
                Ok(packet) if is_noise(&packet) => {}
                Ok(packet) => {
                    self.look = Look::at(&packet, &self.ports, self.server_side(host, &packet));
                    self.network.handle_packet(host, packet, now);
                }
                Err(_) => {
                    // It is parsed once more, and counted there.
                    let _ = self.network.handle_bytes(host, bytes, now);
                }
            }
            self.hand_out();
        }
    }

    fn server_side(&self, from: HostId, packet: &Packet) -> Option<Side> {
        let (host, addresses) = &self.server;
        if *host == Some(from) {
            return Some(Side::Source);
        }
        addresses.contains(&packet.destination).then_some(Side::Destination)
    }

    /// What arrived.
    fn hand_out(&mut self) {
        while let Some(event) = self.network.poll_event() {
            self.ledger.note(&event, self.look);
        }
        while let Some(delivery) = self.network.poll_delivery() {
            let Some(device) = self.devices.get(&delivery.host.index()) else { continue };
            self.out.clear();
            delivery.packet.write(&mut self.out);
            if let Err(error) = device.write(&self.out) {
                warn!(host = delivery.host.index(), %error, "a packet that arrived could not be handed over");
            }
        }
    }

    /// Sets the timer to when something happens next.
    fn arm(&mut self) -> io::Result<()> {
        let next = self.network.poll_timeout();
        if next == self.armed {
            return Ok(());
        }
        // Zero would switch it off.
        let wait = next.map(|at| at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)));
        let wait = wait.unwrap_or_default();
        let value = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.armed = next;
        Ok(())
    }

    /// From now on, the packets of this host come by this device.
    pub(crate) fn plug(&mut self, host: HostId, device: Device) -> io::Result<()> {
        let token = epoll::EventData::new_u64(host.index() as u64);
        epoll::add(&self.epoll, &device, token, epoll::EventFlags::IN)?;
        self.devices.insert(host.index(), device);
        Ok(())
    }

    /// This host's packets come no more.
    pub(crate) fn unplug(&mut self, host: HostId) {
        if let Some(device) = self.devices.remove(&host.index()) {
            // A closed device leaves the list by itself.
            let _ = epoll::delete(&self.epoll, &device);
        }
    }
}

/// What a kernel says to nobody in particular before it has an address.
fn is_noise(packet: &Packet) -> bool {
    packet.source.is_unspecified()
}

impl Handle {
    /// Has something done in the loop, and waits for what comes of it.
    pub(crate) fn ask<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Pump) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let gone = || Error::Loop(io::ErrorKind::BrokenPipe.into());
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |pump| {
            let _ = answer.send(job(pump));
        });
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        self.rouse();
        answered.recv().map_err(|_| gone())
    }

    fn rouse(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.jobs = None;
        self.rouse();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
