//! Argon2id on threads of its own, below the priority of everything else. Each thread keeps the memory of one hash for good:
//! allocated anew for each, the blocks would lie between what else is allocated meanwhile and never come back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::mpsc;
use twocan_lobby::HashJob;

use crate::config::Error;
use crate::machine::Input;

/// Memory of one hash, KiB (OWASP's first choice for Argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// How much the system prefers everything else (`nice`).
const NICENESS: i32 = 10;

/// Takes passwords; the machine bounds how many are under way.
pub(crate) struct Hasher {
    jobs: Sender<HashJob>,
}

impl Hasher {
    /// Starts the threads. They end with the hasher.
    pub fn start(threads: usize, results: &mpsc::WeakSender<Input>) -> Result<Self, Error> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for n in 0..threads {
            let (waiting, results) = (Arc::clone(&waiting), results.clone());
            let thread = std::thread::Builder::new().name(format!("hash-{n}"));
            thread.spawn(move || work(&waiting, &results)).map_err(Error::Thread)?;
        }
        Ok(Self { jobs })
    }

    /// Hashes in the background.
    pub fn hash(&self, job: HashJob) {
        // The threads outlive the sender.
        let _ = self.jobs.send(job);
    }
}

fn work(waiting: &Mutex<Receiver<HashJob>>, results: &mpsc::WeakSender<Input>) {
    // Where the system does not let us, hashes go at the priority of everything else.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    let mut memory = Vec::new();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let hash = hash(&job.password, &job.salt, &mut memory);
        let Some(results) = results.upgrade() else { return };
        if results.blocking_send(Input::Hashed { id: job.id(), hash }).is_err() {
            return;
        }
    }
}

/// Hashes in `memory`, which is allocated once and kept.
fn hash(password: &str, salt: &[u8; 16], memory: &mut Vec<Block>) -> Option<[u8; 32]> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()?;
    memory.resize(params.block_count(), Block::default());
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, memory).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_password_and_salt_and_not_on_what_the_memory_held() {
        let mut memory = Vec::new();
        let first = hash("hunter2", &[1; 16], &mut memory);
        assert_ne!(first, hash("hunter3", &[1; 16], &mut memory));
        assert_ne!(first, hash("hunter2", &[2; 16], &mut memory));
        assert_eq!(first, hash("hunter2", &[1; 16], &mut memory));
        assert_eq!(memory.len(), MEMORY_KIB as usize);
    }
}
