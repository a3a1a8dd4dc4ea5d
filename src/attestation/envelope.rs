//! What needs an allocator: owned attestations, many verified at once, and DSSE's JSON envelope.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_PAD_INDIFFERENT};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::statement::{Attestation, AttestationError, pae, pae_len};
use crate::key::{Identity, Scheme, Signature, Vkey};

/// The longest JSON envelope that is read, in bytes: room for a record's worth of payload, and for a type
/// of that length with every character escaped.
pub const MAX_ENVELOPE: usize = 512 * 1024;

/// The most signatures of an envelope: each costs a verification.
pub const MAX_ENVELOPE_SIGNATURES: usize = 64;

impl<'a> Attestation<'a> {
    /// [`Attestation::sign_with`] a scratch buffer of its own.
    ///
    /// Errors: [`AttestationError::TooLong`].
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::{Attestation, Config, Ed25519, Identity, Instant, Node};
    ///
    /// // The node that keeps the log, and somebody whose statements it keeps.
    /// let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// let builder = Identity::<Ed25519>::from_seed("builder.example", &[2; 32])?;
    /// let mut store = MemoryStore::new();
    /// let mut node: Node = Node::new(identity, Config::default(), [3; 32], Instant::ZERO);
    ///
    /// let statement = Attestation::sign(&builder, "text/plain", b"all tests passed")?;
    /// let mut record = vec![0; statement.encoded_len()?];
    /// statement.encode(&mut record)?;
    /// let index = node.append(&mut store, &record)?;
    ///
    /// let held = Attestation::decode(store.record(&node.id(), index).unwrap())?;
    /// assert_eq!(held.verify(builder.vkey()), Ok(()));
    /// assert!(held.verify(node.vkey()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign<S: Scheme>(
        identity: &Identity<S>,
        payload_type: &'a str,
        payload: &'a [u8],
    ) -> Result<Self, AttestationError> {
        Self::sign_with(identity, payload_type, payload, &mut alloc::vec![0; pae_len(payload_type, payload)])
    }

    /// [`Attestation::verify_with`] a scratch buffer of its own.
    ///
    /// Errors: [`AttestationError::Signature`].
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<(), AttestationError> {
        self.verify_with(vkey, &mut alloc::vec![0; pae_len(self.payload_type, self.payload)])
    }

    /// Verifies many attestations, each under its key: the same answer as [`Attestation::verify`] on one
    /// after the other, but each key is decoded once, and one scratch buffer serves all. The error is the
    /// index of the first whose signature is false.
    ///
    /// This is not the batch verification that checks one random combination of all equations. That is
    /// faster, but it accepts some signatures, made on purpose with a component of small order, that are
    /// refused one by one, and whether it does depends on the random numbers. Nodes that disagree on what
    /// is valid do not converge.
    ///
    /// ```
    /// use verisoo::attestation::Attestation;
    /// use verisoo::{Ed25519, Identity};
    ///
    /// let identity = Identity::<Ed25519>::from_seed("example.com/builder", &[7; 32])?;
    /// let good = Attestation::sign(&identity, "text/plain", b"passed")?;
    /// let bad = Attestation { payload: b"failed", ..good };
    /// assert_eq!(Attestation::verify_all([(identity.vkey(), good), (identity.vkey(), good)]), Ok(()));
    /// assert_eq!(Attestation::verify_all([(identity.vkey(), good), (identity.vkey(), bad)]), Err(1));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn verify_all<'v, S: Scheme>(
        items: impl IntoIterator<Item = (&'v Vkey<S>, Attestation<'a>)>,
    ) -> Result<(), usize> {
        let mut keys = BTreeMap::new();
        let mut scratch = Vec::new();
        for (index, (vkey, attestation)) in items.into_iter().enumerate() {
            let Attestation { payload_type, payload, signature } = attestation;
            let len = pae_len(payload_type, payload);
            if scratch.len() < len {
                scratch.resize(len, 0);
            }
            let message = pae(payload_type, payload, &mut scratch).ok_or(index)?;
            let key = keys.entry(vkey.key()).or_insert_with(|| S::verifying_key(vkey.key()));
            if !key.as_ref().is_some_and(|key| S::verify_with(key, message, signature.as_bytes())) {
                return Err(index);
            }
        }
        Ok(())
    }

    /// Writes DSSE's JSON envelope. `keyid` is a hint for the reader which key to try, and nothing else:
    /// the hex of the vkey's id says it without doubt; it may be empty.
    ///
    /// ```
    /// use verisoo::attestation::{Attestation, OwnedAttestation};
    /// use verisoo::{Ed25519, Identity};
    ///
    /// let identity = Identity::<Ed25519>::from_seed("example.com/builder", &[7; 32])?;
    /// let vkey = identity.vkey();
    /// let signed = Attestation::sign(&identity, "text/plain", b"passed")?;
    /// let json = signed.to_json(&vkey.id().to_string());
    /// assert!(json.starts_with(r#"{"payloadType":"text/plain","payload":"cGFzc2Vk","signatures":[{"keyid":""#));
    ///
    /// let read = OwnedAttestation::from_json(json.as_bytes(), vkey)?;
    /// assert_eq!(read.as_attestation(), signed);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn to_json(&self, keyid: &str) -> String {
        let envelope = Envelope {
            payload_type: self.payload_type.into(),
            payload: STANDARD.encode(self.payload).into(),
            signatures: alloc::vec![Object(EnvelopeSignature {
                keyid: Some(keyid.into()),
                sig: STANDARD.encode(self.signature.as_bytes()).into(),
            })],
        };
        // Writing strings into a string cannot fail.
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

