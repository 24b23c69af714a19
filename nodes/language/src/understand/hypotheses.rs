//! An utterance may have several transcripts (the n-best list of speech recognition). Where the intent of the first is
//! uncertain, the alternatives are tried.

use super::requests::Request;
use crate::engine::interface::ModelInput;
use auriga_lm::intent::{catalogue::OUT_OF_SCOPE, output::IntentOutput};

/// From this confidence on the alternatives are not tried.
const CONFIDENT: f64 = 0.6;
/// An alternative replaces the best transcript so far if its confidence is higher by this much.
const MARGIN: f64 = 0.2;

/// Intent work in progress.
pub(crate) struct IntentTask {
    pub request: Request,
    /// The input of the transcript that the model works on.
    pub input: ModelInput,
    /// The best transcript so far and its intent.
    best: Option<(String, IntentOutput)>,
}

/// What follows from the intent of a transcript.
pub(crate) enum NextStep {
    /// The best transcript and its intent.
    Done(IntentTask, IntentOutput),
    /// The next transcript is to be tried.
    Try(IntentTask),
}

impl IntentTask {
    /// Intent work on the first transcript.
    pub fn new(request: Request, input: ModelInput) -> Self {
        Self { request, input, best: None }
    }

    /// Takes the intent of the present transcript.
    pub fn next_step(mut self, output: IntentOutput) -> NextStep {
        let (text, output) = match self.best.take() {
            Some(best) if !is_better(&output, &best.1) => best,
            _ => (self.input.text.clone(), output),
        };
        let next = if output.confidence < CONFIDENT { self.request.alternatives.pop() } else { None };
        self.request.text.clone_from(&text);
        match next {
            None => {
                self.input.text = text;
                NextStep::Done(self, output)
            }
            Some(next) => {
                self.best = Some((text, output));
                self.input.text = next;
                NextStep::Try(self)
            }
        }
    }
}

fn is_better(output: &IntentOutput, best: &IntentOutput) -> bool {
    output.name != OUT_OF_SCOPE && output.confidence >= best.confidence + MARGIN
}
