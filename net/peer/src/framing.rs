//! Messages as pieces on a data channel (`docs/protocol.md` §2): one header byte, then content.
//!
//! ```text
//! bit 7: more pieces follow    bits 0-1: 0 bytes, 1 UTF-8 text, 2 JSON    all others zero
//! ```

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::data::Data;
use crate::halves::Share;

/// Content bytes of one piece at most.
pub const PIECE_BYTES_MAX: usize = 65_535;
/// Content bytes of one piece that every peer must take.
pub const PIECE_BYTES_MIN: usize = 1_023;
/// Content bytes of one message on the control channel at most, whatever its kind.
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Content bytes of one message of text or JSON at most, or the option `max_message` where that is less.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Content bytes of one message of bytes at most, unless `max_message` says otherwise.
pub const MESSAGE_BYTES: usize = 16 << 20;
/// What `max_message` is at least.
pub const MESSAGE_BYTES_MIN: usize = 1_024;
/// What `max_message` is at most.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Values in one JSON message at most: each `[`, `{` and `,` outside of a string begins one.
pub const JSON_VALUES_MAX: usize = 65_536;
/// Arrays and objects inside one another in a JSON message at most.
pub const JSON_DEPTH_MAX: usize = 64;
/// What a piece counts for beside its bytes, while the rest of its message is waited for.
pub const PIECE_BYTES_COST: usize = 512;
/// From the first piece of a message to its last, at most.
pub const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Bytes that a JSON value may take in memory, beside those of its text: the smallest array has four places, and a
/// node of an object that is half full has as much for each.
const VALUE_COST: usize = 4 * size_of::<serde_json::Value>();
/// The same of an object: one node at least.
const OBJECT_COST: usize = 704;

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

    /// Whether it is within its limits, where `max_message` is `max`.
    pub fn fits(&self, max: usize) -> bool {
        self.len() <= longest(self.kind, max) && (self.kind != JSON || Structure::of(&self.content).is_some())
    }

    /// The most content bytes of a message of this kind.
    pub fn longest(&self, max: usize) -> usize {
        longest(self.kind, max)
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

/// The last piece of a message that is given up: of no kind, so that the other side drops the message.
pub fn spoiling_piece() -> Bytes {
    Bytes::from_static(&[KIND])
}

fn longest(kind: u8, max: usize) -> usize {
    if kind == BYTES { max } else { max.min(TEXT_BYTES_MAX) }
}

/// What JSON is made of, as far as that says what reading it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Structure {
    values: usize,
    objects: usize,
}

impl Structure {
    /// `None`: more values than [`JSON_VALUES_MAX`], or more levels than [`JSON_DEPTH_MAX`]. Looks at each byte once, and keeps nothing.
    fn of(json: &[u8]) -> Option<Self> {
        let mut structure = Self::default();
        let mut depth = 0_usize;
        let mut bytes = json.iter();
        let mut quoted = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' if quoted => drop(bytes.next()),
                _ if quoted => {}
                b',' => structure.values += 1,
                b'[' | b'{' => {
                    structure.values += 1;
                    structure.objects += usize::from(*byte == b'{');
                    depth += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > JSON_DEPTH_MAX || structure.values > JSON_VALUES_MAX {
                return None;
            }
        }
        Some(structure)
    }
}

/// A whole message that is not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    kind: u8,
    content: Bytes,
    structure: Structure,
}

impl Whole {
    /// `None`: it is JSON beyond its limits.
    fn new(kind: u8, content: Bytes) -> Option<Self> {
        let structure = if kind == JSON { Structure::of(&content)? } else { Structure::default() };
        Some(Self { kind, content, structure })
    }

    /// Bytes that it may take in memory once it is read: at least as many as it will.
    pub fn weight(&self) -> usize {
        let Structure { values, objects } = self.structure;
        self.content.len() + values * VALUE_COST + objects * OBJECT_COST
    }

    /// The text of a JSON message; `None`: it is something else.
    pub fn json_text(self) -> Option<String> {
        if self.kind == JSON { String::from_utf8(self.content.into()).ok() } else { None }
    }

    /// Its data; `None` for what is not UTF-8, or not JSON.
    pub fn read(self) -> Option<Data> {
        match self.kind {
            BYTES => Some(Data::Bytes(self.content)),
            TEXT => String::from_utf8(self.content.into()).ok().map(Data::Text),
            _ => serde_json::from_slice(&self.content).ok().map(Data::Json),
        }
    }
}

