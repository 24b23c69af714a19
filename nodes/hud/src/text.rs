//! Texts from other nodes, made safe to show.

/// The first `max_chars` characters of the text, without control characters and those that change the direction of
/// writing.
pub(crate) fn truncated(text: &str, max_chars: usize) -> String {
    let directs = |c: &char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !c.is_control() && !directs(c)).take(max_chars).collect()
}
