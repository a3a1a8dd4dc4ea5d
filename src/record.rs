//! Records as they travel and as they are stored: `u16 LE length ‖ bytes`, one after the other. One pass
//! encodes them, one copy stores them, and nothing is allocated for any one of them.

/// The longest record, in bytes: what the length of a record in a batch can say.
pub const MAX_RECORD: usize = u16::MAX as usize;

/// Bytes in front of each record.
pub(crate) const LENGTH_LEN: usize = 2;

/// A run of framed records, borrowed from a message or a store. Its framing is checked while it is read,
/// not before: a pass of its own over cold memory costs as much as hashing does.
///
/// ```
/// use verisoo::Records;
///
/// let records = Records::new(b"\x02\x00hi\x00\x00");
/// let read: Result<Vec<&[u8]>, _> = records.iter().collect();
/// assert_eq!(read.unwrap(), [&b"hi"[..], b""]);
/// assert!(Records::new(b"\x02\x00h").iter().next().unwrap().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Records<'a> {
    bytes: &'a [u8],
}

/// Framed records end in the middle of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truncated;

impl core::fmt::Display for Truncated {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the records end in the middle of one")
    }
}

impl core::error::Error for Truncated {}

impl<'a> Records<'a> {
    /// The records framed in `bytes`, which may be empty.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes, framed.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is no record at all.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records in order; after an error there is nothing more.
    pub const fn iter(&self) -> RecordsIter<'a> {
        RecordsIter { rest: self.bytes }
    }

    /// The records after the first `count`.
    pub(crate) fn skip(self, count: u64) -> Result<Self, Truncated> {
        let mut records = self.iter();
        for _ in 0..count {
            records.next().ok_or(Truncated)??;
        }
        Ok(Self { bytes: records.rest })
    }

    /// Writes `record` framed into the front of `buf`; the length written, or `None` where it does not
    /// fit or the record is longer than [`MAX_RECORD`].
    ///
    /// ```
    /// use verisoo::Records;
    ///
    /// let mut buf = [0; 64];
    /// let mut len = 0;
    /// for record in ["one", "", "three"] {
    ///     len += Records::frame(record.as_bytes(), &mut buf[len..]).unwrap();
    /// }
    /// assert_eq!(len, 3 * 2 + 8);
    /// let records = Records::new(&buf[..len]);
    /// assert_eq!(records.iter().map(|record| record.unwrap().len()).collect::<Vec<_>>(), [3, 0, 5]);
    /// assert_eq!(Records::frame(&[0; 65_536], &mut [0; 70_000]), None);
    /// ```
    pub fn frame(record: &[u8], buf: &mut [u8]) -> Option<usize> {
        let (length, rest) = buf.split_first_chunk_mut::<LENGTH_LEN>()?;
        *length = u16::try_from(record.len()).ok()?.to_le_bytes();
        rest.get_mut(..record.len())?.copy_from_slice(record);
        Some(LENGTH_LEN + record.len())
    }
}

impl<'a> IntoIterator for Records<'a> {
    type Item = Result<&'a [u8], Truncated>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Records<'a> {
    type Item = Result<&'a [u8], Truncated>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

/// Iterator over framed records.
#[derive(Clone, Debug)]
pub struct RecordsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = Result<&'a [u8], Truncated>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = self
            .rest
            .split_first_chunk::<LENGTH_LEN>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_le_bytes(*length))));
        if let Some((record, rest)) = split {
            self.rest = rest;
            Some(Ok(record))
        } else {
            self.rest = &[];
            Some(Err(Truncated))
        }
    }
}
