//! How fast two connections are, in bulk and in round trips under load.
//!
//! ```text
//! throughput here                          both in this process, on loopback
//! throughput listen 10.0.0.1:9000          the receiver; signals come over TCP
//! throughput connect 10.0.0.1:9000         the sender, in another process or on another machine
//!
//!   --mib N          how much is sent                                           (1024)
//!   --message BYTES  in messages of this size                                   (65536)
//!   --unordered      on an unordered channel
//!   --pings N        round trips of 64 bytes on a second channel meanwhile      (0)
//! ```
//!
//! The sender prints one line: `mbit_s`, CPU seconds per gigabyte of either process, and the round trips in microseconds.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use twocan::connection::{
    Addresses, Channel, ChannelInit, Connection, ConnectionConfig, ConnectionEvent, Message, Reliability,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What the command line says.
#[derive(Clone)]
struct Options {
    bytes: usize,
    message: usize,
    is_unordered: bool,
    pings: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { bytes: 1 << 30, message: 65_536, is_unordered: false, pings: 0 };
    let mut words = Vec::new();
    while let Some(word) = arguments.next() {
        let mut number = || -> Result<usize> { Ok(arguments.next().ok_or("a number is missing")?.parse()?) };
        match word.as_str() {
            "--mib" => options.bytes = number()? << 20,
            "--message" => options.message = number()?.max(1),
            "--pings" => options.pings = number()?,
            "--unordered" => options.is_unordered = true,
            _ => words.push(word),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["here"] => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let stream = TcpStream::connect(listener.local_addr()?).await?;
            let (accepted, _) = listener.accept().await?;
            let receiving = tokio::spawn(receive(accepted, options.clone()));
            send(stream, options).await?;
            receiving.await?
        }
        ["listen", at] => {
            let (stream, _) = TcpListener::bind(at).await?.accept().await?;
            receive(stream, options).await
        }
        ["connect", to] => send(TcpStream::connect(to).await?, options).await,
        _ => Err("usage: throughput here | listen ADDRESS | connect ADDRESS; see the source for more".into()),
    }
}

/// A connection, and who carries its signals: a line of JSON each.
struct End {
    connection: Connection,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    bulk: Channel,
    ping: Channel,
}

impl End {
    fn new(stream: TcpStream, options: &Options, is_polite: bool) -> Result<End> {
        let connection = Connection::new(ConnectionConfig {
            polite: is_polite,
            // The way of the signals is the way that is measured.
            addresses: Addresses::Only(vec![stream.local_addr()?.ip()]),
            ..ConnectionConfig::default()
        })?;
        let bulk = ChannelInit::new("bulk").negotiated(0);
        let bulk = if options.is_unordered { bulk.unordered() } else { bulk };
        let ping =
            ChannelInit::new("ping").negotiated(1).unordered().reliability(Reliability::MaxRetransmits(0));
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(End {
            bulk: connection.open_channel(bulk),
            ping: connection.open_channel(ping),
            lines: BufReader::new(reader).lines(),
            writer,
            connection,
        })
    }

    /// The next message. `None`: the end.
    async fn next(&mut self) -> Result<Option<(Channel, Message)>> {
        loop {
            tokio::select! {
                event = self.connection.next() => match event {
                    Some(ConnectionEvent::Signal(signal)) => {
                        let line = serde_json::to_string(&signal)? + "\n";
                        self.writer.write_all(line.as_bytes()).await?;
                    }
                    Some(ConnectionEvent::Message { channel, message }) => return Ok(Some((channel, message))),
                    Some(ConnectionEvent::Failed { reason, .. }) => return Err(reason.into()),
                    Some(ConnectionEvent::Closed { .. }) | None => return Ok(None),
                    Some(_) => {}
                },
                Ok(Some(line)) = self.lines.next_line() => self.connection.signal(serde_json::from_str(&line)?),
            }
        }
    }
}

async fn receive(stream: TcpStream, options: Options) -> Result<()> {
    let mut end = End::new(stream, &options, true)?;
    let (mut got, mut begun) = (0, None);
    while let Some((channel, message)) = end.next().await? {
        if channel == end.ping {
            // An echo that finds no room is a lost one.
            let _ = channel.try_send(message);
            continue;
        }
        let (at, cpu) = *begun.get_or_insert_with(|| (Instant::now(), cpu_time()));
        got += message.bytes.len();
        if got >= options.bytes {
            let report = format!("{} {}", at.elapsed().as_micros(), (cpu_time() - cpu).as_millis());
            end.bulk.send(report).await?;
        }
    }
    Ok(())
}

async fn send(stream: TcpStream, options: Options) -> Result<()> {
    // On loopback both ends may be this process: then its CPU time is that of both.
    let is_alone = stream.peer_addr()?.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut end = End::new(stream, &options, false)?;
    end.connection.negotiate();
    let begun = Instant::now();
    end.ping.send(vec![0; 64]).await?;
    end.next().await?.ok_or("closed before anything came")?;
    let connect_ms = begun.elapsed().as_secs_f64() * 1e3;

    let cpu = cpu_time();
    let sending = tokio::spawn(send_bulk(end.bulk.clone(), options.clone()));
    let (pings, mut trips) = (end.ping.clone(), Vec::new());
    let mut asked = Instant::now();
    let report = loop {
        if trips.len() < options.pings && (trips.is_empty() || asked.elapsed() > Duration::from_millis(200)) {
            asked = Instant::now();
            let _ = pings.try_send(vec![0; 64]);
        }
        let Some((channel, message)) = end.next().await? else { return Err("closed".into()) };
        if channel == end.bulk {
            break message;
        }
        trips.push(asked.elapsed());
        asked = Instant::now();
        if trips.len() < options.pings {
            let _ = pings.try_send(vec![0; 64]);
        }
    };
    sending.await??;
    let cpu = cpu_time() - cpu;
    let mut numbers = report.as_text()?.split(' ').map(str::parse::<f64>);
    let (micros, their_cpu) = (numbers.next().ok_or("no time")??, numbers.next().ok_or("no CPU")??);
    let gigabytes = options.bytes as f64 / 1e9;
    println!(
        "connect_ms={connect_ms:.1} mbit_s={:.0} cpu_s_per_gb={:.2}{} {}",
        options.bytes as f64 * 8.0 / micros,
        cpu.as_secs_f64() / gigabytes,
        if is_alone {
            format!(" cpu_s_per_gb_receiver={:.2}", their_cpu / 1e3 / gigabytes)
        } else {
            String::new()
        },
        percentiles(trips),
    );
    end.connection.close().await;
    Ok(())
}

async fn send_bulk(bulk: Channel, options: Options) -> Result<()> {
    let message = bytes::Bytes::from(vec![7; options.message]);
    let mut left = options.bytes;
    while left > 0 {
        let length = left.min(message.len());
        bulk.send(message.slice(..length)).await?;
        left -= length;
    }
    Ok(())
}

fn percentiles(mut trips: Vec<Duration>) -> String {
    trips.sort();
    let at =
        |share: f64| trips.get(((trips.len() as f64 * share) as usize).min(trips.len().saturating_sub(1)));
    let micros = |share| at(share).map_or(0, Duration::as_micros);
    format!("pings={} p50_us={} p95_us={} p99_us={}", trips.len(), micros(0.5), micros(0.95), micros(0.99))
}

/// User and system time of this process, where `/proc` tells it.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
