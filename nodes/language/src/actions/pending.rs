//! What is to be done besides talking: actions for the tools of the vehicle, and what becomes of them.

use crate::{LanguageNode, Request, UTTERANCE, actions::tools::Executor, ms, understand::rules::CheckedIntent};
use auriga_msgs::{Stamped, topic, v1};
use auriga_runtime::{Nanos, Outbox};
use v1::Severity;

/// Actions whose outcome is waited for, at most.
const MAX_PENDING: usize = 16;
/// What a tool says is passed on to the driver up to this length, in characters.
const MAX_OUTCOME_CHARS: usize = 160;

/// An action whose outcome is not known yet.
pub(crate) struct PendingAction {
    id: u64,
    heard: Request,
    /// The tool, as it is called.
    spoken_name: String,
    pub until: Nanos,
}

impl LanguageNode {
    /// Asks the tool that the intent needs, if it is one of the vehicle's. Returns what the driver is told when nobody
    /// could do it.
    pub(crate) fn act(
        &mut self,
        heard: &Request,
        checked: &CheckedIntent,
        now: Nanos,
        out: &mut Outbox<Self>,
    ) -> Option<String> {
        let tool = self.tools.of(&checked.output.name).filter(|tool| tool.by == Executor::Vehicle)?;
        let connected = self.tools.is_connected(tool);
        if !connected && !checked.proposal {
            return Some(format!("{} is not connected, so I cannot do that.", tool.spoken_name));
        }
        let until = now + ms(self.config.outcome_within_ms);
        self.last_action = heard.header.stamp_ns.max(self.last_action.saturating_add(1));
        let slots =
            checked.output.slots.iter().map(|(name, value)| v1::Slot { name: name.clone(), value: value.clone() });
        out.publish::<topic::LanguageAction>(v1::Action {
            header: Some(heard.header),
            id: self.last_action,
            tool: tool.name.clone(),
            intent: checked.output.name.clone(),
            slots: slots.collect(),
            proposal: checked.proposal,
            answer_by_ns: if connected { until.0 } else { 0 },
        });
        if connected {
            if self.pending.len() == MAX_PENDING {
                self.pending.pop_front();
            }
            let (id, spoken_name) = (self.last_action, tool.spoken_name.clone());
            self.pending.push_back(PendingAction { id, heard: heard.clone(), spoken_name, until });
        }
        None
    }

    /// A tool says what has become of an action.
    pub(crate) fn on_outcome(&mut self, outcome: &v1::Outcome, now: Nanos, out: &mut Outbox<Self>) {
        let known = self.pending.iter().position(|pending| pending.id == outcome.action_id);
        let Some(pending) = known.and_then(|at| self.pending.remove(at)) else {
            let text = "an outcome of an action that nothing is known of, or whose time is over; it is left out";
            return out.fault(now, Severity::Info, "outcome-unknown", "cabin/outcome", text);
        };
        let told = spoken(&outcome.text);
        match (outcome.done, told.is_empty()) {
            (true, true) => {}
            (_, false) => self.say_afterwards(&pending.heard, &told, outcome.header_copy().trace_id, now),
            (false, true) => {
                let text = format!("{} could not do that.", pending.spoken_name);
                self.say_afterwards(&pending.heard, &text, outcome.header_copy().trace_id, now);
            }
        }
    }

    /// Actions that nobody has answered in time.
    pub(crate) fn give_up_actions(&mut self, now: Nanos, out: &mut Outbox<Self>) {
        while let Some(at) = self.pending.iter().position(|pending| pending.until <= now) {
            let Some(pending) = self.pending.remove(at) else { return };
            let text = format!(
                "{} did not answer on cabin/outcome; connect it, or leave it out of connected",
                pending.spoken_name
            );
            out.fault(now, Severity::Info, "tool-silent", UTTERANCE, text);
            self.say_afterwards(&pending.heard, &format!("{} does not answer.", pending.spoken_name), 0, now);
        }
    }

    /// A turn of its own, when nothing else is being said. It is stamped with what led to it, not with the request.
    fn say_afterwards(&mut self, heard: &Request, text: &str, trace: u64, now: Nanos) {
        let trace = if trace == 0 { heard.header.trace_id } else { trace };
        let header = v1::Header::new(now.0, trace);
        self.wait(&Request { header, text: String::new(), others: Vec::new(), ..*heard }, text, now);
    }
}

/// A tool's text as it may be spoken: one line, not too long.
fn spoken(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_OUTCOME_CHARS).collect()
}
