//! The page, embedded: the built files of `web/demo`, and the SDK for pages that want to try it from here.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file, as it is served.
struct File {
    path: &'static str,
    /// Below `web/`.
    source: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal, $content_type:literal, $file:literal;)*) => {
        [$(File {
            path: $path,
            source: $file,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../web/", $file)),
        }),*]
    };
}

static FILES: [File; 8] = files! {
    "/", "text/html; charset=utf-8", "demo/dist/index.html";
    "/app.js", "text/javascript; charset=utf-8", "demo/dist/app.js";
    "/style.css", "text/css; charset=utf-8", "demo/dist/style.css";
    "/icon.svg", "image/svg+xml", "demo/dist/icon.svg";
    "/manifest.webmanifest", "application/manifest+json", "demo/dist/manifest.webmanifest";
    "/twocan.js", "text/javascript; charset=utf-8", "sdk/dist/twocan.js";
    "/list.js", "text/javascript; charset=utf-8", "sdk/dist/list.js";
    "/trace.js", "text/javascript; charset=utf-8", "sdk/dist/trace.js";
};

/// Nothing from elsewhere, and nobody else's frame around it. The socket goes to the host that the page came from: not every browser
/// takes `'self'` for WebSockets, too.
fn policy(host: &str) -> String {
    let sockets = if is_sound(host) { format!(" ws://{host} wss://{host}") } else { String::new() };
    format!(
        "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Whether a `Host` may stand in the policy: it comes from a request, so it may be anything.
fn is_sound(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    !host.is_empty() && host.len() <= 262 && host.bytes().all(plain)
}

/// Routes for every file.
pub fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = entity_tag(file.bytes);
        router.route(
            file.path,
            get(move |request: Request| std::future::ready(serve(file, &tag, request.headers()))),
        )
    })
}

fn serve(file: &'static File, tag: &str, request: &HeaderMap) -> Response {
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let policy = policy(host);
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::ETAG, tag),
        // Kept, but asked about each time: a new server shows its new page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    // The SDK's modules are for the pages of anybody; who may open the socket is asked there.
    let is_sdk = file.source.starts_with("sdk/");
    let shared = is_sdk.then_some((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|value| value == tag);
    if known {
        return (StatusCode::NOT_MODIFIED, headers, HeaderMap::from_iter(shared)).into_response();
    }
    (headers, HeaderMap::from_iter(shared), file.bytes).into_response()
}

fn entity_tag(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let html = std::str::from_utf8(FILES[0].bytes).unwrap();
        let named = html.split(['"', '\'']).filter_map(|part| {
            let file = part.strip_prefix("./").or_else(|| part.strip_prefix('/')).unwrap_or(part);
            [".js", ".css", ".svg", ".webmanifest"].iter().any(|end| file.ends_with(end)).then_some(file)
        });
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= 3, "{named:?}");
        for name in named {
            assert!(FILES.iter().any(|file| file.path.strip_prefix('/') == Some(name)), "{name}");
        }
    }

    #[test]
    fn the_page_may_open_sockets_to_its_own_host_alone() {
        assert!(
            policy("play.example:8080")
                .contains("connect-src 'self' ws://play.example:8080 wss://play.example:8080;")
        );
        for odd in ["", "evil.example; script-src *", "a b", "x'"] {
            assert!(policy(odd).contains("connect-src 'self';"), "{odd}");
        }
    }

    #[test]
    fn the_sdk_can_be_imported_from_everywhere_and_the_page_cannot() {
        for file in &FILES {
            let answer = serve(file, "x", &HeaderMap::new());
            let shared = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(HeaderValue::as_bytes);
            let is_sdk = ["/twocan.js", "/list.js", "/trace.js"].contains(&file.path);
            assert_eq!(shared, is_sdk.then_some(&b"*"[..]), "{}", file.path);
        }
    }

    #[test]
    fn a_page_that_is_known_is_not_sent_again() {
        let tag = entity_tag(FILES[0].bytes);
        let mut headers = HeaderMap::new();
        assert_eq!(serve(&FILES[0], &tag, &headers).status(), StatusCode::OK);
        headers.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
        assert_eq!(serve(&FILES[0], &tag, &headers).status(), StatusCode::NOT_MODIFIED);
    }
}
