//! The session description of one data-channel connection (RFC 8829, 8839, 8841, 8842, 8843): read from anyone, written
//! for anyone. Of a description with more in it, the first data-channel section counts. Audio and video in its bundle stay in it, inactive,
//! since the first of them may carry the transport of all; the rest is refused.

use std::fmt;
use std::str::FromStr;

use twocan_ice::Credentials;

use crate::transport::Fingerprint;

mod media;
mod parse;
mod write;

/// Every limit of a description that is read; beyond: [`ParseError::TooLarge`], where nothing else is said.
pub mod limits {
    /// Bytes. A browser's section of video has some 5 KiB.
    pub const BYTES_MAX: usize = 128 * 1_024;
    /// Lines.
    pub const LINES_MAX: usize = 4_096;
    /// Media sections.
    pub const SECTIONS_MAX: usize = 64;
    /// Candidates of the section that counts; of more these are taken, evenly of all kinds.
    pub const CANDIDATES_MAX: usize = 128;
    /// Fingerprints of the section that counts; the first ones are taken whose hash function we know.
    pub const FINGERPRINTS_MAX: usize = 8;
    /// Bytes of a `mid`.
    pub const MID_LEN_MAX: usize = 64;
    /// Bytes of what `a=rtpmap` and `a=fmtp` say of a format, each.
    pub const CODEC_LEN_MAX: usize = 128;
    /// Bytes of `a=sctp-init`.
    pub const SCTP_INIT_LEN_MAX: usize = 2_048;
}

/// What a description is for (W3C `RTCSdpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A proposal.
    Offer,
    /// Agreement to it.
    Answer,
    /// An offer taken back.
    Rollback,
}

impl Kind {
    /// `offer`, `answer` or `rollback`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Offer => "offer",
            Kind::Answer => "answer",
            Kind::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Kind, ParseError> {
        match text {
            "offer" => Ok(Kind::Offer),
            "answer" => Ok(Kind::Answer),
            "rollback" => Ok(Kind::Rollback),
            _ => Err(ParseError::Kind),
        }
    }
}

/// A description as it is signaled (W3C `RTCSessionDescriptionInit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is for.
    pub kind: Kind,
    /// The text; empty for a rollback.
    pub sdp: String,
    /// Of an answer: the version (`o=`, RFC 8866 5.2) of the offer that it answers, where its writer says so. W3C has no such
    /// field: an answer that comes late would be taken for one to a later offer.
    pub offer: Option<u64>,
}

/// Who begins the DTLS handshake (RFC 8842 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setup {
    /// Whichever the other side chooses; only in offers.
    ActPass,
    /// The writer of the description.
    Active,
    /// Its reader.
    Passive,
}

impl Setup {
    /// What we answer: `passive` to `actpass`, so that the offerer starts half a round trip sooner.
    pub fn answer(self) -> Setup {
        match self {
            Setup::ActPass | Setup::Active => Setup::Passive,
            Setup::Passive => Setup::Active,
        }
    }

    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }
}

/// How a data-channel section is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `UDP/DTLS/SCTP webrtc-datachannel` and `a=sctp-port` (RFC 8841).
    #[default]
    Udp,
    /// `TCP/DTLS/SCTP webrtc-datachannel`, when the default candidate is a TCP one.
    Tcp,
    /// `DTLS/SCTP 5000` and `a=sctpmap`, as drafts before RFC 8841 had it.
    SctpMap,
}

/// A section of an offer that is not ours: an answer must name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSection {
    /// `audio`, `video`, `application` …
    pub media: String,
    /// `UDP/TLS/RTP/SAVPF` …
    pub protocol: String,
    /// The first of its formats, or of those that are codecs.
    pub format: String,
    /// Its `a=mid`.
    pub mid: Option<String>,
    /// In one bundle with the section that counts, it stays there and is inactive: a bundle falls apart where the section that carries its
    /// transport is refused (RFC 9143 7.3.3). `None`: it is refused.
    pub kept: Option<Codec>,
}

/// What is said of a format of audio or video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codec {
    /// `a=rtpmap`, behind the format.
    pub rtpmap: Option<String>,
    /// `a=fmtp`, behind the format.
    pub fmtp: Option<String>,
}

/// Whom `o=` names, of descriptions of this crate's (RFC 8866 5.2: the user's name, or `-`).
pub(crate) const OURS: &str = "twocan";
/// The same, where its offers yield to those that cross them.
pub(crate) const OURS_POLITE: &str = "twocan-polite";

