//! Sockets as they misbehave: cut, slow, too long, silent, from the wrong page; and the server's own end.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod kit;

use std::time::Duration;

use futures_util::SinkExt;
use kit::{Client, PATIENCE, Server, config, eventually, exchange, pair, refused};
use serde_json::json;
use tokio::sync::oneshot;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use twocan_signaling::{Died, Error, Grant, GroupId, IceProvider, IceServers, PeerId, Quota, bind};

#[tokio::test]
async fn a_client_whose_connection_is_cut_resumes_and_misses_nothing() {
    let server = Server::start().await;
    let (mut ada, bob, _) = pair(&server).await;
    let Client { socket, session, peer, seen, .. } = bob;
    drop(socket);
    for n in 0..3 {
        ada.say(json!({"type":"signal","to":peer,"kind":"candidate","data":{"n":n}})).await;
    }
    assert_eq!(ada.ask(json!({"type":"ping"})).await["type"], "pong");
    let mut back = Client::open(&server).await;
    back.seen = seen;
    back.raw(json!({"type":"hello","id":0,"app":"test","resume":{"session":session,"seq":seen}})).await;
    let welcome = back.next().await;
    assert_eq!((&welcome["resumed"], &welcome["peer"]), (&json!(true), &json!(peer)));
    for n in 0..3 {
        assert_eq!(back.next().await["data"]["n"], n);
    }
}

/// One round trip less until the lobby.
#[tokio::test]
async fn a_socket_whose_address_names_the_application_is_welcome_without_a_word() {
    let server = Server::start().await;
    let enter = async |query: &str| {
        let mut request = server.request();
        *request.uri_mut() = format!("ws://{}/v1{query}", server.address).parse().unwrap();
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        Client { socket, session: String::new(), peer: String::new(), id: 0, seen: 0 }
    };
    for query in ["?app=test", "?from=here&app=test&app=other", "?app=%74est"] {
        let mut ada = enter(query).await;
        let welcome = ada.next().await;
        assert_eq!((&welcome["type"], &welcome["resumed"]), (&json!("welcome"), &json!(false)), "{query}");
        let joined = ada.ask(json!({"type":"create","public":true})).await;
        assert_eq!(joined["type"], "joined", "{query}");
        let mut bob = Client::hello(&server).await;
        let list = bob.ask(json!({"type":"list"})).await;
        assert_eq!(list["lobbies"].as_array().unwrap().len(), 1, "the same application: {list}");
        ada.ask(json!({"type":"leave"})).await;
        // It was said.
        ada.raw(json!({"type":"hello","id":0,"app":"test"})).await;
        assert_eq!(ada.next().await["code"], "bad-message");
    }
    for query in ["?app", "?app=", "?app=a%20b", "?app=%FF", &format!("?app={}", "a".repeat(65))] {
        let end = enter(query).await.closed().await.unwrap();
        assert_eq!(u16::from(end.code), 4000, "{query}");
    }
    // Nothing of it is hers.
    let mut other = enter("?application=test").await;
    other.raw(json!({"type":"hello","id":0,"app":"test"})).await;
    assert_eq!(other.next().await["type"], "welcome");
}

#[tokio::test]
async fn a_server_that_restarts_in_mid_negotiation_is_met_again_with_a_new_session() {
    // A thread and a runtime of its own: when they end, all that runs on them is gone at once, and nothing of it is
    // polled any more, as when a process is killed.
    let (started, server) = oneshot::channel();
    let (kill, killed) = oneshot::channel::<()>();
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(started.send(Server::start().await).is_ok());
            let _ = killed.await;
        });
    });
    let server = server.await.unwrap();
    let (mut ada, _bob, _) = pair(&server).await;
    let address = server.address;
    kill.send(()).unwrap();
    process.join().unwrap();
    assert!(ada.closed().await.is_none(), "no close: it is simply gone");
    let mut config = config();
    config.listen = vec![address];
    let server = Server::start_with(config).await;
    let mut back = Client::open(&server).await;
    back.raw(json!({"type":"hello","id":0,"app":"test","resume":{"session":ada.session,"seq":ada.seen}}))
        .await;
    let welcome = back.next().await;
    assert_eq!((&welcome["resumed"], &welcome["received"]), (&json!(false), &json!(0)));
    assert_eq!(back.ask(json!({"type":"create"})).await["type"], "joined");
}

