//! As much of DNS messages (RFC 1035, RFC 6762) as names of hosts need: questions for addresses, and answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Questions and records that are read of one message; the rest is passed over.
const ENTRIES_MAX: usize = 64;
/// Pointers followed in one name (RFC 1035 4.1.4): a loop of them ends here.
const POINTERS_MAX: usize = 8;
/// Bytes of a name, dots included.
pub const NAME_LEN_MAX: usize = 253;
/// Bytes of a part of a name.
const LABEL_LEN_MAX: usize = 63;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
/// On a record: all others of this name are out of date (RFC 6762 10.2). On a question: answer me alone (5.4).
const TOP_BIT: u16 = 0x8000;
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
/// Seconds for which an answer is good (RFC 6762 10: host names).
const TTL_S: u32 = 120;

/// What a message says of addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Names that are asked for, in lower case.
    pub questions: Vec<String>,
    /// Names, in lower case, and what they stand for.
    pub answers: Vec<(String, IpAddr)>,
}

/// Asks for the addresses of `name`.
pub fn query(name: &str) -> Vec<u8> {
    let mut bytes = header(0, 2, 0);
    for kind in [TYPE_A, TYPE_AAAA] {
        put_name(&mut bytes, name);
        put(&mut bytes, &[kind, CLASS_IN]);
    }
    bytes
}

/// Says what `name` stands for.
pub fn answer(name: &str, ip: IpAddr) -> Vec<u8> {
    let mut bytes = header(FLAG_RESPONSE | FLAG_AUTHORITATIVE, 0, 1);
    put_name(&mut bytes, name);
    let (kind, address) = match ip {
        IpAddr::V4(v4) => (TYPE_A, v4.octets().to_vec()),
        IpAddr::V6(v6) => (TYPE_AAAA, v6.octets().to_vec()),
    };
    put(&mut bytes, &[kind, CLASS_IN | TOP_BIT]);
    bytes.extend_from_slice(&TTL_S.to_be_bytes());
    put(&mut bytes, &[address.len() as u16]);
    bytes.extend_from_slice(&address);
    bytes
}

/// Reads a message; `None`: it is cut short or not one.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 0 };
    let [_, flags, questions, records @ ..]: [u16; 6] = reader.words()?;
    let mut message = Message::default();
    for _ in 0..usize::from(questions).min(ENTRIES_MAX) {
        let name = reader.name()?;
        let [kind, class] = reader.words()?;
        if flags & FLAG_RESPONSE == 0
            && [TYPE_A, TYPE_AAAA, TYPE_ANY].contains(&kind)
            && class & !TOP_BIT == CLASS_IN
        {
            message.questions.push(name);
        }
    }
    if flags & FLAG_RESPONSE == 0 {
        return Some(message);
    }
    // Chromium puts an address behind its answer that there is no other.
    for _ in 0..records.map(usize::from).iter().sum::<usize>().min(ENTRIES_MAX) {
        let Some((name, ip)) = reader.record() else { break };
        message.answers.extend(ip.map(|ip| (name, ip)));
    }
    Some(message)
}

fn header(flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    put(&mut bytes, &[0, flags, questions, answers, 0, 0]);
    bytes
}

fn put(bytes: &mut Vec<u8>, words: &[u16]) {
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

/// `name` has labels of 1 to 63 bytes: see [`is_name`].
fn put_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        bytes.push(label.len().min(LABEL_LEN_MAX) as u8);
        bytes.extend(label.bytes().take(LABEL_LEN_MAX));
    }
    bytes.push(0);
}

