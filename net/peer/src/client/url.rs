//! Where the socket is: `/v1` below the given place.

use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::{Authority, Parts, PathAndQuery, Scheme};

use crate::error::Error;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `ws` or `wss`, with the path that ends in `/v1`.
    pub uri: Uri,
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// Takes `wss://host`, `https://host/path`, `ws://…` and `http://…`; the socket is at `/v1` below that, unless the path says so itself.
pub fn place(url: &str) -> Result<Place, Error> {
    read(url).ok_or_else(|| Error::BadUrl { url: url.to_owned() })
}

fn read(url: &str) -> Option<Place> {
    let uri: Uri = url.trim().parse().ok()?;
    let tls = match uri.scheme_str()? {
        "wss" | "https" => true,
        "ws" | "http" => false,
        _ => return None,
    };
    let authority: &Authority = uri.authority()?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let path = uri.path().trim_end_matches('/');
    let path = if path.ends_with("/v1") { path.to_owned() } else { format!("{path}/v1") };
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::try_from(if tls { "wss" } else { "ws" }).ok()?);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Some(Place { uri: Uri::from_parts(parts).ok()?, host, port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_at_v1_of_the_given_place() {
        for (url, uri, port) in [
            ("wss://play.example", "wss://play.example/v1", 443),
            ("https://play.example/?x#y", "wss://play.example/v1", 443),
            ("https://play.example/twocan", "wss://play.example/twocan/v1", 443),
            ("https://play.example/a/twocan/?x#y", "wss://play.example/a/twocan/v1", 443),
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1", 8080),
            ("wss://play.example/twocan/v1/", "wss://play.example/twocan/v1", 443),
            ("wss://play.example/twocan/v1", "wss://play.example/twocan/v1", 443),
            ("ws://[::1]:81/", "ws://[::1]:81/v1", 81),
        ] {
            let place = place(url).unwrap();
            assert_eq!((place.uri.to_string().as_str(), place.port), (uri, port), "{url}");
        }
        assert_eq!(place("ws://[::1]:81").unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["ftp://play.example", "play.example", "http://", "", "wss://a@b", "wss://a b"] {
            assert_eq!(place(url), Err(Error::BadUrl { url: url.to_owned() }), "{url}");
        }
    }
}
