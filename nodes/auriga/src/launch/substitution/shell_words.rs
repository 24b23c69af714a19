//! Splits a command line into words as Python's `shlex.split` does, which `ros2 launch` uses: unlike in a shell, `#`
//! begins no comment.

/// Splits `text` at white space outside quotes. `None`: a quote is not closed, or nothing follows a `\`.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        inside => word.push(inside),
                    }
                }
            }
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next()?),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

/// Up to the closing quote. A `\` escapes only `"` and itself.
fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            inside => word.push(inside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_pythons_shlex() {
        // Each was printed by Python's shlex.split.
        for (text, words) in [
            ("", vec![]),
            ("  a b\t", vec!["a", "b"]),
            ("a 'b c'd \"e'f\"", vec!["a", "b cd", "e'f"]),
            (r#"a\ b "c\"d\e" '\'"#, vec!["a b", r#"c"d\e"#, r"\"]),
            ("'' \"\" x", vec!["", "", "x"]),
            ("a #b", vec!["a", "#b"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for open in ["'a", "\"a", "a\\", "\"\\"] {
            assert_eq!(split(open), None, "{open}");
        }
    }
}
