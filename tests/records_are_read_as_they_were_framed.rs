//! Framed records: `u16 LE length ‖ bytes`, one after the other.

use quickcheck::quickcheck;
use verisoo::{MAX_RECORD, Records, RecordsIter, Truncated};

fn framed(records: &[Vec<u8>]) -> Vec<u8> {
    let mut framed = Vec::new();
    for record in records {
        framed.extend(u16::try_from(record.len()).unwrap().to_le_bytes());
        framed.extend(record);
    }
    framed
}

quickcheck! {
    fn what_is_framed_is_read(records: Vec<Vec<u8>>) -> bool {
        let mut buf = vec![0xee; framed(&records).len()];
        let mut len = 0;
        for record in &records {
            len += Records::frame(record, &mut buf[len..]).unwrap();
        }
        let read: Result<Vec<&[u8]>, _> = Records::new(&buf).iter().collect();
        buf == framed(&records) && read.unwrap() == records && Records::new(&buf).is_empty() == records.is_empty()
    }

    fn any_bytes_are_records_up_to_where_they_end(bytes: Vec<u8>) -> bool {
        let read: Vec<_> = Records::new(&bytes).iter().collect();
        let whole: Vec<Vec<u8>> = read.iter().map_while(|record| record.ok()).map(<[u8]>::to_vec).collect();
        let len = framed(&whole).len();
        // What is whole is as it was; then either there is no more, or one error and nothing after it.
        let is_cut = len < bytes.len();
        bytes[..len] == framed(&whole)
            && read.len() == whole.len() + usize::from(is_cut)
            && is_cut == (read.last() == Some(&Err(Truncated)))
    }
}

#[test]
fn records_cut_short_end_in_one_error() {
    let bytes = framed(&[b"abc".to_vec(), Vec::new(), b"de".to_vec()]);
    for len in 0..=bytes.len() {
        let read: Vec<_> = Records::new(&bytes[..len]).iter().collect();
        let (whole, is_cut) = match len {
            0 => (0, false),
            1..5 => (0, true),
            5 => (1, false),
            6 => (1, true),
            7 => (2, false),
            8..11 => (2, true),
            _ => (3, false),
        };
        assert_eq!(read.iter().filter(|record| record.is_ok()).count(), whole, "{len}");
        assert_eq!(read.last() == Some(&Err(Truncated)), is_cut, "{len}");
        assert_eq!(read.len(), whole + usize::from(is_cut), "{len}");
    }
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let mut records: RecordsIter<'_> = Records::new(b"\x09\x00abc\x00\x00").iter();
    assert_eq!(records.next(), Some(Err(Truncated)));
    assert_eq!(records.next(), None);
    assert_eq!(records.next(), None);
}

#[test]
fn a_record_is_framed_where_it_fits() {
    let mut buf = [0xee; 6];
    for room in 0..5 {
        assert_eq!(Records::frame(b"abc", &mut buf[..room]), None);
    }
    assert_eq!(Records::frame(b"abc", &mut buf), Some(5));
    assert_eq!(buf, *b"\x03\x00abc\xee");
    assert_eq!(Records::frame(b"", &mut buf[..2]), Some(2));

    let longest = vec![7; MAX_RECORD];
    let mut buf = vec![0; MAX_RECORD + 3];
    assert_eq!(Records::frame(&longest, &mut buf), Some(MAX_RECORD + 2));
    let read: Vec<_> = Records::new(&buf[..MAX_RECORD + 2]).iter().collect();
    assert_eq!(read, [Ok(&longest[..])]);
    assert_eq!(Records::frame(&vec![7; MAX_RECORD + 1], &mut buf), None);
}

#[test]
fn no_records_are_none() {
    assert_eq!(Records::default(), Records::new(&[]));
    assert!(Records::default().is_empty());
    assert_eq!(Records::default().into_iter().next(), None);
    assert_eq!((&Records::new(b"\x00\x00")).into_iter().next(), Some(Ok(&b""[..])));
    assert!(!Records::new(b"\x00").is_empty());
    assert_eq!(Records::new(b"\x01\x00a").as_bytes(), b"\x01\x00a");
}
