//! The story over real sockets: two meet, link, leave with tickets, and the lobby is gone.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod kit;

use kit::{Client, Server, eventually, pair};
use serde_json::json;

#[tokio::test]
async fn two_meet_link_and_leave_and_the_lobby_is_gone() {
    let server = Server::start().await;
    let (mut ada, mut bob, _) = pair(&server).await;
    let sdp = json!({"type":"offer","sdp":"v=0\r\n"});
    bob.say(json!({"type":"signal","to":ada.peer,"kind":"description","data":sdp})).await;
    let signal = ada.wait("signal").await;
    assert_eq!((&signal["data"], signal["from"].as_str()), (&sdp, Some(bob.peer.as_str())));

    assert_eq!(ada.ask(json!({"type":"seal"})).await["type"], "ok");
    assert_eq!(bob.wait("sealed").await["within"], 30);
    ada.say(
        json!({"type":"linked","peer":bob.peer,"path":"direct","local":"host","remote":"srflx","ms":212}),
    )
    .await;
    bob.say(json!({"type":"linked","peer":ada.peer,"path":"direct","ms":180})).await;
    for client in [&mut ada, &mut bob] {
        let complete = client.wait("complete").await;
        assert!(complete["ticket"].as_str().unwrap().contains('.'));
        assert_eq!(complete["ice"]["expires"], 43_200);
        assert_eq!(complete["ice"]["servers"][0]["urls"][0], "turn:127.0.0.1:3478?transport=udp");
        assert_eq!(u16::from(client.closed().await.unwrap().code), 1000);
    }
    eventually("the sessions are gone", async || server.metric("twocan_sessions").await == Some(0.0)).await;
    assert_eq!(server.metric("twocan_lobbies").await, Some(0.0));
    assert_eq!(server.metric("twocan_links_total{path=\"direct\"}").await, Some(1.0));
    assert_eq!(server.metric("twocan_lobbies_closed_total{why=\"completed\"}").await, Some(1.0));
    assert_eq!(server.metric("twocan_time_to_connect_seconds_count{path=\"direct\"}").await, Some(2.0));
    let told = server.ice.told.lock().unwrap().clone();
    assert!(told.iter().all(|line| line.starts_with("grant")), "nothing is revoked: {told:?}");
}

#[tokio::test]
async fn a_ticket_brings_them_back_after_a_restart_of_the_server() {
    let server = Server::start().await;
    let (mut ada, mut bob, code) = pair(&server).await;
    ada.ask(json!({"type":"seal"})).await;
    ada.say(json!({"type":"linked","peer":bob.peer,"path":"direct","ms":1})).await;
    bob.say(json!({"type":"linked","peer":ada.peer,"path":"relayed","ms":1})).await;
    let tickets = [ada.wait("complete").await, bob.wait("complete").await].map(|m| m["ticket"].clone());
    drop(server);

    let server = Server::start().await;
    let mut again = [Client::hello(&server).await, Client::hello(&server).await];
    for (client, ticket) in again.iter_mut().zip(tickets) {
        let joined = client.ask(json!({"type":"return","ticket":ticket})).await;
        assert_eq!(
            (joined["type"].as_str(), joined["lobby"]["code"].as_str()),
            (Some("joined"), Some(code.as_str()))
        );
    }
    assert_eq!(again[0].wait("link").await["peer"], bob.peer);
    assert_eq!(again[1].wait("link").await["peer"], ada.peer);
}
