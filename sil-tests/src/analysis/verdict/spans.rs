//! Intervals of time.

/// From, to, in seconds of the drive.
pub type Span = (f64, f64);

/// How much of `within` the spans cover. They are ascending and do not overlap each other.
pub(super) fn covered(spans: &[Span], within: Span) -> f64 {
    let first = spans.partition_point(|s| s.1 <= within.0);
    let touching = spans[first..].iter().take_while(|s| s.0 < within.1);
    touching.map(|s| (s.1.min(within.1) - s.0.max(within.0)).max(0.0)).sum()
}

/// As "from 1.0 s to 2.5 s", several with commas.
pub(crate) fn describe(spans: &[Span]) -> String {
    let all: Vec<String> = spans.iter().map(|(from, to)| format!("from {from:.1} s to {to:.1} s")).collect();
    all.join(", ")
}
