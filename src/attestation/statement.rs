//! A statement and its signature, as one record: what needs no allocator.
//!
//! What is signed is the pre-authentication encoding of DSSE 1.0, so that a signature made here holds in an envelope
//! and for anybody else's DSSE, and the other way round. The record is postcard's encoding of type, payload and
//! signature, and no other is read.

use core::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::codec::{size_of_value, write_value};
use crate::decimal::Decimal;
use crate::key::{Identity, Scheme, Signature, Vkey};
use crate::record::MAX_RECORD;

/// A signed statement. Plain data, borrowed: nothing is checked until
/// [`Attestation::verify_with`] (or `verify`, where there is an allocator).
///
/// ```
/// use verisoo::attestation::Attestation;
/// use verisoo::{Ed25519, Identity};
///
/// let identity = Identity::<Ed25519>::from_seed("example.com/builder", &[7; 32])?;
/// let mut scratch = [0; 256];
/// let signed = Attestation::sign_with(&identity, "text/plain; v=1", b"all tests passed", &mut scratch)?;
///
/// // As a record.
/// let mut record = [0; 256];
/// let len = signed.encode(&mut record)?;
///
/// // At the other end.
/// let read = Attestation::decode(&record[..len])?;
/// assert_eq!(read.payload, b"all tests passed");
/// read.verify_with(identity.vkey(), &mut scratch)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attestation<'a> {
    /// How to read the payload: a media type or a URI, compared byte for byte.
    pub payload_type: &'a str,
    /// What is stated.
    pub payload: &'a [u8],
    /// The signature over the PAE of both.
    pub signature: Signature,
}

/// Why an attestation is refused, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttestationError {
    /// It would not fit a record of 65,535 bytes.
    TooLong,
    /// The caller's buffer is too short for it.
    BufferTooShort,
    /// Not the canonical encoding of an attestation.
    Malformed,
    /// The signature is not the key's over this type and payload; in an envelope, none is.
    Signature,
    /// An envelope is longer than [`MAX_ENVELOPE`](super::MAX_ENVELOPE), or has more than
    /// [`MAX_ENVELOPE_SIGNATURES`](super::MAX_ENVELOPE_SIGNATURES).
    #[cfg(feature = "alloc")]
    EnvelopeTooLong,
    /// Not a DSSE envelope: not its JSON, or a payload that is not base64.
    #[cfg(feature = "alloc")]
    Envelope,
}

impl fmt::Display for AttestationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the attestation does not fit a record",
            Self::BufferTooShort => "the buffer is too short for the attestation",
            Self::Malformed => "not the encoding of an attestation",
            Self::Signature => "the attestation is not signed by the key",
            #[cfg(feature = "alloc")]
            Self::EnvelopeTooLong => "the envelope is too long",
            #[cfg(feature = "alloc")]
            Self::Envelope => "not a DSSE envelope",
        })
    }
}

impl core::error::Error for AttestationError {}

impl<'a> Attestation<'a> {
    /// Signs a statement. What is signed is laid out in `scratch`, which must have [`pae_len`] bytes at least.
    /// For an example, see [`Attestation`].
    ///
    /// Errors: [`AttestationError::TooLong`] where the statement does not fit a record (type and payload have
    /// then more than about 65,465 bytes together), [`AttestationError::BufferTooShort`].
    pub fn sign_with<S: Scheme>(
        identity: &Identity<S>,
        payload_type: &'a str,
        payload: &'a [u8],
        scratch: &mut [u8],
    ) -> Result<Self, AttestationError> {
        let unsigned = Self { payload_type, payload, signature: Signature::from_bytes([0; Signature::LEN]) };
        unsigned.encoded_len()?;
        let message = pae(payload_type, payload, scratch).ok_or(AttestationError::BufferTooShort)?;
        Ok(Self { signature: identity.sign(message), ..unsigned })
    }

