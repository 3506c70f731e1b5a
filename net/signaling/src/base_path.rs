//! Everything is served below a path as well, where the operator names one: for a proxy that passes a part of a site on as it is.

use axum::http::Uri;

/// Takes `base` off a path that begins with it. `None`: there is nothing after it, not even a slash, and what a page names would be
/// looked for beside it.
pub(crate) fn take_off(base: &str, uri: &mut Uri) -> Option<()> {
    let rest = uri.path().strip_prefix(base).filter(|_| !base.is_empty());
    let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else { return Some(()) };
    if rest.is_empty() {
        return None;
    }
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    // A part of a path and query is one.
    *uri = format!("{rest}{query}").parse().unwrap_or_default();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(base: &str, uri: &str) -> Option<String> {
        let mut uri: Uri = uri.parse().unwrap();
        take_off(base, &mut uri).map(|()| uri.to_string())
    }

    #[test]
    fn what_is_below_the_path_is_served_as_if_it_were_not() {
        for (asked, served) in [
            ("/twocan/", "/"),
            ("/twocan/v1?app=chess", "/v1?app=chess"),
            ("/twocan/twocan.js", "/twocan.js"),
            ("/twocan/twocan/v1", "/twocan/v1"),
            ("/v1?app=/twocan/", "/v1?app=/twocan/"),
            ("/healthz", "/healthz"),
            ("/twocans/v1", "/twocans/v1"),
            ("/twocan//x", "//x"),
        ] {
            assert_eq!(taken("/twocan", asked).as_deref(), Some(served), "{asked}");
        }
        assert_eq!(taken("/twocan", "/twocan"), None);
        assert_eq!(taken("/twocan", "/twocan?x"), None);
    }

    #[test]
    fn without_a_path_nothing_is_taken_off() {
        for uri in ["/", "/v1?app=chess", "//"] {
            assert_eq!(taken("", uri).as_deref(), Some(uri));
        }
    }
}
