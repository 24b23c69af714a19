//! What a receiver believes of a message from another node, before its state machine sees it: the same in both shells and
//! for every node. All times are judged by the receiver's own clock.
//!
//! * A message whose stamp or publishing time lies ahead of the clock is refused. So what a node remembers as "the newest
//!   so far" is never more than [`STAMP_AHEAD`] ahead, and a topic whose publisher was restarted or that carried one wrong
//!   stamp goes on within that time.
//! * A grant whose lease would last longer than [`MAX_LEASE`] from now is left out of its message.
//! * A hazard in a scene with evidence from the future is left out of it: nothing would ever end it.
//!
//! Sequence numbers are judged by [`super::sequence`], values by each node with [`super::plausibility`].

use super::plausibility::{STAMP_AHEAD, stamp_ahead};
use crate::{node::lease::MAX_LEASE, time::Nanos};
use auriga_msgs::{Any, Stamped, v1};
use std::sync::Arc;

/// What of a message was refused: code and text of the fault, whose subject is the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: &'static str,
    pub text: String,
}

/// The message as the node may take it, if at all, and what of it was refused.
pub(crate) fn check(any: Any, now: Nanos) -> (Option<Any>, Option<Refusal>) {
    // A node's own device is judged by the node: it knows the device's clock.
    if any.topic().spec().is_device() {
        return (Some(any), None);
    }
    let header = any.header();
    for (name, time) in [("stamped", header.stamp_ns), ("published", header.published_ns)] {
        if let Some(ahead) = stamp_ahead(Nanos(time), now) {
            let text = format!("a message is {name} {} ms ahead of the clock and was dropped", ahead.as_millis());
            return (None, Some(Refusal { code: "stamp-ahead", text }));
        }
    }
    match any {
        Any::ArbiterGrants(grants) => {
            let (grants, refused) = leases(grants, now);
            (Some(Any::ArbiterGrants(grants)), refused)
        }
        Any::FusionScene(scene) => {
            let (scene, refused) = scene_hazards(scene, now);
            (Some(Any::FusionScene(scene)), refused)
        }
        any => (Some(any), None),
    }
}

fn leases(mut grants: Arc<v1::Grants>, now: Nanos) -> (Arc<v1::Grants>, Option<Refusal>) {
    let latest = now + MAX_LEASE + STAMP_AHEAD;
    let is_bounded = |grant: &v1::Grant| grant.lease_end_ns <= latest.0;
    let refused = grants.grants.iter().filter(|g| !is_bounded(g)).count();
    if refused == 0 {
        return (grants, None);
    }
    Arc::make_mut(&mut grants).grants.retain(is_bounded);
    let text = format!(
        "{refused} grants with leases of more than {} s from now were dropped; the last ones stay until they end",
        MAX_LEASE.as_secs()
    );
    (grants, Some(Refusal { code: "lease-too-long", text }))
}

fn scene_hazards(mut scene: Arc<v1::Scene>, now: Nanos) -> (Arc<v1::Scene>, Option<Refusal>) {
    let is_past = |hazard: &v1::Hazard| stamp_ahead(Nanos(hazard.header_copy().stamp_ns), now).is_none();
    let refused = scene.hazards.iter().filter(|h| !is_past(h)).count();
    if refused == 0 {
        return (scene, None);
    }
    Arc::make_mut(&mut scene).hazards.retain(is_past);
    let text = format!("{refused} hazards of a scene are stamped ahead of the clock and were dropped");
    (scene, Some(Refusal { code: "stamp-ahead", text }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Nanos = Nanos::from_millis(10_000);

    fn header(stamp_ns: u64, published_ns: u64) -> Option<v1::Header> {
        Some(v1::Header { stamp_ns, published_ns, ..Default::default() })
    }

    fn grants(header: Option<v1::Header>, ends: &[u64]) -> Any {
        let grant = |&lease_end_ns: &u64| v1::Grant { run: true, lease_end_ns, ..Default::default() };
        Any::ArbiterGrants(v1::Grants { header, grants: ends.iter().map(grant).collect(), ..Default::default() }.into())
    }

    #[test]
    fn a_message_from_the_future_is_refused_by_either_of_its_times() {
        let late = NOW.0 + 51_000_000;
        for (stamp, published) in [(u64::MAX, NOW.0), (NOW.0, u64::MAX), (late, NOW.0), (NOW.0, late)] {
            let state = v1::VehicleState { header: header(stamp, published), ..Default::default() };
            let (taken, refusal) = check(Any::VehicleState(state.into()), NOW);
            assert!(taken.is_none(), "{stamp} {published}");
            assert_eq!(refusal.unwrap().code, "stamp-ahead");
        }
        let state = v1::VehicleState { header: header(NOW.0 + 50_000_000, NOW.0), ..Default::default() };
        assert!(matches!(check(Any::VehicleState(state.into()), NOW), (Some(_), None)));
    }

    #[test]
    fn a_device_is_judged_by_its_own_node() {
        let frames = v1::CanFrames { header: header(u64::MAX, 0), ..Default::default() };
        assert!(matches!(check(Any::DeviceCan(frames.into()), NOW), (Some(_), None)));
    }

    #[test]
    fn a_lease_without_end_is_left_out_and_the_others_act() {
        let (taken, refusal) = check(grants(header(1, 2), &[NOW.0 + 300_000_000, u64::MAX]), NOW);
        let Some(Any::ArbiterGrants(taken)) = taken else { panic!("{refusal:?}") };
        assert_eq!(taken.grants.iter().map(|g| g.lease_end_ns).collect::<Vec<_>>(), [NOW.0 + 300_000_000]);
        assert_eq!(refusal.unwrap().code, "lease-too-long");
        assert!(
            check(grants(header(1, 2), &[(NOW + MAX_LEASE).0]), NOW).1.is_none(),
            "the longest that is configurable"
        );
    }

    #[test]
    fn a_hazard_of_a_scene_with_evidence_from_the_future_is_left_out() {
        let hazard = |stamp, id| v1::Hazard { header: header(stamp, 0), id, active: true, ..Default::default() };
        let hazards = vec![hazard(NOW.0, 1), hazard(u64::MAX, 2)];
        let scene = v1::Scene { header: header(NOW.0, NOW.0), hazards, ..Default::default() };
        let (Some(Any::FusionScene(scene)), Some(refusal)) = check(Any::FusionScene(scene.into()), NOW) else {
            panic!("the scene stays, the hazard is refused")
        };
        assert_eq!((scene.hazards.len(), scene.hazards[0].id, refusal.code), (1, 1, "stamp-ahead"));
    }

    proptest! {
        #[test]
        fn no_time_that_a_node_gets_to_see_is_far_ahead(
            stamp in any::<u64>(), published in any::<u64>(), ends in proptest::collection::vec(any::<u64>(), 0..6), now in any::<u64>(),
        ) {
            let now = Nanos(now);
            if let (Some(Any::ArbiterGrants(taken)), _) = check(grants(header(stamp, published), &ends), now) {
                prop_assert!(taken.header_copy().stamp_ns <= (now + STAMP_AHEAD).0);
                prop_assert!(taken.header_copy().published_ns <= (now + STAMP_AHEAD).0);
                prop_assert!(taken.grants.iter().all(|g| g.lease_end_ns <= (now + MAX_LEASE + STAMP_AHEAD).0));
            }
        }
    }
}
