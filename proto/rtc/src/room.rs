//! Who gives way where there are more candidates than are taken: of those that are most alike the last, so that fifty interfaces leave room
//! for a relay.

/// What a candidate is like, by its text, which nobody has looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

/// How many classes there are.
const CLASSES: usize = 20;

impl Class {
    /// Of `candidate:…`: its kind, whether it is TCP, and whether it is IPv6.
    pub(crate) fn of(text: &str) -> Class {
        let mut words = text.split_ascii_whitespace();
        let is_tcp = words.nth(2).is_some_and(|transport| transport.eq_ignore_ascii_case("tcp"));
        let is_v6 = words.nth(1).is_some_and(|address| address.contains(':'));
        let kind = match words.skip_while(|word| *word != "typ").nth(1) {
            Some("host") => 0,
            Some("srflx") => 1,
            Some("prflx") => 2,
            Some("relay") => 3,
            _ => 4,
        };
        Class(kind * 4 + u8::from(is_tcp) * 2 + u8::from(is_v6))
    }
}

/// Which of these gives way to a newcomer: the last of the most numerous class, if the newcomer's class has fewer by two, so that
/// nobody gives way for ever.
pub(crate) fn gives_way(known: impl Iterator<Item = Class> + Clone, newcomer: Class) -> Option<usize> {
    let mut counts = [0; CLASSES];
    for class in known.clone() {
        if let Some(count) = counts.get_mut(usize::from(class.0)) {
            *count += 1;
        }
    }
    let alike = |class: Class| counts.get(usize::from(class.0)).copied().unwrap_or(0);
    let (index, class) = known.enumerate().max_by_key(|(_, class)| alike(*class))?;
    (alike(class) >= alike(newcomer) + 2).then_some(index)
}

/// So many of these texts, evenly of all classes, in their order.
pub(crate) fn evenly<'a>(texts: &[&'a str], max: usize) -> Vec<&'a str> {
    let mut taken: Vec<(Class, &str)> = Vec::new();
    for text in texts {
        let newcomer = Class::of(text);
        if taken.len() >= max {
            let Some(index) = gives_way(taken.iter().map(|(class, _)| *class), newcomer) else { continue };
            taken.remove(index);
        }
        taken.push((newcomer, text));
    }
    taken.into_iter().map(|(_, text)| text).collect()
}
