//! Numbers in English words: [`parse`] reads them as a recogniser writes them, [`spell`] writes them as a voice says them
//! (British English, with "and").
//!
//! ```
//! use auriga_number_words::{parse, spell};
//!
//! assert_eq!(parse::all(&["from", "a", "hundred", "and", "five", "to", "20"]), [105, 20]);
//! assert_eq!(spell::cardinal(105), "one hundred and five");
//! assert_eq!(spell::year(1905), "nineteen oh five");
//! ```
//!
//! Published crates do a part of it: `num2words` 1.2 and `english-numbers` 0.3 leave out "and"; `text2num` 2.8, by its source,
//! reads neither digits between words nor "minus".
#![deny(missing_docs)]

pub mod parse;
pub mod spell;

/// From zero to nineteen.
const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// Multiples of ten, from twenty on.
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
