//! A request that is sent again until it is answered (RFC 8489 section 6.2), in arithmetic time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use twocan_stun::client::{Discard, Event, Schedule, Transaction};
use twocan_stun::{Builder, Class, Message, Method, ParseError, TransactionId};

const ID: TransactionId = TransactionId([9; 12]);

#[expect(clippy::disallowed_methods, reason = "an instant to count from; none can be made otherwise")]
fn zero() -> Instant {
    Instant::now()
}

fn message(class: Class, method: Method, id: TransactionId) -> Vec<u8> {
    let mut buffer = [0; 20];
    Builder::new(&mut buffer, class, method, id).unwrap().finish().to_vec()
}

/// Milliseconds at which the request is sent, and at which the transaction gives up.
fn run(schedule: Schedule) -> (Vec<u128>, u128) {
    let start = zero();
    let request = message(Class::Request, Method::BINDING, ID);
    let mut transaction = Transaction::new(&request, schedule, start).unwrap();
    let (mut now, mut sent) = (start, Vec::new());
    loop {
        while let Some(bytes) = transaction.poll_transmit() {
            assert_eq!(bytes, request);
            sent.push((now - start).as_millis());
        }
        if let Some(event) = transaction.poll_event() {
            assert_eq!(event, Event::TimedOut);
            assert_eq!(transaction.poll_timeout(), None);
            return (sent, (now - start).as_millis());
        }
        now = transaction.poll_timeout().unwrap();
        transaction.handle_timeout(now - Duration::from_nanos(1));
        assert!(transaction.poll_transmit().is_none() && transaction.poll_event().is_none(), "too early");
        transaction.handle_timeout(now);
    }
}

#[test]
fn over_udp_a_request_is_sent_seven_times_as_the_rfc_tabulates() {
    assert_eq!(run(Schedule::UDP), (vec![0, 500, 1_500, 3_500, 7_500, 15_500, 31_500], 39_500));
}

#[test]
fn over_a_stream_a_request_is_sent_once() {
    assert_eq!(run(Schedule::RELIABLE), (vec![0], 39_500));
}

#[test]
fn an_answer_ends_it_and_says_how_long_it_took() {
    let start = zero();
    let request = message(Class::Request, Method::BINDING, ID);
    for class in [Class::Success, Class::Error] {
        let mut transaction = Transaction::new(&request, Schedule::UDP, start).unwrap();
        assert!(transaction.poll_transmit().is_some());
        let answer = message(class, Method::BINDING, ID);
        let answer = Message::parse(&answer).unwrap();
        let later = start + Duration::from_millis(42);
        assert_eq!(transaction.handle_answer(&answer, later), Ok(()));
        assert_eq!(transaction.poll_event(), Some(Event::Answered { rtt: Some(Duration::from_millis(42)) }));
        assert_eq!(transaction.handle_answer(&answer, later), Err(Discard::Over));
        assert_eq!((transaction.poll_event(), transaction.poll_timeout()), (None, None));
        transaction.handle_timeout(start + Duration::from_secs(60));
        assert_eq!(transaction.poll_transmit(), None);
    }
}

#[test]
fn after_a_second_request_nobody_knows_the_round_trip_time() {
    let start = zero();
    let request = message(Class::Request, Method::BINDING, ID);
    let mut transaction = Transaction::new(&request, Schedule::UDP, start).unwrap();
    let now = transaction.poll_timeout().unwrap();
    transaction.handle_timeout(now);
    let answer = message(Class::Success, Method::BINDING, ID);
    transaction.handle_answer(&Message::parse(&answer).unwrap(), now).unwrap();
    assert_eq!(transaction.poll_event(), Some(Event::Answered { rtt: None }));
    assert_eq!(transaction.poll_transmit(), None, "what was not sent yet need not be");
}

#[test]
fn what_is_not_the_answer_changes_nothing() {
    let start = zero();
    let request = message(Class::Request, Method::BINDING, ID);
    let mut transaction = Transaction::new(&request, Schedule::UDP, start).unwrap();
    let timeout = transaction.poll_timeout();
    for (class, method, id, why) in [
        (Class::Request, Method::BINDING, ID, Discard::NotAnAnswer),
        (Class::Indication, Method::BINDING, ID, Discard::NotAnAnswer),
        (Class::Success, Method::ALLOCATE, ID, Discard::OtherTransaction),
        (Class::Success, Method::BINDING, TransactionId([8; 12]), Discard::OtherTransaction),
    ] {
        let bytes = message(class, method, id);
        assert_eq!(transaction.handle_answer(&Message::parse(&bytes).unwrap(), start), Err(why));
        assert_eq!((transaction.poll_event(), transaction.poll_timeout()), (None, timeout));
    }
    assert_eq!(transaction.transaction_id(), ID);
}

#[test]
fn only_a_message_can_be_sent() {
    let error = Transaction::new(b"hello", Schedule::UDP, zero()).unwrap_err();
    assert_eq!(error, ParseError::Truncated);
}
