//! `twocan::Connection`, as a program has it.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use tokio::sync::mpsc;
use twocan::connection::{Channel, ChannelInit, Connection, ConnectionConfig, ConnectionEvent};

use super::end::{BULK_BYTES, Meter, PING_INTERVAL, Place, on_signal, signal};
use crate::peer::{BULK, LANES, PING, Side};

#[tokio::main]
pub async fn run(place: Place, meter: Arc<Meter>) -> Result<()> {
    let polite = place.side == Side::Answerer;
    let mut connection = Connection::new(ConnectionConfig { polite, ..ConnectionConfig::default() })?;
    let [bulk, ping] = LANES.map(|lane| connection.open_channel(ChannelInit::new("bench").negotiated(lane)));
    let (signals, mut heard) = mpsc::unbounded_channel();
    on_signal(move |signal| drop(signals.send(signal)));
    if place.side == Side::Offerer {
        connection.negotiate();
    }
    let mut sending = place.side == Side::Offerer;
    loop {
        tokio::select! {
            Some(text) = heard.recv() => connection.signal(serde_json::from_str(&text)?),
            event = connection.next() => match event {
                None => return Ok(()),
                Some(ConnectionEvent::Signal(outgoing)) => signal(&serde_json::to_string(&outgoing)?),
                Some(ConnectionEvent::ChannelOpen(_)) if sending => {
                    sending = false;
                    tokio::spawn(send_bulk(bulk.clone(), meter.clone()));
                    tokio::spawn(send_pings(ping.clone(), meter.clone()));
                }
                Some(ConnectionEvent::Message { channel, message }) => match channel.init().negotiated {
                    Some(BULK) => meter.bulk(message.bytes.len()),
                    Some(PING) if place.side == Side::Offerer => meter.pong(&message.bytes),
                    _ => drop(channel.try_send(message)),
                },
                Some(_) => {}
            },
        }
    }
}

async fn send_bulk(channel: Channel, meter: Arc<Meter>) {
    let message = Bytes::from(vec![0x5A; BULK_BYTES]);
    meter.begin();
    while channel.send(message.clone()).await.is_ok() {}
}

async fn send_pings(channel: Channel, meter: Arc<Meter>) {
    let mut interval = tokio::time::interval(PING_INTERVAL);
    loop {
        interval.tick().await;
        if channel.send(meter.ping().to_vec()).await.is_err() {
            return;
        }
    }
}
