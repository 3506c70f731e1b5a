//! A thread that ends by itself.

use std::future::Future as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use twocan_relay::Config;

use crate::kit::*;

#[test]
fn a_thread_that_panics_is_noticed_and_one_that_is_stopped_is_none() {
    let relay = start(Config { threads: 2, ..only() });
    let (noticed, failed) = (Arc::new(Noticed::default()), relay.failure());
    let waker = noticed.clone().into();
    let poll = || Box::pin(failed.clone()).as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(poll(), Poll::Pending);
    relay.handle().panic_one_thread();
    eventually("it is noticed", || noticed.0.load(Ordering::SeqCst));
    assert_eq!(poll(), Poll::Ready(()));
    drop(relay);

    let relay = start(only());
    let failed = relay.failure();
    relay.stop();
    assert_eq!(Box::pin(failed).as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
}

fn only() -> Config {
    Config { turn: vec![SocketAddr::new(LOCAL4, 0)], turns: Vec::new(), ..config() }
}

#[derive(Default)]
struct Noticed(AtomicBool);

impl Wake for Noticed {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