#[tokio::test]
async fn nobody_waits_for_who_asks_and_does_not_read() {
    let mut config = config();
    (config.limits.frames_burst, config.limits.frames_per_second) = (100_000, 100_000);
    let server = Server::start_with(config).await;
    let (mut ada, mut bob, _) = pair(&server).await;
    for _ in 0..20 {
        let mut owner = Client::hello(&server).await;
        owner.ask(json!({"type":"create","public":true,"data":{"x":"y".repeat(2_000)}})).await;
        owner.ask(json!({"type":"ping"})).await;
        std::mem::forget(owner);
    }
    // Bob reads nothing: what is under way fills the system's buffers, and then he is read no further.
    let asking = tokio::spawn(async move { while bob.try_say(json!({"type":"list"})).await {} });
    for _ in 0..50 {
        assert_eq!(ada.ask(json!({"type":"ping"})).await["type"], "pong");
    }
    asking.abort();
}

#[tokio::test]
async fn who_is_flooded_by_another_is_not_closed_and_hears_the_rest() {
    let mut config = config();
    (config.limits.frames_burst, config.limits.frames_per_second) = (100_000, 100_000);
    let server = Server::start_with(config).await;
    let (mut ada, mut bob, _) = pair(&server).await;
    let signal =
        json!({"type":"signal","to":bob.peer,"kind":"description","data":{"sdp":"x".repeat(15_000)}});
    for _ in 0..300 {
        ada.say(signal.clone()).await;
    }
    assert_eq!(ada.wait("error").await["code"], "rate-limited");
    ada.say(json!({"type":"leave"})).await;
    assert_eq!(bob.wait("left").await["why"], "left");
    assert_eq!(server.metric("twocan_sockets_closed_total{code=\"4002\"}").await, None);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_with_a_sentence() {
    let server = Server::start().await;
    let with_origin = |server: &Server, origin: &str| {
        let mut request = server.request();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let (status, body) = refused(with_origin(&server, origin)).await;
        assert_eq!(status, 403);
        assert!(body.contains("--origin"), "{body}");
    }
    let own = format!("http://{}", server.address);
    assert!(tokio_tungstenite::connect_async(with_origin(&server, &own)).await.is_ok());

    let mut config = config();
    config.origins = vec!["https://game.example".into()];
    let server = Server::start_with(config).await;
    assert!(tokio_tungstenite::connect_async(with_origin(&server, "https://game.example")).await.is_ok());
    assert_eq!(refused(with_origin(&server, "https://evil.example")).await.0, 403);
}

#[tokio::test]
async fn without_the_subprotocol_or_without_a_websocket_it_says_what_it_wants() {
    let server = Server::start().await;
    let mut request = server.request();
    request.headers_mut().remove("sec-websocket-protocol");
    let (status, body) = refused(request).await;
    assert_eq!(status, 400);
    assert!(body.contains("twocan.v1"), "{body}");
    let mut request = server.request();
    request.headers_mut().insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    assert_eq!(refused(request).await.0, 400);
    let answer = server.get("/v1").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("twocan.v1"), "{answer}");
}

#[tokio::test]
async fn a_frame_that_is_too_long_closes_the_socket_with_1009() {
    let server = Server::start().await;
    for len in [16_385, 32_769, 1_000_000] {
        let mut ada = Client::hello(&server).await;
        // The server may have closed before all of it is written.
        let _ = ada.socket.send(Message::text("x".repeat(len))).await;
        let close = ada.closed().await;
        if len < 1_000_000 {
            assert_eq!(u16::from(close.expect("a close frame").code), 1009, "{len}");
        }
    }
    let mut bob = Client::hello(&server).await;
    assert_eq!(bob.ask(json!({"type":"ping"})).await["type"], "pong");
}

