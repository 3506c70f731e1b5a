//! Reads a description: lines into sections, then the one section that counts, with what it takes from the session or, in a
//! bundle, from the section that speaks for all (RFC 8843 7.1.3). Of what must be said once, the first counts.

use std::str::FromStr as _;

use twocan_ice::{Credentials, pasted};

use super::{OURS, OURS_POLITE, OtherSection, ParseError, Protocol, Session, Setup, limits, media};
use crate::room;
use crate::transport::Fingerprint;

/// What a message may have where nothing is said (RFC 8841 6.1), bytes.
const MAX_MESSAGE_SIZE_UNSAID: u32 = 65_536;
/// The SCTP port that everyone uses.
const SCTP_PORT_UNSAID: u16 = 5_000;
/// Bytes of each word of a line `m=`.
const WORD_LEN_MAX: usize = 64;

/// Formats of one section that are looked at.
const FORMATS_MAX: usize = 64;

/// The attributes of the session or of one section, unread.
#[derive(Default)]
pub(super) struct Attributes<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    options: Option<&'a str>,
    is_lite: bool,
    fingerprints: Vec<&'a str>,
    setup: Option<&'a str>,
    mid: Option<&'a str>,
    bundle: Option<&'a str>,
    is_bundle_only: bool,
    pub(super) is_rtcp_mux: bool,
    pub(super) rtpmaps: Vec<&'a str>,
    pub(super) fmtps: Vec<&'a str>,
    sctp_port: Option<&'a str>,
    max_message_size: Option<&'a str>,
    sctp_init: Option<&'a str>,
    /// With what is before the colon.
    candidates: Vec<&'a str>,
    end_of_candidates: bool,
}

impl<'a> Attributes<'a> {
    fn add(&mut self, line: &'a str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        let once = |slot: &mut Option<&'a str>| {
            slot.get_or_insert(value);
        };
        match name {
            "ice-ufrag" => once(&mut self.ufrag),
            "ice-pwd" => once(&mut self.pwd),
            "ice-options" => once(&mut self.options),
            "ice-lite" => self.is_lite = true,
            "fingerprint" => self.fingerprints.push(value),
            "setup" => once(&mut self.setup),
            "mid" => once(&mut self.mid),
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE") {
                    self.bundle.get_or_insert(mids);
                }
            }
            "bundle-only" => self.is_bundle_only = true,
            "rtcp-mux" | "rtcp-mux-only" => self.is_rtcp_mux = true,
            "rtpmap" => self.rtpmaps.push(value),
            "fmtp" => self.fmtps.push(value),
            "sctp-port" => once(&mut self.sctp_port),
            "max-message-size" => once(&mut self.max_message_size),
            "sctp-init" => once(&mut self.sctp_init),
            "candidate" => self.candidates.push(line.trim_end()),
            "end-of-candidates" => self.end_of_candidates = true,
            _ => {}
        }
    }
}

/// A section: its line `m=`, and its attributes.
pub(super) struct Section<'a> {
    pub(super) media: &'a str,
    port: &'a str,
    pub(super) protocol: &'a str,
    /// At least one.
    pub(super) formats: Vec<&'a str>,
    /// How a data-channel section is said; `None` for all others.
    data: Option<Protocol>,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> Section<'a> {
    fn parse(line: &'a str) -> Result<Section<'a>, ParseError> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().filter(|word| is_token(word, WORD_LEN_MAX)).ok_or(ParseError::Media);
        let (media, port, protocol, format) = (word()?, word()?, word()?, word()?);
        let mut formats: Vec<&str> = std::iter::once(format).chain(words).collect();
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let data = match protocol {
            _ if media != "application" => None,
            "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP" if formats.contains(&"webrtc-datachannel") => {
                Some(if protocol == "TCP/DTLS/SCTP" { Protocol::Tcp } else { Protocol::Udp })
            }
            "DTLS/SCTP" if is_number(format) => Some(Protocol::SctpMap),
            _ => None,
        };
        if !is_number(port.split('/').next().unwrap_or_default()) {
            return Err(ParseError::Media);
        }
        formats.retain(|format| is_token(format, WORD_LEN_MAX));
        formats.truncate(FORMATS_MAX);
        Ok(Section { media, port, protocol, formats, data, attributes: Attributes::default() })
    }

    pub(super) fn is_refused(&self) -> bool {
        self.port == "0" && !self.attributes.is_bundle_only
    }

    pub(super) fn mid(&self) -> Result<Option<String>, ParseError> {
        mid(&self.attributes)
    }
}

/// A description, cut into lines and sections.
struct Lines<'a> {
    origin: &'a str,
    session: Attributes<'a>,
    sections: Vec<Section<'a>>,
}

