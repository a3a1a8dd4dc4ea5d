//! A store may fail at any call. A call to a node that returns an error has then changed nothing, node and
//! store say the same, and once the store works again everything comes about that would have.

#![allow(clippy::cast_possible_truncation, reason = "there are four members at most")]

mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use net::{GivesUp, Net, TestStore, decode_response, identity, small as config};
use verisoo::sim::SimScheme;
use verisoo::store::{Around, Call, MemoryStore, Store, StoreError};
use verisoo::wire::{Batch, Frame, Message, Nonce, Proof, Push, Refusal, Request, RequestId, Response};
use verisoo::{Answers, Error, Heap, Instant, Node, Notice, Start};

/// A store that fails at some calls.
#[derive(Clone, Debug, Default)]
struct FailingStore {
    held: MemoryStore,
    calls: u64,
    fails: Option<Fails>,
    /// What was loaded, where every answer has to be loaded first; also what was written, to be made durable.
    loaded: Option<BTreeSet<String>>,
    /// The method that failed last.
    failed: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct Fails {
    from: u64,
    count: u64,
    error: StoreError,
}

impl TestStore for FailingStore {
    fn held(&mut self) -> Option<&mut MemoryStore> {
        Some(&mut self.held)
    }

    fn may_fail(&self) -> bool {
        self.fails.is_some() || self.loaded.is_some()
    }
}

impl Around for FailingStore {
    fn inner(&mut self) -> &mut dyn Store {
        &mut self.held
    }

    fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
        if let Some(loaded) = &mut self.loaded {
            if call.is_write() {
                // What was durable before is not all any more.
                loaded.remove(&what(&Call::Sync));
            } else if !matches!(call, Call::Acknowledged { .. }) && loaded.insert(what(call)) {
                return Err(StoreError::NotReady);
            }
        }
        let number = self.calls;
        self.calls += 1;
        if let Some(fails) = self.fails
            && (fails.from..fails.from + fails.count).contains(&number)
        {
            self.failed = Some(call.name());
            return Err(fails.error);
        }
        Ok(())
    }
}

/// What a call has to have loaded: records are loaded from where they start, however many are asked for.
fn what(call: &Call<'_>) -> String {
    match call {
        Call::Records { log, start, .. } => format!("records {log} {start}"),
        call => format!("{call:?}"),
    }
}

/// Whose log two write where there are two of this name.
const WRITER: &str = "writer";

const PATIENCE: Duration = Duration::from_secs(120);

