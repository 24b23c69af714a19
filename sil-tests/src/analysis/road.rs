//! Lanes, lead objects and hazards.

use auriga_msgs::v1;

/// The lane detected in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneSample {
    /// When the frame was taken.
    pub t_s: f64,
    /// Of the camera from the lane centre, positive to the left.
    pub offset_m: Option<f64>,
    /// Positive curves left.
    pub curvature_per_m: Option<f64>,
    /// Of the lane.
    pub width_m: Option<f64>,
}

impl LaneSample {
    pub(super) fn new(t_s: f64, lanes: &v1::Lanes) -> Self {
        Self { t_s, offset_m: lanes.offset_m, curvature_per_m: lanes.curvature_per_m, width_m: lanes.width_m }
    }
}

/// The lead object, as tracked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeadSample {
    /// Time of the measurement.
    pub t_s: f64,
    /// Ahead, from the origin of the vehicle frame.
    pub distance_m: f64,
    /// `None`: it is not approached.
    pub time_to_collision_s: Option<f64>,
}

impl LeadSample {
    pub(super) fn new(t_s: f64, track: &v1::Track) -> Self {
        Self { t_s, distance_m: track.x_m, time_to_collision_s: track.time_to_collision_s }
    }
}

/// A hazard from onset to end.
#[derive(Debug, Clone, PartialEq)]
pub struct HazardSpan {
    /// Identifier of the hazard.
    pub id: u64,
    /// Its kind.
    pub kind: v1::HazardKind,
    /// The highest severity.
    pub severity: v1::Severity,
    /// When the evidence of its onset was measured.
    pub evidence_s: f64,
    /// When the warning was published.
    pub published_s: f64,
    /// When its end was published; `None`: it was active to the last message.
    pub ended_s: Option<f64>,
    /// Of the first message.
    pub trace_id: u64,
    /// Of the first message.
    pub text: String,
    /// The shortest time to collision.
    pub min_ttc_s: Option<f64>,
}

impl HazardSpan {
    /// Whether it was active at some time of the interval.
    pub fn overlaps(&self, from_s: f64, to_s: f64) -> bool {
        self.published_s <= to_s && self.ended_s.is_none_or(|end| end >= from_s)
    }
}

pub(super) fn record_hazard(spans: &mut Vec<HazardSpan>, m: &v1::Hazard, evidence_s: f64, t_s: f64) {
    let open = spans.iter_mut().rev().find(|s| s.id == m.id && s.ended_s.is_none());
    match (open, m.active) {
        (Some(span), true) => {
            span.severity = span.severity.max(m.severity());
            span.min_ttc_s = min_of(span.min_ttc_s, m.time_to_collision_s);
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
            min_ttc_s: m.time_to_collision_s,
        }),
        // The end of a hazard that began before the recording.
        (None, false) => {}
    }
}

fn min_of(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
