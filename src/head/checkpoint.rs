//! Checkpoints (C2SP tlog-checkpoint): the text form of a signed head.

use core::fmt;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::note::{Note, NoteError, SignatureLines, decimal};
use super::signed::{Head, SignedHead};
use crate::key::{Scheme, Signature, Vkey, decode_base64};
use crate::log::{Hash, MAX_SIZE};

/// A checkpoint that has been read but not verified: nothing in it is to be believed before
/// [`Checkpoint::verify`].
///
/// ```
/// use verisoo::head::Checkpoint;
/// use verisoo::{Ed25519, Head, Identity, SignedHead};
///
/// let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let signed = SignedHead::sign(&identity, Head::EMPTY);
/// let note = signed.to_note(identity.vkey()).to_string();
///
/// let checkpoint = Checkpoint::parse(note.as_bytes())?;
/// assert_eq!(checkpoint.origin(), "example.com/log");
/// assert_eq!(checkpoint.signatures().count(), 1);
/// assert_eq!(checkpoint.verify(identity.vkey()), Ok(signed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    text: &'a str,
    origin: &'a str,
    head: Head,
    signatures: SignatureLines<'a>,
}

impl<'a> Checkpoint<'a> {
    /// Reads a checkpoint with its signature lines, copying nothing. Anything that departs from the one
    /// way of writing it is refused, extension lines too (which C2SP tlog-checkpoint allows).
    ///
    /// Errors: any [`NoteError`] but [`OtherOrigin`](NoteError::OtherOrigin) and
    /// [`Signature`](NoteError::Signature); [`Unsigned`](NoteError::Unsigned) where there is no signature
    /// line at all.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        let Note { text, signatures } = Note::parse(note)?;
        let mut lines = text.split_terminator('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(NoteError::Origin)?;
        let size = lines.next().and_then(decimal).filter(|&size| size <= MAX_SIZE);
        let size = size.ok_or(NoteError::Size)?;
        let root = lines.next().and_then(decode_base64).ok_or(NoteError::Root)?;
        if lines.next().is_some() {
            return Err(NoteError::Extension);
        }
        let head = Head { size, root: Hash::from_bytes(root) };
        if !head.is_well_formed() {
            return Err(NoteError::Root);
        }
        Ok(Self { text, origin, head, signatures })
    }

    /// What is signed: the three lines, each with its newline.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The log that this says it is of.
    pub fn origin(&self) -> &'a str {
        self.origin
    }

    /// The head that is claimed.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The signature lines, those of unknown signers too.
    pub fn signatures(&self) -> SignatureLines<'a> {
        self.signatures.clone()
    }

    /// Checks that this is a checkpoint of the log of `vkey`: its origin is the key's name, there is a
    /// signature of the key, and none that names the key is false. Other signers' lines are ignored, also
    /// those that share only the name or only the key id.
    ///
    /// Errors: [`NoteError::OtherOrigin`], [`NoteError::Unsigned`], [`NoteError::Signature`].
    ///
    /// ```
    /// use verisoo::head::{Checkpoint, NoteError};
    /// use verisoo::{Ed25519, Head, Identity, SignedHead};
    ///
    /// let log = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
    /// let signed = SignedHead::sign(&log, Head::EMPTY);
    /// let note = signed.to_note(log.vkey()).to_string();
    ///
    /// // Another key of the same name does not verify it, although it is of the origin.
    /// let renewed = Identity::<Ed25519>::from_seed("example.com/log", &[8; 32])?;
    /// let checkpoint = Checkpoint::parse(note.as_bytes())?;
    /// assert_eq!(checkpoint.verify(renewed.vkey()), Err(NoteError::Unsigned));
    ///
    /// // Signatures by others may stand beside the log's own, before it or after it.
    /// let (_, line) = note.split_once("\n\n").unwrap();
    /// let both = note.replace(line, &format!("— witness.example AAAAAAAAAAA=\n{line}"));
    /// assert_eq!(Checkpoint::parse(both.as_bytes())?.verify(log.vkey()), Ok(signed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<SignedHead, NoteError> {
        if self.origin != vkey.name().as_str() {
            return Err(NoteError::OtherOrigin);
        }
        let key_id = vkey.key_id();
        let mut verified = None;
        for line in self.signatures() {
            if line.name() != vkey.name().as_str() || line.key_id() != key_id {
                continue;
            }
            let signature = line.signature().ok_or(NoteError::Signature)?;
            // Over the text as we would write it, which is the text that was read: there is no other.
            let signed = SignedHead { head: self.head, signature };
            signed.verify(vkey).map_err(|_| NoteError::Signature)?;
            verified = verified.or(Some(signed));
        }
        verified.ok_or(NoteError::Unsigned)
    }
}

impl fmt::Display for Checkpoint<'_> {
    /// The note as it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.text, self.signatures)
    }
}

impl SignedHead {
    /// The text form: the checkpoint, a blank line, and the signature line of `vkey`. Nothing is checked;
    /// the note is worth what the head and its signature are.
    ///
    /// ```
    /// use verisoo::{Ed25519, Head, Identity, SignedHead};
    ///
    /// let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
    /// let signed = SignedHead::sign(&identity, Head::EMPTY);
    /// let note = signed.to_note(identity.vkey()).to_string();
    /// assert!(note.starts_with("example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— example.com/log "));
    /// assert_eq!(SignedHead::from_note(note.as_bytes(), identity.vkey()), Ok(signed));
    /// # Ok::<(), verisoo::key::KeyError>(())
    /// ```
    pub fn to_note<'a, S: Scheme>(&'a self, vkey: &'a Vkey<S>) -> impl fmt::Display + 'a {
        NoteText { signed: self, vkey }
    }

    /// Reads a checkpoint and checks that it is the log's: [`Checkpoint::parse`], then
    /// [`Checkpoint::verify`], with the errors of both.
    ///
    /// ```
    /// use verisoo::head::NoteError;
    /// use verisoo::{Ed25519, Head, Identity, SignedHead};
    ///
    /// let log = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
    /// let note = SignedHead::sign(&log, Head::EMPTY).to_note(log.vkey()).to_string();
    /// assert_eq!(SignedHead::from_note(note.as_bytes(), log.vkey())?.head, Head::EMPTY);
    ///
    /// // Whatever is wrong with a note has a name.
    /// let other = Identity::<Ed25519>::from_seed("example.com/other", &[7; 32])?;
    /// assert_eq!(SignedHead::from_note(note.as_bytes(), other.vkey()), Err(NoteError::OtherOrigin));
    /// let rewound = note.replacen("\n0\n", "\n00\n", 1);
    /// assert_eq!(SignedHead::from_note(rewound.as_bytes(), log.vkey()), Err(NoteError::Size));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_note<S: Scheme>(note: &[u8], vkey: &Vkey<S>) -> Result<Self, NoteError> {
        Checkpoint::parse(note)?.verify(vkey)
    }
}

/// A signed head as a note.
struct NoteText<'a, S> {
    signed: &'a SignedHead,
    vkey: &'a Vkey<S>,
}

impl<S: Scheme> fmt::Display for NoteText<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.vkey.name();
        let Head { size, root } = self.signed.head;
        let mut signature = [0; 4 + Signature::LEN];
        let (key_id, rest) = signature.split_at_mut(4);
        key_id.copy_from_slice(&self.vkey.key_id());
        rest.copy_from_slice(self.signed.signature.as_bytes());

        let root = Base64Display::new(root.as_bytes(), &STANDARD);
        let signature = Base64Display::new(&signature, &STANDARD);
        write!(f, "{name}\n{size}\n{root}\n\n— {name} {signature}\n")
    }
}
