//! A device whose own log outgrows its memory: it drops what a peer has acknowledged and nothing else, says
//! so when asked, and is not blamed for it.
#![cfg(feature = "alloc")]

use std::time::Duration;

use verisoo::local::{Member, exchange};
use verisoo::store::{FixedStore, MemoryStore, Store, StoreError};
use verisoo::wire::{Frame, Message, Refusal, Request, RequestId, Response};
use verisoo::{Config, Error, Fixed, Health, Heap, Identity, Instant, Node};

/// Room for about ten records of its own, and for three of each of four other logs.
type Logs = FixedStore<4, 64, 40, 220, 64, 1_200>;
type Device = Node<Fixed<2, 5, 8, 4, 80>>;

fn config() -> Config {
    let mut config = Config::default();
    config.interval = Duration::from_secs(1);
    config.max_message = 4_608;
    config
}

fn device() -> (Device, Logs) {
    let identity = Identity::from_seed("device.example", &[1; 32]).unwrap();
    (Node::new(identity, config(), [2; 32], Instant::ZERO), Logs::new())
}

fn server(name: &str, seed: u8) -> (Node<Heap>, MemoryStore) {
    let identity = Identity::from_seed(name, &[seed; 32]).unwrap();
    (Node::new(identity, config(), [seed; 32], Instant::ZERO), MemoryStore::new())
}

/// Both do what they want done, for some rounds.
fn meet(now: &mut Instant, one: &mut dyn Member, other: &mut dyn Member) {
    for _ in 0..4 {
        *now = *now + Duration::from_secs(2);
        exchange(*now, &mut [&mut *one, &mut *other]).unwrap();
    }
}

fn reading(index: u64) -> [u8; 20] {
    let mut record = [0; 20];
    record[..8].copy_from_slice(&index.to_le_bytes());
    record
}

#[test]
fn a_device_waits_for_its_peer_and_loses_nothing() {
    let (mut device, mut logs) = device();
    let (mut server, mut store) = server("server.example", 3);
    device.add_peer(&mut logs, *server.vkey()).unwrap();
    server.add_peer(&mut store, *device.vkey()).unwrap();

    let (mut now, mut appended, mut waited) = (Instant::ZERO, 0, 0);
    while appended < 60 {
        match device.append(&mut logs, &reading(appended)) {
            Ok(index) => {
                assert_eq!(index, appended);
                appended += 1;
            }
            Err(error) => {
                // Nobody has acknowledged what would have to go; and the refusal changes nothing.
                assert_eq!(error, Error::Store(StoreError::Full));
                assert_eq!(device.append(&mut logs, &reading(appended)), Err(error));
                waited += 1;
                meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
            }
        }
    }
    meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    assert!(waited > 3, "the ring was never full: the test shows nothing");
    for index in 0..appended {
        assert_eq!(store.record(&device.id(), index), Some(&reading(index)[..]), "record {index}");
    }
    let first = logs.log(&device.id()).unwrap().unwrap().first;
    assert!(first > 40, "only the newest are kept, but {first} is the first");
    let acknowledged = device.peers().next().unwrap().acknowledged;
    assert_eq!(acknowledged, Some(appended));
}

