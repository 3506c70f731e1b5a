//! A cursor over the caller's buffer: values are appended, and running out of room is an error.

use crate::BuildError;

/// Appends to a buffer that someone else owns. Attributes write their values through it.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Writer<'b> {
        Writer { buffer, len: 0 }
    }

    /// Appends these bytes.
    ///
    /// # Errors
    /// `NoRoom`; nothing was written then.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        let end = self.len.checked_add(bytes.len()).ok_or(BuildError::NoRoom)?;
        self.buffer.get_mut(self.len..end).ok_or(BuildError::NoRoom)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// How many bytes were appended.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Forgets what was appended after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What was appended so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).expect("len never passes the buffer's end")
    }

    /// Writes over bytes that were appended before.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.buffer
            .get_mut(at..at + bytes.len())
            .expect("only what was written is patched")
            .copy_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> &'b mut [u8] {
        self.buffer.get_mut(..self.len).expect("len never passes the buffer's end")
    }
}
