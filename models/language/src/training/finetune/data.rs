//! Training data: labelled utterances from a file, and batches of texts of the same length, so that there is no padding.

use crate::intent::prompt::clean_utterance;
use anyhow::{Context, ensure};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// The examples of one step, in groups of texts of the same length.
pub type Step<T> = Vec<Vec<T>>;

/// Shuffles examples into steps of about `batch` examples, in groups of at most `group` examples of the same length. The same
/// seed and number give the same steps.
pub fn steps<T>(
    items: Vec<T>,
    length: impl Fn(&T) -> usize,
    batch: usize,
    group: usize,
    seed: u64,
    number: u64,
) -> Vec<Step<T>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let mut items = items;
    items.shuffle(&mut rng);
    let mut by_length: BTreeMap<usize, Vec<Vec<T>>> = BTreeMap::new();
    for item in items {
        let groups = by_length.entry(length(&item)).or_default();
        match groups.last_mut() {
            Some(last) if last.len() < group => last.push(item),
            _ => groups.push(vec![item]),
        }
    }
    let mut groups: Vec<Vec<T>> = by_length.into_values().flatten().collect();
    groups.shuffle(&mut rng);
    let mut steps: Vec<Step<T>> = Vec::new();
    let mut count = batch;
    for group in groups {
        if count >= batch {
            steps.push(Vec::new());
            count = 0;
        }
        count += group.len();
        if let Some(step) = steps.last_mut() {
            step.push(group);
        }
    }
    steps
}

/// Utterances with the names of their intents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labelled {
    /// (utterance, intent) for training.
    pub train: Vec<(String, String)>,
    /// (utterance, intent) for validation.
    pub validation: Vec<(String, String)>,
}

/// The label of out-of-scope utterances.
pub const OOS: &str = "oos";

/// The layout of CLINC-150 (`data_full.json`): lists of [utterance, intent].
#[derive(Deserialize)]
struct ClincFile {
    train: Vec<(String, String)>,
    val: Vec<(String, String)>,
    #[serde(default)]
    oos_train: Vec<(String, String)>,
    #[serde(default)]
    oos_val: Vec<(String, String)>,
}

impl Labelled {
    /// Reads a file in the layout of CLINC-150.
    ///
    /// # Errors
    /// A file in another layout, without utterances, or with a validation intent that is not trained.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let file: ClincFile = serde_json::from_str(&text).with_context(|| {
            format!("{name}: expected `train` and `val`, each a list of [utterance, intent], as CLINC-150 has them")
        })?;
        let clean = |parts: [Vec<(String, String)>; 2]| -> Vec<(String, String)> {
            parts.into_iter().flatten().map(|(u, l)| (clean_utterance(&u), l)).filter(|(u, _)| !u.is_empty()).collect()
        };
        let data = Self { train: clean([file.train, file.oos_train]), validation: clean([file.val, file.oos_val]) };
        ensure!(
            !data.train.is_empty() && !data.validation.is_empty(),
            "{name}: no utterances for training or validation"
        );
        let known = data.labels();
        if let Some((u, l)) = data.validation.iter().find(|(_, l)| known.binary_search(l).is_err()) {
            anyhow::bail!("{name}: the intent {l:?} of {u:?} is not among those trained on");
        }
        Ok(data)
    }

    /// The intents of the training data, each once, in alphabetical order.
    pub fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self.train.iter().map(|(_, l)| l.clone()).collect();
        labels.sort();
        labels.dedup();
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_example_is_in_one_step_and_groups_have_equal_lengths(
            lengths in prop::collection::vec(1..6usize, 0..60), batch in 1..20usize, group in 1..9usize, seed in 0..9u64,
        ) {
            let items: Vec<(usize, usize)> = lengths.into_iter().enumerate().collect();
            let all = steps(items.clone(), |i| i.1, batch, group, seed, 3);
            for step in &all {
                let count: usize = step.iter().map(Vec::len).sum();
                prop_assert!(count > 0 && count < batch + group);
                for g in step {
                    prop_assert!(g.len() <= group && g.iter().all(|i| i.1 == g[0].1));
                }
            }
            let mut found: Vec<_> = all.iter().flatten().flatten().copied().collect();
            found.sort_unstable();
            prop_assert_eq!(&found, &items);
            prop_assert_eq!(all, steps(items, |i| i.1, batch, group, seed, 3));
        }
    }

    #[test]
    fn errors_of_files_state_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Labelled::load(&path).map_err(|e| format!("{e:#}"))
        };
        let good = load(
            r#"{"train": [["Call Anna!", "call"]], "val": [["ring tom", "call"]], "oos_train": [["why", "oos"]]}"#,
        );
        assert_eq!(good.unwrap().labels(), ["call", "oos"]);
        assert!(load("{}").unwrap_err().contains("expected `train` and `val`"));
        assert!(load(r#"{"train": [], "val": []}"#).unwrap_err().contains("no utterances"));
        let other = load(r#"{"train": [["a", "x"]], "val": [["b", "y"]]}"#).unwrap_err();
        assert!(other.contains("the intent \"y\" of \"b\""), "{other}");
    }
}
