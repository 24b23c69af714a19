//! However the work is cut, the outcome is the same.

mod common;

use auriga_lm::decoder::{
    config::Family,
    constraint::{Allowed, Guide},
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
    Generate { sampling: warm(), max_tokens, stop: Vec::new(), guide: None }
}

/// The logits of the plain forward pass, [time, vocabulary].
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
            State::Paused => assert_eq!(step.layers, budget.layers, "a session pauses only when its budget is spent"),
            State::Finished(finish) => return finish,
            State::Idle => panic!("it was told to generate"),
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
    fn sliced_is_unsliced_bit_for_bit(
        which in 0..FAMILIES.len(),
        len in 1..80usize,
        budgets in prop::collection::vec(1..9usize, 0..60),
    ) {
        tch::set_num_threads(1);
        let model = common::model(FAMILIES[which]);
        let mut session = Session::new(&model, 200);
        session.push(&prompt(len)).unwrap();
        session.generate(generate(20));
        // The budgets, and when they are used up layers one by one.
        prop_assert_eq!(run(&model, &mut session, budgets.into_iter().chain(std::iter::repeat_n(1, 500))), Finish::Length);
        let (tokens, logits) = unsliced(&model, &prompt(len), 20);
        prop_assert_eq!(session.generated(), tokens);
        prop_assert_eq!(session.logits().unwrap(), logits);
    }
}

#[test]
fn a_prompt_fed_in_chunks_gives_the_logits_of_one_fed_whole() {
    for family in FAMILIES {
        let model = common::model(family);
        for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let mut session = Session::new(&model, 200);
            session.push(&prompt(len)).unwrap();
            assert_eq!(session.step(&model, Budget::UNLIMITED).unwrap().state, State::Idle);
            let whole = reference(&model, &prompt(len)).get(len as i64 - 1);
            let off = (Tensor::from_slice(session.logits().unwrap()) - whole).abs().max().double_value(&[]);
            assert!(off < 1e-4, "{family}, {len} tokens: off by {off}");
        }
    }
}

#[test]
fn a_preempted_session_goes_on_as_if_nothing_had_happened() {
    let model = common::model(Family::Qwen3);
    let (expected, logits) = unsliced(&model, &prompt(50), 30);
    let mut dialogue = Session::new(&model, 200);
    dialogue.push(&prompt(50)).unwrap();
    dialogue.generate(generate(30));
    // In the middle of the layers of a token, others come first, three times.
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
fn a_fork_goes_on_from_the_common_beginning_and_leaves_it_untouched() {
    let model = common::model(Family::Llama);
    let mut scene = Session::new(&model, 200);
    scene.push(&prompt(40)).unwrap();
    let e = scene.fork().map(|_| ()).unwrap_err();
    assert!(matches!(e, SessionError::Unfed { tokens: 40 }), "{e}");
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
    let mut whole = Session::new(&model, 200);
    whole.push(&prompt(40)).unwrap();
    whole.step(&model, Budget::UNLIMITED).unwrap();
    whole.push(&[1, 2, 3]).unwrap();
    whole.generate(generate(10));
    run(&model, &mut whole, []);
    assert_eq!(first, whole.generated());
}

#[test]
fn a_text_that_begins_as_another_goes_on_from_there_and_says_what_it_would_have_said() {
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
    // Shares 40 tokens; all; is a beginning itself; shares nothing.
    let other = [&prompt(60)[..40], &[7, 8, 9]].concat();
    for (text, shared) in [(other, 40), (prompt(60), 59), (prompt(30), 29), (vec![3, 2, 1], 0)] {
        let fork = kept.fork_for(&text).unwrap();
        assert_eq!((fork.fed(), fork.len()), (shared, text.len()));
        let mut whole = Session::new(&model, 200);
        whole.push(&text).unwrap();
        let (fork, whole) = (answer(fork), answer(whole));
        assert_eq!(fork.0, whole.0);
        assert!(shared < CHUNK || fork.1 < whole.1, "{} layers, {} from nothing", fork.1, whole.1);
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_session_that_is_dropped_in_the_middle_gives_its_memory_back() {
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
    // Other tests run meanwhile; what leaked would be many times a cache.
    assert!(grown < size * rounds / 4, "{grown} bytes more after {rounds} sessions of {size}");
}

#[test]
fn greedy_decoding_is_the_argmax_of_the_plain_forward_pass() {
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

/// Leads along one path, with a choice at every second token.
struct Path {
    at: u32,
    probabilities: Vec<f64>,
}

impl Guide for Path {
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
fn a_guide_is_obeyed_and_what_is_certain_costs_no_layers_of_its_own() {
    let model = common::model(Family::Qwen2);
    let mut session = Session::new(&model, 50);
    session.push(&prompt(5)).unwrap();
    let guide = Some(Box::new(Path { at: 0, probabilities: Vec::new() }) as Box<dyn Guide>);
    session.generate(Generate { guide, ..generate(40) });
    let step = session.step(&model, Budget::UNLIMITED).unwrap();
    assert_eq!(step.state, State::Finished(Finish::Guide));
    assert_eq!(session.generated().len(), 6);
    // Prompt, and two runs of a chosen token with the certain one after it: three times the layers and the output.
    assert_eq!(step.layers, 3 * (model.config().layers + 1));
}

#[test]
fn what_does_not_fit_is_refused_and_what_fills_up_ends() {
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
    // A model that cannot count further than 256 gives no session room for more.
    assert!(Session::new(&model, 1 << 40).push(&prompt(257)).is_err());
}

#[test]
fn a_stop_token_ends_it_and_is_not_part_of_it() {
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
fn no_layer_is_run_on_a_budget_of_none() {
    let model = common::model(Family::Llama);
    let mut session = Session::new(&model, 100);
    session.push(&prompt(9)).unwrap();
    let step = session.step(&model, Budget::layers(0)).unwrap();
    assert_eq!((step.layers, step.state), (0, State::Paused));
}
