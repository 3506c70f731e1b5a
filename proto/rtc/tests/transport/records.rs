//! DTLS records in the clear, taken apart and put together.

/// One handshake message.
#[derive(Clone)]
pub struct Message {
    pub kind: u8,
    pub number: u16,
    pub body: Vec<u8>,
}

impl Message {
    pub fn fragment(&self, start: usize, end: usize) -> Vec<u8> {
        let u24 = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
        let mut bytes = vec![self.kind];
        bytes.extend(u24(self.body.len()));
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(u24(start));
        bytes.extend(u24(end - start));
        bytes.extend(&self.body[start..end]);
        bytes
    }
}

/// A record in the clear.
pub fn record(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![22, 254, 253, 0, 0];
    bytes.extend(&number.to_be_bytes()[2..]);
    bytes.extend((content.len() as u16).to_be_bytes());
    bytes.extend(content);
    bytes
}

/// The messages in the clear of a datagram, and what else is in it. Messages that come cut are not expected.
pub fn take_apart(mut datagram: &[u8]) -> (Vec<Message>, Vec<u8>) {
    let (mut messages, mut rest) = (Vec::new(), Vec::new());
    while datagram.first().is_some_and(|first| first & 0b1110_0000 != 0b0010_0000) {
        let len = 13 + usize::from(u16::from_be_bytes([datagram[11], datagram[12]]));
        let (head, tail) = datagram.split_at(len);
        datagram = tail;
        if head[0] != 22 || head[3..5] != [0, 0] {
            rest.extend(head);
            continue;
        }
        let content = &head[13..];
        let [kind, _, _, _, n0, n1, ..] = *content else { panic!("a fragment without a header") };
        assert_eq!((&content[1..4], &content[6..9]), (&content[9..12], &[0; 3][..]), "already cut");
        messages.push(Message { kind, number: u16::from_be_bytes([n0, n1]), body: content[12..].to_vec() });
    }
    rest.extend(datagram);
    (messages, rest)
}
