//! Latency of the table's chains and lost messages, from message headers alone: live, in the monitor, or later from a
//! recording.

use crate::{
    checks::sequence::{Continuity, Sequences},
    time::Nanos,
};
use auriga_msgs::{Any, CHAINS, ChainSpec, Edge, TopicId, v1};
use hdrhistogram::Histogram;
use std::collections::{HashMap, VecDeque};

/// Traces remembered for each chain: a chain is over in well under a second, and a trace lives in this many events.
const REMEMBERED: usize = 4096;
/// Histograms hold up to a minute, to three digits.
const MAX_NS: u64 = 60_000_000_000;

/// Late answers of a chain that are kept one by one; their number is counted beyond.
const MAX_LATE: usize = 4096;

/// An answer after the chain's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// When the chain started.
    pub from: Nanos,
    /// When the answer was published.
    pub to: Nanos,
}

/// Watches all chains of the table.
pub struct ChainMonitor {
    chains: Vec<Chain>,
}

struct Chain {
    spec: &'static ChainSpec,
    starts: Remembered<u64>,
    done: Remembered<()>,
    histogram: Histogram<u64>,
    over_budget: u64,
    late: Vec<Late>,
}

/// A map that forgets its oldest entry when full.
struct Remembered<V> {
    map: HashMap<u64, V>,
    order: VecDeque<u64>,
}

impl<V> Remembered<V> {
    fn new() -> Self {
        Self { map: HashMap::new(), order: VecDeque::new() }
    }
    /// Returns whether the key is new; a known key keeps its first value.
    fn insert_first(&mut self, key: u64, value: V) -> bool {
        if self.map.contains_key(&key) {
            return false;
        }
        if self.order.len() == REMEMBERED
            && let Some(old) = self.order.pop_front()
        {
            self.map.remove(&old);
        }
        self.order.push_back(key);
        self.map.insert(key, value);
        true
    }
}

impl Default for ChainMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl ChainMonitor {
    /// All chains, without figures yet.
    pub fn new() -> Self {
        let chains = CHAINS
            .iter()
            .map(|spec| Chain {
                spec,
                starts: Remembered::new(),
                done: Remembered::new(),
                histogram: Histogram::new_with_bounds(1, MAX_NS, 3).expect("1 < a minute, 3 digits"),
                over_budget: 0,
                late: Vec::new(),
            })
            .collect();
        Self { chains }
    }

    /// Takes in a published message. Messages may come in any order across topics.
    pub fn observe(&mut self, any: &Any) {
        self.observe_header(any.topic(), &any.header());
    }

    /// The same from a header. Without a trace id it belongs to no chain.
    pub fn observe_header(&mut self, topic: TopicId, header: &v1::Header) {
        if header.trace_id == 0 {
            return;
        }
        for chain in &mut self.chains {
            chain.observe(topic, header);
        }
    }

    /// The first late answers of a chain.
    pub fn late(&self, chain: &str) -> &[Late] {
        self.chains.iter().find(|c| c.spec.name == chain).map_or(&[], |c| &c.late)
    }

    /// Figures so far, in the table's order. Milliseconds.
    pub fn report(&self) -> Vec<v1::ChainStats> {
        self.chains.iter().map(Chain::stats).collect()
    }
}

impl Chain {
    fn observe(&mut self, topic: TopicId, header: &v1::Header) {
        let spec = self.spec;
        if spec.source.is_some() && header.source() != spec.source {
            return;
        }
        if spec.from == Some(topic) {
            let edge = if spec.from_edge == Edge::Stamp { header.stamp_ns } else { header.published_ns };
            self.starts.insert_first(header.trace_id, edge);
        }
        if spec.to != topic {
            return;
        }
        let start = match spec.from {
            None => header.stamp_ns,
            Some(_) => match self.starts.map.get(&header.trace_id) {
                Some(&start) => start,
                None => return,
            },
        };
        // Only the first answer to a cause counts: later pieces (of a reply, of a renewed grant) are not late.
        if self.done.insert_first(header.trace_id, ()) {
            let latency = Nanos(header.published_ns).since(Nanos(start)).as_nanos() as u64;
            self.histogram.saturating_record(latency.max(1));
            if latency as f64 > spec.budget_ms * 1e6 {
                self.over_budget += 1;
                if self.late.len() < MAX_LATE {
                    self.late.push(Late { from: Nanos(start), to: Nanos(header.published_ns) });
                }
            }
        }
    }