type Nodes = Net<Heap<SimScheme>, FailingStore>;
/// What came of it, and what did not.
type Outcome = (Nodes, Result<(), &'static str>);
type Scenario = fn(Vec<FailingStore>, bool) -> Outcome;

fn net(stores: Vec<FailingStore>, retries: bool) -> Nodes {
    let names = (1..=stores.len()).map(|number| format!("node-{number}"));
    net_of(&names.collect::<Vec<_>>(), stores, retries)
}

/// Some may have one name, and so write one log with one key.
fn net_of(names: &[impl AsRef<str>], stores: Vec<FailingStore>, retries: bool) -> Nodes {
    let mut net = Net::without_delay();
    net.gives_up = (!retries).then_some(GivesUp::Silently);
    net.complaints = Some(Vec::new());
    for (name, store) in names.iter().zip(stores) {
        net.add_on(name.as_ref(), config(), store);
    }
    net
}

/// Returns from the scenario where something does not come about.
macro_rules! expect {
    ($net:ident, $what:literal, $is_so:expr) => {
        if !$net.run_until(PATIENCE, $is_so) {
            return ($net, Err(concat!("never: ", $what)));
        }
    };
}

/// Whether a member holds so many records of another's log, under a signed head.
fn holds(net: &Nodes, at: usize, of: usize, size: u64) -> bool {
    net.size(at, &net.id(of)) == size
}

/// Two nodes; records of many sizes, so that the second takes the first's log in several batches.
fn two_nodes_converge(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net(stores, retries);
    for number in 0..12 {
        net.append(0, &vec![number; 100 * usize::from(number)]);
    }
    net.append(1, b"one");
    net.connect(0, 1);
    expect!(net, "converged", |net| holds(net, 1, 0, 12) && holds(net, 0, 1, 1) && net.is_complete());
    // Pushed this time.
    net.append(0, b"another");
    net.append(1, b"two");
    expect!(net, "converged again", |net| holds(net, 1, 0, 13) && holds(net, 0, 1, 2) && net.is_complete());
    (net, Ok(()))
}

/// On a line the ends hear of each other through the one between them.
fn a_line_converges(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net(stores, retries);
    for at in 0..3 {
        net.append(at, &[at as u8; 2_000]);
        net.append(at, &[at as u8; 2_000]);
    }
    net.connect(0, 1);
    net.connect(1, 2);
    expect!(net, "converged", |net| holds(net, 0, 2, 2) && holds(net, 2, 0, 2) && net.is_complete());
    (net, Ok(()))
}

/// A writer that forks: two of it, each known to one of two peers.
fn a_fork_is_proven(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net_of(&["node-1", "node-2", WRITER, WRITER], stores, retries);
    for at in [2, 3] {
        net.append(at, b"as they all know");
        net.append(at, &[at as u8]);
        net.append(at, b"and more");
    }
    let writer = net.id(2);
    net.dial(0, 2);
    net.dial(1, 3);
    net.append(0, b"honest");
    expect!(net, "each holds one history", |net| (0..2).all(|at| net.size(at, &writer) == 3));
    net.connect(0, 1);
    expect!(net, "both are frozen", |net| {
        let is_frozen = |at: usize| net.members[at].node.log(&writer).is_some_and(|log| log.is_forked);
        let honest = net.id(0);
        is_frozen(0) && is_frozen(1) && net.size(1, &honest) == 1
    });
    (net, Ok(()))
}

/// A head of one history is known before the records of the other come.
fn a_fork_is_proven_by_a_head_alone(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net_of(&["node-1", WRITER, WRITER], stores, retries);
    for at in [1, 2] {
        net.append(at, b"as they all know");
        net.append(at, &[at as u8]);
    }
    let writer = net.id(1);
    net.dial(0, 1);
    // The head of the other history, without records, by whatever way.
    let head = net.insist(2, "publish", |node, store| {
        node.publish(store)?;
        Ok(store.log(&writer)?.unwrap().state.complete.unwrap())
    });
    let batch = Batch { log: writer, start: 2, head, proof: Proof::default(), records: &[] };
    let push = Push { from: writer, nonce: Nonce([0; 16]), batch };
    let mut buf = [0; 1_000];
    let message = Message::Request(Request::Push(push));
    let frame = Frame { id: RequestId::new(1), message }.encode(&mut buf).unwrap();
    for _ in 0..10 {
        if decode_response(&net.ask(0, frame), RequestId::new(1)) != Response::Refused(Refusal::Busy) {
            break;
        }
    }
    expect!(net, "it is frozen", |net| net.members[0].node.log(&writer).is_some_and(|log| log.is_forked));
    (net, Ok(()))
}

/// A node begun anew, though its log exists and peers know it.
fn a_second_writer_stops(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net_of(&[WRITER, "node-2", WRITER], stores, retries);
    net.append(2, b"first");
    net.append(2, b"second");
    net.connect(2, 1);
    expect!(net, "the first writer's records are known", |net| {
        let log = net.id(2);
        net.size(1, &log) == 2
    });
    net.members.truncate(2);
    net.members[1].routes.clear();
    net.dial(0, 1);
    expect!(net, "stopped", |net| net.members[0].node.check_writing() == Err(Error::Stopped));
    net.members.iter().for_each(|member| assert!(member.node.logs().all(|log| !log.is_forked)));
    (net, Ok(()))
}

/// The same, and it has signed something else before it meets what was signed.
fn a_second_writer_is_proven_a_forker(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net_of(&[WRITER, "node-2", WRITER], stores, retries);
    for at in [0, 2] {
        net.append(at, &[at as u8]);
        net.append(at, b"and more");
        // Only what is signed can be a second history.
        net.insist(at, "publish", |node, store| node.publish(store));
    }
    net.connect(2, 1);
    let log = net.id(2);
    expect!(net, "the first writer's records are known", |net| net.size(1, &log) == 2);
    net.members.truncate(2);
    net.members[1].routes.clear();
    net.dial(0, 1);
    expect!(net, "stopped, and proven", |net| {
        let is_frozen = |at: usize| net.members[at].node.log(&log).is_some_and(|log| log.is_forked);
        net.members[0].node.check_writing() == Err(Error::Stopped) && is_frozen(0) && is_frozen(1)
    });
    (net, Ok(()))
}

/// A log that was introduced is followed by hand, another is not followed any more.
fn what_is_followed_changes(stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let mut net = net(stores, retries);
    for at in 0..3 {
        net.append(at, &[at as u8; 100]);
    }
    net.connect(0, 1);
    net.connect(1, 2);
    let [a, b, c] = [0, 1, 2].map(|at| net.vkey(at));
    expect!(net, "introduced", |net| net.size(0, &c.id()) == 1);
    net.insist(0, "follow", |node, store| node.follow(store, &c));
    net.insist(0, "unfollow", |node, store| node.unfollow(store, &b.id()));
    let peer = net.peer(0, 1);
    net.members[0].node.sync_now(peer).unwrap();
    net.append(1, b"more");
    net.append(2, b"more");
    expect!(net, "converged on what is followed", |net| {
        net.size(0, &c.id()) == 2 && net.size(1, &c.id()) == 2 && net.size(2, &a.id()) == 1
    });
    (net, Ok(()))
}

/// A node that lost its store takes its log back.
fn a_log_is_taken_back(mut stores: Vec<FailingStore>, retries: bool) -> Outcome {
    let fresh = stores.split_off(2);
    let mut net = net(stores, retries);
    for number in 0..9 {
        net.append(0, &vec![number; 900]);
    }
    net.connect(0, 1);
    expect!(net, "converged", |net| holds(net, 1, 0, 9) && net.is_complete());
    net.members[0].store = fresh.into_iter().next().unwrap();
    net.start(0, Start::Recover(Answers::All));
    expect!(net, "recovered", |net| net.members[0].node.check_writing().is_ok());
    assert_eq!(net.append(0, b"and on"), 9);
    expect!(net, "converged again", |net| holds(net, 1, 0, 10) && net.is_complete());
    (net, Ok(()))
}

/// What is wrong with a run whose store at `at` fails so.
fn complaints(scenario: Scenario, stores: usize, at: usize, fails: Option<Fails>, retries: bool) -> (u64, Vec<String>) {
    let mut stores = vec![FailingStore::default(); stores];
    stores[at].fails = fails;
    complaints_about(scenario, stores, at, retries)
}

fn complaints_about(scenario: Scenario, stores: Vec<FailingStore>, at: usize, retries: bool) -> (u64, Vec<String>) {
    let (mut net, result) = scenario(stores, retries);
    let mut wrong: Vec<_> = result.err().map(String::from).into_iter().collect();
    wrong.extend(net.complaints.iter().flatten().map(|(call, what)| format!("{call}: {what}")));
    let failed: Vec<_> = net.members.iter().filter_map(|member| member.store.failed).collect();
    let mut wrong: Vec<_> = wrong.into_iter().map(|wrong| format!("{wrong} after {failed:?}")).collect();
    for member in &mut net.members {
        if member.node.root() != member.root_of_store() {
            wrong.push("the root is not that of the store".into());
        }
    }
    for (member, notice) in net.notices.iter().filter_map(|(at, notice)| Some((net.members.get(*at)?, notice))) {
        match notice {
            // Of the writer that forks, each half may learn of the other.
            Notice::WritingStopped if member.name == WRITER => {}
            Notice::PeerAtFault { .. } | Notice::LogDamaged { .. } | Notice::WritingStopped => {
                wrong.push(format!("{notice:?}"));
            }
            _ => {}
        }
    }
    // A store that takes another's place has a number beyond them all.
    let calls = net.members[at % net.members.len()].store.calls;
    (calls, wrong)
}

fn no_failure_is_noticed(scenario: Scenario, stores: usize, at: usize) {
    let (calls, wrong) = complaints(scenario, stores, at, None, true);
    assert!(wrong.is_empty(), "without any failure: {wrong:?}");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for error in [StoreError::NotReady, StoreError::Full, StoreError::Failed] {
        for (count, retries) in [(1, true), (1, false), (7, true), (7, false)] {
            // Later than in the run without failures there is nothing new to fail.
            for from in 0..calls {
                let fails = Fails { from, count, error };
                for wrong in complaints(scenario, stores, at, Some(fails), retries).1 {
                    found.entry(format!("{error:?} {wrong}")).or_insert(format!("{fails:?}, retries: {retries}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{calls} calls: {found:#?}");
}

#[test]
fn stores_may_have_to_load_before_they_answer() {
    let scenarios: [(&str, Scenario, usize); 8] = [
        ("two nodes", two_nodes_converge, 2),
        ("a line", a_line_converges, 3),
        ("a fork", a_fork_is_proven, 4),
        ("a fork by a head alone", a_fork_is_proven_by_a_head_alone, 3),
        ("a second writer", a_second_writer_stops, 3),
        ("a second writer, forking", a_second_writer_is_proven_a_forker, 3),
        ("what is followed", what_is_followed_changes, 3),
        ("taken back", a_log_is_taken_back, 3),
    ];
    for (name, scenario, count) in scenarios {
        for retries in [true, false] {
            let store = FailingStore { loaded: Some(BTreeSet::new()), ..FailingStore::default() };
            let (_, wrong) = complaints_about(scenario, vec![store; count], 0, retries);
            assert!(wrong.is_empty(), "{name}, retries: {retries}: {wrong:?}");
        }
    }
}

#[test]
fn two_nodes_converge_whatever_call_fails_at_the_first() {
    no_failure_is_noticed(two_nodes_converge, 2, 0);
}

#[test]
fn two_nodes_converge_whatever_call_fails_at_the_second() {
    no_failure_is_noticed(two_nodes_converge, 2, 1);
}

#[test]
fn a_line_converges_whatever_call_fails_in_the_middle() {
    no_failure_is_noticed(a_line_converges, 3, 1);
}

#[test]
fn a_line_converges_whatever_call_fails_at_an_end() {
    no_failure_is_noticed(a_line_converges, 3, 2);
}

#[test]
fn a_fork_is_proven_whatever_call_fails() {
    no_failure_is_noticed(a_fork_is_proven, 4, 0);
}

#[test]
fn a_fork_is_proven_by_a_head_alone_whatever_call_fails() {
    no_failure_is_noticed(a_fork_is_proven_by_a_head_alone, 3, 0);
}

#[test]
fn a_second_writer_stops_whatever_call_fails() {
    no_failure_is_noticed(a_second_writer_stops, 3, 0);
}

#[test]
fn a_second_writer_is_proven_a_forker_whatever_call_fails() {
    no_failure_is_noticed(a_second_writer_is_proven_a_forker, 3, 0);
    no_failure_is_noticed(a_second_writer_is_proven_a_forker, 3, 1);
}

#[test]
fn what_is_followed_changes_whatever_call_fails() {
    no_failure_is_noticed(what_is_followed_changes, 3, 0);
}

#[test]
fn a_log_is_taken_back_whatever_call_fails_meanwhile() {
    no_failure_is_noticed(a_log_is_taken_back, 3, 2);
}

#[test]
fn a_store_that_stays_unready_is_asked_less_and_less_often() {
    const NEVER: u64 = u64::MAX / 2;
    let mut store = FailingStore::default();
    let mut node: Node<Heap<SimScheme>> = Node::new(identity("node-1"), config(), [1; 32], Instant::ZERO);
    node.append(&mut store, b"a record, to be signed").unwrap();
    node.publish(&mut store).unwrap();
    node.append(&mut store, b"and one that is due in a while").unwrap();
    store.fails = Some(Fails { from: store.calls, count: NEVER, error: StoreError::NotReady });

    let longest = Duration::from_millis(16);
    let mut now = Instant::ZERO + config().interval * 2;
    let mut pauses = Vec::new();
    for _ in 0..20 {
        assert_eq!(node.poll(now, &mut store), None);
        let wake = node.next_wake().expect("there is a head to sign");
        pauses.push(wake - now);
        now = wake;
    }
    assert_eq!(pauses[0], Duration::from_millis(1), "{pauses:?}");
    assert!(pauses.windows(2).all(|two| two[1] == (two[0] * 2).min(longest)), "{pauses:?}");

    // Once it is ready, nothing of that remains.
    store.fails = None;
    while node.poll(now, &mut store).is_some() {}
    let complete = node.log(&node.id()).unwrap().complete;
    assert_eq!(complete.size, 2);
    assert!(node.next_wake().is_none_or(|wake| wake - now > longest));
}
