//! What one side tells the other by way of somebody else: W3C's dictionaries, and the `kind` and `data` of docs/protocol.md §1.4.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::sdp::{Description, Kind};

/// One signal. As JSON it is `{"kind":"description","data":{"type":"offer","sdp":"…"}}`, and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "kebab-case")]
pub enum Signal {
    /// `RTCSessionDescriptionInit`
    Description(Description),
    /// `RTCIceCandidateInit`; with an empty `candidate` it means what `EndOfCandidates` means.
    Candidate(CandidateInit),
    /// No more candidates of this generation follow (RFC 8838 13).
    EndOfCandidates,
}

impl Signal {
    /// The word for `kind` on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Signal::Description(_) => "description",
            Signal::Candidate(_) => "candidate",
            Signal::EndOfCandidates => "end-of-candidates",
        }
    }

    /// For a candidate the word after `typ`, if it is one of `host`, `srflx`, `prflx`, `relay`: the `class` of a signal.
    pub fn class(&self) -> Option<&'static str> {
        let Signal::Candidate(init) = self else { return None };
        let mut words = init.candidate.split_ascii_whitespace().skip_while(|word| *word != "typ");
        let class = words.nth(1)?;
        ["host", "srflx", "prflx", "relay"].into_iter().find(|known| *known == class)
    }
}

/// `RTCSessionDescriptionInit` as it is written.
#[derive(Serialize, Deserialize)]
struct DescriptionInit<'a> {
    #[serde(rename = "type")]
    kind: std::borrow::Cow<'a, str>,
    #[serde(default)]
    sdp: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offer: Option<u64>,
}

impl Description {
    fn init(&self) -> DescriptionInit<'_> {
        DescriptionInit { kind: self.kind.as_str().into(), sdp: self.sdp.as_str().into(), offer: self.offer }
    }

    /// Written with [`offer`](Self::offer), for a lobby's `data` (docs/protocol.md §2).
    pub fn with_offer(&self) -> impl Serialize + '_ {
        self.init()
    }
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // W3C's two members alone: some take no others.
        DescriptionInit { offer: None, ..self.init() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Description {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Description, D::Error> {
        let init = DescriptionInit::deserialize(deserializer)?;
        let kind = init.kind.parse::<Kind>().map_err(de::Error::custom)?;
        Ok(Description { kind, sdp: init.sdp.into_owned(), offer: init.offer })
    }
}

/// W3C `RTCIceCandidateInit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CandidateInit {
    /// `candidate:…` (RFC 8839 5.1), or empty.
    pub candidate: String,
    /// The media section by its name.
    pub sdp_mid: Option<String>,
    /// The media section by its place.
    pub sdp_m_line_index: Option<u16>,
    /// The generation: the `ice-ufrag` of the description this belongs to.
    pub username_fragment: Option<String>,
}

/// Why a signal was not taken. The connection stays as it was, but that one which is still coming up fails as
/// [`Incompatible`](crate::FailReason::Incompatible) where a description does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum SignalError {
    /// Not a description of one data-channel session.
    #[error("the description cannot be read")]
    BadDescription,
    /// Not a candidate.
    #[error("the candidate cannot be read")]
    BadCandidate,
    /// Both sides would speak first in DTLS, or neither.
    #[error("the two sides cannot agree who begins")]
    BadSetup,
    /// Another certificate than before, under a connection that has one.
    #[error("the certificate changed")]
    OtherFingerprint,
    /// An answer to no offer, an offer that crossed ours where the other side yields, or one that was overtaken on its way.
    #[error("the description comes at the wrong time")]
    WrongState,
    /// Of a generation that is over.
    #[error("it belongs to a generation that is over")]
    OtherGeneration,
    /// More than [`limits`](crate::limits) allow.
    #[error("too many signals")]
    TooMany,
    /// The candidate is of no use here: an unknown transport or component, or more than ICE takes.
    #[error("the candidate is of no use")]
    Unusable,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}
