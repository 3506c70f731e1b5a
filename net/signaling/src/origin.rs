//! Which pages may open the signaling socket.

use std::net::IpAddr;

/// Whether a page of `origin` may talk to a server reached as `host`. Programs that are not pages send no `Origin`.
///
/// Without a `list`: the server's own page; and where it is reached by a loopback name, any page of this machine, as a
/// development server's on another port. With one: whatever [`matches`] an entry.
pub(crate) fn allowed(origin: Option<&str>, host: &str, list: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if list.is_empty() {
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        return same(origin, host) || is_loopback(name_of(host)) && is_loopback(name_of(authority));
    }
    list.iter().any(|entry| matches(entry, origin))
}

/// `*` is any origin, `https://*.play.example` any name below `play.example`; whatever else is an origin, as browsers write it:
/// `tauri://localhost`, or `null` for pages that have none.
fn matches(entry: &str, origin: &str) -> bool {
    let entry = entry.trim_end_matches('/');
    let below = entry.split_once("://*.").zip(origin.split_once("://"));
    match below {
        Some(((scheme, parent), (of, authority))) => {
            // Compared as bytes: what cannot be cut there is no name of ours.
            let cut = authority.len().checked_sub(parent.len() + 1);
            scheme.eq_ignore_ascii_case(of)
                && cut.and_then(|cut| authority.split_at_checked(cut)).is_some_and(|(name, rest)| {
                    !name.is_empty()
                        && name
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
                        && rest.starts_with('.')
                        && rest[1..].eq_ignore_ascii_case(parent)
                })
        }
        None => entry == "*" || entry.eq_ignore_ascii_case(origin),
    }
}

/// A name by which a machine calls itself (RFC 6761 6.3, RFC 1122 3.2.1.3, RFC 4291 2.5.3).
#[must_use]
pub fn is_loopback(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// An origin for a line of the log: it comes from a request, so it may be anything, and has the letters of an origin or is not said.
pub(crate) fn printable(origin: &str) -> &str {
    if origin == "null" || is_origin(origin) && origin.len() <= 128 { origin } else { "?" }
}

/// Whether a text has the form and the letters of `scheme://host[:port]` (RFC 6454 6.1).
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    let all = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    origin.split_once("://").is_some_and(|(scheme, host)| all(scheme, b"+-.") && all(host, b"-._:[]"))
}

/// The origin's host and port are those of the request. A proxy may have taken TLS away, so the scheme is only good for
/// the default port.
fn same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let strip = |text: &str| text.strip_suffix(default).unwrap_or(text).to_ascii_lowercase();
    !authority.is_empty() && strip(authority) == strip(host)
}

/// A `Host` without its port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_only_the_page_we_serve_is_allowed() {
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://Play.example", "play.example"),
            ("https://play.example", "play.example:443"),
            ("http://[::1]:8080", "[::1]:8080"),
            // Other servers of this machine, where this one is reached as such.
            ("http://127.0.0.1:8081", "127.0.0.1:8080"),
            ("http://localhost:5173", "127.0.0.1:8080"),
            ("https://app.localhost", "localhost:8080"),
            ("http://[::1]:5173", "localhost:8080"),
            ("tauri://localhost", "127.9.0.1:8080"),
        ] {
            assert!(allowed(Some(origin), host, &[]), "{origin} at {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "play.example"),
            ("http://localhost:5173", "play.example"),
            ("http://evil.example", "127.0.0.1:8080"),
            ("http://localhost.evil.example:5173", "localhost:8080"),
            ("http://127.0.0.1.evil.example", "127.0.0.1:8080"),
            ("http://192.168.1.2:5173", "127.0.0.1:8080"),
            ("null", "localhost"),
            ("http://play.example.evil.example", "play.example"),
            ("null", "null"),
            ("file://", ""),
            ("", ""),
            ("http://", ""),
            ("https://play.example:80", "play.example"),
        ] {
            assert!(!allowed(Some(origin), host, &[]), "{origin} at {host}");
        }
    }

    #[test]
    fn a_list_replaces_the_default() {
        let list = ["https://game.example/".to_owned()];
        assert!(allowed(Some("https://game.example"), "play.example", &list));
        assert!(!allowed(Some("https://play.example"), "play.example", &list));
        assert!(allowed(Some("https://any.example"), "play.example", &["*".to_owned()]));
    }

    #[test]
    fn an_entry_may_stand_for_all_names_below_one() {
        let list = [
            "https://*.play.example".to_owned(),
            "tauri://localhost".to_owned(),
            "https://*.dev.example:8443".to_owned(),
        ];
        for origin in [
            "https://a.play.example",
            "https://a.b.Play.example",
            "tauri://localhost",
            "https://x.dev.example:8443",
        ] {
            assert!(allowed(Some(origin), "server.example", &list), "{origin}");
        }
        for origin in [
            "https://play.example",
            "http://a.play.example",
            "https://a.play.example:444",
            "https://evilplay.example",
            "https://.play.example",
            "https://evil.example/.play.example",
            "https://evil.example#.play.example",
            "https://a.play.example.evil.example",
            "https://ä.play.example",
            "https://x.dev.example",
            "http://localhost:5173",
            "null",
        ] {
            assert!(!allowed(Some(origin), "localhost", &list), "{origin}");
        }
        assert!(allowed(Some("null"), "play.example", &["null".to_owned()]));
    }

    #[test]
    fn what_is_logged_of_an_origin_is_plain() {
        assert_eq!(printable("http://localhost:5173"), "http://localhost:5173");
        let long = format!("http://{}", "x".repeat(200));
        for odd in [
            "http://a\nINFO all is well",
            "a b",
            "\u{1b}[2J",
            &long,
            "ä",
            "all is well",
            "http://a/all-is-well",
            "http://a`b",
        ] {
            assert_eq!(printable(odd), "?");
        }
    }

    #[test]
    fn a_program_without_an_origin_is_allowed() {
        assert!(allowed(None, "play.example", &[]));
    }

    #[test]
    fn a_host_loses_its_port_and_nothing_else() {
        assert_eq!(name_of("play.example:8080"), "play.example");
        assert_eq!(name_of("play.example"), "play.example");
        assert_eq!(name_of("[::1]:8080"), "[::1]");
        assert_eq!(name_of("[::1]"), "[::1]");
    }
}
