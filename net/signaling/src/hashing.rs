//! Argon2id on the blocking pool: few at once, and nobody waits for long.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{Semaphore, mpsc};
use twocan_lobby::HashJob;

use crate::machine::Input;

/// Hashes made at once: each takes a core and [`MEMORY_KIB`].
const AT_ONCE: usize = 2;
/// Longest wait for a turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Memory of one hash (OWASP's first choice for Argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;

#[derive(Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    results: mpsc::WeakSender<Input>,
}

impl Hasher {
    pub fn new(results: mpsc::WeakSender<Input>) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), results }
    }

    /// Hashes in the background; the machine bounds how many are under way.
    pub fn start(&self, job: HashJob) {
        let Self { turns, results } = self.clone();
        tokio::spawn(async move {
            let id = job.id();
            let hash = match tokio::time::timeout(WAIT_MAX, turns.acquire_owned()).await {
                Ok(Ok(turn)) => {
                    let work = move || {
                        let _turn = turn;
                        hash(&job.password, &job.salt)
                    };
                    tokio::task::spawn_blocking(work).await.ok().flatten()
                }
                Ok(Err(_)) | Err(_) => None,
            };
            if let Some(results) = results.upgrade() {
                // The machine is gone only when everything is.
                let _ = results.send(Input::Hashed { id, hash }).await;
            }
        });
    }
}

fn hash(password: &str, salt: &[u8; 16]) -> Option<[u8; 32]> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).ok()?;
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}
