//! The connection's words and the lobby's, one for another.

use twocan_lobby::wire::{Class, IceServer, Reason};

use crate::connection::{self, FailReason, IceUrl, Kind};

/// The kind of a candidate.
pub fn class(kind: Kind) -> Class {
    match kind {
        Kind::Host => Class::Host,
        Kind::ServerReflexive => Class::Srflx,
        Kind::PeerReflexive => Class::Prflx,
        Kind::Relayed => Class::Relay,
    }
}

/// The same, from the word in a candidate.
pub fn class_word(word: &str) -> Option<Class> {
    match word {
        "host" => Some(Class::Host),
        "srflx" => Some(Class::Srflx),
        "prflx" => Some(Class::Prflx),
        "relay" => Some(Class::Relay),
        _ => None,
    }
}

macro_rules! reasons {
    ($($name:ident)*) => {
        /// Why a link failed, as the program is told.
        pub fn reason(reason: Reason) -> FailReason {
            match reason {
                $(Reason::$name => FailReason::$name,)*
            }
        }

        /// Why a link failed, as the server is told.
        pub fn wire_reason(reason: FailReason) -> Reason {
            match reason {
                $(FailReason::$name => Reason::$name,)*
            }
        }
    };
}
reasons!(NoCandidates NoRemoteCandidates TurnRejected TurnUnreachable ChecksFailed Timeout DtlsFailed PeerLeft SignalingLost Incompatible);

/// An ICE server as the connection takes it; URLs that it cannot read are left out.
pub fn gathered(
    server: IceServer,
    filter: Option<&(dyn Fn(&str) -> bool + Send + Sync)>,
) -> Option<connection::IceServer> {
    let wanted = server.urls.iter().filter(|url| filter.is_none_or(|filter| filter(url)));
    let urls: Vec<IceUrl> = wanted.filter_map(|url| IceUrl::parse(url).ok()).collect();
    if urls.is_empty() {
        return None;
    }
    let (username, credential) = (server.username.unwrap_or_default(), server.credential.unwrap_or_default());
    Some(connection::IceServer { urls, username, credential })
}
