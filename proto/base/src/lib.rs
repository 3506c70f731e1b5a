//! What every layer counts by, written once: whose an address is ([`Household`]), who holds how much ([`Ledger`]), how fast
//! ([`Rate`]), how fast each household ([`Budget`]), whose turn it is ([`FairQueue`]). Called by `lobby`, `turn`, `net/signaling` and `net/relay`; it holds no
//! state of its own.

mod budget;
mod fair;
mod household;
mod ledger;
mod rate;

pub use budget::{Allowance, Budget};
pub use fair::{FairQueue, Price};
pub use household::{Household, Site};
pub use ledger::{Ledger, Quota};
pub use rate::{Rate, Spent};