/// Puts the pieces of one channel together again.
#[derive(Debug)]
pub struct Reassembler {
    /// This channel is ordered and reliable, so messages may have more than one piece.
    joins: bool,
    /// Content bytes of one message at most: `max_message`.
    max: usize,
    /// Pieces and messages that could not be read, or were beyond a limit.
    pub discarded: u64,
    /// Of the message that is being put together; `None` between two messages.
    kind: Option<u8>,
    pieces: Vec<Bytes>,
    length: usize,
    /// Bytes for which the link counts what is here.
    kept: usize,
    /// Nothing is kept of this message, and its end is waited for.
    spoiled: bool,
    began: Option<Instant>,
    within: Duration,
}

impl Reassembler {
    /// A message must be whole `within` this, usually [`WHOLE_WITHIN`].
    pub fn new(joins: bool, max: usize, within: Duration) -> Self {
        Self {
            joins,
            max,
            within,
            discarded: 0,
            kind: None,
            pieces: Vec::new(),
            length: 0,
            kept: 0,
            spoiled: false,
            began: None,
        }
    }

    /// Takes one piece; the message, when that completes one. `share` counts what is kept meanwhile.
    pub fn push(&mut self, mut piece: Bytes, share: &Share, now: Instant) -> Option<Whole> {
        let header = if piece.is_empty() { KIND } else { piece.split_to(1)[0] };
        let (kind, more) = (header & KIND, header & MORE != 0);
        if self.kind.is_none() && more {
            self.began = Some(now);
        }
        let first = *self.kind.get_or_insert(kind);
        let length = self.length + piece.len();
        let is_sound = !self.spoiled
            && kind != KIND
            && kind == first
            && header & !(KIND | MORE) == 0
            && (!more || self.joins)
            && length <= longest(kind, self.max);
        if is_sound && self.keep(1 + piece.len() + PIECE_BYTES_COST, share) {
            self.pieces.push(piece);
            self.length = length;
        } else {
            self.spoil(share);
        }
        if more && self.joins {
            return None;
        }
        let pieces = std::mem::take(&mut self.pieces);
        let spoiled = std::mem::take(&mut self.spoiled);
        self.forget(share);
        (self.kind, self.began) = (None, None);
        if spoiled {
            return None;
        }
        let whole = Whole::new(kind, joined(pieces, length));
        self.discarded += u64::from(whole.is_none());
        whole
    }

    /// When what has come of a message is dropped, unless it is whole by then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.began.map(|began| began + self.within)
    }

    /// Drops a message that has taken too long.
    pub fn handle_timeout(&mut self, share: &Share, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.spoil(share);
        }
    }

    /// Drops what has come of a message, and counts it.
    pub fn spoil(&mut self, share: &Share) {
        if self.kind.is_some() && !self.spoiled {
            self.discarded += 1;
            self.spoiled = true;
            self.began = None;
            self.forget(share);
        }
    }

    fn keep(&mut self, bytes: usize, share: &Share) -> bool {
        self.kept += bytes;
        share.keep(bytes)
    }

    fn forget(&mut self, share: &Share) {
        share.release(std::mem::take(&mut self.kept));
        self.pieces = Vec::new();
        self.length = 0;
    }
}

