//! Names, vkey strings and signatures: what is accepted, and that nothing else is.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use verisoo::key::KeyError;
use verisoo::{Ed25519, Hash, Head, Identity, LogId, Name, Scheme, Signature, SignedHead, Vkey};

/// The example key of Go's note package, and its published secret.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_SEED: &str = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const GOSUM: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn known_vkeys_parse_and_print_as_they_were() {
    for text in [PETER, ENOCH, GOSUM] {
        let vkey = Vkey::parse(text).unwrap();
        assert_eq!(vkey.to_string(), text);
        assert_eq!(format!("{vkey:?}"), format!("Vkey({text})"));
        assert_eq!(text.parse::<Vkey>().unwrap(), vkey);
        assert_eq!(vkey.id().as_bytes()[..4], vkey.key_id());
        assert!(text.contains(&format!("+{:08x}+", u32::from_be_bytes(vkey.key_id()))));
    }
}

#[test]
fn a_published_secret_gives_its_published_key() {
    let peter = Identity::<Ed25519>::from_seed("PeterNeumann", &hex(PETER_SEED)).unwrap();
    assert_eq!(peter.vkey().to_string(), PETER);
    let debug = format!("{peter:?}");
    assert!(debug.contains(PETER) && !debug.contains("129"), "{debug}");
}

#[test]
fn every_departure_from_a_vkey_string_is_refused() {
    let table = [
        ("", KeyError::Malformed),
        ("PeterNeumann", KeyError::Malformed),
        ("PeterNeumann+c74f20a3", KeyError::Malformed),
        ("PeterNeumann+c74f20a3+", KeyError::Malformed),
        // The name.
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name),
        (" PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Name),
        ("PeterNeumanN+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::KeyId),
        // The key id.
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::KeyId),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann+c74f20+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann+0c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann++ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann++c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Malformed),
        // The key.
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", KeyError::Malformed),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", KeyError::Algorithm),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq_LDE4izWy10TW", KeyError::Malformed),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T", KeyError::Malformed),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n", KeyError::Malformed),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW====", KeyError::Malformed),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX", KeyError::KeyId),
        ("PeterNeumann+c74f20a3+ARé", KeyError::Malformed),
    ];
    for (text, error) in table {
        assert_eq!(Vkey::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn names_are_short_and_in_one_word() {
    let longest = "n".repeat(63);
    for name in ["a", "example.com/log#1", "é", "日本", longest.as_str()] {
        assert_eq!(Name::new(name).unwrap().as_str(), name);
        assert_eq!(name.parse::<Name>().unwrap().to_string(), name);
    }
    let long = "n".repeat(64);
    let long_bytes = "é".repeat(32);
    for name in [
        "",
        " ",
        "a b",
        "a\n",
        "a\tb",
        "a+b",
        "a\u{a0}b",
        "a\u{85}b",
        "a\u{2003}",
        "a\u{3000}",
        "a\0",
        "a\u{1b}[2J",
        "a\u{7f}",
        &long,
        &long_bytes,
    ] {
        assert_eq!(Name::new(name), Err(KeyError::Name), "{name:?}");
    }
}

#[test]
fn names_are_ordered_as_their_strings() {
    let names = ["b", "a", "ab", "aa", "é", "B", "abc"];
    let mut strings = names;
    strings.sort_unstable();
    let mut sorted = names.map(|name| Name::new(name).unwrap());
    sorted.sort_unstable();
    assert_eq!(sorted.map(|name| name.to_string()), strings);
}

#[test]
fn identities_are_equal_by_name_and_key() {
    let identity = |name, byte| Identity::<Ed25519>::from_seed(name, &[byte; 32]).unwrap();
    assert_eq!(identity("a", 1), identity("a", 1));
    assert_ne!(identity("a", 1), identity("b", 1));
    assert_ne!(identity("a", 1), identity("a", 2));
    assert_ne!(identity("a", 1).vkey().id(), identity("b", 1).vkey().id());
    assert_eq!(Identity::<Ed25519>::from_seed("a b", &[1; 32]).unwrap_err(), KeyError::Name);
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let id = Vkey::parse(PETER).unwrap().id();
    assert_eq!(LogId::from_hex(&id.to_string()), Some(id));
    assert_eq!(LogId::from_bytes(*id.as_bytes()), id);
    assert_eq!(format!("{id:?}"), id.to_string()[..16]);
    assert!(id.to_string().starts_with("c74f20a3"));
    assert_eq!(LogId::from_hex(&id.to_string().to_uppercase()), None);
    assert_eq!(LogId::from_hex(&id.to_string()[..62]), None);
}

/// RFC 8032 section 7.1: tests 1, 2, 3 and SHA(abc).
#[test]
fn signatures_are_those_of_rfc_8032() {
    let table: [(&str, &str, &[u8], &str); 4] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &[],
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            &[0xaf, 0x82],
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            &hex::<64>(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
                 454d4423643ce80e2a9ac94fa54ca49f",
            ),
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
             3dca179c138ac17ad9bef1177331a704",
        ),
    ];
    for (seed, public, message, signature) in table {
        let identity = Identity::<Ed25519>::from_seed("rfc8032", &hex(seed)).unwrap();
        assert_eq!(identity.vkey().key(), &hex(public));
        assert_eq!(identity.sign(message), Signature::from_bytes(hex(signature)));
        assert!(identity.vkey().verify(message, &identity.sign(message)));
    }
}

