//! Ways out: together, alone, by the server's end.

use std::time::Duration;

use twocan::{Data, Error, LeftWhy, LobbyEvent, LobbyState, PeerState, ServerEvent};

use crate::kit::{Pair, Server, eventually, pair, soon, until};

async fn talks(pair: &mut Pair) {
    let text = |event| match event {
        LobbyEvent::Message { data: Data::Text(text), .. } => Some(text),
        _ => None,
    };
    soon(pair.to_bob.send("reliable", "to Bob")).await.unwrap();
    assert_eq!(until(&mut pair.bob, text).await, "to Bob");
    soon(pair.to_ada.send("reliable", "to Ada")).await.unwrap();
    assert_eq!(until(&mut pair.ada, text).await, "to Ada");
}

#[tokio::test]
async fn once_started_the_server_forgets_everyone_and_the_links_stay() {
    let mut server = Server::start().await;
    let mut pair = pair(&server).await;
    let (one, two) = (pair.bob.start(), pair.ada.start());
    soon(one).await.unwrap();
    soon(two).await.unwrap();
    for lobby in [&mut pair.ada, &mut pair.bob] {
        let code = until(lobby, |event| match event {
            LobbyEvent::Server(ServerEvent::Closed { code }) => Some(code),
            _ => None,
        });
        assert_eq!(code.await, 1000);
        assert_eq!(lobby.state(), LobbyState::Complete);
    }
    eventually("the sessions are gone", async || server.metric("twocan_sessions").await == Some(0.0)).await;
    assert_eq!(server.metric("twocan_lobbies_closed_total{why=\"completed\"}").await, Some(1.0));
    assert_eq!(server.metric("twocan_links_total{path=\"direct\"}").await, Some(1.0));
    server.kill();
    talks(&mut pair).await;

    soon(pair.ada.leave()).await.unwrap();
    until(&mut pair.bob, |event| matches!(event, LobbyEvent::Leave(_, LeftWhy::Left)).then_some(())).await;
    while soon(pair.bob.next()).await.is_some() {}
    assert_eq!(soon(pair.to_ada.send("reliable", "?")).await, Err(Error::LinkClosed));
}

#[tokio::test]
async fn links_outlive_a_server_that_dies() {
    let mut server = Server::start().await;
    let mut pair = pair(&server).await;
    server.kill();
    until(&mut pair.ada, |event| {
        matches!(event, LobbyEvent::Server(ServerEvent::Reconnecting { .. })).then_some(())
    })
    .await;
    talks(&mut pair).await;
    assert_eq!(pair.to_bob.state(), PeerState::Open);
}

#[tokio::test]
async fn a_server_that_comes_back_has_forgotten_the_lobby_which_is_opened_again_under_its_code() {
    let mut server = Server::start().await;
    let address = server.address;
    let ada = soon(server.connect()).await.unwrap();
    let mut hers = ada.create().await.unwrap();
    server.stop().await;
    let again = Server::start_at(address).await;
    until(&mut hers, |event| matches!(event, LobbyEvent::Update).then_some(())).await;
    let bob = soon(again.connect()).await.unwrap();
    let his = soon(bob.join(hers.code().to_string())).await.unwrap();
    assert_eq!((his.code(), his.owner()), (hers.code(), hers.me()));
}

#[tokio::test]
async fn a_lobby_that_is_dropped_is_left() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    drop(pair.ada);
    let why =
        until(&mut pair.bob, |event| if let LobbyEvent::Leave(_, why) = event { Some(why) } else { None });
    assert_eq!(why.await, LeftWhy::Left);
    assert_eq!(pair.bob.owner(), pair.bob.me(), "the next in line owns it");
}

#[tokio::test]
async fn the_last_handle_ends_the_session() {
    let server = Server::start().await;
    let pair = pair(&server).await;
    drop(pair);
    eventually("the sessions are gone", async || server.metric("twocan_sessions").await == Some(0.0)).await;
}

#[tokio::test]
async fn a_client_that_was_closed_has_said_all_goodbyes() {
    let server = Server::start().await;
    let url = server.url();
    // A program of its own, which ends with its last word.
    let program = std::thread::spawn(move || {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
            let net = twocan::Client::connect(url).app("test").await.unwrap();
            assert_eq!(net.join("ED84").await.unwrap_err().code(), "not-found");
            net.close().await
        })
    });
    let closed = tokio::task::spawn_blocking(|| program.join().unwrap()).await.unwrap();
    assert_eq!(closed, Ok(()));
    eventually("the sessions are gone", async || server.metric("twocan_sessions").await == Some(0.0)).await;
    assert_eq!(server.metric("twocan_sessions_total{how=\"opened\"}").await, Some(1.0));
}

#[tokio::test]
async fn what_was_sent_before_the_goodbye_arrives() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    let (one, two) = (pair.bob.start(), pair.ada.start());
    soon(one).await.unwrap();
    soon(two).await.unwrap();
    // Bob does not read: after a while nothing goes.
    let mut sent = 0_u32;
    let fill = async {
        loop {
            pair.to_bob.send("reliable", vec![7; 60_000]).await.unwrap();
            sent += 1;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(500), fill).await;
    soon(pair.ada.leave()).await.unwrap();
    let mut heard = 0;
    until(&mut pair.bob, |event| {
        heard += u32::from(matches!(event, LobbyEvent::Message { .. }));
        matches!(event, LobbyEvent::Leave(..)).then_some(())
    })
    .await;
    assert!(sent > 100, "{sent} fill all buffers");
    assert_eq!(heard, sent);
}

#[tokio::test]
async fn a_lobby_that_was_left_alone_is_over() {
    let server = Server::start().await;
    let net = soon(server.connect()).await.unwrap();
    let mut lobby = net.create().await.unwrap();
    soon(lobby.leave()).await.unwrap();
    while soon(lobby.next()).await.is_some() {}
    assert_eq!(lobby.state(), LobbyState::Gone);
}

#[tokio::test]
async fn a_peer_that_closes_its_link_stays_in_the_lobby() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    pair.to_bob.close();
    until(&mut pair.bob, |event| matches!(event, LobbyEvent::State(_, PeerState::Closed)).then_some(()))
        .await;
    assert_eq!(pair.bob.members().len(), 2);
}

#[tokio::test]
async fn a_link_that_cannot_come_up_says_why() {
    let server = Server::start().await;
    let one = server.connect().ice_transport_policy(twocan::TransportPolicy::Relay);
    let hers = soon(one).await.unwrap().create().await.unwrap();
    let mut hers = hers;
    let _his = soon(server.connect()).await.unwrap().join(hers.code().to_string()).await.unwrap();
    let failure =
        until(&mut hers, |event| if let LobbyEvent::Fail(failure) = event { Some(failure) } else { None });
    let failure = tokio::time::timeout(Duration::from_secs(25), failure).await.unwrap();
    assert_eq!(failure.reason.word(), "no-candidates");
    assert_eq!(failure.message(), "This device found no address.");
    assert_eq!(failure.peer.state(), PeerState::Failed);
}
