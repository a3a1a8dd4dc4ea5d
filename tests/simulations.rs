//! Some seeds of each profile hold every invariant, and the simulator itself does what it says.

#![allow(missing_docs, reason = "a test")]

use verisoo::sim::{Act, Invariant, Plan, Profile, Restart, SimDisk, SimScheme, Simulation, shrink};
use verisoo::store::MemoryStore;
use verisoo::{Ed25519, sim};

const PROFILES: [Profile; 4] = [Profile::Lite, Profile::Swarm, Profile::Byzantine, Profile::Disk];

fn run(plan: &Plan) -> sim::Report {
    Simulation::new(plan.clone()).run()
}

fn holds(profile: Profile, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let report = run(&Plan::expand(seed, profile, None));
        assert_eq!(report.violation, None, "seed {seed} of {profile:?}");
        assert_eq!(report.false_accusations, 0);
        assert_eq!(report.forks_proven, report.forks_visible, "seed {seed} of {profile:?}");
    }
}

#[test]
fn some_seeds_of_lite_hold() {
    holds(Profile::Lite, 0..60);
}

#[test]
fn some_seeds_of_swarm_hold() {
    holds(Profile::Swarm, 0..24);
}

#[test]
fn some_seeds_of_byzantine_hold() {
    holds(Profile::Byzantine, 0..24);
}

#[test]
fn some_seeds_of_disk_hold() {
    holds(Profile::Disk, 0..40);
}

#[test]
fn one_seed_has_one_trace() {
    for profile in PROFILES {
        let plan = Plan::expand(11, profile, None);
        assert_eq!(run(&plan), run(&plan));
        assert_ne!(run(&plan).digest, run(&Plan::expand(12, profile, None)).digest);
    }
}

#[test]
fn adversaries_fork_their_logs_and_it_is_proven() {
    let mut proven = 0;
    for seed in 0..40 {
        proven += run(&Plan::expand(seed, Profile::Byzantine, None)).forks_proven;
    }
    assert!(proven > 7, "{proven}");
}

#[test]
fn plans_outlive_their_seed_as_json() {
    for seed in 0..20 {
        for profile in PROFILES {
            let plan = Plan::expand(seed, profile, None);
            assert_eq!(Plan::from_json(&plan.to_json()), Some(plan));
        }
    }
    assert_eq!(Plan::from_json("{}"), None);
    let mut plan = Plan::expand(1, Profile::Lite, None);
    plan.entries[0].act = Act::Backup { node: 99 };
    assert_eq!(Plan::from_json(&plan.to_json()), None, "a plan that names nobody");
    plan.entries[0].act = Act::Crash { node: 0, down: u64::MAX, restart: Restart::Resume };
    assert_eq!(Plan::from_json(&plan.to_json()), None, "a plan that takes for ever");
    plan.entries.remove(0);
    plan.patience = u64::MAX;
    assert_eq!(Plan::from_json(&plan.to_json()), None, "a plan that waits for ever");
}

#[test]
fn a_failing_plan_shrinks_to_what_it_fails_by() {
    // Nobody has the time to converge: whoever appended last is the only one to have it.
    let mut plan = Plan::expand(3, Profile::Lite, Some(3));
    plan.patience = 0;
    plan.calm_at = plan.entries.last().unwrap().at;
    plan.entries.push(sim::Entry {
        id: 1_000,
        at: plan.calm_at,
        act: Act::Cut { from: vec![0, 1, 2], to: vec![0, 1, 2], both: true, time: 1_000 },
    });
    plan.weather.delay = 30_000_000;
    let invariant = |plan: &Plan| run(plan).violation.map(|violation| violation.invariant);
    assert_eq!(invariant(&plan), Some(Invariant::Liveness));
    let smaller = shrink(plan.clone());
    assert!(smaller.entries.len() < plan.entries.len(), "{} entries", smaller.entries.len());
    assert_eq!(invariant(&smaller), Some(Invariant::Liveness));
}

#[test]
fn an_entry_less_leaves_the_others_as_they_were() {
    let plan = Plan::expand(5, Profile::Swarm, None);
    let first = plan.entries[0].id;
    let smaller = plan.without(&[first]);
    assert_eq!(smaller.entries.len() + 1, plan.entries.len());
    assert!(plan.entries.iter().filter(|entry| entry.id != first).eq(&smaller.entries));
}

#[test]
fn stores_and_schemes_of_ones_own_run_in_it() {
    let plan = Plan::expand(2, Profile::Lite, None);
    let memory = Simulation::<SimScheme, MemoryStore>::with(plan.clone(), |_, _| MemoryStore::new()).run();
    assert_eq!(memory.violation, None);
    let signed = Simulation::<Ed25519, SimDisk>::with(plan, |_, plan| SimDisk::for_plan(plan)).run();
    assert_eq!(signed.violation, None);
}
