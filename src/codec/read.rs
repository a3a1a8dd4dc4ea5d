//! Reading values by hand. Their serde implementations say the same and are there for whoever wants them; here
//! an encoding that is not the canonical one is noticed while it is read, and a device needs a third of the
//! code.

use crate::log::MAX_SIZE;

/// What can be read; `None` where the bytes are not its encoding, or say what it cannot be.
pub(crate) trait Read<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Option<Self>;
}

/// What is left to be read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    is_padded: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_padded: false }
    }

    /// Whether all was read, and in its canonical encoding.
    pub(crate) fn is_canonical_end(&self) -> bool {
        self.rest.is_empty() && !self.is_padded
    }

    /// Whether a varint had more bytes than it needs: all that postcard would take and not write.
    pub(crate) fn is_padded(&self) -> bool {
        self.is_padded
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(never)]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// A number of at most so many bits, seven in a byte, the lowest first.
    #[inline(never)]
    pub(crate) fn varint(&mut self, bits: u32) -> Option<u64> {
        if let Some((byte, rest)) = self.rest.split_first().filter(|(byte, _)| **byte < 0x80) {
            // One byte, as nearly all of them are.
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        let (mut value, mut shift) = (0, 0_u32);
        loop {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            let room = bits.checked_sub(shift).filter(|room| *room > 0)?;
            if room < 7 && part >> room != 0 {
                return None;
            }
            value |= part << shift;
            if byte < 0x80 {
                self.is_padded |= byte == 0 && shift > 0;
                return Some(value);
            }
            shift = shift.checked_add(7)?;
        }
    }

    /// A number of at most 32 bits: a count of bytes, or which one of several it is.
    pub(crate) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.varint(u32::BITS)?).ok()
    }

    /// A size or an index: at most 2^62, before any arithmetic sees it.
    pub(crate) fn size(&mut self) -> Option<u64> {
        self.varint(u64::BITS).filter(|size| *size <= MAX_SIZE)
    }

    #[inline(never)]
    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[expect(clippy::option_option, reason = "the outer is whether it could be read")]
    pub(crate) fn option<T: Read<'a>>(&mut self) -> Option<Option<T>> {
        if self.flag()? { T::read(self).map(Some) } else { Some(None) }
    }

    #[inline(never)]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint(usize::BITS)?).ok()?;
        self.take(len)
    }
}
