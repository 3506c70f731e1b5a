//! `webrtc`, as its own flow-control example has it.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::BytesMut;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCSessionDescription,
};
use webrtc::runtime::default_runtime;

use super::end::{BULK_BYTES, Meter, PING_INTERVAL, Place, on_signal, signal};
use crate::peer::{BULK, DATAGRAM_BYTES, LANES, Lane, RECEIVE_WINDOW_BYTES, Side};

/// What its flow-control example keeps buffered at most.
pub const SEND_BUFFER_BYTES: usize = 1 << 20;
const DTLS_BYTES: u32 = 37;

struct Handler(mpsc::UnboundedSender<()>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.send(());
        }
    }
}

/// A connection at an address, and what says that it has gathered.
pub async fn connect(
    address: String,
    reactors: usize,
) -> Result<(impl PeerConnection, mpsc::UnboundedReceiver<()>)> {
    let (gathered, gathering) = mpsc::unbounded_channel();
    let settings = SettingEngineBuilder::new()
        .with_sctp_mtu(DATAGRAM_BYTES as u32 - DTLS_BYTES)
        .with_sctp_max_receive_buffer_size(RECEIVE_WINDOW_BYTES)
        .build();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_setting_engine(settings)
        .with_handler(Arc::new(Handler(gathered)))
        .with_runtime(default_runtime().context("tokio is built in")?)
        .with_udp_addrs(vec![address])
        .with_data_channel_send_buffer_limit(SEND_BUFFER_BYTES)
        .with_dedicated_reactor_pool_size(reactors)
        .build()
        .await?;
    Ok((connection, gathering))
}

/// The description with all candidates in it.
pub async fn describe(
    connection: &impl PeerConnection,
    gathering: &mut mpsc::UnboundedReceiver<()>,
    side: Side,
) -> Result<RTCSessionDescription> {
    let description = match side {
        Side::Offerer => connection.create_offer(None).await?,
        Side::Answerer => connection.create_answer(None).await?,
    };
    connection.set_local_description(description).await?;
    gathering.recv().await;
    connection.local_description().await.context("no description")
}

/// A channel on an agreed stream.
pub async fn channel(connection: &impl PeerConnection, lane: Lane) -> Result<Arc<dyn DataChannel>> {
    let init = RTCDataChannelInit { ordered: true, negotiated: Some(lane), ..RTCDataChannelInit::default() };
    Ok(connection.create_data_channel("bench", Some(init)).await?)
}

#[tokio::main]
pub async fn run(place: Place, meter: Arc<Meter>, reactors: usize) -> Result<()> {
    let (signals, mut heard) = mpsc::unbounded_channel();
    on_signal(move |signal| drop(signals.send(signal)));
    let (connection, mut gathering) = connect(format!("{}:0", place.local), reactors).await?;
    for lane in LANES {
        let channel = channel(&connection, lane).await?;
        tokio::spawn(drive(channel, lane, place.side, meter.clone()));
    }
    if place.side == Side::Offerer {
        let offer = describe(&connection, &mut gathering, Side::Offerer).await?;
        signal(&serde_json::to_string(&offer)?);
    }
    let heard = heard.recv().await.context("no signal came")?;
    let remote: RTCSessionDescription = serde_json::from_str(&heard)?;
    if place.side == Side::Offerer {
        connection.set_remote_description(RTCSessionDescription::answer(remote.sdp)?).await?;
    } else {
        connection.set_remote_description(RTCSessionDescription::offer(remote.sdp)?).await?;
        let answer = describe(&connection, &mut gathering, Side::Answerer).await?;
        signal(&serde_json::to_string(&answer)?);
    }
    std::future::pending().await
}

async fn drive(channel: Arc<dyn DataChannel>, lane: Lane, side: Side, meter: Arc<Meter>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnOpen if side == Side::Offerer && lane == BULK => {
                tokio::spawn(send_bulk(channel.clone(), meter.clone()));
            }
            DataChannelEvent::OnOpen if side == Side::Offerer => {
                tokio::spawn(send_pings(channel.clone(), meter.clone()));
            }
            DataChannelEvent::OnMessage(message) => match (lane, side) {
                (BULK, _) => meter.bulk(message.data.len()),
                (_, Side::Offerer) => meter.pong(&message.data),
                (_, Side::Answerer) => drop(channel.send(message.data).await),
            },
            _ => {}
        }
    }
}

async fn send_bulk(channel: Arc<dyn DataChannel>, meter: Arc<Meter>) {
    let message = [0x5A; BULK_BYTES];
    meter.begin();
    while channel.send(BytesMut::from(&message[..])).await.is_ok() {}
}

async fn send_pings(channel: Arc<dyn DataChannel>, meter: Arc<Meter>) {
    let mut interval = tokio::time::interval(PING_INTERVAL);
    loop {
        interval.tick().await;
        if channel.send(BytesMut::from(&meter.ping()[..])).await.is_err() {
            return;
        }
    }
}
