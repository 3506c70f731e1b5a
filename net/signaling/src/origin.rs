//! Which pages may open the signaling socket.

/// Whether a page of `origin` may talk to a server reached as `host`. Programs that are not pages send no `Origin`.
pub(crate) fn allowed(origin: Option<&str>, host: &str, list: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if list.is_empty() {
        return same(origin, host);
    }
    list.iter().any(|entry| entry == "*" || entry.trim_end_matches('/').eq_ignore_ascii_case(origin))
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
        ] {
            assert!(allowed(Some(origin), host, &[]), "{origin} at {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "play.example"),
            ("http://127.0.0.1:8081", "127.0.0.1:8080"),
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
