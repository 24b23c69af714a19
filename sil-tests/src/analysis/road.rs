//! What was seen of the road and what was dangerous in it.

use auriga_msgs::v1;

/// The lane as it was detected in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneSeen {
    pub t_s: f64,
    pub offset_m: Option<f64>,
    pub curvature_per_m: Option<f64>,
    pub width_m: Option<f64>,
}

impl LaneSeen {
    pub(super) fn new(t_s: f64, lanes: &v1::Lanes) -> Self {
        Self { t_s, offset_m: lanes.offset_m, curvature_per_m: lanes.curvature_per_m, width_m: lanes.width_m }
    }
}

/// The next object in our lane as it was tracked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeadSeen {
    pub t_s: f64,
    pub distance_m: f64,
    pub time_to_collision_s: Option<f64>,
}

impl LeadSeen {
    pub(super) fn new(t_s: f64, track: &v1::Track) -> Self {
        Self { t_s, distance_m: track.x_m, time_to_collision_s: track.time_to_collision_s }
    }
}

/// A hazard from onset to end.
#[derive(Debug, Clone, PartialEq)]
pub struct HazardSpan {
    pub id: u64,
    pub kind: v1::HazardKind,
    /// The worst it came to.
    pub severity: v1::Severity,
    /// When the evidence of its onset was measured, and when the warning was published.
    pub evidence_s: f64,
    pub published_s: f64,
    /// When its end was published; `None`: it was on to the last.
    pub ended_s: Option<f64>,
    pub trace_id: u64,
    pub text: String,
    pub least_ttc_s: Option<f64>,
}

impl HazardSpan {
    /// Whether it was on at some time of the span.
    pub fn overlaps(&self, from_s: f64, to_s: f64) -> bool {
        self.published_s <= to_s && self.ended_s.is_none_or(|end| end >= from_s)
    }
}

pub(super) fn take_hazard(spans: &mut Vec<HazardSpan>, m: &v1::Hazard, evidence_s: f64, t_s: f64) {
    let open = spans.iter_mut().rev().find(|s| s.id == m.id && s.ended_s.is_none());
    match (open, m.active) {
        (Some(span), true) => {
            span.severity = span.severity.max(m.severity());
            span.least_ttc_s = least(span.least_ttc_s, m.time_to_collision_s);
        }
        (Some(span), false) => span.ended_s = Some(t_s),
        (None, true) => spans.push(HazardSpan {
            id: m.id,
            kind: m.kind(),
            severity: m.severity(),
            evidence_s,
            published_s: t_s,
            ended_s: None,
            trace_id: m.header.map_or(0, |h| h.trace_id),
            text: m.text.clone(),
            least_ttc_s: m.time_to_collision_s,
        }),
        // The end of what began before the recording did.
        (None, false) => {}
    }
}

fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
