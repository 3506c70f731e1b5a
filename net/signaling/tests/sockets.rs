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
    for query in ["?app=test", "?from=here&app=test", "?app=%74est"] {
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
    // Two applications are none, and a session's secret does not go into an address.
    let two = ["?app=test&app=test", "?app=test&app=", "?app=test&session=s", "?resume=s"];
    let long = format!("?app={}", "a".repeat(65));
    for query in ["?app", "?app=", "?app=a%20b", "?app=%FF", &long].into_iter().chain(two) {
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
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
        let (status, body) = refused(with_origin(&server, origin)).await;
        assert_eq!(status, 403);
        assert!(body.contains("--origin"), "{body}");
    }
    assert_eq!(server.metric("twocan_origins_refused_total").await, Some(3.0));
    // Its own, and what a development server of this machine serves.
    for own in
        [format!("http://{}", server.address), "http://localhost:5173".into(), "http://127.0.0.1".into()]
    {
        assert!(tokio_tungstenite::connect_async(with_origin(&server, &own)).await.is_ok(), "{own}");
    }

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

/// A frame as a client sends it, masked with zeros: a ping, a pong, a piece of a text.
const CONTROLS: [(&str, [u8; 6]); 3] = [
    ("pings", [0x89, 0x80, 0, 0, 0, 0]),
    ("pongs", [0x8A, 0x80, 0, 0, 0, 0]),
    ("pieces of a message", [0x00, 0x80, 0, 0, 0, 0]),
];

#[tokio::test]
async fn who_sends_too_many_frames_of_whichever_kind_is_closed_with_4003() {
    let server = Server::start().await;
    for (closed, (what, frame)) in CONTROLS.into_iter().enumerate() {
        let mut ada = Client::hello(&server).await;
        let MaybeTlsStream::Plain(stream) = ada.socket.get_mut() else { panic!("no TLS here") };
        let begin: &[u8] = if frame[0] == 0 { &[0x01, 0x80, 0, 0, 0, 0] } else { &[] };
        let flood = [begin, &frame.repeat(1_000)].concat();
        // The server may have closed before all of it is written.
        let _ = tokio::io::AsyncWriteExt::write_all(stream, &flood).await;
        assert_eq!(u16::from(ada.closed().await.expect(what).code), 4003, "{what}");
        let counted = server.metric("twocan_sockets_closed_total{code=\"4003\"}").await;
        assert_eq!(counted, Some((closed + 1) as f64), "{what}");
    }
    // Empty messages are refused one by one first.
    let mut bob = Client::hello(&server).await;
    let MaybeTlsStream::Plain(stream) = bob.socket.get_mut() else { panic!("no TLS here") };
    let flood = [0x81, 0x80, 0, 0, 0, 0].repeat(1_000);
    let _ = tokio::io::AsyncWriteExt::write_all(stream, &flood).await;
    assert_eq!(u16::from(bob.closed().await.expect("empty texts").code), 4003);
}

#[tokio::test]
async fn a_hundred_pings_at_once_are_a_clients_own_affair_and_are_answered() {
    let server = Server::start().await;
    let mut ada = Client::hello(&server).await;
    for n in 0..100_u8 {
        ada.socket.send(Message::Ping(vec![n].into())).await.unwrap();
    }
    // Of pings that came in between, the last needs an answer alone (RFC 6455 5.5.3).
    while ada.message().await.expect("it stays") != Message::Pong(vec![99].into()) {}
    assert_eq!(ada.ask(json!({"type":"ping"})).await["type"], "pong");
}

#[tokio::test]
async fn a_key_that_is_no_key_opens_no_socket() {
    let server = Server::start().await;
    for key in ["x", "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZXh4", "dGhlIHNhbXBsZSBub25j!Q=="] {
        let head = format!(
            "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: twocan.v1\r\n\r\n"
        );
        let answer = exchange(server.address, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("16 bytes"), "{key:?}: {answer}");
    }
    let old = "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 8\r\nSec-WebSocket-Protocol: twocan.v1\r\n\r\n";
    let answer = exchange(server.address, old.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("sec-websocket-version: 13"), "{answer}");
}

/// What one client asks for on a proxy's connection: how many were answered before the first 429.
async fn answered_before_429(server: &Server, from: &str, most: usize) -> usize {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let head = format!("HEAD / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\n\r\n").repeat(most);
    let writing = tokio::spawn(async move {
        let _ = write.write_all(head.as_bytes()).await;
        write
    });
    let (mut lines, mut answered) = (BufReader::new(read).lines(), 0);
    while answered < most {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        match line.expect("it stays: it is others' too") {
            line if line.starts_with("HTTP/1.1 429") => break,
            line => answered += usize::from(line.starts_with("HTTP/1.1 200")),
        }
    }
    writing.abort();
    answered
}

#[tokio::test]
async fn a_client_behind_a_proxy_has_its_own_budget_of_answers_and_the_proxy_none() {
    let mut config = config();
    config.trusted_proxy = Some(std::sync::Arc::new(|address| address.is_loopback()));
    let server = Server::start_with(config).await;
    let answered = answered_before_429(&server, "203.0.113.5", 20_000).await;
    assert!((4_096..20_000).contains(&answered), "{answered}");
    assert_eq!(answered_before_429(&server, "203.0.113.6", 400).await, 400, "a neighbour of his");
    for path in ["/healthz", "/metrics"] {
        assert!(server.get(path).await.starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[tokio::test]
async fn whoever_asks_too_much_is_answered_more_slowly() {
    use tokio::io::AsyncWriteExt;
    let server = Server::start().await;
    let mut asking = Vec::new();
    for _ in 0..5 {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        asking.push(tokio::spawn(async move {
            let _ = stream.write_all(&b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000)).await;
            let mut answers = Vec::new();
            let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answers);
            let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
            String::from_utf8(answers).unwrap().matches("HTTP/1.1 200").count()
        }));
    }
    let mut answered = 0;
    for each in asking {
        answered += each.await.unwrap();
    }
    assert!((2_000..5_000).contains(&answered), "{answered} of 5,000 in two seconds");
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

/// The connection behind a WebSocket is one like any other.
#[tokio::test]
async fn web_sockets_count_as_connections_as_long_as_they_are_there() {
    let mut config = config();
    config.connections = Quota { total: 100, household: 2, site: 100, floor: 1 };
    let server = Server::start_with(config).await;
    let held = [Client::hello(&server).await, Client::hello(&server).await];
    let mut third = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut third, &mut byte);
    assert_eq!(tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap_or(0), 0, "closed at once");
    drop(held);
    eventually("a socket again", async || tokio_tungstenite::connect_async(server.request()).await.is_ok())
        .await;
}

/// Whoever is refused and stays would fill the house all the same.
#[tokio::test]
async fn a_socket_that_finds_no_room_is_gone_at_once_though_its_client_does_not_answer() {
    let mut config = config();
    config.limits.sockets = Quota { total: 100, household: 1, site: 100, floor: 1 };
    let server = Server::start_with(config).await;
    let _held = Client::hello(&server).await;
    let mut refused = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "GET /v1?app=test HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: twocan.v1\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut refused, head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut refused, &mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(2), read).await;
    assert!(ended.is_ok(), "it is still there");
    let code = 4004_u16.to_be_bytes();
    assert!(answer.windows(2).any(|pair| pair == code), "and it was told why");
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
    for header in ["", "X-Forwarded-For: unknown\r\n", "X-Forwarded-For: 203.0.113.5, _hidden\r\n"] {
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
