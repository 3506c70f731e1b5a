//! The same from programs without `async`: they wait, or look once a frame.

use std::time::{Duration, Instant};

use twocan::{Client, Data, LobbyEvent, Request};

use crate::kit::{PATIENCE, Server};

/// A server on a runtime of its own, as if it were another program.
fn server() -> (tokio::runtime::Runtime, Server) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    (runtime, server)
}

#[test]
fn a_game_loop_meets_starts_and_plays_without_async() {
    let (_runtime, server) = server();
    let mut connecting = Client::connect(server.url()).app("game").begin();
    let began = Instant::now();
    let net = loop {
        match connecting.poll() {
            Some(answer) => break answer.unwrap(),
            None => frame(began),
        }
    };
    let mut one = net.create().size(2).wait().unwrap();
    let mut two = Client::connect(server.url())
        .app("game")
        .wait()
        .unwrap()
        .join(one.code().to_string())
        .wait()
        .unwrap();
    let mut start = None;
    let mut heard = None;
    while heard.is_none() {
        while let Some(event) = one.poll() {
            match event {
                LobbyEvent::Peer(_) => start = Some((one.start(), two.start())),
                LobbyEvent::Complete => assert_eq!(one.all().try_send("unreliable", [1, 2, 3]), 1),
                _ => {}
            }
        }
        while let Some(event) = two.poll() {
            if let LobbyEvent::Message { data, .. } = event {
                heard = Some(data);
            }
        }
        frame(began);
    }
    assert_eq!(heard, Some(Data::from([1, 2, 3])));
    let (one, two) = start.unwrap();
    assert_eq!((one.wait(), two.wait()), (Ok(()), Ok(())));
}

#[test]
fn a_program_that_waits_hears_what_happens() {
    let (_runtime, server) = server();
    let mut one = Client::connect(server.url()).app("game").wait().unwrap().create().wait().unwrap();
    let two = Client::connect(server.url())
        .app("game")
        .wait()
        .unwrap()
        .join(one.code().to_string())
        .wait()
        .unwrap();
    let peer = loop {
        if let Some(LobbyEvent::Peer(peer)) = one.wait() {
            break peer;
        }
    };
    assert_eq!(peer.id(), two.me());
    twocan::block_on(peer.send("reliable", "hello")).unwrap();
    twocan::block_on(two.leave()).unwrap();
}

fn frame(began: Instant) {
    assert!(began.elapsed() < PATIENCE, "patience");
    std::thread::sleep(Duration::from_millis(5));
}
