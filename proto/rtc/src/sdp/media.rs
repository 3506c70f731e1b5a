//! Audio and video in a description: what of it is kept, so that the bundle of which it is a part holds.

use super::limits;
use super::parse::Section;
use super::{Codec, OtherSection, ParseError};

/// Formats that are no codecs: what is sent beside them, or around them.
const HELPERS: [&str; 7] = ["rtx", "red", "ulpfec", "flexfec-03", "telephone-event", "CN", "t140"];

/// The section as one that is refused.
pub(super) fn refused(section: &Section<'_>) -> Result<OtherSection, ParseError> {
    Ok(OtherSection {
        media: section.media.into(),
        protocol: section.protocol.into(),
        format: section.formats.first().copied().unwrap_or_default().into(),
        mid: section.mid()?,
        kept: None,
    })
}

/// The section as one that is kept, if it can be: RTP with its RTCP on one port (RFC 9143 9), and not refused by its writer.
pub(super) fn kept(section: &Section<'_>) -> Result<OtherSection, ParseError> {
    let plain = refused(section)?;
    let is_media = matches!(section.media, "audio" | "video") && section.protocol.contains("RTP/SAVP");
    if !is_media || section.is_refused() || !section.attributes.is_rtcp_mux {
        return Ok(plain);
    }
    let about = |lines: &[&str], format: &str| {
        let said = lines.iter().filter_map(|line| line.split_once([' ', '\t']));
        said.map(|(about, said)| (about, said.trim()))
            .find(|(about, said)| *about == format && (1..=limits::CODEC_LEN_MAX).contains(&said.len()))
            .map(|(_, said)| said.to_owned())
    };
    let codec = |format: &&&str| {
        let name = about(&section.attributes.rtpmaps, format);
        let name = name.as_deref().and_then(|said| said.split('/').next());
        !name.is_some_and(|name| HELPERS.iter().any(|helper| helper.eq_ignore_ascii_case(name)))
    };
    let first = section.formats.iter().find(codec).or(section.formats.first());
    let Some(format) = first.copied() else { return Ok(plain) };
    let kept = Codec {
        rtpmap: about(&section.attributes.rtpmaps, format),
        fmtp: about(&section.attributes.fmtps, format),
    };
    Ok(OtherSection { format: format.into(), kept: Some(kept), ..plain })
}
