//! How fast answers to HTTP requests go out to each household: a few bytes ask for a hundred thousand.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use twocan_base::{Allowance, Budget, Rate};

/// What answering takes besides the bytes, in KiB. A visit (20 requests, 200 kB) is then 360.
const ANSWER_KIB: u32 = 8;
/// A household has 1 MiB a second and 32 MiB at once, so two hundred behind one address open the page within a minute; while all together have
/// had more than 64 MiB a second, one has a visit at once, and waits for the others with what is more.
const ALLOWANCE: Allowance = Allowance {
    each: Rate { interval: Duration::from_micros(977), burst: 32 << 10 },
    first: 512,
    all: Rate { interval: Duration::from_nanos(15_259), burst: 64 << 10 },
};
/// Longest time that an answer waits for its household's budget; beyond, it is a 429.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What answers have gone out to whom.
pub(crate) struct Answers(Mutex<Budget>);

impl Answers {
    pub fn new() -> Self {
        Self(Mutex::new(Budget::new(ALLOWANCE, Instant::now())))
    }

    /// The answer, when its household's budget has room for it. Whoever is far beyond waits as long as anybody, and then gets a 429 and
    /// an end, so that coming anew is no faster. On a proxy's connection, which is others' too, nobody waits.
    pub async fn pace(&self, from: IpAddr, is_proxied: bool, answer: Response) -> Response {
        let body = answer.body().size_hint().lower() >> 10;
        let units =
            ANSWER_KIB.saturating_add(u32::try_from(body).unwrap_or(u32::MAX)).min(ALLOWANCE.each.burst);
        let patience = if is_proxied { Duration::ZERO } else { WAIT_MAX };
        match self.spend(from, units, patience) {
            Ok(Duration::ZERO) => answer,
            Ok(wait) => {
                tokio::time::sleep(wait).await;
                answer
            }
            Err(wait) => {
                tokio::time::sleep(patience).await;
                too_many(wait.saturating_sub(patience), is_proxied)
            }
        }
    }

    fn spend(&self, from: IpAddr, units: u32, patience: Duration) -> Result<Duration, Duration> {
        let mut budget = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        budget.spend(from, units, patience, Instant::now())
    }
}

/// RFC 6585 4.
fn too_many(wait: Duration, is_proxied: bool) -> Response {
    let retry = HeaderValue::from(wait.as_secs() + 1);
    let sentence = "Too many requests from this address.\n";
    let mut answer =
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, retry)], sentence).into_response();
    if !is_proxied {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] = &[b'x'; 200_000];

    fn address(n: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, n])
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_visits_from_one_address_are_answered_within_a_minute() {
        // The budget's clock stands still here, so this is what is there at once: 92 of them, and with what a minute brings 260.
        let answers = Answers::new();
        let begun = tokio::time::Instant::now();
        for visit in 0..92 {
            let page = answers.pace(address(1), false, PAGE.into_response()).await;
            assert_eq!(page.status(), StatusCode::OK, "visit {visit}");
            for _ in 1..20 {
                answers.pace(address(1), false, "".into_response()).await;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "nobody waited");
        let a_minute = 60_000_000 / 977;
        assert!(ALLOWANCE.each.burst + a_minute >= 200 * (20 * ANSWER_KIB + 200));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_for_more_waits_and_then_gets_429_and_an_end_and_nobody_else_does() {
        let answers = Answers::new();
        let mut begun = tokio::time::Instant::now();
        let last = loop {
            let answer = answers.pace(address(1), false, PAGE.into_response()).await;
            if answer.status() != StatusCode::OK {
                break answer;
            }
            assert!(begun.elapsed() <= WAIT_MAX + Duration::from_millis(1));
            begun = tokio::time::Instant::now();
        };
        assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(begun.elapsed() >= WAIT_MAX, "coming anew is no faster");
        assert_eq!(last.headers()[header::CONNECTION], "close");
        assert!(last.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        begun = tokio::time::Instant::now();
        assert_eq!(answers.pace(address(2), false, PAGE.into_response()).await.status(), StatusCode::OK);
        // On the connection of a proxy nobody waits, and it stays.
        let proxied = answers.pace(address(1), true, PAGE.into_response()).await;
        assert_eq!(proxied.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(!proxied.headers().contains_key(header::CONNECTION));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
