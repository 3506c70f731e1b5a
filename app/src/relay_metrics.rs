//! The relay's counters in Prometheus' format, for `/metrics`.

use std::fmt::Write as _;

use twocan_relay::Stats;
use twocan_turn::Discard;

/// Lines for everything the relay counts.
pub fn text(stats: &Stats) -> String {
    let mut text = Text::default();
    let (turn, sockets) = (&stats.turn, &stats.sockets);
    text.family("twocan_relay_bindings_total", "counter", "STUN Binding requests answered");
    text.line("", turn.bindings);
    text.family("twocan_relay_allocations", "gauge", "allocations now");
    text.line("", turn.stored.allocations.into());
    text.family("twocan_relay_allocations_total", "counter", "allocations, made and ended");
    text.line("event=\"made\"", turn.allocated);
    text.line("event=\"ended\"", turn.freed);
    text.family("twocan_relay_bytes_total", "counter", "payload relayed, bytes");
    text.line("to=\"peers\"", turn.to_peers.bytes);
    text.line("to=\"clients\"", turn.to_clients.bytes);
    text.family("twocan_relay_packets_total", "counter", "packets relayed");
    text.line("to=\"peers\"", turn.to_peers.packets);
    text.line("to=\"clients\"", turn.to_clients.packets);
    text.family(
        "twocan_relay_answers_total",
        "counter",
        "requests answered, Binding aside, by error code (200: success)",
    );
    text.line("code=\"200\"", turn.successes);
    for (code, count) in turn.errors() {
        text.line(&format!("code=\"{code}\""), count);
    }
    text.family("twocan_relay_discarded_total", "counter", "packets dropped without an answer, by why");
    for why in Discard::ALL {
        text.line(&format!("why=\"{}\"", why.name()), turn.discarded(why));
    }
    let dropped = [
        ("full", sockets.dropped_full),
        ("too-long", sockets.dropped_too_long),
        ("failed", sockets.dropped_failed),
        ("gone", sockets.dropped_gone),
        ("slow-reader", sockets.dropped_slow_reader),
    ];
    text.family("twocan_relay_unsent_total", "counter", "packets that could not be sent, by why");
    for (why, count) in dropped {
        text.line(&format!("why=\"{why}\""), count);
    }
    text.family("twocan_relay_connections", "gauge", "TCP and TLS connections now");
    text.line("", sockets.connections);
    let ended = [
        ("client", sockets.ended_by_client),
        ("server", sockets.ended_by_server),
        ("malformed", sockets.ended_malformed),
        ("tls", sockets.ended_tls),
        ("too-slow", sockets.ended_too_slow),
        ("timed-out", sockets.ended_timed_out),
        ("limit", sockets.refused_limit),
        ("no-resources", sockets.accept_failed),
    ];
    text.family(
        "twocan_relay_connections_ended_total",
        "counter",
        "TCP and TLS connections ended or refused, by why",
    );
    for (why, count) in ended {
        text.line(&format!("why=\"{why}\""), count);
    }
    text.0
}

/// Lines under the name given last.
#[derive(Default)]
struct Text(String, &'static str);

impl Text {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, labels: &str, value: u64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{}{labels} {value}", self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_belongs_to_a_family_with_a_type() {
        let text = text(&Stats::default());
        let mut family = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => family = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert!(
                    line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' '])),
                    "{line}"
                ),
            }
        }
        assert!(text.contains("twocan_relay_discarded_total{why=\"peer-denied\"} 0\n"));
    }
}
