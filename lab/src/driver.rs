//! A lab that another program drives: one JSON object a line, each answered by one line, in order.
//!
//! ```text
//!                                                        {"event":"ready","server":{"host":0,"name":"twocan7-0",…}}
//!  {"do":"place","kind":"home","delay_ms":25,"tag":1}    {"tag":1,"place":0,"kind":"home","external":["80.80.0.1"]}
//!  {"do":"host","place":0,"tag":2}                       {"tag":2,"host":1,"name":"twocan7-1","addresses":["192.168.1.2"]}
//!  {"do":"verdict","left":1,"right":2,"tag":3}           {"tag":3,"verdict":"direct"}
//!  the end of the input                                  {"event":"end","hosts":[…],"delivered":[…],"dropped":[…]}
//! ```

use std::io::{BufRead, Write};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use twocan_sim::Place as Spot;
use twocan_sim::packet::Protocol;
use twocan_sim::{Access, Chance, Direction, HostId, Kind, Link, Service, SiteConfig};

use crate::Error;
use crate::lab::{Host, Lab, Place};

/// How the way from a place into the internet is, in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// How long a packet takes.
    pub delay_ms: f64,
    /// Up to so much more, evenly; nothing overtakes.
    pub jitter_ms: f64,
    /// How many of a hundred packets are lost.
    pub loss_percent: f64,
    /// Thousands of bits per second; none: no limit.
    pub rate_kbps: Option<u64>,
}

impl From<Conditions> for Access {
    fn from(conditions: Conditions) -> Access {
        let Conditions { delay_ms, jitter_ms, loss_percent, rate_kbps } = conditions;
        let time = |ms: f64| Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default();
        Access::both(Link {
            delay: time(delay_ms),
            jitter: time(jitter_ms),
            loss: Chance::percent(loss_percent),
            rate_bps: rate_kbps.map(|rate| rate.saturating_mul(1_000)),
            ..Link::default()
        })
    }
}

