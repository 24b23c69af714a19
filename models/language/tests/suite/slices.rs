//! The result does not depend on how the work is sliced.

use crate::common;
use auriga_lm::decoder::{
    config::Family,
    constraint::{Allowed, Constraint},
    model::{CHUNK, Model},
    sample::Sampling,
    session::{Budget, Finish, Generate, Session, SessionError, State},
};
use proptest::prelude::*;
use tch::Tensor;

const FAMILIES: [Family; 5] = [Family::Llama, Family::Qwen2, Family::Qwen3, Family::Mistral, Family::SmolLm3];

fn prompt(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * 31 + 5) % 97).collect()
}

fn warm() -> Sampling {
    Sampling { temperature: 0.9, top_k: 60, top_p: 0.95, min_p: 0.01, repetition_penalty: 1.1, seed: 3 }
}

fn generate(max_tokens: usize) -> Generate {
    Generate { sampling: warm(), max_tokens, stop: Vec::new(), constraint: None }
}

/// The logits of one forward pass, [time, vocabulary].
fn reference(model: &Model, tokens: &[u32]) -> Tensor {
    let ids: Vec<i64> = tokens.iter().map(|t| i64::from(*t)).collect();
    tch::no_grad(|| model.logits(&model.forward(&Tensor::from_slice(&ids).unsqueeze(0))).squeeze_dim(0))
}

fn run(model: &Model, session: &mut Session, budgets: impl IntoIterator<Item = usize>) -> Finish {
    let mut budgets = budgets.into_iter();
    loop {
        let budget = budgets.next().map_or(Budget::UNLIMITED, Budget::layers);
        let step = session.step(model, budget).unwrap();
        assert!(step.layers <= budget.layers);
        match step.state {
            State::Paused => assert_eq!(step.layers, budget.layers, "a session pauses only when its budget is used up"),
            State::Finished(finish) => return finish,
            State::Idle => panic!("generation was requested"),
        }
    }
}

fn unsliced(model: &Model, tokens: &[u32], max: usize) -> (Vec<u32>, Vec<f32>) {
    let mut session = Session::new(model, 200);
    session.push(tokens).unwrap();
    session.generate(generate(max));
    run(model, &mut session, []);
    (session.generated().to_vec(), session.logits().unwrap().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sliced_inference_equals_unsliced_inference_bit_for_bit(
        which in 0..FAMILIES.len(),
        len in 1..80usize,
        budgets in prop::collection::vec(1..9usize, 0..60),
    ) {
        tch::set_num_threads(1);
        let model = common::model(FAMILIES[which]);
        let mut session = Session::new(&model, 200);
        session.push(&prompt(len)).unwrap();
        session.generate(generate(20));
        // The given budgets, then single layers.
        prop_assert_eq!(run(&model, &mut session, budgets.into_iter().chain(std::iter::repeat_n(1, 500))), Finish::Length);
        let (tokens, logits) = unsliced(&model, &prompt(len), 20);
        prop_assert_eq!(session.generated(), tokens);
        prop_assert_eq!(session.logits().unwrap(), logits);
    }
}

#[test]
fn a_prompt_in_chunks_gives_the_logits_of_one_forward_pass() {
    for family in FAMILIES {
        let model = common::model(family);
        for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let mut session = Session::new(&model, 200);
            session.push(&prompt(len)).unwrap();
            assert_eq!(session.step(&model, Budget::UNLIMITED).unwrap().state, State::Idle);
            let full = reference(&model, &prompt(len)).get(len as i64 - 1);
            let off = (Tensor::from_slice(session.logits().unwrap()) - full).abs().max().double_value(&[]);
            assert!(off < 1e-4, "{family}, {len} tokens: off by {off}");
        }
    }
}

#[test]
fn a_preempted_session_continues_unchanged() {
    let model = common::model(Family::Qwen3);
    let (expected, logits) = unsliced(&model, &prompt(50), 30);
    let mut dialogue = Session::new(&model, 200);
    dialogue.push(&prompt(50)).unwrap();
    dialogue.generate(generate(30));
    // Preempted three times in the middle of the layers of a token.
    for cut in [5, 9, 14] {
        assert_eq!(dialogue.step(&model, Budget::layers(cut)).unwrap().state, State::Paused);
        let mut intent = Session::new(&model, 100);
        intent.push(&prompt(20)).unwrap();
        intent.generate(generate(5));
        run(&model, &mut intent, []);
    }
    run(&model, &mut dialogue, []);
    assert_eq!((dialogue.generated(), dialogue.logits().unwrap()), (&expected[..], &logits[..]));
}

