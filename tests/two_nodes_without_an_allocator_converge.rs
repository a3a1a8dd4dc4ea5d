//! Nodes and stores whose memory is in their types, as on a microcontroller.

mod signing;

use std::time::Duration;

use signing::identity;
use verisoo::store::FixedStore;
use verisoo::wire::{Frame, MIN_MESSAGE, Message};
use verisoo::{Config, Ed25519, Error, Event, Fixed, Identity, Instant, Node, PeerId};

type Tables = Fixed<1, 2, 2, 4, 206>;
type Store = FixedStore<1, 4_096, 128, 4_096, 128, 4_400>;

struct Device {
    node: Node<Tables>,
    store: Store,
    peer: PeerId,
}

fn device(own: &Identity<Ed25519>, other: &Identity<Ed25519>) -> Device {
    let mut config = Config::default();
    config.max_message = MIN_MESSAGE;
    let (mut node, mut store) = (Node::new(own.clone(), config, [1; 32], Instant::ZERO), Store::new());
    let peer = node.add_peer(&mut store, *other.vkey()).unwrap();
    Device { node, store, peer }
}

/// Lets `from` do what it wants, with `to` at the other end of the wire.
fn work(now: Instant, from: &mut Device, to: &mut Device) {
    let mut sent = [0; MIN_MESSAGE as usize];
    let mut received = [0; MIN_MESSAGE as usize];
    while let Some(command) = from.node.poll(now, &mut from.store) {
        let Some(bytes) = from.node.encode(&mut from.store, &command, &mut sent).unwrap() else { continue };
        let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(bytes) else { panic!("no request") };
        let answer = to.node.respond(now, &mut to.store, id, &request, &mut received).unwrap();
        let Ok(Frame { message: Message::Response(response), .. }) = Frame::decode(answer) else { panic!("no answer") };
        from.node.handle(now, &mut from.store, Event::Answer { peer: from.peer, request: id, response }).unwrap();
    }
}

#[test]
fn two_nodes_without_an_allocator_converge() {
    let identities = [identity("sensor-1"), identity("sensor-2")];
    let mut a = device(&identities[0], &identities[1]);
    let mut b = device(&identities[1], &identities[0]);
    let mut now = Instant::ZERO;
    for number in 0..10 {
        a.node.append(&mut a.store, &[number; 100]).unwrap();
        b.node.append(&mut b.store, &[number; 200]).unwrap();
    }
    for _ in 0..20 {
        work(now, &mut a, &mut b);
        work(now, &mut b, &mut a);
        now = now + Duration::from_secs(5);
    }
    assert_eq!(a.node.root(), b.node.root());
    for device in [&a, &b] {
        assert!(device.node.logs().all(|log| log.complete.size == 10));
        assert_eq!(device.node.peer(device.peer).unwrap().acknowledged, Some(10));
    }

    // Far more than there is room for: what the other has acknowledged is dropped.
    for number in 0..200 {
        a.node.append(&mut a.store, &[number; 100]).unwrap();
        work(now, &mut a, &mut b);
        now = now + Duration::from_secs(1);
    }
    for _ in 0..20 {
        work(now, &mut a, &mut b);
        work(now, &mut b, &mut a);
        now = now + Duration::from_secs(5);
    }
    assert_eq!(a.node.root(), b.node.root());
    assert_eq!(b.node.log(&a.node.id()).unwrap().complete.size, 210);
}

#[test]
fn a_full_node_and_a_full_store_say_so() {
    let identities = [identity("sensor-1"), identity("sensor-2"), identity("sensor-3")];
    let mut device = device(&identities[0], &identities[1]);
    let before = (device.node.clone(), device.store.clone());
    let third = identities[2].vkey();
    assert_eq!(device.node.add_peer(&mut device.store, *third), Err(Error::TooManyPeers));
    assert_eq!(device.node.follow(&mut device.store, third), Err(Error::TooManyLogs));
    assert_eq!((&device.node, &device.store), (&before.0, &before.1));

    // Nobody has acknowledged anything, so nothing may be dropped.
    let full = Error::Store(verisoo::store::StoreError::Full);
    let error = (0..100).find_map(|_| device.node.append(&mut device.store, &[7; 500]).err());
    assert_eq!(error, Some(full));
    let before = (device.node.clone(), device.store.clone());
    assert_eq!(device.node.append(&mut device.store, &[7; 500]), Err(full));
    assert_eq!((&device.node, &device.store), (&before.0, &before.1));
}
