//! Sentences within a streamed text, such as [`DialogueTurn.text`](crate::v1::DialogueTurn): one rule for the node that
//! writes the reply and the node that speaks it.

/// End of the first complete sentence, in bytes, with the white space after it; `None` while there is none.
///
/// A sentence ends with one of `. ! ? …` and white space, or with a line break. Without the white space a full stop may be
/// a decimal point. `is_abbreviation` gets the text up to the end and says whether its full stop belongs to an
/// abbreviation.
///
/// ```
/// use auriga_msgs::sentence::sentence_end;
/// assert_eq!(sentence_end("It is 3.5 km. That", |_| false), Some(14));
/// assert_eq!(sentence_end("It is 3.", |_| false), None);
/// assert_eq!(sentence_end("It is approx. 3", |text| text.ends_with("approx.")), None);
/// ```
pub fn sentence_end(text: &str, is_abbreviation: impl Fn(&str) -> bool) -> Option<usize> {
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let ends = matches!(previous, '.' | '!' | '?' | '…') && c.is_whitespace() && !is_abbreviation(&text[..at]);
        if ends || c == '\n' {
            return Some(at + c.len_utf8());
        }
        previous = c;
    }
    None
}