#[test]
fn a_fork_continues_from_the_common_prefix_and_does_not_change_it() {
    let model = common::model(Family::Llama);
    let mut scene = Session::new(&model, 200);
    scene.push(&prompt(40)).unwrap();
    let e = scene.fork().map(|_| ()).unwrap_err();
    assert!(matches!(e, SessionError::Pending { tokens: 40 }), "{e}");
    scene.step(&model, Budget::UNLIMITED).unwrap();
    let answer = |tail: &[u32]| {
        let mut fork = scene.fork().unwrap();
        fork.push(tail).unwrap();
        fork.generate(generate(10));
        run(&model, &mut fork, []);
        fork.generated().to_vec()
    };
    let first = answer(&[1, 2, 3]);
    assert_ne!(first, answer(&[4, 5, 6]));
    assert_eq!(first, answer(&[1, 2, 3]));
    let mut full = Session::new(&model, 200);
    full.push(&prompt(40)).unwrap();
    full.step(&model, Budget::UNLIMITED).unwrap();
    full.push(&[1, 2, 3]).unwrap();
    full.generate(generate(10));
    run(&model, &mut full, []);
    assert_eq!(first, full.generated());
}

#[test]
fn a_prompt_with_a_cached_prefix_gives_the_same_tokens_in_fewer_layers() {
    let model = common::model(Family::Mistral);
    let mut kept = Session::new(&model, 200);
    kept.push(&prompt(60)).unwrap();
    kept.step(&model, Budget::UNLIMITED).unwrap();
    let answer = |mut session: Session| {
        session.generate(Generate { sampling: Sampling::GREEDY, ..generate(10) });
        let mut layers = 0;
        loop {
            let step = session.step(&model, Budget::layers(50)).unwrap();
            layers += step.layers;
            if step.state == State::Finished(Finish::Length) {
                return (session.generated().to_vec(), layers);
            }
        }
    };
    // Shares 40 tokens; shares all; is a prefix itself; shares nothing.
    let other = [&prompt(60)[..40], &[7, 8, 9]].concat();
    for (text, shared) in [(other, 40), (prompt(60), 59), (prompt(30), 29), (vec![3, 2, 1], 0)] {
        let fork = kept.fork_for(&text).unwrap();
        assert_eq!((fork.processed(), fork.len()), (shared, text.len()));
        let mut full = Session::new(&model, 200);
        full.push(&text).unwrap();
        let (fork, full) = (answer(fork), answer(full));
        assert_eq!(fork.0, full.0);
        assert!(shared < CHUNK || fork.1 < full.1, "{} layers, {} from nothing", fork.1, full.1);
    }
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn dropping_an_unfinished_session_releases_its_memory() {
    let config = auriga_lm::decoder::config::Config { max_positions: 1 << 16, ..common::config(Family::Llama) };
    let folder = tempfile::tempdir().unwrap();
    common::write(folder.path(), &config, &common::tensors(&config, 7));
    let model = Model::load(folder.path()).unwrap();
    let cut_off = || {
        let mut session = Session::new(&model, 1 << 16);
        session.push(&prompt(CHUNK + 4)).unwrap();
        session.generate(generate(20));
        for _ in 0..9 {
            session.step(&model, Budget::layers(2)).unwrap();
        }
    };
    cut_off();
    let before = resident();
    let (rounds, size) = (20, (1 << 16) * config.cache_per_token() * 4);
    (0..rounds).for_each(|_| cut_off());
    let grown = resident().saturating_sub(before);
    // Other tests run at the same time; a leak would be many times the size of a cache.
    assert!(grown < size * rounds / 4, "{grown} bytes more after {rounds} sessions of {size}");
}

#[test]
fn greedy_decoding_is_the_argmax_of_the_forward_pass() {
    for family in FAMILIES {
        let model = common::model(family);
        let mut session = Session::new(&model, 200);
        session.push(&prompt(11)).unwrap();
        session.generate(Generate { sampling: Sampling::GREEDY, ..generate(24) });
        run(&model, &mut session, []);
        let mut tokens = prompt(11);
        for got in session.generated() {
            let logits = reference(&model, &tokens);
            assert_eq!(logits.get(tokens.len() as i64 - 1).argmax(0, false).int64_value(&[]), i64::from(*got));
            tokens.push(*got);
        }
    }
}

/// Allows one path, with a choice at every second token.
struct Path {
    at: u32,
    probabilities: Vec<f64>,
}

impl Constraint for Path {
    fn allowed(&self) -> Allowed {
        match self.at {
            6 => Allowed::Done,
            at if at % 2 == 0 => Allowed::Only(vec![at, at + 10]),
            at => Allowed::Only(vec![at]),
        }
    }

    fn advance(&mut self, token: u32, probability: f64) {
        assert!(token % 10 == self.at);
        self.at += 1;
        self.probabilities.push(probability);
        assert!((0.0..=1.0).contains(&probability) && (self.at % 2 == 1 || probability == 1.0));
    }
}

#[test]
fn a_constraint_is_obeyed_and_its_determined_tokens_cost_no_layers() {
    let model = common::model(Family::Qwen2);
    let mut session = Session::new(&model, 50);
    session.push(&prompt(5)).unwrap();
    let constraint = Some(Box::new(Path { at: 0, probabilities: Vec::new() }) as Box<dyn Constraint>);
    session.generate(Generate { constraint, ..generate(40) });
    let step = session.step(&model, Budget::UNLIMITED).unwrap();
    assert_eq!(step.state, State::Finished(Finish::Constraint));
    assert_eq!(session.generated().len(), 6);
    // The prompt, and two chunks of a sampled and a determined token: three times the layers and the output matrix.
    assert_eq!(step.layers, 3 * (model.config().layers + 1));
}

/// Determines the first tokens, then allows all.
struct Beginning {
    left: Vec<u32>,
    choices: usize,
}

impl Constraint for Beginning {
    fn allowed(&self) -> Allowed {
        match (self.left.first(), self.choices) {
            (Some(token), _) => Allowed::Only(vec![*token]),
            (None, 0) => Allowed::Done,
            (None, _) => Allowed::Only((0..97).collect()),
        }
    }

    fn advance(&mut self, _: u32, _: f64) {
        match self.left.is_empty() {
            false => drop(self.left.remove(0)),
            true => self.choices -= 1,
        }
    }
}

#[test]
fn a_token_after_determined_ones_is_chosen_with_the_logits_after_them() {
    for family in FAMILIES {
        let model = common::model(family);
        for count in [1, 2, 7] {
            let left: Vec<u32> = (0..count).map(|i| (i * 13 + 40) % 97).collect();
            let mut session = Session::new(&model, 60);
            session.push(&prompt(9)).unwrap();
            let constraint = Some(Box::new(Beginning { left: left.clone(), choices: 3 }) as Box<dyn Constraint>);
            session.generate(Generate { constraint, sampling: Sampling::GREEDY, ..generate(40) });
            assert_eq!(run(&model, &mut session, []), Finish::Constraint);
            let mut tokens = [prompt(9), left.clone()].concat();
            for got in &session.generated()[left.len()..] {
                let logits = reference(&model, &tokens).get(tokens.len() as i64 - 1);
                assert_eq!(logits.argmax(0, false).int64_value(&[]), i64::from(*got), "{family}, {count} tokens");
                tokens.push(*got);
            }
        }
    }
}

#[test]
fn tokens_that_do_not_fit_are_errors_and_generation_ends_when_the_cache_is_full() {
    let model = common::model(Family::Llama);
    let mut session = Session::new(&model, 10);
    assert!(matches!(session.push(&prompt(11)), Err(SessionError::Full { wanted: 11, capacity: 10, .. })));
    assert!(matches!(session.push(&[97]), Err(SessionError::Token { token: 97, vocabulary: 97 })));
    session.push(&prompt(8)).unwrap();
    session.generate(generate(40));
    assert_eq!(run(&model, &mut session, []), Finish::Full);
    assert_eq!(session.generated().len(), 2);
    let mut empty = Session::new(&model, 10);
    empty.generate(generate(4));
    assert!(matches!(empty.step(&model, Budget::UNLIMITED), Err(SessionError::Empty)));
    // The context of the model has 256 tokens.
    assert!(Session::new(&model, 1 << 40).push(&prompt(257)).is_err());
}

#[test]
fn a_stop_token_ends_generation_and_is_not_part_of_it() {
    let model = common::model(Family::Llama);
    let (tokens, _) = unsliced(&model, &prompt(9), 20);
    let stop = tokens[7];
    let first = tokens.iter().position(|t| *t == stop).unwrap();
    let mut session = Session::new(&model, 100);
    session.push(&prompt(9)).unwrap();
    session.generate(Generate { stop: vec![stop], ..generate(20) });
    assert_eq!(run(&model, &mut session, []), Finish::Stop);
    assert_eq!(session.generated(), &tokens[..first]);
}

#[test]
fn a_budget_of_0_runs_no_layer() {
    let model = common::model(Family::Llama);
    let mut session = Session::new(&model, 100);
    session.push(&prompt(9)).unwrap();
    let step = session.step(&model, Budget::layers(0)).unwrap();
    assert_eq!((step.layers, step.state), (0, State::Paused));
}
