//! Writes a description: what Chromium and Firefox accept for one data-channel section, and no more.

use std::fmt;

use super::{OURS, OtherSection, Protocol, Session};

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_ours { OURS } else { "-" };
        write!(f, "v=0\r\no={whose} {} {} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", self.id, self.version)?;
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if let Some(mid) = self.mid.as_deref().filter(|_| self.is_bundled) {
            write!(f, "a=group:BUNDLE {mid}\r\n")?;
        }
        self.before.iter().try_for_each(|section| refuse(section, f))?;
        self.write_section(f)?;
        self.after.iter().try_for_each(|section| refuse(section, f))
    }
}

impl Session {
    fn write_section(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.sctp_port;
        match self.protocol {
            Protocol::Udp => f.write_str("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")?,
            Protocol::Tcp => f.write_str("m=application 9 TCP/DTLS/SCTP webrtc-datachannel\r\n")?,
            Protocol::SctpMap => write!(f, "m=application 9 DTLS/SCTP {port}\r\n")?,
        }
        f.write_str("c=IN IP4 0.0.0.0\r\n")?;
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.end_of_candidates {
            f.write_str("a=end-of-candidates\r\n")?;
        }
        let credentials = &self.credentials;
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", credentials.ufrag, credentials.pwd)?;
        if self.trickle {
            f.write_str("a=ice-options:trickle\r\n")?;
        }
        for fingerprint in &self.fingerprints {
            write!(f, "a=fingerprint:{fingerprint}\r\n")?;
        }
        write!(f, "a=setup:{}\r\n", self.setup.as_str())?;
        if let Some(mid) = &self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        match self.protocol {
            Protocol::Udp | Protocol::Tcp => write!(f, "a=sctp-port:{port}\r\n")?,
            Protocol::SctpMap => write!(f, "a=sctpmap:{port} webrtc-datachannel 65535\r\n")?,
        }
        write!(f, "a=max-message-size:{}\r\n", self.max_message_size)?;
        match &self.sctp_init {
            Some(init) => write!(f, "a=sctp-init:{init}\r\n"),
            None => Ok(()),
        }
    }
}

/// A section that an answer has to name (RFC 8829 5.3.1), with port 0.
fn refuse(section: &OtherSection, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let OtherSection { media, protocol, format, mid } = section;
    write!(f, "m={media} 0 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n")?;
    match mid {
        Some(mid) => write!(f, "a=mid:{mid}\r\n"),
        None => Ok(()),
    }
}
