//! Messages as pieces on a data channel (`docs/protocol.md` §2): one header byte, then content.
//!
//! ```text
//! bit 7: more pieces follow    bits 0-1: 0 bytes, 1 UTF-8 text, 2 JSON    all others zero
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::data::Data;

/// Content bytes of one piece at most.
pub const PIECE_BYTES_MAX: usize = 65_535;
/// Content bytes of one piece that every peer must take.
pub const PIECE_BYTES_MIN: usize = 1_023;
/// Content bytes of one message at most.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

const BYTES: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;
const KIND: u8 = 3;
const MORE: u8 = 0x80;

/// A message, ready to be cut.
#[derive(Clone, Debug)]
pub struct Encoded {
    kind: u8,
    content: Bytes,
}

/// A message as kind and content. Bytes are not copied.
pub fn encode(data: Data) -> Encoded {
    match data {
        Data::Bytes(bytes) => Encoded { kind: BYTES, content: bytes },
        Data::Text(text) => Encoded { kind: TEXT, content: text.into() },
        Data::Json(value) => Encoded { kind: JSON, content: value.to_string().into() },
    }
}

impl Encoded {
    /// JSON that is text already.
    pub fn json_text(text: &str) -> Self {
        Self { kind: JSON, content: Bytes::copy_from_slice(text.as_bytes()) }
    }

    /// Content bytes.
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Its pieces of at most `max` content bytes, one after another; at least one.
    pub fn pieces(self, max: usize) -> impl Iterator<Item = Bytes> {
        let Self { kind, mut content } = self;
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let part = content.split_to(content.len().min(max));
            is_over = content.is_empty();
            let mut piece = BytesMut::with_capacity(1 + part.len());
            piece.put_u8(if is_over { kind } else { kind | MORE });
            piece.put_slice(&part);
            Some(piece.freeze())
        })
    }
}

/// Puts the pieces of one channel together again.
#[derive(Debug)]
pub struct Reassembler {
    /// This channel is ordered and reliable, so messages may have more than one piece.
    joins: bool,
    /// Pieces and messages that could not be read.
    pub discarded: u64,
    /// Of the message that is being put together; `None` between two messages.
    kind: Option<u8>,
    buffer: BytesMut,
    spoiled: bool,
}

impl Reassembler {
    pub fn new(joins: bool) -> Self {
        Self { joins, discarded: 0, kind: None, buffer: BytesMut::new(), spoiled: false }
    }

    /// Takes one piece; the message, when that completes one.
    pub fn push(&mut self, mut piece: Bytes) -> Option<Data> {
        let header = if piece.is_empty() { KIND } else { piece.split_to(1)[0] };
        let (kind, more) = (header & KIND, header & MORE != 0);
        let length = self.buffer.len() + piece.len();
        self.spoiled |= kind == KIND
            || self.kind.is_some_and(|first| first != kind)
            || header & !(KIND | MORE) != 0
            || (more && !self.joins)
            || length > MESSAGE_BYTES_MAX;
        self.kind.get_or_insert(kind);
        if more && self.joins {
            if self.spoiled {
                // Nothing is kept of it, and its end is waited for.
                self.buffer = BytesMut::new();
            } else {
                self.buffer.extend_from_slice(&piece);
            }
            return None;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let spoiled = std::mem::take(&mut self.spoiled);
        self.kind = None;
        let whole = if buffer.is_empty() {
            piece
        } else {
            let mut buffer = buffer;
            buffer.extend_from_slice(&piece);
            buffer.freeze()
        };
        let data = if spoiled { None } else { decode(kind, whole) };
        self.discarded += u64::from(data.is_none());
        data
    }
}

/// `None` for what is not UTF-8, or not JSON.
fn decode(kind: u8, content: Bytes) -> Option<Data> {
    match kind {
        BYTES => Some(Data::Bytes(content)),
        TEXT => String::from_utf8(content.into()).ok().map(Data::Text),
        _ => serde_json::from_slice(&content).ok().map(Data::Json),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn through(data: &Data, max: usize) -> Data {
        let mut reassembler = Reassembler::new(true);
        let mut results: Vec<Option<Data>> =
            encode(data.clone()).pieces(max).map(|piece| reassembler.push(piece)).collect();
        let last = results.pop().unwrap();
        assert!(results.iter().all(Option::is_none));
        last.unwrap()
    }

    #[test]
    fn text_bytes_and_json_arrive_as_what_they_were() {
        let all = [
            Data::from("héllo"),
            Data::from(""),
            Data::from(vec![1, 2, 3]),
            Data::from(Vec::new()),
            Data::from(json!({"a":[1,null,"é"]})),
            Data::from(Value::Null),
            Data::from("é".repeat(100_000)),
            Data::from((0..300_001_u32).map(|index| (index * 7) as u8).collect::<Vec<_>>()),
        ];
        for data in all {
            for max in [999, PIECE_BYTES_MAX] {
                assert!(through(&data, max) == data);
            }
        }
    }

    /// The same file that the SDK's tests read.
    #[test]
    fn the_shared_vectors_hold() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/framing.json")).unwrap();
        for vector in vectors["cut"].as_array().unwrap() {
            let data = data_of(&vector["data"]);
            let max = vector["max"].as_u64().unwrap() as usize;
            let pieces: Vec<String> = encode(data).pieces(max).map(|piece| hex(&piece)).collect();
            assert_eq!(json!(pieces), vector["pieces"], "{vector}");
        }
        for vector in vectors["join"].as_array().unwrap() {
            let mut reassembler = Reassembler::new(vector["joins"].as_bool().unwrap());
            let pieces = vector["pieces"].as_array().unwrap().iter();
            let messages: Vec<Value> = pieces
                .filter_map(|piece| reassembler.push(unhex(piece.as_str().unwrap())))
                .map(|data| told(&data))
                .collect();
            assert_eq!(json!(messages), vector["messages"], "{vector}");
            assert_eq!(json!(reassembler.discarded), vector["discarded"], "{vector}");
        }
    }

    #[test]
    fn a_message_of_more_than_64_mib_is_dropped_and_its_memory_with_it() {
        let mut reassembler = Reassembler::new(true);
        let mut piece = vec![0; 1 + PIECE_BYTES_MAX];
        piece[0] = MORE;
        let piece = Bytes::from(piece);
        for _ in 0..=MESSAGE_BYTES_MAX / PIECE_BYTES_MAX {
            assert_eq!(reassembler.push(piece.clone()), None);
        }
        assert_eq!(reassembler.buffer.capacity(), 0);
        assert_eq!(reassembler.push(Bytes::from_static(&[0, 1])), None);
        assert_eq!(reassembler.discarded, 1);
        assert_eq!(reassembler.push(Bytes::from_static(&[0, 1])), Some(Data::from([1])));
    }

    fn data_of(value: &Value) -> Data {
        match (value["hex"].as_str(), value["text"].as_str()) {
            (Some(bytes), _) => Data::Bytes(unhex(bytes)),
            (_, Some(text)) => Data::from(text),
            _ => Data::Json(value["json"].clone()),
        }
    }

    fn told(data: &Data) -> Value {
        match data {
            Data::Bytes(bytes) => json!({"hex":hex(bytes)}),
            Data::Text(text) => json!({"text":text}),
            Data::Json(value) => json!({"json":value}),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(text: &str) -> Bytes {
        let digits = text.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }
}
