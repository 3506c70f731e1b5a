//! Every pair of networks: by which way two find each other, how long it takes, what it costs; as a table and as a picture.

use std::fmt::Write as _;
use std::time::Duration;

use twocan_rtc::{Path, Protocol};
use twocan_sim::{Behavior, Kind, kinds::Traits};

use crate::oracle::{self, Expected};
use crate::plan::{GUEST, HOST, Plan};
use crate::player::Player;
use crate::{Finding, World, live};

/// Worlds for each pair; the median counts.
const SEEDS: u64 = 3;
/// How long they play: until things have settled.
const PLAY: Duration = Duration::from_millis(2_500);

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Without a relay.
    Direct,
    /// Through one, which the side that needs it reaches by this.
    Relayed(Protocol),
    /// Not at all.
    Nothing,
}

/// What more than plain ICE could make direct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hill {
    /// A router that maps ports when asked.
    Mapped,
    /// The next port follows from the last, or is one of a few.
    Guessed,
}

/// What became of one pair of kinds.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Who opens the lobby, and who joins.
    pub kinds: [Kind; 2],
    /// By which way, once things have settled.
    pub way: Way,
    /// From the wish to join until both can send.
    pub took: Option<Duration>,
    /// Packets that both sent until the end.
    pub packets: u32,
    /// What the oracle says.
    pub expected: Expected,
    /// What could do better.
    pub hill: Option<Hill>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// The matrix of all kinds, row by row, and for each kind two in the same network.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Rows: who opens the lobby; columns: who joins.
    pub cells: Vec<Vec<Cell>>,
    /// Two behind the same boxes.
    pub together: Vec<Cell>,
    /// The round trip between the two.
    pub rtt: Duration,
}

/// Lives through all of it; `progress` hears how far it is.
pub fn run(mut progress: impl FnMut(usize, usize)) -> Matrix {
    let kinds = Kind::ALL;
    let all = kinds.len() * (kinds.len() + 1);
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress(done, all);
    };
    let mut cells = Vec::new();
    for host in kinds {
        let mut row = Vec::new();
        for guest in kinds {
            row.push(cell([host, guest], false));
            step();
        }
        cells.push(row);
    }
    let mut together = Vec::new();
    for kind in kinds {
        together.push(cell([kind, kind], true));
        step();
    }
    Matrix { cells, together, rtt: Plan::new(0, [Kind::Public; 2]).rtt() }
}

fn plan(seed: u64, kinds: [Kind; 2], together: bool) -> Plan {
    Plan { together, leaves: false, play: PLAY, ..Plan::new(seed, kinds) }
}

fn cell(kinds: [Kind; 2], together: bool) -> Cell {
    let mut worlds: Vec<(World, Vec<Finding>)> =
        (0..SEEDS).map(|seed| live(plan(seed, kinds, together))).collect();
    worlds.sort_by_key(|(world, _)| (way(world), world.time_to_link()));
    let expected = oracle::expected(&plan(0, kinds, together));
    let findings = worlds.iter().flat_map(|(_, found)| found.clone()).collect();
    let (world, _) = &worlds[worlds.len() / 2];
    let packets = [HOST, GUEST].map(|side| world.checks.packets(side)).iter().sum();
    let way = way(world);
    let hill = if way == Way::Direct { None } else { hill(kinds.map(Kind::traits)) };
    Cell { kinds, way, took: world.time_to_link(), packets, expected, hill, findings }
}

fn way(world: &World) -> Way {
    let paths = world.players.each_ref().map(Player::path);
    match paths {
        _ if !world.is_linked() => Way::Nothing,
        [Some(one), Some(two)] if one.path == Path::Relayed || two.path == Path::Relayed => {
            let by = one.relay_protocol.into_iter().chain(two.relay_protocol).max();
            Way::Relayed(by.unwrap_or(Protocol::Udp))
        }
        _ => Way::Direct,
    }
}

/// What would help two whom plain ICE leaves with a relay, if both can speak UDP over IPv4 at all.
fn hill([one, other]: [Traits; 2]) -> Option<Hill> {
    use twocan_sim::Allocation;
    if !(one.udp && other.udp && one.ipv4 && other.ipv4) {
        return None;
    }
    let guessable = |traits: &Traits| {
        traits.mapping != Behavior::EndpointIndependent
            && matches!(traits.allocation, Some(Allocation::Sequential { .. } | Allocation::Blocks { .. }))
    };
    if one.maps_ports || other.maps_ports {
        Some(Hill::Mapped)
    } else if guessable(&one) || guessable(&other) {
        Some(Hill::Guessed)
    } else {
        None
    }
}

impl Way {
    /// The letter in the table.
    fn letter(self) -> &'static str {
        match self {
            Way::Direct => "D",
            Way::Relayed(Protocol::Udp) => "R",
            Way::Relayed(Protocol::Tcp) => "T",
            Way::Relayed(Protocol::Tls) => "S",
            Way::Nothing => "✗",
        }
    }

    /// The colour in the picture.
    fn colour(self) -> &'static str {
        match self {
            Way::Direct => "#3f9b5f",
            Way::Relayed(Protocol::Udp) => "#e0a33e",
            Way::Relayed(Protocol::Tcp) => "#c9722f",
            Way::Relayed(Protocol::Tls) => "#a24a3a",
            Way::Nothing => "#5b5b66",
        }
    }
}

impl Cell {
    /// Whether the oracle of plain ICE says otherwise.
    pub fn is_wrong(&self) -> bool {
        let is_direct = self.way == Way::Direct;
        is_direct != (self.expected == Expected::Direct) || !self.findings.is_empty()
    }

