//! Where tasks run: in the caller's tokio runtime, or in one of our own for programs that have none.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime that we are called in, else our own: one thread, started when it is first needed.
///
/// # Panics
/// Where the system gives no thread.
pub(crate) fn handle() -> Handle {
    static OWN: OnceLock<Runtime> = OnceLock::new();
    Handle::try_current().unwrap_or_else(|_| {
        let build = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("twocan").enable_all();
            builder.build().expect("the system gives a thread")
        };
        OWN.get_or_init(build).handle().clone()
    })
}
