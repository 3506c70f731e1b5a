//! Signals that ask us to end: what the lab made must be taken away then, so they do not simply end the process.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// From now on, none of them ends the process by itself; the first one has this done.
pub fn on_first(then: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let [mut interrupt, mut terminate, mut hang_up] = {
        let _inside = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hang_up] = kinds.map(signal);
        [interrupt?, terminate?, hang_up?]
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        then();
    });
    Ok(())
}