/// The eight points of small order, each encoding of each: five canonical y (two of which have two signs),
/// and those with y beyond p or a sign bit on x = 0.
#[test]
fn keys_of_small_order_are_refused() {
    for key in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        refused(&hex(key));
    }
}

/// y = 3 is on the curve and of large order; y = p + 3 is the same point in another encoding. (Of
/// y = 0 .. 18, the only ones that have such a second encoding, some are not on the curve.)
#[test]
fn keys_in_another_encoding_are_refused() {
    let mut accepted = 0;
    for low in 0u8..19 {
        for sign in [0x00, 0x80] {
            let mut small = [0; 32];
            (small[0], small[31]) = (low, sign);
            accepted += usize::from(Ed25519::is_valid(&small));
            let mut beyond = [0xff; 32];
            (beyond[0], beyond[31]) = (0xed + low, 0x7f | sign);
            refused(&beyond);
        }
    }
    assert!(accepted >= 10, "the second encodings would be of valid keys: {accepted}");
    // y = 2 is not on the curve.
    let mut none = [0; 32];
    none[0] = 2;
    refused(&none);
    // The largest y that is not refused for its encoding: p − 1 is of small order, p − 3 is not.
    let mut largest = [0xff; 32];
    (largest[0], largest[31]) = (0xea, 0x7f);
    assert!(Ed25519::is_valid(&largest));
}

fn refused(key: &[u8; 32]) {
    assert!(!Ed25519::is_valid(key), "{key:02x?}");
    assert_eq!(Vkey::<Ed25519>::new(Name::new("a").unwrap(), *key), Err(KeyError::Key));
    // With R the neutral element and s = 0 the equation holds for the neutral key and any message.
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(!Ed25519::verify(key, b"any message", &signature));
}

#[test]
fn a_signature_has_one_encoding() {
    let peter = Identity::<Ed25519>::from_seed("PeterNeumann", &hex(PETER_SEED)).unwrap();
    let signature = peter.sign(b"hi");
    assert!(peter.vkey().verify(b"hi", &signature));
    // s + L, where L is the order of the base point, satisfies the same equation.
    let order = hex::<32>("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut other = *signature.as_bytes();
    let mut carry = 0;
    for (s, l) in other[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        *s = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!peter.vkey().verify(b"hi", &Signature::from_bytes(other)));
}

#[test]
fn a_head_that_no_log_can_have_is_refused_before_its_signature() {
    use verisoo::head::HeadError;
    let peter = Identity::<Ed25519>::from_seed("PeterNeumann", &hex(PETER_SEED)).unwrap();
    let root = Hash::from_bytes([7; 32]);
    let max = 1 << 62;
    let table = [
        (Head::EMPTY, Ok(())),
        (Head { size: 0, root }, Err(HeadError::Malformed)),
        (Head { size: 1, root }, Ok(())),
        (Head { size: max, root }, Ok(())),
        (Head { size: max + 1, root }, Err(HeadError::Malformed)),
        (Head { size: u64::MAX, root }, Err(HeadError::Malformed)),
    ];
    for (head, expected) in table {
        let signed = SignedHead::sign(&peter, head);
        assert_eq!(signed.verify(peter.vkey()), expected, "{head:?}");
        assert_eq!(head.is_well_formed(), expected.is_ok());
        // The signature is over the note's text, to the byte.
        let root = Base64Display::new(head.root.as_bytes(), &STANDARD);
        assert_eq!(signed.signature, peter.sign(format!("PeterNeumann\n{}\n{root}\n", head.size).as_bytes()));
    }
}

proptest! {
    #[test]
    fn no_other_head_has_the_same_signature(
        size in 1u64..1 << 62, root in any::<[u8; 32]>(), other_size in 1u64..1 << 62, bit in 0usize..256,
    ) {
        let identity = Identity::<Ed25519>::from_seed("a", &[1; 32]).unwrap();
        let head = Head { size, root: Hash::from_bytes(root) };
        let signed = SignedHead::sign(&identity, head);
        prop_assert_eq!(signed.verify(identity.vkey()), Ok(()));

        let mut flipped = root;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let flipped = SignedHead { head: Head { size, root: Hash::from_bytes(flipped) }, ..signed };
        prop_assert!(flipped.verify(identity.vkey()).is_err());
        if other_size != size {
            let other = SignedHead { head: Head { size: other_size, ..head }, ..signed };
            prop_assert!(other.verify(identity.vkey()).is_err());
        }
        let renamed = Identity::<Ed25519>::from_seed("b", &[1; 32]).unwrap();
        prop_assert!(signed.verify(renamed.vkey()).is_err());
    }

    #[test]
    fn any_name_and_key_round_trips_through_a_vkey_string(name in "[^\\s+\\p{C}]{1,15}", seed in any::<[u8; 32]>()) {
        let identity = Identity::<Ed25519>::from_seed(&name, &seed).unwrap();
        prop_assert_eq!(&Vkey::parse(&identity.vkey().to_string()).unwrap(), identity.vkey());
    }
}