impl<'a> Lines<'a> {
    fn parse(text: &'a str) -> Result<Lines<'a>, ParseError> {
        let lines = text.split(pasted::is_line_end).map(|line| line.trim_matches([' ', '\t']));
        let mut lines = lines.filter(|line| !line.is_empty());
        if lines.next() != Some("v=0") {
            return Err(ParseError::NotSdp);
        }
        let mut found = Lines { origin: "", session: Attributes::default(), sections: Vec::new() };
        for (index, line) in lines.enumerate() {
            if index >= limits::LINES_MAX {
                return Err(ParseError::TooLarge);
            }
            if line.chars().any(|character| character.is_control() && character != '\t') {
                return Err(ParseError::Line);
            }
            match line.split_once('=').ok_or(ParseError::Line)? {
                ("a", attribute) => found.current().add(attribute),
                ("m", _) if found.sections.len() >= limits::SECTIONS_MAX => return Err(ParseError::TooLarge),
                ("m", section) => found.sections.push(Section::parse(section)?),
                ("o", origin) if found.sections.is_empty() => found.origin = origin,
                (kind, _) if kind.len() == 1 => {}
                _ => return Err(ParseError::Line),
            }
        }
        Ok(found)
    }

    fn current(&mut self) -> &mut Attributes<'a> {
        self.sections.last_mut().map_or(&mut self.session, |section| &mut section.attributes)
    }

    /// The id and version of the line `o=`; zero where they are no numbers.
    fn origin(&self) -> (u64, u64) {
        let mut words = self.origin.split_ascii_whitespace().skip(1);
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        (number(), number())
    }
}

/// The sections around the one that counts, and its bundle.
struct Bundle {
    is_bundled: bool,
    before: Vec<OtherSection>,
    after: Vec<OtherSection>,
    /// The kept section that carries the transport.
    tagged: Option<String>,
}

impl Bundle {
    /// Of the section at this place.
    fn of(lines: &Lines<'_>, place: usize) -> Result<Bundle, ParseError> {
        let mids: Vec<&str> = lines.session.bundle.unwrap_or_default().split_ascii_whitespace().collect();
        let ours = lines.sections.get(place).and_then(|section| section.attributes.mid);
        let is_bundled = ours.is_some_and(|mid| mids.contains(&mid));
        let mut known: Vec<&str> = ours.into_iter().collect();
        let mut others = Vec::new();
        for (_, section) in lines.sections.iter().enumerate().filter(|(index, _)| *index != place) {
            let mid =
                section.attributes.mid.filter(|mid| is_bundled && mids.contains(mid) && !known.contains(mid));
            known.extend(mid);
            others.push(if mid.is_some() { media::kept(section)? } else { media::refused(section)? });
        }
        let is_kept = |mid: &str| {
            others
                .iter()
                .any(|other: &OtherSection| other.kept.is_some() && other.mid.as_deref() == Some(mid))
        };
        let first = mids.into_iter().find(|mid| ours == Some(*mid) || is_kept(mid));
        let tagged = first.filter(|mid| is_bundled && ours != Some(*mid)).map(str::to_owned);
        let after = others.split_off(place.min(others.len()));
        Ok(Bundle { is_bundled, before: others, after, tagged })
    }
}

/// Where a section finds what it does not say itself.
struct Scope<'s, 'a> {
    section: &'s Attributes<'a>,
    session: &'s Attributes<'a>,
    /// The section that carries the transport: that of its bundle, if it is kept.
    transport: &'s Attributes<'a>,
    /// Else the first section of its bundle.
    first: Option<&'s Attributes<'a>>,
}

impl<'s, 'a> Scope<'s, 'a> {
    fn new(lines: &'s Lines<'a>, section: &'s Attributes<'a>, bundle: &Bundle) -> Scope<'s, 'a> {
        let named = |mid: Option<&str>| {
            let sections = || lines.sections.iter().map(|section| &section.attributes);
            mid.and_then(|mid| sections().find(|attributes| attributes.mid == Some(mid)))
        };
        let first = lines.session.bundle.unwrap_or_default().split_ascii_whitespace().next();
        Scope {
            section,
            session: &lines.session,
            transport: named(bundle.tagged.as_deref()).unwrap_or(section),
            first: named(first.filter(|_| bundle.is_bundled)),
        }
    }

