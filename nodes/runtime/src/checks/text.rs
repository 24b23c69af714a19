//! Texts that may quote input, made safe for logs, terminals and pages.

/// At most `max_bytes` of the text, whose line breaks and tabs are spaces and whose other control characters are U+FFFD:
/// so it is one line, and moves neither the cursor nor the direction of writing.
pub(crate) fn one_line(text: &str, max_bytes: usize) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_control(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut line: String = text[..text.floor_char_boundary(max_bytes)].chars().map(shown).collect();
    line.truncate(line.floor_char_boundary(max_bytes));
    line
}

/// Control characters of C0 and C1, and those that change the direction of writing.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_the_wire_becomes_one_line_of_bounded_length() {
        assert_eq!(one_line("expected\n\tx", 100), "expected  x");
        assert_eq!(one_line("\u{1b}[2J\u{9b}1m\u{202e}gpj.exe", 100), "\u{fffd}[2J\u{fffd}1m\u{fffd}gpj.exe");
        assert_eq!(one_line(&"é".repeat(2000), 1000).len(), 1000);
        // Replacing makes a text longer; the bound holds all the same.
        assert!(one_line(&"\u{1}".repeat(2000), 1000).len() <= 1000);
    }
}
