//! What two peers say to each other: bytes, text, or a JSON value.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One message's content. It arrives as what it was sent.
///
/// ```
/// use twocan::Data;
///
/// assert_eq!(Data::from("hello").as_text(), Some("hello"));
/// assert_eq!(Data::from(vec![1, 2, 3]).as_bytes(), Some(&[1, 2, 3][..]));
///
/// let shot = Data::json(&("shot", 12, 7));
/// assert_eq!(shot.to::<(String, u32, u32)>().unwrap(), ("shot".to_owned(), 12, 7));
/// ```
#[derive(Clone, PartialEq)]
pub enum Data {
    /// Bytes; a page receives a `Uint8Array`.
    Bytes(Bytes),
    /// Text; a page receives a `string`.
    Text(String),
    /// Any other value; a page receives it as `JSON.parse` reads it.
    Json(Value),
}

impl Data {
    /// A value as JSON. One that cannot be written as JSON (a map whose keys are not text) becomes `null`.
    #[must_use]
    pub fn json(value: &(impl Serialize + ?Sized)) -> Self {
        Self::Json(serde_json::to_value(value).unwrap_or(Value::Null))
    }

    /// Reads a value: of JSON, or of text or bytes that hold JSON.
    ///
    /// # Errors
    /// It is something else.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self {
            Self::Bytes(bytes) => serde_json::from_slice(bytes),
            Self::Text(text) => serde_json::from_str(text),
            Self::Json(value) => T::deserialize(value),
        }
    }

    /// The bytes, if it is bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The value, if it is JSON.
    #[must_use]
    pub fn as_json(&self) -> Option<&Value> {
        if let Self::Json(value) = self { Some(value) } else { None }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "Bytes({} B)", bytes.len()),
            Self::Text(text) => write!(formatter, "Text({text:?})"),
            Self::Json(value) => write!(formatter, "Json({value})"),
        }
    }
}

macro_rules! from {
    ($($type:ty, $value:ident => $data:expr;)*) => {$(
        impl From<$type> for Data {
            fn from($value: $type) -> Self {
                $data
            }
        }
    )*};
}
from! {
    &str, text => Self::Text(text.to_owned());
    String, text => Self::Text(text);
    Bytes, bytes => Self::Bytes(bytes);
    Vec<u8>, bytes => Self::Bytes(bytes.into());
    &[u8], bytes => Self::Bytes(Bytes::copy_from_slice(bytes));
    Value, value => Self::Json(value);
}

impl<const N: usize> From<&[u8; N]> for Data {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Data {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(&bytes))
    }
}