#[tokio::test]
async fn bytes_that_are_not_websocket_close_with_1002_and_text_that_is_not_utf8_with_1007() {
    let server = Server::start().await;
    // A reserved bit is set; and text of one byte 0xFF. Both are masked with zeros.
    for (bytes, code) in [([0xF1, 0x81, 0, 0, 0, 0, b'x'], 1002), ([0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007)] {
        let mut ada = Client::hello(&server).await;
        let MaybeTlsStream::Plain(stream) = ada.socket.get_mut() else { panic!("no TLS here") };
        tokio::io::AsyncWriteExt::write_all(stream, &bytes).await.unwrap();
        assert_eq!(u16::from(ada.closed().await.unwrap().code), code);
    }
}

#[tokio::test]
async fn binary_frames_and_nonsense_are_refused_and_counted_and_the_socket_stays() {
    let server = Server::start().await;
    let mut ada = Client::hello(&server).await;
    ada.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(ada.next().await["code"], "bad-message");
    ada.socket.send(Message::text("nonsense")).await.unwrap();
    assert_eq!(ada.next().await["code"], "bad-message");
    assert_eq!(ada.ask(json!({"type":"ping"})).await["type"], "pong");
    assert_eq!(server.metric("twocan_refused_total{code=\"bad-message\"}").await, Some(2.0));
}

#[tokio::test]
async fn who_answers_pings_stays_and_who_is_silent_is_given_up() {
    let mut config = config();
    (config.ping_every, config.silence_max) = (Duration::from_millis(100), Duration::from_millis(1_000));
    let server = Server::start_with(config).await;
    // A client answers pings as long as it is read from.
    let mut ada = Client::hello(&server).await;
    let silent = Client::hello(&server).await;
    let mut pings = 0;
    while pings < 20 {
        if let Message::Ping(_) = ada.message().await.expect("it stays") {
            pings += 1;
        }
    }
    eventually("one is left", async || {
        ada.ask(json!({"type":"ping"})).await;
        server.metric("twocan_sockets").await == Some(1.0)
    })
    .await;
    assert_eq!(server.metric("twocan_sessions").await, Some(2.0), "its session waits");
    drop(silent);
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let server = Server::start().await;
    let begun = tokio::time::Instant::now();
    // A slow loris: the head never ends. `exchange` returns when the server has closed.
    exchange(server.address, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(begun.elapsed() < PATIENCE);
    assert!(begun.elapsed() >= Duration::from_secs(4), "it was given its time");
}

#[tokio::test]
async fn no_answer_and_no_metric_contains_a_password() {
    let server = Server::start().await;
    let (mut ada, mut bob) = (Client::hello(&server).await, Client::hello(&server).await);
    let secret = "correct horse battery staple";
    let joined = ada.ask(json!({"type":"create","public":true,"password":secret})).await;
    let code = &joined["lobby"]["code"];
    let wrong = bob.ask(json!({"type":"join","code":code,"password":"correct horse battery stable"})).await;
    assert_eq!(wrong["code"], "not-found");
    let list = bob.ask(json!({"type":"list"})).await;
    let right = bob.ask(json!({"type":"join","code":code,"password":secret})).await;
    assert_eq!(right["type"], "joined");
    let metrics = server.get("/metrics").await;
    for text in [joined.to_string(), wrong.to_string(), list.to_string(), right.to_string(), metrics] {
        assert!(!text.contains("horse"), "{text}");
    }
}

#[tokio::test]
async fn a_hundred_who_join_at_once_for_one_seat_leave_it_sold_once() {
    let server = Server::start().await;
    let mut owner = Client::hello(&server).await;
    let code = owner.ask(json!({"type":"create","size":2})).await["lobby"]["code"].clone();
    let mut joining = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = Client::hello(&server).await;
        let join = json!({"type":"join","code":code});
        joining.spawn(async move {
            let won = client.ask(join).await["type"] == "joined";
            (client, won)
        });
    }
    let results = joining.join_all().await;
    assert_eq!(results.iter().filter(|(_, won)| *won).count(), 1);
}

#[tokio::test]
async fn shutting_down_closes_with_1001_and_ends_in_time() {
    let mut server = Server::start().await;
    let (mut ada, mut bob, _) = pair(&server).await;
    server.stop();
    for client in [&mut ada, &mut bob] {
        assert_eq!(u16::from(client.closed().await.unwrap().code), 1001);
    }
    let ended = tokio::time::timeout(PATIENCE, server.running).await.expect("it ends").unwrap();
    assert_eq!(ended, Ok(()));
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_server_that_is_dropped_takes_its_sockets_along() {
    let server = Server::start().await;
    let mut ada = Client::hello(&server).await;
    server.running.abort();
    assert_eq!(u16::from(ada.closed().await.unwrap().code), 1001);
}

#[tokio::test]
async fn while_a_sealed_lobby_is_waited_for_health_says_draining() {
    let mut server = Server::start().await;
    assert!(server.get("/healthz").await.ends_with("{\"status\":\"ok\"}\n"));
    let (mut ada, mut bob, _) = pair(&server).await;
    ada.ask(json!({"type":"seal"})).await;
    server.stop();
    eventually("draining", async || server.get("/healthz").await.contains("draining")).await;
    ada.say(json!({"type":"linked","peer":bob.peer,"path":"direct","ms":1})).await;
    bob.say(json!({"type":"linked","peer":ada.peer,"path":"direct","ms":1})).await;
    assert_eq!(bob.wait("complete").await["type"], "complete");
    assert_eq!(u16::from(ada.closed().await.unwrap().code), 1000);
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_sentence() {
    let server = Server::start().await;
    let mut config = config();
    config.listen = vec![server.address];
    let ice = std::sync::Arc::new(kit::Ice::default());
    let error = bind(config, ice, axum::Router::new()).await.err().unwrap();
    assert!(matches!(error, Error::PortTaken { address } if address == server.address));
    assert!(error.to_string().contains("taken"), "{error}");
}

#[tokio::test]
async fn connections_of_one_address_beyond_the_limit_are_not_served() {
    let mut config = config();
    config.connections = Quota { total: 100, household: 2, site: 100, floor: 1 };
    let server = Server::start_with(config).await;
    let held = [
        tokio::net::TcpStream::connect(server.address).await.unwrap(),
        tokio::net::TcpStream::connect(server.address).await.unwrap(),
    ];
    let mut third = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut third, &mut byte);
    assert_eq!(tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap_or(0), 0, "closed at once");
    drop(held);
    eventually("the page again", async || {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        drop(stream);
        let Ok(mut stream) = tokio::net::TcpStream::connect(server.address).await else { return false };
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, head).await;
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        answer.ends_with(b"the page")
    })
    .await;
}

/// Memory of this process in use, KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_hundred_passwords_take_no_more_memory_than_one() {
    let mut config = config();
    config.limits.openings_per_address = 1_000;
    let server = Server::start_with(config).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::hello(&server).await);
    }
    let mut before = 0;
    for round in 0..3 {
        for client in &mut clients {
            client.say(json!({"type":"create","password":"hunter2"})).await;
        }
        for client in &mut clients {
            assert_eq!(client.wait("joined").await["type"], "joined");
            client.ask(json!({"type":"leave"})).await;
        }
        if round == 0 {
            before = resident_kib();
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more after a hundred hashes");
}

/// Panics on the task that owns the lobbies.
struct Trap;

impl IceProvider for Trap {
    fn grant(&self, _: &Grant, _: &str) -> IceServers {
        panic!("a trap, for a test");
    }
    fn revoke(&self, _: &GroupId, _: &PeerId) {}
    fn close_group(&self, _: &GroupId) {}
}

#[tokio::test]
async fn a_server_whose_machine_panics_ends_and_says_so() {
    let signaling = bind(config(), std::sync::Arc::new(Trap), axum::Router::new()).await.unwrap();
    let address = signaling.local_addr();
    let running = tokio::spawn(signaling.run(std::future::pending()));
    let server = Server::at(address);
    let mut ada = Client::hello(&server).await;
    ada.say(json!({"type":"create"})).await;
    assert_eq!(tokio::time::timeout(PATIENCE, running).await.expect("it ends").unwrap(), Err(Died));
}

#[tokio::test]
async fn a_proxy_that_does_not_say_for_whom_it_speaks_opens_no_socket() {
    let mut config = config();
    config.trusted_proxy = Some(std::sync::Arc::new(|_| true));
    let server = Server::start_with(config).await;
    for header in ["", "X-Forwarded-For: unknown\r\n", "X-Forwarded-For: 203.0.113.5, \r\n"] {
        let head = format!("GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
        assert!(exchange(server.address, head.as_bytes()).await.starts_with("HTTP/1.1 400"), "{header:?}");
    }
    assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"), "the proxy itself may ask");
    let mut request = server.request();
    request.headers_mut().insert("x-forwarded-for", "203.0.113.5".parse().unwrap());
    assert!(tokio_tungstenite::connect_async(request).await.is_ok());
}

#[tokio::test]
async fn metrics_can_be_had_on_a_listener_of_their_own_alone() {
    let mut config = config();
    config.metrics = false;
    let server = Server::start_with(config.clone()).await;
    assert!(server.get("/metrics").await.starts_with("HTTP/1.1 404"));
    let probe = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = probe.local_addr().unwrap();
    drop(probe);
    config.metrics_listen = vec![free];
    let _server = Server::start_with(config).await;
    let head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(free, head).await.contains("twocan_sessions"));
    let head = b"GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(free, head).await.starts_with("HTTP/1.1 404"));
}
