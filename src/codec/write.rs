//! Writing values (as serde has them) into a buffer, with room for a byte string that somebody else puts in
//! place: a store's records, the body that a signature is over.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Bytes in the encoding of `value`.
pub(crate) fn size_of_value<T: Serialize>(value: &T) -> Option<usize> {
    postcard::serialize_with_flavor(value, Sink { buf: None, len: 0 }).ok()
}

/// Writes the encoding of `value` to the front of `buf`; its length, or `None` where it does not fit.
pub(crate) fn write_value<T: Serialize>(value: &T, buf: &mut [u8]) -> Option<usize> {
    postcard::serialize_with_flavor(value, Sink { buf: Some(buf), len: 0 }).ok()
}

/// Where encodings go: into a buffer, or, to be counted, nowhere. One flavor for both, so that there is one
/// copy of the code for each message and not two.
struct Sink<'b> {
    buf: Option<&'b mut [u8]>,
    len: usize,
}

impl Flavor for Sink<'_> {
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if let Some(buf) = &mut self.buf {
            *buf.get_mut(self.len).ok_or(postcard::Error::SerializeBufferFull)? = byte;
        }
        self.len = self.len.checked_add(1).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let end = self.len.checked_add(bytes.len()).ok_or(postcard::Error::SerializeBufferFull)?;
        if let Some(buf) = &mut self.buf {
            let room = buf.get_mut(self.len..end).ok_or(postcard::Error::SerializeBufferFull)?;
            room.copy_from_slice(bytes);
        }
        self.len = end;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.len)
    }
}

/// Writes values one after the other into a buffer.
pub(crate) struct Writer<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    /// Bytes of the longest length prefix: a varint below 2^28.
    pub(crate) const LENGTH_PREFIX: usize = 4;

    pub(crate) fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends a value; `None`, and nothing is appended, where it does not fit.
    pub(crate) fn put<T: Serialize>(&mut self, value: &T) -> Option<()> {
        let written = write_value(value, self.buf.get_mut(self.len..)?)?;
        self.len = self.len.checked_add(written)?;
        Some(())
    }

    /// Takes back the last byte: the length of the empty byte string that ends the value just written, so
    /// that the string can be written in place.
    pub(crate) fn reopen(&mut self) -> Option<()> {
        self.len = self.len.checked_sub(1)?;
        Some(())
    }

    /// Where the byte written last is, for [`set`](Self::set).
    pub(crate) fn mark(&self) -> usize {
        self.len.saturating_sub(1)
    }

    /// Overwrites a byte written before.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        if let Some(slot) = self.buf.get_mut(..self.len).and_then(|written| written.get_mut(at)) {
            *slot = byte;
        }
    }

    /// Appends a byte string that `fill` writes in place: it is given what is left of the buffer and
    /// returns how much of it it used.
    pub(crate) fn put_bytes_with<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<()>, E> {
        let Some(from) = self.len.checked_add(Self::LENGTH_PREFIX) else { return Ok(None) };
        let Some(room) = self.buf.get_mut(from..) else { return Ok(None) };
        let len = fill(room)?;
        Ok(self.put_bytes_from(from, len))
    }

    /// Appends a byte string that lies further on in the buffer already, `len` bytes at `from`.
    pub(crate) fn put_bytes_from(&mut self, from: usize, len: usize) -> Option<()> {
        let mut prefix = [0; Self::LENGTH_PREFIX];
        let len_of_prefix = write_value(&u32::try_from(len).ok()?, &mut prefix)?;
        let prefix = prefix.get(..len_of_prefix)?;
        let start = self.len.checked_add(prefix.len())?;
        let end = from.checked_add(len)?;
        if start > from || end > self.buf.len() {
            return None;
        }
        self.buf.copy_within(from..end, start);
        self.buf.get_mut(self.len..start)?.copy_from_slice(prefix);
        self.len = start.checked_add(len)?;
        Some(())
    }

    pub(crate) fn finish(self) -> &'b [u8] {
        self.finish_mut()
    }

    pub(crate) fn finish_mut(self) -> &'b mut [u8] {
        let Self { buf, len } = self;
        buf.get_mut(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_byte_is_the_one_written_last_and_can_be_overwritten() {
        let mut buf = [0; 8];
        let mut writer = Writer::new(&mut buf);
        writer.put(&(1_u8, false)).unwrap();
        let marked = writer.mark();
        writer.put(&7_u8).unwrap();
        writer.set(marked, 1);
        assert_eq!(writer.finish(), [1, 1, 7]);
    }
}