/// What two descriptions agree on: the one data-channel section, and what it takes from the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `o=`: names the session, below 2^63.
    pub id: u64,
    /// `o=`: rises with each description.
    pub version: u64,
    /// `o=`: its writer is one of this crate's.
    pub is_ours: bool,
    /// `o=`: it is, and its writer's offers yield to those that cross them. Where both sides say the same, they decide otherwise.
    pub is_polite: bool,
    /// `a=mid`; `None` where the other side has none.
    pub mid: Option<String>,
    /// Whether `a=group:BUNDLE` names the section.
    pub is_bundled: bool,
    /// The `mid` of the section that carries the transport of the bundle (RFC 9143 7.1), where it is another one that is kept.
    pub tagged: Option<String>,
    /// `a=ice-ufrag` and `a=ice-pwd`.
    pub credentials: Credentials,
    /// `a=ice-options:trickle`: candidates may follow.
    pub trickle: bool,
    /// `a=ice-lite`.
    pub ice_lite: bool,
    /// `a=fingerprint`; at least one whose hash function we know.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=setup`.
    pub setup: Setup,
    /// How the section is said.
    pub protocol: Protocol,
    /// `a=sctp-port`.
    pub sctp_port: u16,
    /// `a=max-message-size`, bytes: 0 is no limit, and 65,536 where there is no such line (RFC 8841 6.1).
    pub max_message_size: u32,
    /// `a=candidate`: each for [`twocan_ice::Candidate::parse`], beginning with `candidate:`.
    pub candidates: Vec<String>,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
    /// `a=sctp-init` (SNAP): SCTP's INIT as base64. Never echoed: written only by who speaks it.
    pub sctp_init: Option<String>,
    /// Sections before the one that counts.
    pub before: Vec<OtherSection>,
    /// Sections after it.
    pub after: Vec<OtherSection>,
}

impl Session {
    /// What a section has that says nothing else: a `mid` of `0`, port 5000, messages of up to 256 KiB, trickle.
    pub fn new(id: u64, credentials: Credentials, fingerprint: Fingerprint, setup: Setup) -> Session {
        Session {
            id,
            version: 1,
            is_ours: true,
            is_polite: false,
            mid: Some("0".into()),
            is_bundled: true,
            tagged: None,
            credentials,
            trickle: true,
            ice_lite: false,
            fingerprints: vec![fingerprint],
            setup,
            protocol: Protocol::Udp,
            sctp_port: 5_000,
            max_message_size: 262_144,
            candidates: Vec::new(),
            end_of_candidates: false,
            sctp_init: None,
            before: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Our answer to this offer: it repeats what an answer must repeat (RFC 8829 5.3.1), and nothing that we do not know.
    pub fn answer(&self, id: u64, credentials: Credentials, fingerprint: Fingerprint) -> Session {
        Session {
            mid: self.mid.clone(),
            is_bundled: self.is_bundled,
            tagged: self.tagged.clone(),
            protocol: self.protocol,
            before: self.before.clone(),
            after: self.after.clone(),
            trickle: self.trickle,
            ..Session::new(id, credentials, fingerprint, self.setup.answer())
        }
    }

    /// Whether audio or video stays in the bundle.
    pub fn has_kept_media(&self) -> bool {
        self.before.iter().chain(&self.after).any(|other| other.kept.is_some())
    }

    /// The section to which candidates belong: its `mid`, and its place.
    pub fn transport_section(&self) -> (Option<&str>, usize) {
        let ours = (self.mid.as_deref(), self.before.len());
        let Some(tagged) = self.tagged.as_deref() else { return ours };
        let is_tagged = |other: &OtherSection| other.mid.as_deref() == Some(tagged);
        let before = self.before.iter().position(is_tagged);
        let after = || self.after.iter().position(is_tagged).map(|place| self.before.len() + 1 + place);
        before.or_else(after).map_or(ours, |place| (Some(tagged), place))
    }

    /// Reads a description, also with what comes with text that was [pasted](twocan_ice::pasted): spaces at line ends, any line end, empty
    /// lines, quotes around it.
    ///
    /// # Errors
    /// Says what is wrong, or what is missing.
    pub fn parse(text: &str) -> Result<Session, ParseError> {
        parse::session(text)
    }

    /// Writes the description; [`Session::parse`] reads the same.
    pub fn write(&self) -> String {
        self.to_string()
    }
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ParseError {
    /// Neither offer, answer nor rollback.
    #[error("the type is none of offer, answer, rollback")]
    Kind,
    /// One of [`limits`] is passed.
    #[error("the description is too large")]
    TooLarge,
    /// It does not begin with `v=0`.
    #[error("not a session description")]
    NotSdp,
    /// A line is not `x=value`, or has control characters.
    #[error("a line is malformed")]
    Line,
    /// A line `m=` is malformed.
    #[error("a media section is malformed")]
    Media,
    /// There is no data-channel section.
    #[error("there is no data-channel section")]
    NoDataChannel,
    /// There is one, and it is refused (port 0).
    #[error("the data-channel section is refused")]
    Rejected,
    /// The user name fragment or the password is missing, or has other letters or another length than ICE allows.
    #[error("the ICE credentials are missing or malformed")]
    Credentials,
    /// No fingerprint of a hash function that we know.
    #[error("there is no usable fingerprint")]
    Fingerprint,
    /// Not `actpass`, `active` or `passive`.
    #[error("the setup attribute is malformed")]
    Setup,
    /// The SCTP port is no port.
    #[error("the SCTP port is malformed")]
    SctpPort,
    /// The largest message size is no number.
    #[error("the largest message size is malformed")]
    MaxMessageSize,
    /// The `mid` is no token, or too long.
    #[error("the mid is malformed")]
    Mid,
    /// `a=sctp-init` is not base64.
    #[error("the sctp-init attribute is malformed")]
    SctpInit,
}
