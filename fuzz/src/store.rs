//! A node on a disk that fails in every way the simulator knows, and that crashes: what was synced is
//! there afterwards, nothing that the node showed is lost, nothing torn is served, and nobody signs twice.

use std::time::Duration;

use verisoo::sim::{Disk, DiskFault};
use verisoo::store::{MemoryStore, Store, StoreError};
use verisoo::wire::{Frame, Message, Nonce, Request, RequestId, StatusRequest};
use verisoo::{Answers, Hash, Start};

use super::input::Input;
use super::world::{FORKER, World, encode_frame};

pub fn store(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    let mut backups = vec![MemoryStore::new()];
    world.poll();
    for _ in 0..80 {
        if input.is_empty() {
            break;
        }
        step(&mut world, &mut input, &mut backups);
        world.check();
    }
    world.store.mend();
    if world.store.has_rotted {
        // What a node found damaged it finds damaged until it is started again.
        restart(&mut world);
    }
    show(&mut world);
    world.drain(150);
    world.expects_writing = true;
    world.check();
}

fn step(world: &mut World, input: &mut Input<'_>, backups: &mut Vec<MemoryStore>) {
    match input.below(12) {
        0 => {
            let len = input.below(40);
            let _ = world.append(input.bytes(len));
        }
        1 => grow(world, input),
        2 => {
            world.now = world.now + Duration::from_millis(input.choose(&[5, 100, 1_000, 10_000]));
            world.poll();
        }
        3 => exchange(world, input),
        4 => {
            let error = input.choose(&[StoreError::NotReady, StoreError::Full, StoreError::Failed]);
            world.store.fail_after(input.below(8), 1 + input.below(6), error);
        }
        5 => break_down(world, input),
        6 => world.store.mend(),
        7 => backups.push(world.store.disk.backup().expect("it can be copied")),
        8 => crash(world, input),
        9 => restore(world, input, backups),
        10 => show(world),
        _ => world.poll(),
    }
}

/// A writer appends; the forker to both of its histories or, at times, to one.
fn grow(world: &mut World, input: &mut Input<'_>) {
    let writer = input.choose(&[0, 1, 2, 3, 2]);
    let record = [input.byte()];
    world.writers[writer].append(&record);
    if writer == FORKER[0] && input.below(4) > 0 {
        world.writers[FORKER[1]].append(&record);
    }
}

/// Everybody answers truly what was asked so far, or as much of it as there is before the power goes.
fn exchange(world: &mut World, input: &mut Input<'_>) {
    let count = if input.flag() { world.sent.len() } else { input.below(4).min(world.sent.len()) };
    for (peer, request) in world.sent.drain(..count).collect::<Vec<_>>() {
        let reply = world.reply(peer, &request, None);
        world.answer(peer, &reply);
    }
    if input.flag() {
        world.poll();
    }
}

fn break_down(world: &mut World, input: &mut Input<'_>) {
    let permille = input.choose(&[50, 300, 1_000]);
    let fault = input.choose(&[
        DiskFault::Errors { permille },
        DiskFault::NotReady { permille },
        DiskFault::Full,
        DiskFault::Rot { permille },
    ]);
    world.store.break_down(fault, input.byte().into());
}

/// Somebody looks at the node: its own head, where there is one, is known to the peers from then on.
fn show(world: &mut World) {
    let logs: Vec<_> = world.node.logs().map(|log| (log.log, log.have)).collect();
    for (log, have) in logs {
        ask(world, Request::Proof { log, size: have / 2, limit: u32::MAX });
        ask(world, Request::Records { log, start: have / 2, count: have, limit: u32::MAX });
        ask(world, Request::Fork { log });
    }
    let asker = world.writers[0].id();
    let status = StatusRequest {
        asker,
        nonce: Nonce([0; 16]),
        digest: Hash::EMPTY_ROOT,
        compared: None,
        after: None,
        limit: u32::MAX,
    };
    ask(world, Request::Status(status));
    let own = world.own.id();
    ask(world, Request::Proof { log: own, size: 0, limit: u32::MAX });
}

fn ask(world: &mut World, request: Request<'_>) {
    world.ask(&encode_frame(&Frame { id: RequestId::new(0), message: Message::Request(request) }));
}

/// Power is lost: what was not durable may be gone, what was is not.
fn crash(world: &mut World, input: &mut Input<'_>) {
    let mut durable = world.store.disk.backup().expect("it can be copied");
    world.store.crash(input.byte().into());
    world.remember_durable(|log| durable.log(log).expect("memory"));
    restart(world);
}

/// The disk is replaced by an older one, and the operator says so. Later ones are thrown away: on them may
/// be heads that nobody was shown, and others in their place by then.
fn restore(world: &mut World, input: &mut Input<'_>, backups: &mut Vec<MemoryStore>) {
    let chosen = input.below(backups.len());
    backups.truncate(chosen + 1);
    world.store.replace(backups[chosen].clone());
    world.remember_durable(|_| None);
    world.expects_writing = false;
    start(world, Start::Recover(Answers::All));
}

/// The node is started again; where it was taking its log back, it goes on with that.
fn restart(world: &mut World) {
    let is_recovering = !world.expects_writing && world.node.is_recovering();
    start(world, if is_recovering { Start::Recover(Answers::All) } else { Start::Resume });
}

fn start(world: &mut World, start: Start) {
    world.restart(start);
    world.store.has_rotted = false;
    keep_own(world);
    world.poll();
}

/// Records that nobody was shown a head of may be lost with the disk; they are not appended then. What
/// was shown is in the peers' hands.
fn keep_own(world: &mut World) {
    let have = world.node.log(&world.own.id()).map_or(0, |own| own.have);
    let shown = world.shown.keys().next_back().copied().unwrap_or(0);
    if !world.node.is_recovering() {
        assert!(have >= shown, "what was shown was not durable");
    }
    let kept = have.max(shown);
    if kept < world.own.size() {
        world.own = world.own.truncated(kept);
    }
}
