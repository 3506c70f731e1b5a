//! What comes with text that people pass on by hand: marks, odd spaces and line ends, quotes around it. It means nothing, and is taken away.

use std::borrow::Cow;

/// The text without what a clipboard, a chat or an editor adds: a byte order mark and other characters without width, blank lines and spaces
/// around it, quotes or a fence around all of it. Spaces of other kinds become plain ones; what a JSON string escapes is read where
/// the text has no line of its own.
pub fn tidy(text: &str) -> Cow<'_, str> {
    let text = unquoted(text);
    let is_escaped = text.contains('\\') && !text.contains(is_line_end);
    let is_plain =
        text.chars().all(|character| character.is_ascii() || !(is_space(character) || is_nothing(character)));
    if is_plain && !is_escaped {
        return Cow::Borrowed(text);
    }
    let text = if is_escaped { unescaped(text) } else { text.to_owned() };
    let kept = text.chars().filter(|character| !is_nothing(*character));
    Cow::Owned(kept.map(|character| if is_space(character) { ' ' } else { character }).collect())
}

/// Whether lines end here: CR and LF, together or alone, and what Unicode has for it. Control characters besides end none.
pub fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{2028}' | '\u{2029}')
}

fn is_space(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
    )
}

/// Of no width.
fn is_nothing(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The marks that end what this one begins; `None`: it begins no quotation.
fn closing(quote: char) -> Option<&'static [char]> {
    Some(match quote {
        '"' => &['"'],
        '\'' => &['\''],
        '`' => &['`'],
        '\u{AB}' => &['\u{BB}'],
        '\u{BB}' => &['\u{AB}', '\u{BB}'],
        '\u{2018}'..='\u{201B}' => &['\u{2018}', '\u{2019}'],
        '\u{201C}'..='\u{201F}' => &['\u{201C}', '\u{201D}'],
        _ => return None,
    })
}

/// A quote at the end alone belongs to the text.
fn unquoted(text: &str) -> &str {
    let is_around = |character: char| is_line_end(character) || is_space(character) || is_nothing(character);
    let mut text = text.trim_matches(is_around);
    while let Some((first, rest)) =
        text.chars().next().and_then(|first| Some((first, text.get(first.len_utf8()..)?)))
        && let Some(closing) = closing(first)
    {
        text = rest.strip_suffix(closing).unwrap_or(rest).trim_matches(is_around);
    }
    text
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('r') => plain.push('\r'),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some(other @ ('"' | '\\' | '/')) => plain.push(other),
            other => {
                plain.push('\\');
                plain.extend(other);
            }
        }
    }
    plain
}
