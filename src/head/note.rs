//! Signed notes (C2SP signed-note): some text, a blank line, signature lines. Strict: one text for one
//! content, and nothing that cannot be printed.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{Signature, decode_base64, is_note_name};

/// The longest note that is read, in bytes: room for the sixteen signatures that every reader has to
/// take, at the 6 KB each that post-quantum ones need.
pub const MAX_NOTE: usize = 128 * 1024;

/// The most signature lines that are read in a note: each that names a known key costs a verification.
pub const MAX_NOTE_SIGNATURES: usize = 64;

/// Why a note, or the checkpoint in it, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE`].
    TooLong,
    /// Not UTF-8, or it holds a control character other than newline.
    Encoding,
    /// There is no blank line between text and signatures.
    NoBlankLine,
    /// The origin (the first line) is missing or empty.
    Origin,
    /// The size (the second line) is missing, not decimal without sign and leading zeros, or beyond 2^62.
    Size,
    /// The root (the third line) is missing, not the canonical base64 of 32 bytes, or, at size 0, not that
    /// of the empty tree.
    Root,
    /// There are further lines in the text. C2SP allows extension lines, but a head that travels in binary
    /// does not carry them, so that what they say could not be verified again.
    Extension,
    /// A signature line is not `— name base64` and a newline, the base64 canonical and of more than the
    /// four bytes of a key id.
    SignatureLine,
    /// More than [`MAX_NOTE_SIGNATURES`] signature lines.
    TooManySignatures,
    /// The origin is not the name of the log's key.
    OtherOrigin,
    /// There is no signature line, or none of the log's key.
    Unsigned,
    /// A signature line names the log's key, but the signature is not that key's.
    Signature,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the note is too long",
            Self::Encoding => "the note is not UTF-8 without control characters",
            Self::NoBlankLine => "no blank line separates the note's text from its signatures",
            Self::Origin => "the checkpoint has no origin",
            Self::Size => "the checkpoint's size is malformed",
            Self::Root => "the checkpoint's root is malformed",
            Self::Extension => "the checkpoint has extension lines",
            Self::SignatureLine => "a signature line is malformed",
            Self::TooManySignatures => "the note has too many signatures",
            Self::OtherOrigin => "the checkpoint is of another log",
            Self::Unsigned => "the note is not signed by the log's key",
            Self::Signature => "the signature of the log's key is false",
        })
    }
}

impl core::error::Error for NoteError {}

/// A note's two parts, each checked for its form.
pub(super) struct Note<'a> {
    /// The text that is signed, its last newline included.
    pub(super) text: &'a str,
    pub(super) signatures: SignatureLines<'a>,
}

impl<'a> Note<'a> {
    pub(super) fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        let note = core::str::from_utf8(note).map_err(|_| NoteError::Encoding)?;
        // A note is shown to people, on terminals that obey control characters.
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Encoding);
        }
        // The last blank line: the text may hold others, the signatures none.
        let blank = note.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
        let (text, rest) = note.split_at_checked(blank.saturating_add(1)).ok_or(NoteError::NoBlankLine)?;
        let signatures = SignatureLines { rest: rest.strip_prefix('\n').ok_or(NoteError::NoBlankLine)? };
        signatures.check()?;
        Ok(Self { text, signatures })
    }
}

/// The signature lines of a note, in order: an iterator over 1 to [`MAX_NOTE_SIGNATURES`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLines<'a> {
    // Checked: whole lines, each of the form.
    rest: &'a str,
}

impl SignatureLines<'_> {
    fn check(&self) -> Result<(), NoteError> {
        if self.rest.is_empty() {
            return Err(NoteError::Unsigned);
        }
        for (count, line) in self.rest.split_inclusive('\n').enumerate() {
            if count >= MAX_NOTE_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let line = line.strip_suffix('\n').ok_or(NoteError::SignatureLine)?;
            SignatureLine::parse(line).ok_or(NoteError::SignatureLine)?;
        }
        Ok(())
    }
}

impl<'a> Iterator for SignatureLines<'a> {
    type Item = SignatureLine<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        SignatureLine::parse(line)
    }
}

impl fmt::Display for SignatureLines<'_> {
    /// The lines as they were read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rest)
    }
}

/// One signature line of a note (C2SP signed-note): who signed, and what. Its form is checked, the signature
/// is not.
///
/// ```
/// use verisoo::head::Checkpoint;
/// use verisoo::{Ed25519, Head, Identity, SignedHead};
///
/// let log = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let signed = SignedHead::sign(&log, Head::EMPTY);
/// // The log's line, and one of some other algorithm.
/// let note = format!("{}— witness.example AAAAAAAAAAA=\n", signed.to_note(log.vkey()));
///
/// let checkpoint = Checkpoint::parse(note.as_bytes())?;
/// let lines: Vec<_> = checkpoint.signatures().collect();
/// assert_eq!((lines[0].name(), lines[0].key_id()), ("example.com/log", log.vkey().key_id()));
/// assert_eq!(lines[0].signature(), Some(signed.signature));
/// assert_eq!((lines[1].name(), lines[1].signature()), ("witness.example", None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    name: &'a str,
    key_id: [u8; 4],
    base64: &'a str,
}

impl<'a> SignatureLine<'a> {
    /// The name of the key. Not necessarily a [`Name`](crate::Name): other signers may have longer ones.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The id of the key: a hint, as [`Vkey::key_id`](crate::Vkey::key_id) says.
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The signature, or `None` where it is not 64 bytes long: then it is of another algorithm.
    pub fn signature(&self) -> Option<Signature> {
        let [_, _, _, _, signature @ ..] = decode_base64::<{ 4 + Signature::LEN }>(self.base64)?;
        Some(Signature::from_bytes(signature))
    }

    fn parse(line: &'a str) -> Option<Self> {
        let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
        if !is_note_name(name) || !is_base64(base64) {
            return None;
        }
        // Eight characters are six bytes; five where they are the last ones: a signature has at least one.
        let mut start = [0; 6];
        if STANDARD.decode_slice(base64.get(..8)?, &mut start).ok()? < 5 {
            return None;
        }
        let [a, b, c, d, ..] = start;
        Some(Self { name, key_id: [a, b, c, d], base64 })
    }
}

/// Whether `text` is canonical base64, of whatever length: signatures of other algorithms can be long,
/// and there is nowhere to decode them to.
pub(super) fn is_base64(text: &str) -> bool {
    let mut bytes = [0; 48];
    let mut chunks = text.as_bytes().chunks(64).peekable();
    while let Some(chunk) = chunks.next() {
        // Padding in the middle shows in a short chunk.
        match STANDARD.decode_slice(chunk, &mut bytes) {
            Ok(len) if len == bytes.len() || chunks.peek().is_none() => {}
            _ => return false,
        }
    }
    true
}

/// Reads a decimal number without sign and leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
