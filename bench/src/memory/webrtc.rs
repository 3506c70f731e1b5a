//! Pairs of webrtc's connections over loopback.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};

use super::Idle;
use super::idle::{CONNECTING, Heap, IDLE, Watch};
use crate::peer::{BULK, LANES, Side};
use crate::veth::end::cpu_seconds;
use crate::veth::webrtc::{channel, connect as one, describe};

type Connected = (Box<dyn std::any::Any + Send>, Vec<Arc<dyn DataChannel>>);

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

async fn connect(count: usize) -> Result<Vec<Connected>> {
    let mut tasks: JoinSet<Result<Connected>> = (0..count).map(|_| pair()).collect();
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
async fn pair() -> Result<Connected> {
    let (offerer, mut offering) = one("127.0.0.1:0".to_owned(), 0).await?;
    let (answerer, mut answering) = one("127.0.0.1:0".to_owned(), 0).await?;
    let (arrived, mut arriving) = mpsc::unbounded_channel();
    let mut channels = Vec::new();
    for lane in LANES {
        for (side, connection) in [(Side::Offerer, &offerer), (Side::Answerer, &answerer)] {
            let channel = channel(connection, lane).await?;
            tokio::spawn(drive(channel.clone(), (side, lane) == (Side::Offerer, BULK), arrived.clone()));
            channels.push(channel);
        }
    }
    let offer = describe(&offerer, &mut offering, Side::Offerer).await?;
    answerer.set_remote_description(RTCSessionDescription::offer(offer.sdp)?).await?;
    let answer = describe(&answerer, &mut answering, Side::Answerer).await?;
    offerer.set_remote_description(RTCSessionDescription::answer(answer.sdp)?).await?;
    arriving.recv().await.context("the channels closed")?;
    Ok((Box::new((offerer, answerer)), channels))
}

/// A channel wants somebody who takes its events.
async fn drive(channel: Arc<dyn DataChannel>, greets: bool, arrived: mpsc::UnboundedSender<()>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen if greets => drop(tokio::spawn(greet(channel.clone()))),
            DataChannelEvent::OnMessage(_) => drop(arrived.send(())),
            _ => {}
        }
    }
}

/// More than once: a message that comes before the other side's channel is open is lost there.
async fn greet(channel: Arc<dyn DataChannel>) {
    for _ in 0..3 {
        if channel.send(BytesMut::from(&b"hello"[..])).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
