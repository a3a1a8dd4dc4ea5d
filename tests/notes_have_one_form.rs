//! Checkpoints as signed notes: what is read, and that nothing else is.

mod signing;

use proptest::prelude::*;
use verisoo::head::{Checkpoint, MAX_NOTE, MAX_NOTE_SIGNATURES, NoteError};
use verisoo::{Ed25519, Hash, Head, Identity, Signature, SignedHead, Vkey};

const NAME: &str = "example.com/log";
const ROOT: &str = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=";
const OTHER: &str =
    "— sum.golang.org Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=\n";

fn writer() -> Identity {
    signing::identity(NAME)
}

fn signed() -> SignedHead {
    SignedHead::sign(&writer(), Head { size: 300, root: Hash::from_bytes([15; 32]) })
}

fn note() -> String {
    signed().to_note(writer().vkey()).to_string()
}

/// The note's own signature line.
fn line() -> String {
    note().rsplit_once("\n\n").unwrap().1.to_string()
}

/// The checkpoints of Go's checksum database have an origin that is not the key's name.
#[test]
fn a_checkpoint_from_the_world_is_read_and_its_signature_holds() {
    let vkey = Vkey::parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").unwrap();
    let latest = "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n\
        — sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n";
    let cosigned = "go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n\
        — sum.golang.org Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=\n\
        — test.example.com qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieVFLUqDRK77PWDmL6w8w84UqeAw=\n";
    for (note, size, signers) in [(latest, 6_476_701, 1), (cosigned, 15_067_302, 2)] {
        let checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
        assert_eq!(checkpoint.origin(), "go.sum database tree");
        assert_eq!(checkpoint.head().size, size);
        assert_eq!(checkpoint.signatures().count(), signers);
        let line = checkpoint.signatures().next().unwrap();
        assert_eq!((line.name(), line.key_id()), ("sum.golang.org", vkey.key_id()));
        assert!(vkey.verify(checkpoint.text().as_bytes(), &line.signature().unwrap()));
        assert_eq!(checkpoint.to_string(), note);
        assert_eq!(checkpoint.verify(&vkey), Err(NoteError::OtherOrigin));
    }
}

/// The published example of Go's note package: not a checkpoint, but the same signature over a text.
#[test]
fn the_signature_of_a_known_note_holds() {
    let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    // The signature line, under a text that is a checkpoint in form.
    let sig =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let other = format!("PeterNeumann\n1\n{ROOT}\n\n{sig}");
    let checkpoint = Checkpoint::parse(other.as_bytes()).unwrap();
    let line = checkpoint.signatures().next().unwrap();
    assert_eq!(line.key_id(), vkey.key_id());
    assert!(vkey.verify(text.as_bytes(), &line.signature().unwrap()));
    assert_eq!(checkpoint.verify(&vkey), Err(NoteError::Signature));
    assert_eq!(Checkpoint::parse(format!("{text}\n{sig}").as_bytes()), Err(NoteError::Size));
}

#[test]
fn a_note_is_the_three_lines_a_blank_one_and_the_signature() {
    let start = format!("{NAME}\n300\n{ROOT}\n\n— {NAME} ");
    assert!(note().starts_with(&start), "{}", note());
    assert!(note().ends_with("=\n"));
    assert_eq!(note().lines().count(), 5);
    assert_eq!(SignedHead::from_note(note().as_bytes(), writer().vkey()), Ok(signed()));
}

/// The text of the note that is departed from, and its signature line.
fn parts() -> (String, String) {
    (format!("{NAME}\n300\n{ROOT}\n"), line())
}

fn are_refused(departures: impl IntoIterator<Item = (String, NoteError)>) {
    for (note, error) in departures {
        let read = SignedHead::from_note(note.as_bytes(), writer().vkey());
        assert_eq!(read, Err(error), "{note}");
    }
}

#[test]
fn every_departure_from_the_form_is_refused() {
    let (text, line) = parts();
    let make = |text: &str| format!("{text}\n{line}");
    are_refused([
        (String::new(), NoteError::NoBlankLine),
        ("\n\n".into(), NoteError::Unsigned),
        (text.clone(), NoteError::NoBlankLine),
        (format!("{text}\n"), NoteError::Unsigned),
        (format!("{text}{line}"), NoteError::NoBlankLine),
        (make(&text).replace('\n', "\r\n"), NoteError::Encoding),
        (make(&text.replace("300", "3\t00")), NoteError::Encoding),
        (make(&text.replace("example", "exa\u{0}mple")), NoteError::Encoding),
        (make(&text.replace("example", "\u{1b}[1m")), NoteError::Encoding),
        // The signer.
        (format!("{text}\n{OTHER}"), NoteError::Unsigned),
        (make(&text.replace(NAME, "example.com/other")), NoteError::OtherOrigin),
        (make(&text.replace(NAME, "example.com/log ")), NoteError::OtherOrigin),
        (make(&text.replace("300", "301")), NoteError::Signature),
        (make(&text.replacen('D', "E", 1)), NoteError::Signature),
    ]);
    let mut bytes = note().into_bytes();
    bytes[0] = 0xff;
    assert_eq!(SignedHead::from_note(&bytes, writer().vkey()), Err(NoteError::Encoding));
}

