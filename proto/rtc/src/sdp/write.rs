//! Writes a description: what Chromium and Firefox accept for one data-channel section, and no more.

use std::fmt;

use super::{OURS, OURS_POLITE, OtherSection, Protocol, Session};

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match (self.is_ours, self.is_polite) {
            (true, false) => OURS,
            (true, true) => OURS_POLITE,
            (false, _) => "-",
        };
        write!(f, "v=0\r\no={whose} {} {} IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", self.id, self.version)?;
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        if self.is_bundled && self.mid.is_some() {
            f.write_str("a=group:BUNDLE")?;
            let (tagged, _) = self.transport_section();
            let kept = |others: &[OtherSection]| {
                let kept = others.iter().filter(|other| other.kept.is_some());
                kept.filter_map(|other| other.mid.clone()).collect::<Vec<_>>()
            };
            let mids = kept(&self.before).into_iter().chain(self.mid.clone()).chain(kept(&self.after));
            let rest = mids.filter(|mid| Some(mid.as_str()) != tagged);
            tagged.map(str::to_owned).into_iter().chain(rest).try_for_each(|mid| write!(f, " {mid}"))?;
            f.write_str("\r\n")?;
        }
        self.before.iter().try_for_each(|section| self.write_other(section, f))?;
        self.write_section(f)?;
        self.after.iter().try_for_each(|section| self.write_other(section, f))
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
        self.write_transport(self.mid.as_deref(), f)?;
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
    /// ICE and DTLS of the section of this name. All of a bundle say the same; candidates are said once.
    fn write_transport(&self, mid: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport_section().0 == mid {
            for candidate in &self.candidates {
                write!(f, "a={candidate}\r\n")?;
            }
            if self.end_of_candidates {
                f.write_str("a=end-of-candidates\r\n")?;
            }
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
        mid.map_or(Ok(()), |mid| write!(f, "a=mid:{mid}\r\n"))
    }

    /// A section that an answer has to name (RFC 8829 5.3.1): inactive, or with port 0.
    fn write_other(&self, section: &OtherSection, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OtherSection { media, protocol, format, mid, kept } = section;
        let port = if kept.is_some() { 9 } else { 0 };
        write!(f, "m={media} {port} {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n")?;
        let Some(codec) = kept else {
            return mid.iter().try_for_each(|mid| write!(f, "a=mid:{mid}\r\n"));
        };
        self.write_transport(mid.as_deref(), f)?;
        f.write_str("a=rtcp-mux\r\n")?;
        let said = [("rtpmap", &codec.rtpmap), ("fmtp", &codec.fmtp)];
        said.into_iter()
            .filter_map(|(name, said)| Some((name, said.as_ref()?)))
            .try_for_each(|(name, said)| write!(f, "a={name}:{format} {said}\r\n"))
    }
}
