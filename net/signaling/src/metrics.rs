//! What `/metrics` tells, in Prometheus' format.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use twocan_lobby::wire::word;
use twocan_lobby::{Event, Lobbies};

const METADATA: Metadata<'static> = Metadata::new("twocan", Level::INFO, None);

const TIME_TO_CONNECT: &str = "twocan_time_to_connect_seconds";
/// From a direct link on a LAN to a relayed one behind bad luck, seconds.
const BUCKETS: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0];

const COUNTERS: [(&str, &str); 10] = [
    ("twocan_sessions_total", "sessions, by how they came: opened or resumed"),
    ("twocan_lobbies_opened_total", "lobbies opened"),
    ("twocan_lobbies_closed_total", "lobbies gone, by why"),
    ("twocan_links_total", "links made, as both ends report, by path: direct or relayed"),
    ("twocan_link_reports_total", "reports of a link, by one end's path and candidate classes"),
    ("twocan_link_failures_total", "links that failed, by the reason that an end reports"),
    ("twocan_refused_total", "requests refused, by error code"),
    ("twocan_origins_refused_total", "sockets refused to pages of other origins"),
    ("twocan_discarded_total", "inputs that changed nothing, by name"),
    ("twocan_sockets_closed_total", "sockets closed by the server, by close code"),
];
const GAUGES: [(&str, &str); 3] = [
    ("twocan_sessions", "sessions now, cut ones among them"),
    ("twocan_lobbies", "lobbies now"),
    ("twocan_sockets", "signaling sockets now"),
];

/// Counters of one server; it has a recorder of its own and installs nothing globally.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Full(TIME_TO_CONNECT.into()), &BUCKETS);
        let recorder = builder.expect("there is at least one bucket").build_recorder();
        let name = |name: &'static str| KeyName::from_const_str(name);
        for (counter, help) in COUNTERS {
            recorder.describe_counter(name(counter), Some(Unit::Count), SharedString::const_str(help));
        }
        for (gauge, help) in GAUGES {
            recorder.describe_gauge(name(gauge), Some(Unit::Count), SharedString::const_str(help));
        }
        let help = SharedString::const_str("from link to the first open channel, as the peers report it");
        recorder.describe_histogram(name(TIME_TO_CONNECT), Some(Unit::Seconds), help);
        Self { handle: recorder.handle(), recorder }
    }

    /// The text for `/metrics`.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples into their buckets; to be called now and then, so that they do not pile up.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }

    pub fn event(&self, event: &Event) {
        match event {
            Event::SessionOpened => self.count("twocan_sessions_total", &[("how", "opened")]),
            Event::SessionResumed => self.count("twocan_sessions_total", &[("how", "resumed")]),
            Event::LobbyOpened => self.count("twocan_lobbies_opened_total", &[]),
            Event::LobbyClosed { why, .. } => {
                self.count("twocan_lobbies_closed_total", &[("why", &word(why))]);
            }
            Event::Linked { path, local, remote, took, both } => {
                let path = word(path);
                let class = |class| Option::map_or(class, "unknown".into(), |class| word(&class));
                let labels =
                    [("path", path.as_str()), ("local", &class(*local)), ("remote", &class(*remote))];
                self.count("twocan_link_reports_total", &labels);
                self.time_to_connect(&path, *took);
                if *both {
                    self.count("twocan_links_total", &[("path", &path)]);
                }
            }
            Event::Failed(reason) => self.count("twocan_link_failures_total", &[("reason", &word(reason))]),
            Event::Refused(code) => self.count("twocan_refused_total", &[("code", &word(code))]),
            Event::Discarded(what) => self.count("twocan_discarded_total", &[("what", &word(what))]),
            Event::SessionEnded | Event::Drained => {}
        }
    }

    /// A page of another origin wanted a socket.
    pub fn refused_origin(&self) {
        self.count("twocan_origins_refused_total", &[]);
    }

    pub fn closed(&self, code: u16) {
        self.count("twocan_sockets_closed_total", &[("code", &code.to_string())]);
    }

    /// Sets the gauges.
    pub fn levels(&self, lobbies: &Lobbies) {
        let levels = [lobbies.sessions(), lobbies.lobbies(), lobbies.clients()];
        for ((name, _), level) in GAUGES.into_iter().zip(levels) {
            self.recorder.register_gauge(&Key::from_static_name(name), &METADATA).set(level as f64);
        }
    }

    fn time_to_connect(&self, path: &str, took: Duration) {
        let key = Key::from_parts(TIME_TO_CONNECT, vec![Label::new("path", path.to_owned())]);
        self.recorder.register_histogram(&key, &METADATA).record(took.as_secs_f64());
    }

    fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        let labels: Vec<Label> =
            labels.iter().map(|(key, value)| Label::new(*key, (*value).to_owned())).collect();
        self.recorder.register_counter(&Key::from_parts(name, labels), &METADATA).increment(1);
    }
}
