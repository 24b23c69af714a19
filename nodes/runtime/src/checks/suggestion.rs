//! Similar names, for error messages.

/// Least similarity of a suggestion, from 0 to 1 (Damerau-Levenshtein, normalised).
const MIN_SIMILARITY: f64 = 0.6;

/// The known name that is most similar to `name`; `None` when none is similar.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let scored = known.map(|k| (strsim::normalized_damerau_levenshtein(&name, &k.to_lowercase()), k));
    let similar = scored.filter(|(score, _)| *score >= MIN_SIMILARITY);
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k.to_owned())
}

/// " (nearest: NAME)", or nothing when no known name is similar.
pub fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map(|n| format!(" (nearest: {n})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_none_that_is_unlike() {
        assert_eq!(suggestion("perceptoin", ["camera", "perception"].into_iter()), " (nearest: perception)");
        assert_eq!(suggestion("xyz", ["camera", "perception"].into_iter()), "");
    }
}
