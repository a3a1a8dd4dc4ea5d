//! A node under any sequence of true, changed and false messages, of restarts and of a store that fails:
//! what must hold holds after each, and when its peers are honest again it catches up.

use std::time::Duration;

use verisoo::store::StoreError;
use verisoo::wire::{Batch, Frame, Message, Nonce, Proof, Push, Refusal, Request, RequestId, Response, StatusRequest};
use verisoo::{Event, Instant, LogId, Start};

use super::input::Input;
use super::world::{FORKER, STRANGER, World, encode_frame};

/// Steps of one run: enough for anything, and a bound on its time.
const MOST_STEPS: usize = 120;

pub fn node_ops(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    world.poll();
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        step(&mut world, &mut input);
        world.check();
    }
    world.drain(150);
    tempt(&mut world);
}

/// The forker goes on, on both of its histories, and pushes: what is frozen stays as it is.
fn tempt(world: &mut World) {
    for at in FORKER {
        let log = world.writers[at].id();
        world.writers[at].append(&[7]);
        let writer = &world.writers[at];
        let (start, end) = (world.node.log(&log).map_or(0, |log| log.have), writer.size());
        let records = writer.framed(start.min(end), end);
        let batch = Batch { log, start, head: writer.sign(end), proof: Proof::default(), records: &records };
        let push = Request::Push(Push { from: log, nonce: Nonce([0; 16]), batch });
        let bytes = encode_frame(&Frame { id: RequestId::new(0), message: Message::Request(push) });
        world.ask(&bytes);
        world.poll();
        world.check();
    }
}

fn step(world: &mut World, input: &mut Input<'_>) {
    match input.below(19) {
        0 => {
            let len = input.below(60);
            let _ = world.append(input.bytes(len));
        }
        1 => grow(world, input),
        2 => {
            world.now = tick(world.now, input);
            world.poll();
        }
        3 | 4 => answer(world, input, How::True),
        5 | 6 => answer(world, input, How::Chosen),
        7 => answer(world, input, How::Mutated),
        8 => answer_all(world),
        9 | 10 => {
            let bytes = request(world, input);
            world.ask(&bytes);
        }
        11 => {
            let mut bytes = request(world, input);
            input.mutate(&mut bytes, 4);
            world.ask(&bytes);
        }
        12 => replay(world, input),
        13 => fail(world, input),
        14 => operate(world, input),
        15 => {
            world.store.mend();
            world.restart(Start::Resume);
            world.poll();
        }
        16 => {
            let error = input.choose(&[StoreError::NotReady, StoreError::Full, StoreError::Failed]);
            world.store.fail_after(input.below(8), 1 + input.below(6), error);
        }
        17 => drop(world.node.publish(&mut world.store)),
        _ => world.poll(),
    }
}

/// A writer appends; the forker to the one history, the other, or both.
fn grow(world: &mut World, input: &mut Input<'_>) {
    let who = input.below(6);
    for _ in 0..=input.below(4) {
        let len = input.below(30);
        let record = input.bytes(len);
        match who {
            5 if !world.has_forked() => FORKER.iter().for_each(|at| world.writers[*at].append(record)),
            5 => {}
            who => {
                let mut record = record.to_vec();
                record.push(who.to_le_bytes()[0]);
                world.writers[who].append(&record);
            }
        }
    }
}

fn tick(now: Instant, input: &mut Input<'_>) -> Instant {
    let millis = input.choose(&[1, 20, 100, 300, 1_000, 2_000, 12_000, 60_000, 0]);
    match millis {
        // A clock that was set back, and one that jumps.
        0 if input.flag() => Instant::from_micros(now.as_micros().saturating_sub(5_000_000)),
        0 => now + Duration::from_secs(400 * 24 * 3_600),
        millis => now + Duration::from_millis(millis),
    }
}

#[derive(Clone, Copy)]
enum How {
    True,
    Chosen,
    Mutated,
}

fn answer(world: &mut World, input: &mut Input<'_>, how: How) {
    if world.sent.is_empty() {
        return;
    }
    let at = input.below(world.sent.len());
    let (peer, request) = if input.below(4) == 0 { world.sent[at].clone() } else { world.sent.remove(at) };
    let reply = match how {
        How::True => world.reply(peer, &request, None),
        How::Chosen => world.reply(peer, &request, Some(input)),
        How::Mutated => {
            let mut reply = world.reply(peer, &request, None);
            input.mutate(&mut reply, 4);
            reply
        }
    };
    world.answer(peer, &reply);
    world.given.push((peer, reply));
    if input.flag() {
        world.poll();
    }
}