#[test]
fn every_departure_from_the_form_of_the_text_is_refused() {
    let (text, line) = parts();
    let make = |text: &str| format!("{text}\n{line}");
    let sizes = [
        "",
        "0300",
        "00",
        "+300",
        "-300",
        " 300",
        "300 ",
        "0x12c",
        "3_00",
        "٣٠٠",
        "4611686018427387905",
        "18446744073709551616",
    ];
    are_refused(sizes.map(|size| (make(&text.replace("300", size)), NoteError::Size)));
    are_refused([
        (format!("\n{line}"), NoteError::NoBlankLine),
        (make(&format!("\n{text}")), NoteError::Origin),
        (make(&format!("{NAME}\n")), NoteError::Size),
        (make(&format!("{NAME}\n300\n")), NoteError::Root),
        (make(&format!("{NAME}\n{ROOT}\n300\n")), NoteError::Size),
        (make(&text.replace("300", "0")), NoteError::Root),
        (make(&text.replace("8=", "8")), NoteError::Root),
        (make(&text.replace("8=", "9=")), NoteError::Root),
        (make(&text.replace("8=", "8==")), NoteError::Root),
        (make(&text.replace("8=", "8= ")), NoteError::Root),
        (make(&text.replace("PDw8=", "Pw==")), NoteError::Root),
        (make(&text.replace("PDw8=", "PDw8PDw8=")), NoteError::Root),
        (make(&text.replacen("PD", "_D", 1)), NoteError::Root),
        (make(&format!("{text}extension\n")), NoteError::Extension),
        (make(&format!("{text}\nafter a blank line\n")), NoteError::Extension),
        (make(&format!("{text}\n")), NoteError::Extension),
        (make(&format!("{text}\n{line}")), NoteError::Extension),
    ]);
}

#[test]
fn every_departure_from_the_form_of_a_signature_line_is_refused() {
    let (text, line) = parts();
    let huge = format!("{text}\n{}", OTHER.repeat(MAX_NOTE_SIGNATURES + 1));
    are_refused([
        (format!("{text}\n{}", line.trim_end()), NoteError::SignatureLine),
        (format!("{text}\n{line}Unexpected line.\n"), NoteError::SignatureLine),
        (format!("{text}\n{line}— "), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace('—', "-")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("— ", "—")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("— ", "—  ")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("— ", "—\u{a0}")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("log ", "log  ")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("log ", "log")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("log ", "l og ")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("log ", "l+og ")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("log ", "l\u{3000}og ")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("=\n", "\n")), NoteError::SignatureLine),
        (format!("{text}\n{}", line.replace("=\n", "= \n")), NoteError::SignatureLine),
        (format!("{text}\n{line}— other \n"), NoteError::SignatureLine),
        (format!("{text}\n{line}— other AAAA\n"), NoteError::SignatureLine),
        (format!("{text}\n{line}— other AAAAAA==\n"), NoteError::SignatureLine),
        (format!("{text}\n{line}— other AAAAAAB=\n"), NoteError::SignatureLine),
        (format!("{text}\n{line}— other {}AA==AAAA\n", "A".repeat(64)), NoteError::SignatureLine),
        (format!("{text}\n{line}— other {}AA=={}\n", "A".repeat(60), "A".repeat(8)), NoteError::SignatureLine),
        (huge, NoteError::TooManySignatures),
        (format!("{text}\n{line}— other {}\n", "A".repeat(MAX_NOTE)), NoteError::TooLong),
    ]);
}

