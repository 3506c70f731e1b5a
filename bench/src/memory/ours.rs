//! Pairs of `twocan::Connection` over loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use twocan::connection::{Addresses, ChannelInit, Connection, ConnectionConfig, ConnectionEvent};

use super::Idle;
use super::idle::{CONNECTING, Heap, IDLE, Watch};
use crate::peer::{BULK, LANES};
use crate::veth::end::cpu_seconds;

#[tokio::main]
pub async fn run(count: usize, heap: Heap) -> Result<Idle> {
    drop(connect(1).await?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut watch = Watch::start(heap, count * 2);
    let pairs = connect(count).await?;
    watch.connected();
    let cpu = cpu_seconds();
    tokio::time::sleep(IDLE).await;
    let idle_cpu = cpu_seconds() - cpu;
    Ok(watch.finish(pairs.len() * 2, idle_cpu))
}

async fn connect(count: usize) -> Result<Vec<[Connection; 2]>> {
    let mut tasks: JoinSet<Result<[Connection; 2]>> = (0..count).map(|_| pair()).collect();
    let mut pairs = Vec::new();
    let all = async {
        while let Some(pair) = tasks.join_next().await {
            pairs.push(pair??);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(CONNECTING, all).await.context("not all had connected in time")??;
    Ok(pairs)
}

/// Two connections that have passed a message.
async fn pair() -> Result<[Connection; 2]> {
    let config = |polite| ConnectionConfig {
        polite,
        addresses: Addresses::Only(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        loopback: true,
        ..ConnectionConfig::default()
    };
    let mut offerer = Connection::new(config(false))?;
    let mut answerer = Connection::new(config(true))?;
    for lane in LANES {
        let channel = offerer.open_channel(ChannelInit::new("bench").negotiated(lane));
        answerer.open_channel(ChannelInit::new("bench").negotiated(lane));
        if lane == BULK {
            channel.try_send(b"hello")?;
        }
    }
    offerer.negotiate();
    loop {
        tokio::select! {
            event = offerer.next() => match event {
                Some(ConnectionEvent::Signal(signal)) => answerer.signal(signal),
                None => bail!("the offerer closed"),
                Some(_) => {}
            },
            event = answerer.next() => match event {
                Some(ConnectionEvent::Signal(signal)) => offerer.signal(signal),
                Some(ConnectionEvent::Message { .. }) => return Ok([offerer, answerer]),
                None => bail!("the answerer closed"),
                Some(_) => {}
            },
        }
    }
}