fn answer_all(world: &mut World) {
    for (peer, request) in std::mem::take(&mut world.sent) {
        let reply = world.reply(peer, &request, None);
        world.answer(peer, &reply);
    }
    world.poll();
}

/// An answer given before comes again, perhaps from another peer and to another request.
fn replay(world: &mut World, input: &mut Input<'_>) {
    if world.given.is_empty() {
        return;
    }
    let (mut peer, bytes) = world.given[input.below(world.given.len())].clone();
    let Ok(mut frame) = Frame::decode(&bytes) else { return };
    if input.flag() {
        peer = world.peer(input.below(3));
    }
    if let Some((to, request)) = world.sent.get(input.below(world.sent.len())).filter(|_| input.flag()) {
        peer = *to;
        frame.id = Frame::decode(request).expect("it was sent").id;
    }
    let bytes = encode_frame(&frame);
    world.answer(peer, &bytes);
}

fn fail(world: &mut World, input: &mut Input<'_>) {
    if world.sent.is_empty() {
        return;
    }
    let (peer, bytes) = world.sent.remove(input.below(world.sent.len()));
    let request = Frame::decode(&bytes).expect("it was sent").id;
    let index = input.between(0, 20);
    let refusals =
        [Refusal::Unknown, Refusal::NotHeld, Refusal::Dropped { first: index }, Refusal::Busy, Refusal::Invalid];
    let refused = |refusal| Event::Answer { peer, request, response: Response::Refused(refusal) };
    let event = match input.below(7) {
        6 => Event::RequestFailed { peer, request },
        // A refusal for being too long ends a copy for good where it is believed; here all records fit.
        5 => refused(Refusal::TooLong { index: index + 1_000 }),
        at => refused(refusals[at]),
    };
    world.handle(event);
}

fn operate(world: &mut World, input: &mut Input<'_>) {
    let stranger = *world.writers[STRANGER].identity.vkey();
    match input.below(8) {
        0 => world.node.pause(),
        1 => world.node.resume(),
        2 => drop(world.node.sync_now(world.peer(input.below(3)))),
        3 => drop(world.node.set_authenticated(world.peer(input.below(3)), input.flag())),
        4 => drop(world.node.follow(&mut world.store, &stranger)),
        5 => {
            if world.node.unfollow(&mut world.store, &stranger.id()).is_ok() {
                world.forget(&stranger.id());
            }
        }
        6 => {
            world.store.mend();
            let peer = world.peer(input.below(3));
            world.node.remove_peer(peer).expect("it is there");
            world.add_peers();
            world.sent.retain(|(to, _)| *to != peer);
        }
        _ => world.handle(Event::Tick),
    }
}

/// What somebody might ask the node or push to it.
fn request(world: &World, input: &mut Input<'_>) -> Vec<u8> {
    let id = RequestId::new(input.byte().into());
    let writer = input.below(6);
    let log = world.writers.get(writer).unwrap_or(&world.own).id();
    let limit = input.choose(&[u32::MAX, 4_608, 300, 0]);
    let from = world.writers[input.below(5)].id();
    let nonce = Nonce([input.byte(); 16]);
    let batch;
    let proof;
    let request = match input.below(8) {
        0 => Request::Status(StatusRequest {
            asker: from,
            nonce,
            digest: verisoo::log::leaf_hash(&[input.byte()]),
            compared: None,
            after: input.flag().then(|| LogId::from_bytes([input.byte(); 32])),
            limit,
        }),
        1 => Request::Proof { log, size: input.between(0, 30), limit },
        2 => Request::Records { log, start: input.between(0, 30), count: input.between(0, 30), limit },
        3 => Request::Key { log },
        4 => Request::Fork { log },
        5 => {
            let mut bytes = world.fork_proof(input).unwrap_or_default();
            if input.below(3) == 0 {
                input.mutate(&mut bytes, 3);
            }
            let log = if input.below(4) == 0 { log } else { world.writers[FORKER[0]].id() };
            proof = bytes;
            Request::PushFork { log, proof: &proof }
        }
        _ => {
            let have = world.node.log(&log).map_or(0, |log| log.have);
            let start = if input.below(3) == 0 { input.between(0, 20) } else { have };
            batch = world.some_batch(log, start, input);
            Request::Push(Push { from, nonce, batch: batch.as_batch() })
        }
    };
    encode_frame(&Frame { id, message: Message::Request(request) })
}