/// Whether it is `label.local` (draft-ietf-mmusic-mdns-ice-candidates 3.2.1: names with more than one dot are not resolved).
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.len() <= NAME_LEN_MAX
        && name.split_once('.').is_some_and(|(label, rest)| {
            rest.eq_ignore_ascii_case("local")
                && (1..=LABEL_LEN_MAX).contains(&label.len())
                && label.bytes().all(plain)
        })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn words<const N: usize>(&mut self) -> Option<[u16; N]> {
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(self.take(2 * N)?.chunks_exact(2)) {
            *word = u16::from_be_bytes(bytes.try_into().ok()?);
        }
        Some(words)
    }

    /// In lower case; bytes that are not ASCII become `?`, and match nothing of ours.
    fn name(&mut self) -> Option<String> {
        let (mut name, mut pointers, mut resume) = (String::new(), 0, None);
        loop {
            let length = usize::from(*self.take(1)?.first()?);
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    let label = self.take(length)?;
                    name.extend(label.iter().map(|byte| match byte {
                        b'!'..=b'~' => byte.to_ascii_lowercase() as char,
                        _ => '?',
                    }));
                    if name.len() > NAME_LEN_MAX {
                        return None;
                    }
                }
                3 if pointers < POINTERS_MAX => {
                    let low = usize::from(*self.take(1)?.first()?);
                    resume.get_or_insert(self.at);
                    pointers += 1;
                    self.at = (length & 0x3F) << 8 | low;
                }
                _ => return None,
            }
        }
        self.at = resume.unwrap_or(self.at);
        Some(name)
    }

    fn record(&mut self) -> Option<(String, Option<IpAddr>)> {
        let name = self.name()?;
        let [kind, class, _, _, length] = self.words()?;
        let data = self.take(usize::from(length))?;
        let ip = match kind {
            _ if class & !TOP_BIT != CLASS_IN => None,
            TYPE_A => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
            TYPE_AAAA => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        };
        Some((name, ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "2b6f3c1e-9a55-4a7e-8d0b-6f9f3c0a1d22.local";

    #[test]
    fn a_question_is_read_as_it_was_asked() {
        let message = parse(&query(&NAME.to_uppercase())).unwrap();
        assert_eq!(message, Message { questions: vec![NAME.into(); 2], answers: vec![] });
    }

    #[test]
    fn an_answer_of_either_family_is_read_as_it_was_given() {
        for ip in ["192.0.2.7", "2001:db8::7"].map(|ip| ip.parse().unwrap()) {
            let message = parse(&answer(NAME, ip)).unwrap();
            assert_eq!(message, Message { questions: vec![], answers: vec![(NAME.into(), ip)] });
        }
    }

    #[test]
    fn a_name_behind_a_pointer_is_followed_and_a_loop_of_them_ends() {
        let mut bytes = answer("a.local", "192.0.2.7".parse().unwrap());
        bytes[7] = 2;
        let mut second = vec![0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 8];
        bytes.append(&mut second);
        let ips: Vec<_> =
            parse(&bytes).unwrap().answers.into_iter().map(|(name, ip)| format!("{name} {ip}")).collect();
        assert_eq!(ips, ["a.local 192.0.2.7", "a.local 192.0.2.8"]);

        let mut looped = header(FLAG_RESPONSE, 0, 1);
        looped.extend([0xC0, 12]);
        assert_eq!(parse(&looped).unwrap(), Message::default());
    }

    #[test]
    fn an_address_in_any_section_is_found() {
        for section in [3, 4, 5] {
            let mut bytes = answer("a.local", "192.0.2.7".parse().unwrap());
            bytes[6..12].fill(0);
            bytes[2 * section + 1] = 1;
            assert_eq!(parse(&bytes).unwrap().answers.len(), 1, "section {section}");
        }
    }

    #[test]
    fn no_byte_of_a_message_breaks_the_reader() {
        let good = answer(NAME, "192.0.2.7".parse().unwrap());
        for at in 0..good.len() {
            assert!(parse(&good[..at]).is_none_or(|message| message.answers.is_empty()));
            for byte in 0..=255 {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = parse(&bad);
            }
        }
    }

    #[test]
    fn a_message_with_thousands_of_entries_is_read_up_to_the_limit() {
        let one = answer("a.local", "192.0.2.7".parse().unwrap());
        let mut bytes = header(FLAG_RESPONSE, 0, 1_000);
        (0..1_000).for_each(|_| bytes.extend(&one[12..]));
        assert_eq!(parse(&bytes).unwrap().answers.len(), ENTRIES_MAX);
    }

    #[test]
    fn only_names_right_below_local_are_names() {
        assert!(is_name(NAME) && is_name("My-Laptop.LOCAL"));
        let long = format!("{}.local", "a".repeat(64));
        for name in ["local", ".local", "a.b.local", "play.example", "a b.local", "é.local", &long] {
            assert!(!is_name(name), "{name}");
        }
    }
}