/// An [`Attestation`] that borrows nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedAttestation {
    /// How to read the payload.
    pub payload_type: String,
    /// What is stated.
    pub payload: Vec<u8>,
    /// The signature over the PAE of both.
    pub signature: Signature,
}

impl OwnedAttestation {
    /// The same, borrowed.
    pub fn as_attestation(&self) -> Attestation<'_> {
        Attestation { payload_type: &self.payload_type, payload: &self.payload, signature: self.signature }
    }

    /// Reads DSSE's JSON envelope and verifies it: of its signatures the first that is the key's is kept,
    /// and [`AttestationError::Signature`] means there is none.
    ///
    /// Errors: [`AttestationError::EnvelopeTooLong`], [`AttestationError::Envelope`],
    /// [`AttestationError::TooLong`] where it does not fit a record, [`AttestationError::Signature`].
    ///
    /// As DSSE asks, base64 may be of the standard or of the URL-safe alphabet (the latter padded or not),
    /// fields that are not known are ignored, `keyid` is not looked at, and absent fields are empty.
    ///
    /// ```
    /// use verisoo::attestation::{AttestationError, OwnedAttestation};
    /// use verisoo::{Attestation, Ed25519, Identity};
    ///
    /// let signer = Identity::<Ed25519>::from_seed("example.com/builder", &[7; 32])?;
    /// let other = Identity::<Ed25519>::from_seed("example.com/reviewer", &[8; 32])?;
    /// let json = Attestation::sign(&signer, "text/plain", b"passed")?.to_json("any hint");
    ///
    /// let read = OwnedAttestation::from_json(json.as_bytes(), signer.vkey())?;
    /// assert_eq!((&*read.payload_type, &*read.payload), ("text/plain", &b"passed"[..]));
    /// assert_eq!(OwnedAttestation::from_json(json.as_bytes(), other.vkey()), Err(AttestationError::Signature));
    /// assert_eq!(OwnedAttestation::from_json(b"{}", signer.vkey()), Err(AttestationError::Signature));
    /// assert_eq!(OwnedAttestation::from_json(b"passed", signer.vkey()), Err(AttestationError::Envelope));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_json<S: Scheme>(json: &[u8], vkey: &Vkey<S>) -> Result<Self, AttestationError> {
        if json.len() > MAX_ENVELOPE {
            return Err(AttestationError::EnvelopeTooLong);
        }
        // As text: of bytes, the reader would take any in the fields that it ignores.
        let json = core::str::from_utf8(json).map_err(|_| AttestationError::Envelope)?;
        let Object(envelope): Object<Envelope<'_>> =
            serde_json::from_str(json).map_err(|_| AttestationError::Envelope)?;
        if envelope.signatures.len() > MAX_ENVELOPE_SIGNATURES {
            return Err(AttestationError::EnvelopeTooLong);
        }
        let payload = decode_either(&envelope.payload).ok_or(AttestationError::Envelope)?;
        let mut read = Self {
            payload_type: envelope.payload_type.into_owned(),
            payload,
            signature: Signature::from_bytes([0; Signature::LEN]),
        };
        read.as_attestation().encoded_len()?;
        // Signatures of other lengths are of other algorithms.
        let signatures =
            envelope.signatures.iter().filter_map(|Object(EnvelopeSignature { sig, .. })| decode_either(sig));
        for signature in signatures.filter_map(|signature| signature.try_into().ok()) {
            read.signature = Signature::from_bytes(signature);
            if read.as_attestation().verify(vkey).is_ok() {
                return Ok(read);
            }
        }
        Err(AttestationError::Signature)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    payload_type: Cow<'a, str>,
    #[serde(borrow, default)]
    payload: Cow<'a, str>,
    #[serde(borrow, default)]
    signatures: Vec<Object<EnvelopeSignature<'a>>>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature<'a> {
    // Not read: it may be anything, and must not decide anything.
    #[serde(borrow, skip_deserializing)]
    keyid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sig: Cow<'a, str>,
}

/// What is read from a JSON object alone: an array with the same values in order is another document.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Decodes base64 of the one alphabet or the other, never of both at once.
fn decode_either(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE_PAD_INDIFFERENT.decode(text)).ok()
}