    /// Checks the signature. What was signed is laid out in `scratch`, which must have [`pae_len`] bytes at least.
    /// [`Attestation::decode`] checks none: a record is only as good as this.
    ///
    /// Errors: [`AttestationError::BufferTooShort`], [`AttestationError::Signature`].
    ///
    /// ```
    /// use verisoo::attestation::{Attestation, AttestationError, pae_len};
    /// use verisoo::{Ed25519, Identity};
    ///
    /// let builder = Identity::<Ed25519>::from_seed("example.com/builder", &[7; 32])?;
    /// let mut scratch = [0; 64];
    /// let passed = Attestation::sign_with(&builder, "text/plain", b"passed", &mut scratch)?;
    /// let failed = Attestation { payload: b"failed", ..passed };
    /// assert_eq!(failed.verify_with(builder.vkey(), &mut scratch), Err(AttestationError::Signature));
    ///
    /// let scratch = &mut scratch[..pae_len("text/plain", b"passed") - 1];
    /// assert_eq!(passed.verify_with(builder.vkey(), scratch), Err(AttestationError::BufferTooShort));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify_with<S: Scheme>(&self, vkey: &Vkey<S>, scratch: &mut [u8]) -> Result<(), AttestationError> {
        let message = pae(self.payload_type, self.payload, scratch).ok_or(AttestationError::BufferTooShort)?;
        if vkey.verify(message, &self.signature) { Ok(()) } else { Err(AttestationError::Signature) }
    }

    /// The length of the encoding: at most 65,535 bytes, or [`AttestationError::TooLong`].
    pub fn encoded_len(&self) -> Result<usize, AttestationError> {
        match size_of_value(&Encoded::from(*self)) {
            Some(len) if len <= MAX_RECORD => Ok(len),
            _ => Err(AttestationError::TooLong),
        }
    }

    /// Writes the record into the front of `buf`; the length written, in bytes: [`Self::encoded_len`].
    ///
    /// Errors: [`AttestationError::TooLong`], [`AttestationError::BufferTooShort`].
    pub fn encode(&self, buf: &mut [u8]) -> Result<usize, AttestationError> {
        let len = self.encoded_len()?;
        let record = buf.get_mut(..len).ok_or(AttestationError::BufferTooShort)?;
        write_value(&Encoded::from(*self), record).ok_or(AttestationError::BufferTooShort)?;
        Ok(len)
    }

    /// Reads what [`Attestation::encode`] wrote. Anything else is [`AttestationError::Malformed`], also
    /// another encoding of the same attestation and one with something behind it: one statement, one
    /// record, one leaf. ([`AttestationError::TooLong`] of more than 65,535 bytes.) Nothing is verified.
    pub fn decode(record: &'a [u8]) -> Result<Self, AttestationError> {
        if record.len() > MAX_RECORD {
            return Err(AttestationError::TooLong);
        }
        let encoded: Encoded<'_> = postcard::from_bytes(record).map_err(|_| AttestationError::Malformed)?;
        let attestation = Self::from(encoded);
        // A padded length is longer, and so is a record with something behind it.
        if attestation.encoded_len() == Ok(record.len()) { Ok(attestation) } else { Err(AttestationError::Malformed) }
    }
}

/// The record's layout: length and type, length and payload, the 64 bytes of the signature.
#[derive(Serialize, Deserialize)]
struct Encoded<'a> {
    payload_type: &'a str,
    #[serde(serialize_with = "as_bytes")]
    payload: &'a [u8],
    signature: Signature,
}

/// At once, not byte by byte; the encoding is the same.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl<'a> From<Attestation<'a>> for Encoded<'a> {
    fn from(Attestation { payload_type, payload, signature }: Attestation<'a>) -> Self {
        Self { payload_type, payload, signature }
    }
}

impl<'a> From<Encoded<'a>> for Attestation<'a> {
    fn from(Encoded { payload_type, payload, signature }: Encoded<'a>) -> Self {
        Self { payload_type, payload, signature }
    }
}

/// The length of [`pae`], in bytes: type and payload, their lengths in decimal, and 10 more.
#[must_use]
pub fn pae_len(payload_type: &str, payload: &[u8]) -> usize {
    [payload_type.len(), payload.len()].iter().fold("DSSEv1    ".len(), |sum, len| {
        let digits = len.checked_ilog10().map_or(1, |log| log.saturating_add(1));
        sum.saturating_add(*len).saturating_add(usize::try_from(digits).unwrap_or(usize::MAX))
    })
}

/// Writes DSSE's pre-authentication encoding, which is what is signed, into the front of `buf`: `DSSEv1`,
/// then length and bytes of the type, then those of the payload, with one space between any two. `None`
/// where `buf` is shorter than [`pae_len`].
///
/// ```
/// use verisoo::attestation::pae;
///
/// let mut buf = [0; 64];
/// let encoded = pae("http://example.com/HelloWorld", b"hello world", &mut buf);
/// assert_eq!(encoded, Some(&b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"[..]));
/// ```
pub fn pae<'b>(payload_type: &str, payload: &[u8], buf: &'b mut [u8]) -> Option<&'b [u8]> {
    let encoded = buf.get_mut(..pae_len(payload_type, payload))?;
    let (type_len, payload_len) = (decimal(payload_type.len()), decimal(payload.len()));
    let parts: [&[u8]; 8] =
        [b"DSSEv1 ", type_len.as_bytes(), b" ", payload_type.as_bytes(), b" ", payload_len.as_bytes(), b" ", payload];
    let mut rest = &mut *encoded;
    for part in parts {
        let (front, behind) = rest.split_at_mut_checked(part.len())?;
        front.copy_from_slice(part);
        rest = behind;
    }
    Some(encoded)
}

fn decimal(len: usize) -> Decimal {
    // No platform has a `usize` that this does not hold.
    Decimal::new(u64::try_from(len).unwrap_or(u64::MAX))
}