    fn stats(&self) -> v1::ChainStats {
        let at =
            |q: f64| if self.histogram.is_empty() { 0.0 } else { self.histogram.value_at_quantile(q) as f64 * 1e-6 };
        v1::ChainStats {
            chain: self.spec.name.into(),
            count: self.histogram.len(),
            budget_ms: self.spec.budget_ms,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: at(1.0),
            over_budget: self.over_budget,
        }
    }
}

/// Counts gaps in sequence numbers, see [`sequence`](crate::sequence).
#[derive(Default)]
pub struct LossMonitor {
    sequences: Sequences,
    /// Messages missing on reliable topics.
    pub lost_reliable: u64,
    /// Messages missing on best-effort topics, where newer ones may replace older ones.
    pub lost_best_effort: u64,
}

impl LossMonitor {
    /// As [`Self::observe`]. The table says who published the message; on topics of any node the message does.
    pub fn observe_message(&mut self, any: &Any) -> Continuity {
        let publisher = match any {
            Any::Usage(usage) => usage.node.as_str(),
            Any::Fault(fault) => fault.node.as_str(),
            _ => any.topic().spec().publisher,
        };
        self.observe(any.topic(), publisher, any.header().seq)
    }

    /// Takes in a message of `publisher`, counts what is missing before it and returns what its number says. The first of
    /// each topic sets the count.
    pub fn observe(&mut self, topic: TopicId, publisher: &str, seq: u64) -> Continuity {
        let continuity = self.sequences.take(topic, publisher, seq);
        let missing = match continuity {
            Continuity::Missing(missing) => missing,
            Continuity::Implausible { .. } | Continuity::Unconfirmed => 0,
        };
        let lost = match topic.spec().reliability {
            auriga_msgs::Reliability::Reliable => &mut self.lost_reliable,
            auriga_msgs::Reliability::BestEffort => &mut self.lost_best_effort,
        };
        *lost = lost.saturating_add(missing);
        continuity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(stamp_ns: u64, published_ns: u64, trace_id: u64) -> v1::Header {
        v1::Header { stamp_ns, published_ns, trace_id, seq: 0 }
    }
    fn stats(m: &ChainMonitor, chain: &str) -> v1::ChainStats {
        m.report().into_iter().find(|c| c.chain == chain).unwrap()
    }

    #[test]
    fn a_chain_is_matched_by_trace_and_counts_its_first_answer() {
        let mut m = ChainMonitor::new();
        let radar = v1::Header::trace(TopicId::VehicleState, 7);
        m.observe_header(TopicId::FusionHazard, &header(1_000_000, 2_000_000, radar));
        m.observe_header(TopicId::ArbiterGrants, &header(1_000_000, 5_000_000, radar));
        m.observe_header(TopicId::ArbiterGrants, &header(1_000_000, 500_000_000, radar));
        let s = stats(&m, "hazard-to-grants");
        assert_eq!((s.count, s.over_budget), (1, 1));
        assert_eq!(m.late("hazard-to-grants"), [Late { from: Nanos(2_000_000), to: Nanos(5_000_000) }]);
        assert!((s.max_ms - 3.0).abs() < 0.01);
        assert!((stats(&m, "evidence-to-revocation").max_ms - 4.0).abs() < 0.01);
    }

    #[test]
    fn a_chain_with_a_source_ignores_other_causes() {
        let mut m = ChainMonitor::new();
        let camera = v1::Header::trace(TopicId::CameraFrontImage, 7);
        m.observe_header(TopicId::FusionHazard, &header(0, 20_000_000, camera));
        assert_eq!(stats(&m, "evidence-to-warning").count, 0);
        assert_eq!(stats(&m, "camera-to-hazard").count, 1);
    }

    #[test]
    fn gaps_are_losses_and_a_restart_is_not() {
        let mut l = LossMonitor::default();
        for seq in [5, 6, 9, 0, 1] {
            l.observe(TopicId::FusionScene, "fusion", seq);
        }
        assert_eq!(l.lost_reliable, 2);
    }

    #[test]
    fn one_message_with_any_number_counts_no_loss() {
        let mut l = LossMonitor::default();
        for seq in [5, 6, 1 << 63, 7, 8, u64::MAX, 9, 10] {
            l.observe(TopicId::VehicleState, "can", seq);
        }
        assert_eq!(l.lost_reliable, 0);
    }
}
