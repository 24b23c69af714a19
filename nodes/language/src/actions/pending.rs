//! Actions for the tools of the vehicle, and the sentences about their outcomes.

use super::tools::Tool;
use crate::understand::{phrasing::cancel::Target, requests::Request, rules::CheckedIntent};
use auriga_lm::intent::output::IntentOutput;
use auriga_msgs::{node, v1};
use auriga_runtime::{Nanos, Node, Outbox};
use std::collections::VecDeque;
use v1::Severity;

const OUTCOME: &str = "cabin/outcome";

/// Actions whose outcome is awaited at most; of more, the oldest is forgotten.
const MAX_PENDING: usize = 16;
/// Longest outcome text that is said to the driver, in characters.
const MAX_OUTCOME_CHARS: usize = 160;

/// An action whose outcome is awaited.
pub(crate) struct PendingAction {
    id: u64,
    pub request: Request,
    /// What is to be done.
    intent: IntentOutput,
    /// The tool that does it.
    tool: String,
    /// The name of the tool in a sentence.
    pub spoken_name: String,
    deadline: Nanos,
}

impl PendingAction {
    /// What is said about the outcome, if anything.
    pub fn sentence(&self, outcome: &v1::Outcome) -> Option<String> {
        let text = one_line(&outcome.text);
        match (outcome.done, text.is_empty()) {
            (true, true) => None,
            (_, false) => Some(text),
            (false, true) => Some(format!("{} could not do that.", self.spoken_name)),
        }
    }
}

/// The text of a tool as it may be said: one line of limited length.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(MAX_OUTCOME_CHARS).collect()
}

/// The actions whose outcome is awaited, oldest first.
#[derive(Default)]
pub(crate) struct PendingActions {
    actions: VecDeque<PendingAction>,
    /// Actions that the driver has cancelled; their outcomes are not waited for, nor reported as unknown.
    cancelled: VecDeque<u64>,
    last_id: u64,
}

/// The intent of an action that asks a tool to end another.
pub(crate) const STOP_ACTION: &str = "stop";
/// Its slot: the id of the action that is to end.
pub(crate) const STOPPED_ACTION: &str = "action";

impl PendingActions {
    /// The message for an action. `deadline`: when the outcome is due; `None`: no tool is connected and none is awaited.
    pub fn start(
        &mut self,
        request: &Request,
        intent: &CheckedIntent,
        tool: &Tool,
        deadline: Option<Nanos>,
    ) -> v1::Action {
        self.last_id = request.header.stamp_ns.max(self.last_id.saturating_add(1));
        if let Some(deadline) = deadline {
            if self.actions.len() == MAX_PENDING {
                self.actions.pop_front();
            }
            let (request, intent, tool_name) = (request.clone(), intent.output.clone(), tool.name.clone());
            let spoken_name = tool.spoken_name.clone();
            let action = PendingAction { id: self.last_id, request, intent, tool: tool_name, spoken_name, deadline };
            self.actions.push_back(action);
        }
        v1::Action {
            header: Some(request.header),
            id: self.last_id,
            tool: tool.name.clone(),
            intent: intent.output.name.clone(),
            slots: intent.slots(),
            proposal: intent.proposal,
            answer_by_ns: deadline.map_or(0, |deadline| deadline.0),
        }
    }

    /// Takes the action with this id. `None` if there is none or its deadline has passed, which is reported.
    pub fn take<N: Node<Name = node::Language>>(
        &mut self,
        id: u64,
        now: Nanos,
        out: &mut Outbox<N>,
    ) -> Option<PendingAction> {
        let action = self.actions.iter().position(|action| action.id == id).and_then(|at| self.actions.remove(at));
        if action.is_none() && !self.cancelled.contains(&id) {
            let text = "an outcome belongs to no action or came after its deadline; it is ignored";
            out.fault(now, Severity::Info, "outcome-unknown", OUTCOME, text);
        }
        action
    }

    /// Takes an action whose deadline has passed, which is reported.
    pub fn take_expired<N: Node<Name = node::Language>>(
        &mut self,
        now: Nanos,
        out: &mut Outbox<N>,
    ) -> Option<PendingAction> {
        let at = self.actions.iter().position(|action| action.deadline <= now)?;
        let action = self.actions.remove(at)?;
        let name = &action.spoken_name;
        let text = format!("{name} did not answer on cabin/outcome; connect it, or remove it from connected_tools");
        out.fault(now, Severity::Info, "tool-silent", OUTCOME, text);
        Some(action)
    }

    /// Ends the actions that are meant: the messages that ask their tools to stop, and the tools' names in a sentence.
    pub fn cancel(&mut self, target: &Target, request: &Request) -> (Vec<v1::Action>, Vec<String>) {
        let intents: Vec<&IntentOutput> = self.actions.iter().map(|action| &action.intent).collect();
        let (mut messages, mut names) = (Vec::new(), Vec::new());
        for at in target.of(&intents).into_iter().rev() {
            let Some(action) = self.actions.remove(at) else { continue };
            if self.cancelled.len() == MAX_PENDING {
                self.cancelled.pop_front();
            }
            self.cancelled.push_back(action.id);
            self.last_id = request.header.stamp_ns.max(self.last_id.saturating_add(1));
            messages.push(v1::Action {
                header: Some(request.header),
                id: self.last_id,
                tool: action.tool,
                intent: STOP_ACTION.into(),
                slots: vec![v1::Slot { name: STOPPED_ACTION.into(), value: action.id.to_string() }],
                proposal: false,
                answer_by_ns: 0,
            });
            if !names.contains(&action.spoken_name) {
                names.push(action.spoken_name);
            }
        }
        (messages, names)
    }

    /// The deadlines of all actions.
    pub fn deadlines(&self) -> impl Iterator<Item = Nanos> {
        self.actions.iter().map(|action| action.deadline)
    }
}
