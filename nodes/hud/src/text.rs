//! Texts from other nodes, made safe to show.

/// The first `max_chars` characters of the text, without control characters.
pub(crate) fn truncated(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect()
}
