//! Codes and passwords as people write them, out of chats, clipboards and keyboards of every kind: read alike for every client.

use unicode_normalization::UnicodeNormalization as _;

use super::names::LobbyCode;

/// Letters of a text in which a code is looked for.
const TYPED_MAX: usize = 256;

/// The code in what somebody typed or pasted: without regard to case, spaces and dashes, in letters of any width (NFKC), in a link behind its `#`,
/// behind words and a colon. `None` where no lobby can have it.
pub(crate) fn code(text: &str) -> Option<LobbyCode> {
    let plain: String = text.nfkc().take(TYPED_MAX).filter(|letter| !is_invisible(*letter)).collect();
    let is_between = |letter: char| letter.is_whitespace() || is_dash(letter);
    let parts = |text: &str| {
        let parts = text.split(|letter: char| !letter.is_alphanumeric() && !is_between(letter));
        let parts = parts.map(|part| part.chars().filter(|letter| !is_between(*letter)).collect::<String>());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
    };
    match plain.rsplit_once('#') {
        Some((_, behind)) => LobbyCode::parse(parts(behind).first()?),
        None => LobbyCode::parse(parts(&plain).last()?),
    }
}

/// A password as it is compared: composed, with one kind of space, and none at its ends (RFC 8265 section 4.2.2, `OpaqueString`; the ends are ours).
pub(crate) fn password(text: &str) -> String {
    let plain: String = text.nfc().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).collect();
    plain.trim().to_owned()
}

fn is_dash(letter: char) -> bool {
    matches!(letter, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// What clipboards bring along: soft hyphens, zero width, marks of direction, byte order marks.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_what_people_write() {
        let typed = [
            "nk5d",
            "NK5D\n",
            " NK5D",
            "NK-5D",
            "NK 5D",
            "#NK5D",
            "\u{ff2e}\u{ff2b}\u{ff15}\u{ff24}",
            "NK5D\u{200b}",
            "\u{feff}NK5D",
            "NK\u{2011}5D",
            "Code: NK5D",
            "Game: nk5d",
            "https://play.example/#NK5D",
            "https://play.example/x?y=1#nk5d",
            "https://play.example/#NK5D?utm_source=chat",
            "/#NK5D/",
            "NK5D.",
            "join me: https://play.example/#NK5D !",
            "\u{201c}NK5D\u{201d}",
        ];
        for text in typed {
            assert_eq!(code(text).map(|code| code.to_string()).as_deref(), Some("NK5D"), "{text:?}");
        }
        for text in [
            "",
            " ",
            "#",
            "NK5",
            "NKOD",
            "NK5D NK5D NK5D",
            "https://play.example/",
            "\u{1f600}",
            &"-".repeat(100_000),
        ] {
            assert_eq!(code(text), None, "{text:?}");
        }
        assert_eq!(code("2345678\u{2013}9AB").map(|code| code.to_string()).as_deref(), Some("23456789AB"));
    }

    #[test]
    fn a_password_is_the_same_from_every_keyboard() {
        for (set, typed) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("geheim", "geheim "),
            ("geheim", "\tgeheim\n"),
            ("open sesame", "open\u{a0}sesame"),
            ("open sesame", "open\u{3000}sesame"),
        ] {
            assert_eq!(password(set), password(typed));
        }
        for (one, two) in [("a", "A"), ("a b", "ab"), ("\u{ff41}", "a")] {
            assert_ne!(password(one), password(two));
        }
    }
}