/// One piece is not copied.
fn joined(mut pieces: Vec<Bytes>, length: usize) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(length);
    pieces.iter().for_each(|piece| whole.put_slice(piece));
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn through(data: &Data, max: usize) -> Data {
        let (mut reassembler, share) = make(true, MESSAGE_BYTES);
        let mut results: Vec<Option<Data>> =
            encode(data.clone()).pieces(max).map(|piece| push(&mut reassembler, piece, &share)).collect();
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
            let (mut reassembler, share) = make(vector["joins"].as_bool().unwrap(), MESSAGE_BYTES);
            let pieces = vector["pieces"].as_array().unwrap().iter();
            let messages: Vec<Value> = pieces
                .filter_map(|piece| push(&mut reassembler, unhex(piece.as_str().unwrap()), &share))
                .map(|data| told(&data))
                .collect();
            assert_eq!(json!(messages), vector["messages"], "{vector}");
            assert_eq!(json!(reassembler.discarded), vector["discarded"], "{vector}");
        }
    }

    #[test]
    fn the_shared_vectors_of_limits_hold() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/framing.json")).unwrap();
        for vector in vectors["limits"].as_array().unwrap() {
            let part = |part: &Value| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap() as usize);
            let content: String = vector["content"].as_array().unwrap().iter().map(part).collect();
            let max = vector["max"].as_u64().unwrap() as usize;
            let encoded = Encoded { kind: vector["kind"].as_u64().unwrap() as u8, content: content.into() };
            let fits = vector["fits"].as_bool().unwrap();
            assert_eq!(encoded.fits(max), fits, "{}", vector["name"]);
            let (mut reassembler, share) = make(true, max);
            let last =
                encoded.pieces(PIECE_BYTES_MAX).fold(None, |_, piece| push(&mut reassembler, piece, &share));
            assert_eq!(
                (last.is_some(), reassembler.discarded),
                (fits, u64::from(!fits)),
                "{}",
                vector["name"]
            );
            assert_eq!(push(&mut reassembler, Bytes::from_static(b"\x01A"), &share), Some(Data::from("A")));
        }
    }

    #[test]
    fn what_is_kept_follows_what_has_come_and_nothing_is_kept_of_what_is_too_large() {
        let (mut reassembler, share) = make(true, 1_000_000);
        let mut piece = vec![0; 1 + PIECE_BYTES_MAX];
        piece[0] = MORE;
        let piece = Bytes::from(piece);
        for count in 1..=15 {
            assert_eq!(push(&mut reassembler, piece.clone(), &share), None);
            assert_eq!(reassembler.kept, count * (piece.len() + PIECE_BYTES_COST));
        }
        assert_eq!(push(&mut reassembler, piece.clone(), &share), None);
        assert_eq!((reassembler.kept, reassembler.pieces.capacity(), reassembler.discarded), (0, 0, 1));
        assert_eq!(push(&mut reassembler, Bytes::from_static(&[0, 1]), &share), None);
        assert_eq!(push(&mut reassembler, Bytes::from_static(&[0, 1]), &share), Some(Data::from([1])));
        assert_eq!((reassembler.kept, reassembler.discarded), (0, 1));
    }

    #[test]
    fn a_message_that_is_not_whole_after_a_minute_is_dropped_and_the_next_has_its_own_minute() {
        let (mut reassembler, share) = make(true, MESSAGE_BYTES);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let begin = Bytes::from_static(&[MORE, 1]);
        assert_eq!(reassembler.push(begin.clone(), &share, at(0)), None);
        assert_eq!(reassembler.poll_timeout(), Some(at(60)));
        reassembler.handle_timeout(&share, at(59));
        assert!(reassembler.kept > 0);
        reassembler.handle_timeout(&share, at(60));
        assert_eq!((reassembler.kept, reassembler.discarded, reassembler.poll_timeout()), (0, 1, None));
        assert_eq!(reassembler.push(Bytes::from_static(&[0]), &share, at(61)), None);
        assert_eq!(reassembler.push(begin, &share, at(70)), None);
        reassembler.handle_timeout(&share, at(129));
        let whole = reassembler.push(Bytes::from_static(&[0, 2]), &share, at(129)).unwrap();
        assert_eq!((whole.read(), reassembler.discarded), (Some(Data::from([1, 2])), 1));
    }

    #[test]
    fn the_weight_of_json_is_known_before_it_is_read_and_is_no_less_than_what_it_takes() {
        let objects = |unit: &str, count: usize| format!("[{}]", vec![unit; count].join(","));
        let keys = (0..20_000).map(|index| format!("\"{index}\":0")).collect::<Vec<_>>().join(",");
        let all = [
            objects("0", 65_000),
            objects("{}", 30_000),
            objects("[]", 30_000),
            objects("\"\"", 65_000),
            objects("{\"a\":0}", 30_000),
            objects("[0]", 30_000),
            objects(&format!("{}0{}", "{\"a\":".repeat(60), "}".repeat(60)), 1_000),
            format!("{{{keys}}}"),
        ];
        for json in all {
            let (mut reassembler, share) = make(true, MESSAGE_BYTES);
            let mut pieces = Encoded::json_text(&json).pieces(PIECE_BYTES_MAX);
            let whole = pieces.find_map(|piece| reassembler.push(piece, &share, Instant::now())).unwrap();
            let weight = whole.weight();
            let Some(Data::Json(value)) = whole.read() else { panic!("{} is JSON", &json[..20]) };
            assert!(weight >= taken(&value), "{}…: {weight} < {}", &json[..20], taken(&value));
        }
    }

    /// Bytes that a value takes: its places in vectors and in nodes of eleven, of which the last may be all but empty.
    fn taken(value: &Value) -> usize {
        const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
        match value {
            Value::String(text) => text.capacity(),
            Value::Array(values) => {
                values.capacity() * size_of::<Value>() + values.iter().map(taken).sum::<usize>()
            }
            Value::Object(fields) => {
                let inside: usize = fields.iter().map(|(key, value)| key.capacity() + taken(value)).sum();
                fields.len().div_ceil(6) * NODE + inside
            }
            _ => 0,
        }
    }

    fn make(joins: bool, max: usize) -> (Reassembler, Share) {
        (Reassembler::new(joins, max, WHOLE_WITHIN), crate::halves::Halves::new(max).share())
    }

    fn push(reassembler: &mut Reassembler, piece: Bytes, share: &Share) -> Option<Data> {
        let before = reassembler.discarded;
        let data = reassembler.push(piece, share, Instant::now())?.read();
        // The link counts what cannot be read.
        reassembler.discarded = before + u64::from(data.is_none());
        data
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