/// What can be asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Action {
    /// Somewhere to put hosts, behind boxes of this kind.
    Place {
        kind: String,
        #[serde(default)]
        ipv6: bool,
        #[serde(flatten)]
        conditions: Conditions,
    },
    /// A host in a place.
    Host { place: usize },
    /// The host goes, and what runs in it.
    Remove { host: usize },
    /// From now on, the way from the place is so.
    Conditions {
        place: usize,
        #[serde(flatten)]
        conditions: Conditions,
    },
    /// The place's routers are switched off and on: they have forgotten everything.
    Rebind { place: usize },
    /// The host's cable is pulled, or plugged in again.
    Cable { host: usize, plugged: bool },
    /// Nothing of a protocol, or nothing at all, gets from the place into the internet or back, until `unblock`.
    Block { place: usize, protocol: Option<Blocked> },
    /// Takes all of the place's blocks back.
    Unblock { place: usize },
    /// How two hosts talk.
    Verdict { left: usize, right: usize },
    /// From now on, what was counted about a host so far does not count.
    Forget { host: usize },
    /// All counts.
    Stats,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Blocked {
    Udp,
    Tcp,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("not a command: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("there is no kind `{0}`")]
    Kind(String),
    #[error("there is no place {0}")]
    Place(usize),
    #[error("there is no host {0}")]
    Host(usize),
    #[error(transparent)]
    Lab(#[from] Error),
}

/// Does what the lines of `input` say, until they end.
///
/// # Errors
/// [`Error::Loop`], and that `output` cannot be written to. What a line asks for wrongly is answered, and no more.
pub fn drive(lab: &mut Lab, input: impl BufRead, mut output: impl Write) -> Result<(), Error> {
    let mut places = Vec::new();
    say(&mut output, &json!({"event": "ready", "server": host(lab.server())}))?;
    for line in input.lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Value>(&line) {
            Ok(command) => {
                let tag = command.get("tag").cloned();
                let mut answer = answered(perform(lab, &mut places, command));
                if let (Some(tag), Some(fields)) = (tag, answer.as_object_mut()) {
                    fields.insert("tag".to_owned(), tag);
                }
                answer
            }
            Err(error) => answered(Err(error.into())),
        };
        say(&mut output, &answer)?;
    }
    let mut end = stats(lab)?;
    end["event"] = json!("end");
    say(&mut output, &end)
}

fn say(output: &mut impl Write, value: &Value) -> Result<(), Error> {
    writeln!(output, "{value}").and_then(|()| output.flush()).map_err(Error::Loop)
}

fn answered(outcome: Result<Value, Refusal>) -> Value {
    outcome.unwrap_or_else(|refusal| json!({"error": refusal.to_string()}))
}

fn perform(lab: &mut Lab, places: &mut Vec<Place>, command: Value) -> Result<Value, Refusal> {
    let place_at = |places: &[Place], at: usize| places.get(at).cloned().ok_or(Refusal::Place(at));
    match serde_json::from_value(command)? {
        Action::Place { kind, ipv6, conditions } => {
            let kind: Kind = kind.parse().map_err(|_| Refusal::Kind(kind))?;
            let place = lab.add_place(SiteConfig { kind, access: conditions.into(), ipv6 })?;
            let routers: Vec<usize> = place.site.routers.iter().map(|router| router.index()).collect();
            let external = &place.external;
            let answer =
                json!({"place": places.len(), "kind": kind.name(), "external": external, "routers": routers});
            places.push(place);
            Ok(answer)
        }
        Action::Host { place } => Ok(host(lab.add_host(&place_at(places, place)?)?)),
        Action::Remove { host } => {
            let id = found(lab, host)?;
            lab.remove_host(id)?;
            Ok(json!({"removed": host}))
        }
        Action::Conditions { place, conditions } => {
            lab.set_access(&place_at(places, place)?, conditions.into())?;
            Ok(json!({"place": place}))
        }
        Action::Rebind { place } => {
            let routers = place_at(places, place)?.site.routers;
            lab.change(move |network, now| {
                routers.into_iter().for_each(|router| network.rebind(router, &[], now));
            })?;
            Ok(json!({"place": place}))
        }
        Action::Cable { host, plugged } => {
            let id = found(lab, host)?;
            lab.change(move |network, now| {
                for interface in network.interfaces(id).to_vec() {
                    network.set_up(interface, plugged, now);
                }
            })?;
            Ok(json!({"host": host, "plugged": plugged}))
        }
        Action::Block { place, protocol } => {
            let service = protocol.map(|protocol| match protocol {
                Blocked::Udp => Service::all(Protocol::Udp),
                Blocked::Tcp => Service::all(Protocol::Tcp),
            });
            lab.block(&place_at(places, place)?, service)?;
            Ok(json!({"place": place}))
        }
        Action::Unblock { place } => {
            lab.unblock(&place_at(places, place)?)?;
            Ok(json!({"place": place}))
        }
        Action::Verdict { left, right } => {
            let (left, right) = (found(lab, left)?, found(lab, right)?);
            Ok(json!(lab.ledger()?.verdict(left, right, lab.server().id)))
        }
        Action::Forget { host } => {
            lab.forget(found(lab, host)?)?;
            Ok(json!({"host": host}))
        }
        Action::Stats => Ok(stats(lab)?),
    }
}

fn found(lab: &Lab, host: usize) -> Result<HostId, Refusal> {
    let mut hosts = lab.hosts().map(|each| each.id);
    hosts.find(|id| id.index() == host).ok_or(Refusal::Host(host))
}

fn host(host: &Host) -> Value {
    json!({"host": host.id.index(), "name": host.name(), "addresses": host.addresses})
}

/// All counts.
fn stats(lab: &Lab) -> Result<Value, Error> {
    let ledger = lab.ledger()?;
    let delivered = ledger.delivered().map(|(from, to, way, traffic)| {
        let (from, to) = (from.index(), to.index());
        json!({"from": from, "to": to, "way": way, "packets": traffic.packets, "bytes": traffic.bytes})
    });
    let dropped = ledger.dropped().flat_map(|(from, at, drops)| {
        drops.iter().map(move |(why, packets)| {
            let at = word(at);
            json!({"from": from.index(), "at": at, "why": why.to_string(), "packets": packets})
        })
    });
    let delivered: Vec<Value> = delivered.collect();
    let dropped: Vec<Value> = dropped.collect();
    let hosts: Vec<Value> = lab.hosts().map(host).collect();
    Ok(json!({"hosts": hosts, "delivered": delivered, "dropped": dropped}))
}

/// Where something happened.
fn word(at: Spot) -> String {
    match at {
        Spot::Host(host) => host.to_string(),
        Spot::Router(router) => router.to_string(),
        Spot::Segment(segment) => segment.to_string(),
        Spot::Link(interface, Direction::Up) => format!("{interface} up"),
        Spot::Link(interface, Direction::Down) => format!("{interface} down"),
    }
}