    fn text(&self) -> String {
        let hill = match self.hill {
            Some(Hill::Mapped) => "ᵐ",
            Some(Hill::Guessed) => "ᵍ",
            None => "",
        };
        let wrong = if self.is_wrong() { "!" } else { "" };
        let ms = self.took.map_or(String::new(), |took| took.as_millis().to_string());
        format!("{}{hill}{wrong} {ms}", self.way.letter())
    }
}

impl Matrix {
    /// All cells.
    pub fn all(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten().chain(&self.together)
    }

    /// As Markdown.
    pub fn table(&self) -> String {
        let mut text = String::from("| | opens ↓, joins → |");
        for n in 1..=Kind::ALL.len() {
            let _ = write!(text, " {n} |");
        }
        text.push_str(" the same |\n|---|---|");
        text.push_str(&"---|".repeat(Kind::ALL.len() + 1));
        text.push('\n');
        for (n, (row, same)) in self.cells.iter().zip(&self.together).enumerate() {
            let _ = write!(text, "| {} | {} |", n + 1, Kind::ALL[n]);
            for cell in row {
                let _ = write!(text, " {} |", cell.text());
            }
            let _ = writeln!(text, " {} |", same.text());
        }
        text
    }

    /// How many of all, in a sentence.
    pub fn summary(&self) -> String {
        let count = |is_it: &dyn Fn(&Cell) -> bool| self.all().filter(|cell| is_it(cell)).count();
        let direct = count(&|cell| cell.way == Way::Direct);
        let relayed = count(&|cell| matches!(cell.way, Way::Relayed(_)));
        let wrong = count(&Cell::is_wrong);
        let mut times: Vec<Duration> =
            self.all().filter(|cell| cell.way == Way::Direct).filter_map(|cell| cell.took).collect();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default().as_millis();
        let nothing = count(&|cell| cell.way == Way::Nothing);
        format!(
            "{} pairs: {direct} direct, {relayed} relayed, {nothing} without a way; {wrong} where the oracle of plain ICE says otherwise. Direct ones took {median} ms (median), at a round trip of {} ms.",
            self.all().count(),
            self.rtt.as_millis()
        )
    }

    /// As a picture: a square for each pair.
    pub fn picture(&self) -> String {
        const SIDE: usize = 26;
        const LEFT: usize = 170;
        const TOP: usize = 165;
        let n = Kind::ALL.len();
        let (width, height) = (LEFT + SIDE * (n + 2), TOP + SIDE * n + 60);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fbfaf7\"/>\n<text x=\"12\" y=\"24\" font-size=\"16\" font-weight=\"600\" fill=\"#222\">Who reaches whom directly</text>\n<text x=\"12\" y=\"42\" fill=\"#555\">row: opens the lobby</text>\n<text x=\"12\" y=\"57\" fill=\"#555\">column: joins it</text>\n"
        );
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            let y = TOP + SIDE * at + 17;
            let x = LEFT + SIDE * at + 16;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"#333\">{kind}</text>",
                LEFT - 8
            );
            let _ = writeln!(
                svg,
                "<text transform=\"translate({x},{}) rotate(-60)\" fill=\"#333\">{kind}</text>",
                TOP - 8
            );
        }
        let x = LEFT + SIDE * (n + 1) + 16 - SIDE / 2;
        let _ = writeln!(
            svg,
            "<text transform=\"translate({x},{}) rotate(-60)\" fill=\"#333\">the same network</text>",
            TOP - 8
        );
        for (row, cells) in self.cells.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                square(&mut svg, LEFT + SIDE * column, TOP + SIDE * row, SIDE, cell);
            }
        }
        for (row, cell) in self.together.iter().enumerate() {
            square(&mut svg, LEFT + SIDE * n + SIDE / 2, TOP + SIDE * row, SIDE, cell);
        }
        legend(&mut svg, TOP + SIDE * n + 30);
        svg.push_str("</svg>\n");
        svg
    }
}

fn square(svg: &mut String, x: usize, y: usize, side: usize, cell: &Cell) {
    let [host, guest] = cell.kinds;
    let ms = cell.took.map_or("never".to_owned(), |took| format!("{} ms", took.as_millis()));
    let colour = cell.way.colour();
    let _ = write!(
        svg,
        "<g><title>{host} – {guest}: {:?}, {ms}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{colour}\"/>",
        cell.way,
        side - 2,
        side - 2
    );
    let mark = match (cell.is_wrong(), cell.hill) {
        (true, _) => "!",
        (_, Some(Hill::Mapped)) => "m",
        (_, Some(Hill::Guessed)) => "g",
        (false, None) => "",
    };
    if !mark.is_empty() {
        let (x, y) = (x + side / 2 - 1, y + side / 2 + 3);
        let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#fff\">{mark}</text>");
    }
    svg.push_str("</g>\n");
}

fn legend(svg: &mut String, y: usize) {
    let ways = [
        (Way::Direct, "direct"),
        (Way::Relayed(Protocol::Udp), "relayed"),
        (Way::Relayed(Protocol::Tcp), "relayed over TCP"),
        (Way::Relayed(Protocol::Tls), "relayed over TLS"),
        (Way::Nothing, "no way"),
    ];
    let mut x = 12;
    for (way, text) in ways {
        let colour = way.colour();
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\" fill=\"#333\">{text}</text>",
            y - 11,
            x + 20
        );
        x += 44 + 7 * text.len();
    }
    let _ = writeln!(
        svg,
        "<text x=\"12\" y=\"{}\" fill=\"#555\">m: direct if the router is asked to map a port; g: if the port is guessed; !: not what plain ICE should find</text>",
        y + 20
    );
}