#[test]
fn other_signers_are_ignored_and_our_own_must_be_right() {
    let vkey = *writer().vkey();
    let text = format!("{NAME}\n300\n{ROOT}\n\n");
    let own = line();
    let accepted = |lines: &str| SignedHead::from_note(format!("{text}{lines}").as_bytes(), &vkey);

    // Others before and behind, of any algorithm, as many as fit.
    assert_eq!(accepted(&format!("{OTHER}{own}")), Ok(signed()));
    assert_eq!(accepted(&format!("{own}{OTHER}{OTHER}")), Ok(signed()));
    assert_eq!(accepted(&format!("{own}— other AAAAAAA=\n")), Ok(signed()));
    let post_quantum = format!("— {} {}\n", "n".repeat(500), "A".repeat(6_200));
    assert_eq!(accepted(&format!("{}{own}", post_quantum.repeat(16))), Ok(signed()));
    assert_eq!(accepted(&format!("{}{own}", OTHER.repeat(MAX_NOTE_SIGNATURES - 1))), Ok(signed()));
    assert_eq!(accepted(&format!("{own}{own}")), Ok(signed()));

    // The same name with another key id, and the same key id with another name, are other signers.
    let renamed = own.replace(NAME, "example.com/elsewhere");
    let rekeyed = SignedHead::sign(&Identity::<Ed25519>::from_seed(NAME, &[8; 32]).unwrap(), signed().head)
        .to_note(Identity::<Ed25519>::from_seed(NAME, &[8; 32]).unwrap().vkey())
        .to_string();
    let rekeyed = rekeyed.rsplit_once("\n\n").unwrap().1.to_string();
    assert_eq!(accepted(&format!("{renamed}{rekeyed}{own}")), Ok(signed()));
    assert_eq!(accepted(&format!("{renamed}{rekeyed}")), Err(NoteError::Unsigned));

    // A line that names our key is false where its signature is, whatever stands beside it.
    let false_line = SignedHead { signature: Signature::from_bytes([1; 64]), ..signed() }.to_note(&vkey).to_string();
    let false_line = false_line.rsplit_once("\n\n").unwrap().1.to_string();
    assert_eq!(accepted(&format!("{own}{false_line}")), Err(NoteError::Signature));
    assert_eq!(accepted(&format!("{false_line}{own}")), Err(NoteError::Signature));
    let (start, _) = own.split_at(own.len() - 5);
    assert_eq!(accepted(&format!("{own}{start}\n")), Err(NoteError::Signature));
}

#[test]
fn the_empty_and_the_largest_log_have_notes() {
    let identity = writer();
    for head in [Head::EMPTY, Head { size: 1 << 62, root: Hash::from_bytes([0xff; 32]) }] {
        let signed = SignedHead::sign(&identity, head);
        let note = signed.to_note(identity.vkey()).to_string();
        assert_eq!(SignedHead::from_note(note.as_bytes(), identity.vkey()), Ok(signed));
    }
}

#[test]
fn the_longest_name_fits() {
    let identity = Identity::<Ed25519>::from_seed(&"n".repeat(63), &[7; 32]).unwrap();
    let head = Head { size: 1 << 62, root: Hash::from_bytes([0xff; 32]) };
    let signed = SignedHead::sign(&identity, head);
    assert_eq!(signed.verify(identity.vkey()), Ok(()));
    let note = signed.to_note(identity.vkey()).to_string();
    assert_eq!(SignedHead::from_note(note.as_bytes(), identity.vkey()), Ok(signed));
}

/// A change to a note: what is at a place is overwritten, taken out, or added to.
fn mutated(note: &[u8], place: usize, kind: u8, byte: u8) -> Vec<u8> {
    let mut note = note.to_vec();
    let place = place % note.len();
    match kind % 4 {
        0 => note[place] = byte,
        1 => note.insert(place, byte),
        2 => drop(note.remove(place)),
        _ => note[place] ^= 1 << (byte % 8),
    }
    note
}

proptest! {
    #[test]
    fn no_change_to_a_note_makes_another_head_of_it(
        place in any::<usize>(), kind in any::<u8>(), byte in any::<u8>(), also in any::<Option<(usize, u8, u8)>>(),
    ) {
        let mut bytes = mutated(note().as_bytes(), place, kind, byte);
        if let Some((place, kind, byte)) = also {
            bytes = mutated(&bytes, place, kind, byte);
        }
        let read = SignedHead::from_note(&bytes, writer().vkey());
        if bytes == note().as_bytes() {
            prop_assert_eq!(read, Ok(signed()));
        } else {
            prop_assert!(read.is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_is_read_is_written_again_as_it_was(note in "(a\n|1\n|0\n|[+/A]{43}=\n|\n|— |b |A{8}\n|.){0,12}") {
        if let Ok(checkpoint) = Checkpoint::parse(note.as_bytes()) {
            prop_assert_eq!(checkpoint.to_string(), note);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = SignedHead::from_note(&bytes, writer().vkey());
    }
}

#[test]
fn any_head_is_read_from_its_note() {
    fn law(name: u8, seed: u8, size: u64, root: (u128, u128)) -> bool {
        let identity = Identity::<Ed25519>::from_seed(&format!("log{name}"), &[seed; 32]).unwrap();
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&root.0.to_le_bytes());
        bytes[16..].copy_from_slice(&root.1.to_le_bytes());
        let head = Head { size: size >> 2, root: Hash::from_bytes(bytes) };
        let signed = SignedHead::sign(&identity, head);
        let note = signed.to_note(identity.vkey()).to_string();
        let read = SignedHead::from_note(note.as_bytes(), identity.vkey());
        if head.is_well_formed() { read == Ok(signed) } else { read == Err(NoteError::Root) }
    }
    quickcheck::quickcheck(law as fn(u8, u8, u64, (u128, u128)) -> bool);
}