#[test]
fn what_was_dropped_is_said_to_be_and_nobody_is_blamed() {
    let (mut device, mut logs) = device();
    let (mut server, mut store) = self::server("server.example", 3);
    device.add_peer(&mut logs, *server.vkey()).unwrap();
    server.add_peer(&mut store, *device.vkey()).unwrap();
    let mut now = Instant::ZERO;
    for index in 0..40 {
        device.append(&mut logs, &reading(index)).unwrap();
        meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    }
    let first = logs.log(&device.id()).unwrap().unwrap().first;
    assert!(first > 0);

    let mut buf = [0; 4_608];
    let request = Request::Records { log: device.id(), start: 0, count: 5, limit: 4_608 };
    let bytes = device.respond(now, &mut logs, RequestId::new(9), &request, &mut buf).unwrap();
    let refused = Message::Response(Response::Refused(Refusal::Dropped { first }));
    assert_eq!(Frame::decode(bytes).unwrap().message, refused);

    // One that comes late and knows only the device cannot have the beginning, and knows whose fault it is
    // not; the records it can have from the server, and does.
    let (mut late, mut late_store) = self::server("late.example", 4);
    let to_device = late.add_peer(&mut late_store, *device.vkey()).unwrap();
    late.set_authenticated(to_device, true).unwrap();
    for _ in 0..5 {
        now = now + Duration::from_secs(2);
        exchange(now, &mut [&mut (&mut late, &mut late_store), &mut (&mut device, &mut logs)]).unwrap();
    }
    assert_eq!(late.peer(to_device).unwrap().health, Health::Healthy);
    assert_eq!(late.log(&device.id()).unwrap().have, 0);

    late.remove_peer(to_device).unwrap();
    late.add_peer(&mut late_store, *server.vkey()).unwrap();
    meet(&mut now, &mut (&mut late, &mut late_store), &mut (&mut server, &mut store));
    assert_eq!(late.log(&device.id()).unwrap().complete.size, 40);
    assert_eq!(late_store.record(&device.id(), 0), Some(&reading(0)[..]));
}

#[test]
fn a_device_follows_a_log_whose_batches_are_larger_than_its_memory() {
    let (mut device, mut logs) = device();
    let (mut server, mut store) = self::server("server.example", 3);
    device.add_peer(&mut logs, *server.vkey()).unwrap();
    server.add_peer(&mut store, *device.vkey()).unwrap();
    for index in 0..100 {
        server.append(&mut store, &reading(index)).unwrap();
    }
    let mut now = Instant::ZERO;
    for _ in 0..10 {
        meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    }
    let log = device.log(&server.id()).unwrap();
    assert_eq!(log.complete, server.log(&server.id()).unwrap().complete);
    assert_eq!(log.complete.size, 100);
    assert!(logs.log(&server.id()).unwrap().unwrap().bytes <= 64);
    assert_eq!(device.root(), server.root());
}

#[test]
fn a_device_that_lost_its_memory_takes_its_log_back_before_it_writes() {
    let (mut device, mut logs) = device();
    let (mut server, mut store) = self::server("server.example", 3);
    device.add_peer(&mut logs, *server.vkey()).unwrap();
    server.add_peer(&mut store, *device.vkey()).unwrap();
    let mut now = Instant::ZERO;
    for index in 0..30 {
        device.append(&mut logs, &reading(index)).unwrap();
        meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    }

    let (mut device, mut logs) = self::device();
    let start = verisoo::Start::Recover(verisoo::Answers::AtLeast(1));
    device.load(&mut logs, start).unwrap();
    device.add_peer(&mut logs, *server.vkey()).unwrap();
    assert_eq!(device.append(&mut logs, &reading(30)), Err(Error::Recovering));
    for _ in 0..5 {
        meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    }
    assert_eq!(device.append(&mut logs, &reading(30)), Ok(30));
    meet(&mut now, &mut (&mut device, &mut logs), &mut (&mut server, &mut store));
    assert_eq!(store.record(&device.id(), 30), Some(&reading(30)[..]));
    assert!(server.logs().all(|log| !log.is_forked));
}

#[test]
fn a_node_is_as_large_as_the_guide_says() {
    // Bytes where pointers have 64 bits; with 32 it is a little less.
    fn size<const P: usize, const L: usize, const V: usize, const R: usize, const H: usize>() -> usize {
        size_of::<Node<Fixed<P, L, V, R, H>>>()
    }
    let at_most = |peers: usize, logs: usize, views: usize, requests: usize, hashes: usize| {
        896 + 456 * peers + 256 * logs + 176 * views + 96 * requests + 32 * hashes
    };
    for (size, bound) in [
        (size::<1, 3, 4, 4, 80>(), at_most(1, 3, 4, 4, 80)),
        (size::<4, 9, 10, 6, 80>(), at_most(4, 9, 10, 6, 80)),
        (size::<8, 17, 32, 16, 206>(), at_most(8, 17, 32, 16, 206)),
    ] {
        assert!(size <= bound, "{size} bytes, but the guide says {bound}");
        assert!(size + 100 > bound, "{size} bytes: the guide's {bound} is far too much");
    }
}
