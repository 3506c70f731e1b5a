//! Ways into a lobby, and what is said where there is none.

use serde_json::json;
use twocan::{Client, Error, LobbyEvent};

use crate::kit::{Server, pair, peer, soon, until};

#[tokio::test]
async fn two_meet_by_code_and_password() {
    let server = Server::start().await;
    let ada = soon(server.connect().me(json!({"name":"Ada"}))).await.unwrap();
    let bob = soon(server.connect().me(json!({"name":"Bob"}))).await.unwrap();
    let mut hers = ada.create().password("hunter2").data(json!({"map":"dust"})).await.unwrap();
    let code = hers.code().to_string();
    let wrong = bob.join(&code).password("guess").await.unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.to_string().as_str()),
        ("not-found", "no lobby has this code and this password")
    );

    let mut his = bob.join(code.to_lowercase()).password("hunter2").await.unwrap();
    assert_eq!((his.owner(), his.is_owner(), hers.is_owner()), (hers.me(), false, true));
    assert_eq!((his.data(), his.size(), his.has_password()), (json!({"map":"dust"}), 8, true));
    let (to_bob, to_ada) = (peer(&mut hers).await, peer(&mut his).await);
    assert_eq!((to_bob.id(), to_bob.me()), (his.me(), &json!({"name":"Bob"})));
    assert_eq!((to_ada.id(), to_ada.me()), (hers.me(), &json!({"name":"Ada"})));
    assert!(to_ada.is_up() && to_ada.connect_ms().is_some());
    assert_eq!(hers.members().len(), 2);
}

#[tokio::test]
async fn two_meet_by_the_list() {
    let server = Server::start().await;
    let (ada, bob) = (soon(server.connect()).await.unwrap(), soon(server.connect()).await.unwrap());
    let mut list = bob.lobbies().filter(json!({"map":"dust"})).await.unwrap();
    assert_eq!((list.next().await, list.total()), (Some(vec![]), 0));
    let _other =
        soon(server.connect()).await.unwrap().create().public(true).data(json!({"map":"ice"})).await.unwrap();
    let mut hers = ada.create().public(true).data(json!({"map":"dust"})).await.unwrap();
    let rows = soon(list.next()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.code).collect::<Vec<_>>(), [hers.code()]);
    let mut his = bob.join(rows[0].code.to_string()).await.unwrap();
    assert_eq!(soon(list.next()).await, None, "entering ends the list");
    peer(&mut hers).await;
    peer(&mut his).await;
}

#[tokio::test]
async fn two_meet_by_quick_match() {
    let server = Server::start().await;
    let (ada, bob) = (soon(server.connect()).await.unwrap(), soon(server.connect()).await.unwrap());
    let mut hers = ada.quick(json!({"map":"dust"})).size(2).await.unwrap();
    let mut his = bob.quick(json!({"map":"dust"})).await.unwrap();
    assert_eq!(hers.code(), his.code());
    peer(&mut hers).await;
    peer(&mut his).await;
}

#[tokio::test]
async fn the_owner_changes_locks_and_shows_out() {
    let server = Server::start().await;
    let mut pair = pair(&server).await;
    assert_eq!(pair.bob.kick(pair.ada.me()).await.unwrap_err().code(), "not-owner");
    pair.ada.update().data(json!({"map":"ice"})).public(true).await.unwrap();
    pair.ada.lock(true).await.unwrap();
    until(&mut pair.bob, |event| matches!(event, LobbyEvent::Update).then_some(())).await;
    until(&mut pair.bob, |event| matches!(event, LobbyEvent::Update).then_some(())).await;
    assert_eq!(
        (pair.bob.data(), pair.bob.is_public(), pair.bob.is_locked()),
        (json!({"map":"ice"}), true, true)
    );
    let late = soon(server.connect()).await.unwrap().join(pair.ada.code().to_string()).await;
    assert_eq!(late.unwrap_err().code(), "locked");

    pair.ada.kick(pair.bob.me()).await.unwrap();
    let why =
        until(&mut pair.bob, |event| if let LobbyEvent::Removed(why) = event { Some(why) } else { None })
            .await;
    assert_eq!(why, twocan::RemovedWhy::Kicked);
    assert_eq!(soon(pair.to_ada.send("reliable", "?")).await, Err(Error::LinkClosed));
    while soon(pair.bob.next()).await.is_some() {}
}

#[tokio::test]
async fn the_ice_servers_of_a_lobby_are_told_until_it_is_left() {
    let server = Server::start().await;
    let client = soon(server.connect()).await.unwrap();
    let lobby = soon(client.create()).await.unwrap();
    assert_eq!(soon(lobby.ice_servers()).await, Some(Vec::new()));
    soon(lobby.leave()).await.unwrap();
    assert!(soon(lobby.ice_servers()).await.is_none_or(|servers| servers.is_empty()));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_clear_sentence() {
    let error = soon(Client::connect("http://127.0.0.1:9")).await.unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert_eq!(error.to_string(), "no server answers at http://127.0.0.1:9: connection refused");
    let error = soon(Client::connect("play.example")).await.unwrap_err();
    assert_eq!(error.code(), "bad-url");
    assert_eq!(soon(Client::connect("http://[::1]").app("no spaces")).await.unwrap_err().code(), "bad-value");
}

#[tokio::test]
async fn what_is_no_twocan_server_is_told_from_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            use tokio::io::AsyncWriteExt as _;
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let error = soon(Client::connect(url)).await.unwrap_err().to_string();
    assert!(error.ends_with("it answers 404 Not Found"), "{error}");
    serving.abort();
}

/// In front of the server, as a reverse proxy with a certificate of one's own.
async fn behind_tls(server: &Server) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), server.address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (format!("wss://localhost:{port}"), made.cert.pem())
}

#[tokio::test]
async fn over_tls_a_certificate_is_believed_only_where_it_was_named() {
    let server = Server::start().await;
    let (url, pem) = behind_tls(&server).await;
    let error = soon(Client::connect(&url)).await.unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert!(error.to_string().contains("certificate"), "{error}");
    let roots = twocan::Roots::only_pem(pem.as_bytes()).unwrap();
    soon(Client::connect(&url).roots(roots)).await.unwrap().create().await.unwrap();
}

#[tokio::test]
async fn channels_are_checked_before_anything_is_sent() {
    use twocan::ChannelOptions;
    let channels = |names: &[&str]| {
        names.iter().fold(Client::connect("http://127.0.0.1:9"), |connect, name| {
            connect.channel(*name, ChannelOptions::default())
        })
    };
    for names in [&["reliable"][..], &["twocan"], &["voice", "voice"]] {
        assert_eq!(soon(channels(names)).await.unwrap_err().code(), "bad-value", "{names:?}");
    }
    let many: Vec<String> = (0..254).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(soon(channels(&many)).await.unwrap_err().code(), "bad-value");
    assert_eq!(soon(channels(&many[1..])).await.unwrap_err().code(), "unreachable");
    let error = soon(Client::connect("http://127.0.0.1:9").me(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "this must be a JSON object");
}
