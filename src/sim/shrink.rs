//! Making a plan that breaks an invariant smaller.

use alloc::vec::Vec;

use super::oracle::Invariant;
use super::plan::Plan;
use super::simulation::Simulation;

/// Leaves out entries of a plan as long as the same invariant still breaks: halves first, then quarters,
/// down to single ones. The plan itself where nothing breaks.
///
/// What packets meet with does not depend on the entries, so that leaving some out does not reshuffle
/// the rest. Runs the plan once for each try, on [`SimDisk`](super::SimDisk)s and with
/// [`SimScheme`](super::SimScheme); [`shrink_with`] is for plans that break on other ones.
///
/// ```
/// use verisoo::sim::{Act, Entry, Invariant, Plan, Profile, Restart, Simulation, shrink};
///
/// // A plan that nobody can meet: a node is down when the faults end, and no time is allowed for it to come back.
/// let mut plan = Plan::expand(7, Profile::Lite, None);
/// let act = Act::Crash { node: 0, down: 2 * plan.interval, restart: Restart::Resume };
/// plan.entries.push(Entry { id: 1_000, at: plan.calm_at - 1, act });
/// plan.patience = 0;
///
/// // Of all that happens, that crash is what breaks it.
/// let small = shrink(plan);
/// assert_eq!(small.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1_000]);
/// let report = Simulation::new(small).run();
/// assert_eq!(report.violation.map(|violation| violation.invariant), Some(Invariant::Liveness));
/// ```
pub fn shrink(plan: Plan) -> Plan {
    shrink_with(plan, |plan| Simulation::new(plan.clone()).run().violation.map(|violation| violation.invariant))
}

/// [`shrink`] with a run of one's own: `broken` carries the plan out, on whatever disks and with whatever keys,
/// and says which invariant broke. It must say the same of the same plan.
///
/// ```
/// use verisoo::Ed25519;
/// use verisoo::sim::{Plan, Profile, SimDisk, Simulation, shrink_with};
///
/// let plan = Plan::expand(7, Profile::Lite, None);
/// let small = shrink_with(plan.clone(), |plan| {
///     let simulation = Simulation::<Ed25519, _>::with(plan.clone(), |_, _| SimDisk::for_plan(plan));
///     simulation.run().violation.map(|violation| violation.invariant)
/// });
/// assert_eq!(small, plan, "nothing broke");
/// ```
pub fn shrink_with(plan: Plan, broken: impl Fn(&Plan) -> Option<Invariant>) -> Plan {
    let Some(invariant) = broken(&plan) else { return plan };
    let mut best = plan;
    let mut size = best.entries.len().div_ceil(2);
    while size > 0 {
        let mut has_shrunk = false;
        let mut start = 0;
        while start < best.entries.len() {
            let ids: Vec<u32> = best.entries.iter().skip(start).take(size).map(|entry| entry.id).collect();
            let smaller = best.without(&ids);
            if broken(&smaller) == Some(invariant) {
                best = smaller;
                has_shrunk = true;
            } else {
                start += size;
            }
        }
        if !has_shrunk || size > 1 {
            size /= 2;
        }
    }
    best
}
