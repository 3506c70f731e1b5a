//! Virtual worlds: our peers, pages, lobby and relay in a pretend internet, in virtual time, by seed.
//!
//! `cargo run -p sim -- --seed 7` lives through one and prints a line for each packet; `--worlds 1000` lives through many.
//! The network is the crate `twocan-sim`; everything else is what the peers and the server are made of in life, but for
//! their sockets.

pub mod app;
pub mod checks;
pub mod matrix;
pub mod native;
pub mod oracle;
pub mod page;
pub mod plan;
pub mod player;
pub mod scenarios;
pub mod server;
pub mod table;
pub mod world;

pub use checks::{Finding, findings};
pub use oracle::{Expected, expected};
pub use plan::Plan;
pub use world::World;

/// Lives through a world, and says what is wrong with it.
pub fn live(plan: Plan) -> (World, Vec<Finding>) {
    let mut world = World::new(plan);
    world.run();
    let found = findings(&world);
    (world, found)
}
