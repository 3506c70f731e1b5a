//! Loss by seed: whatever is lost, two always connect; and the same seed gives the same story.

mod world;

use std::time::Duration;

use world::*;

/// Until the first message of either side has arrived, at this loss.
fn first_message(seed: u64, loss: f64) -> (World, Option<Duration>) {
    let net = Net { loss, signal_delay: ms(0), ..Net::default() };
    let mut world = World::new(seed, net);
    let ada = [Interface::public("8.0.0.1")];
    let change = |_: usize, config: &mut twocan_rtc::Config| config.connect_timeout = ms(60_000);
    let channels = world.two(&ada, &[Interface::public("9.0.0.1")], change);
    world.offer(ADA);
    world.send(ADA, channels[ADA][0], b"first".to_vec());
    let is_there = world.run_until(ms(60_000), |world| !world.peers[BOB].messages.is_empty());
    let took = is_there.then(|| world.elapsed());
    (world, took)
}

fn times(seeds: u64, loss: f64) -> Vec<Duration> {
    let time = |seed: u64| {
        let (world, took) = first_message(seed, loss);
        took.unwrap_or_else(|| panic!("seed {seed} at {loss} % loss: {}", world.describe()))
    };
    let mut times: Vec<Duration> = (0..seeds).map(time).collect();
    times.sort();
    times
}

fn seeds() -> u64 {
    std::env::var("TWOCAN_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(100)
}

#[test]
fn whatever_is_lost_two_always_connect() {
    for loss in [0.0, 5.0, 10.0, 20.0] {
        let times = times(seeds(), loss);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_millis();
        // To be seen with `TWOCAN_SEEDS=1000 cargo test --release -p twocan-rtc --test seeds -- --nocapture`.
        let line =
            format!("loss {loss:>2} %: p50 {} p95 {} p99 {} max {} ms", at(50), at(95), at(99), at(100));
        std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let stories = [5.0, 5.0].map(|loss| {
        let (world, took) = first_message(7, loss);
        (world.trace, took)
    });
    assert!(stories[0].0.len() > 10);
    assert_eq!(stories[0], stories[1]);
}