    /// The nearest that says something of the kind.
    fn nearest(&self, says: impl Fn(&Attributes<'a>) -> bool) -> &'s Attributes<'a> {
        let all = [Some(self.transport), Some(self.session), Some(self.section), self.first];
        all.into_iter().flatten().find(|attributes| says(attributes)).unwrap_or(self.section)
    }
}

pub(super) fn session(text: &str) -> Result<Session, ParseError> {
    if text.len() > limits::BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    let text = pasted::tidy(text);
    let lines = Lines::parse(&text)?;
    let is_data = |section: &Section<'_>| section.data.is_some();
    let index = lines.sections.iter().position(|section| is_data(section) && !section.is_refused()).ok_or(
        if lines.sections.iter().any(is_data) { ParseError::Rejected } else { ParseError::NoDataChannel },
    )?;
    let section = lines.sections.get(index).ok_or(ParseError::NoDataChannel)?;
    let bundle = Bundle::of(&lines, index)?;
    let scope = Scope::new(&lines, &section.attributes, &bundle);
    let protocol = section.data.unwrap_or_default();
    let (id, version) = lines.origin();
    let whose = lines.origin.split(' ').next().unwrap_or_default();
    let candidates = scope.nearest(|attributes| !attributes.candidates.is_empty());
    Ok(Session {
        id,
        version,
        is_ours: whose == OURS || whose == OURS_POLITE,
        is_polite: whose == OURS_POLITE,
        mid: mid(scope.section)?,
        is_bundled: bundle.is_bundled,
        tagged: bundle.tagged,
        credentials: credentials(&scope)?,
        trickle: has_option(&scope, "trickle"),
        ice_lite: lines.session.is_lite,
        fingerprints: fingerprints(&scope)?,
        setup: setup(&scope)?,
        protocol,
        sctp_port: match protocol {
            Protocol::SctpMap => port(section.formats.first().copied().unwrap_or_default())?,
            Protocol::Udp | Protocol::Tcp => scope.section.sctp_port.map_or(Ok(SCTP_PORT_UNSAID), port)?,
        },
        max_message_size: max_message_size(scope.section)?,
        candidates: room::evenly(&candidates.candidates, limits::CANDIDATES_MAX)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        end_of_candidates: scope.nearest(|attributes| attributes.end_of_candidates).end_of_candidates,
        sctp_init: sctp_init(scope.section)?,
        before: bundle.before,
        after: bundle.after,
    })
}

fn credentials(scope: &Scope<'_, '_>) -> Result<Credentials, ParseError> {
    let from = scope.nearest(|attributes| attributes.ufrag.is_some() || attributes.pwd.is_some());
    let ufrag = from.ufrag.ok_or(ParseError::Credentials)?;
    let pwd = from.pwd.ok_or(ParseError::Credentials)?;
    Credentials::new(ufrag, pwd).map_err(|_| ParseError::Credentials)
}

fn fingerprints(scope: &Scope<'_, '_>) -> Result<Vec<Fingerprint>, ParseError> {
    let from = scope.nearest(|attributes| !attributes.fingerprints.is_empty());
    let is_known = |fingerprint: &Fingerprint| {
        matches!(
            (fingerprint.hash(), fingerprint.bytes().len()),
            ("sha-256", 32) | ("sha-384", 48) | ("sha-512", 64)
        )
    };
    let read = from.fingerprints.iter().filter_map(|text| Fingerprint::from_str(text).ok());
    let found: Vec<Fingerprint> = read.filter(is_known).take(limits::FINGERPRINTS_MAX).collect();
    if found.is_empty() { Err(ParseError::Fingerprint) } else { Ok(found) }
}

/// Who says nothing begins the handshake (RFC 4145 4.1).
fn setup(scope: &Scope<'_, '_>) -> Result<Setup, ParseError> {
    match scope.nearest(|attributes| attributes.setup.is_some()).setup {
        Some("actpass") => Ok(Setup::ActPass),
        Some("active") | None => Ok(Setup::Active),
        Some("passive") => Ok(Setup::Passive),
        Some(_) => Err(ParseError::Setup),
    }
}

fn has_option(scope: &Scope<'_, '_>, wanted: &str) -> bool {
    let options = scope.nearest(|attributes| attributes.options.is_some()).options.unwrap_or_default();
    // libdatachannel writes commas between them.
    options.split([' ', ',']).any(|option| option == wanted)
}

fn mid(attributes: &Attributes<'_>) -> Result<Option<String>, ParseError> {
    match attributes.mid {
        Some(mid) if is_token(mid, limits::MID_LEN_MAX) && !mid.contains('/') => Ok(Some(mid.into())),
        Some(_) => Err(ParseError::Mid),
        None => Ok(None),
    }
}

fn port(text: &str) -> Result<u16, ParseError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0).ok_or(ParseError::SctpPort)
}

fn max_message_size(attributes: &Attributes<'_>) -> Result<u32, ParseError> {
    let Some(text) = attributes.max_message_size else { return Ok(MAX_MESSAGE_SIZE_UNSAID) };
    if text.is_empty() || text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::MaxMessageSize);
    }
    Ok(text.parse().unwrap_or(u32::MAX))
}

fn sctp_init(attributes: &Attributes<'_>) -> Result<Option<String>, ParseError> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    match attributes.sctp_init {
        Some(init)
            if init.len() <= limits::SCTP_INIT_LEN_MAX && !init.is_empty() && init.bytes().all(is_base64) =>
        {
            Ok(Some(init.into()))
        }
        Some(_) => Err(ParseError::SctpInit),
        None => Ok(None),
    }
}

/// A token of RFC 4566 9, or several with slashes between them.
fn is_token(word: &str, len_max: usize) -> bool {
    let is_token = |byte: u8| matches!(byte, b'!' | 0x23..=0x27 | b'*' | b'+' | b'-' | b'.' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | 0x5E..=0x7E);
    (1..=len_max).contains(&word.len()) && word.bytes().all(is_token)
}
