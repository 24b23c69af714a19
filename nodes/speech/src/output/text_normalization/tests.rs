use super::*;
use proptest::prelude::*;

#[test]
fn numbers_units_times_dates_and_prices_become_words() {
    let read = [
        ("You can go 212 km.", "You can go two hundred and twelve kilometres."),
        ("1 km left", "one kilometre left"),
        (
            "It is 21.5 °C inside, -3°C outside.",
            "It is twenty-one point five degrees Celsius inside, minus three degrees Celsius outside.",
        ),
        ("The limit is 80 km/h.", "The limit is eighty kilometres per hour."),
        ("Battery at 12 %, 7% less", "Battery at twelve percent, seven percent less"),
        ("at 08:30", "at eight thirty"),
        ("at 8:05 and 14:00, 09:00", "at eight oh five and fourteen hundred, nine o'clock"),
        ("It costs €3.50.", "It costs three euros and fifty cents."),
        ("€0.49/kWh or 0.01 €", "forty-nine cents per kilowatt hour or one cent"),
        ("$1 and £2.01", "one dollar and two pounds and one penny"),
        ("on 2026-11-25", "on the twenty-fifth of November twenty twenty-six"),
        (
            "on 1.2.2005, 3/4/1984",
            "on the first of February two thousand and five, the third of April nineteen eighty-four",
        ),
        ("on 25 November 2026", "on the twenty-fifth of November twenty twenty-six"),
        ("the 2nd exit", "the second exit"),
        ("Take the A8, then the B295 to gate E10", "Take the A eight, then the B two nine five to gate E ten"),
        ("1,250 m or 1,5", "one thousand two hundred and fifty metres or one, five"),
        ("in 5-8 min", "in five to eight minutes"),
        ("18.2 kWh/100 km", "eighteen point two kilowatt hours per hundred kilometres"),
        ("speed in km/h", "speed in kilometres per hour"),
        ("approx. 5 bar, e.g. at 2.4 bar.", "approximately five bar, for example at two point four bar."),
        ("5km", "five kilometres"),
        ("22kW", "twenty-two kilowatts"),
        ("5 minutes", "five minutes"),
        ("code 0049", "code zero zero four nine"),
        ("I have 3 <b>stars</b> & [[h@]] *two*", "I have three b stars b and h@ two"),
        ("2 m², ½ of it", "two metres squared, a half of it"),
    ];
    let wrong: Vec<_> = read
        .iter()
        .filter(|(text, words)| normalize(text) != *words)
        .map(|(text, _)| (text, normalize(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn plain_text_is_unchanged() {
    for text in ["The next charger is in Ulm, on the way.", "Is that all right? I can't say!", "Nürnberg, naïve, 東京."]
    {
        assert_eq!(normalize(text), text);
    }
}

#[test]
fn the_full_stop_of_an_abbreviation_does_not_end_a_sentence() {
    for text in ["It is approx.", "ask Dr.", "(e.g.", "J."] {
        assert!(ends_with_abbreviation(text), "{text}");
    }
    for text in ["It is 5.", "and so on, etc.", "That is it.", "So do I."] {
        assert!(!ends_with_abbreviation(text), "{text}");
    }
}

proptest! {
    #[test]
    fn no_digit_and_no_markup_is_left_in_any_text(text in "\\PC{0,80}") {
        let words = normalize(&text);
        prop_assert!(!words.chars().any(char::is_numeric), "{}", words);
        prop_assert!(!words.contains(['<', '>', '[', ']', '*']));
    }

    #[test]
    fn numbers_in_any_context_become_words(
        parts in prop::collection::vec(
            prop_oneof!["[0-9]{1,13}", "[-−.,:/ €$%°–]{1,2}", "(km|h|min|°C|kWh|st|nd|November|A|e\\.g\\.)", "[a-zA-Z ]{1,4}"], 0..12)
    ) {
        let words = normalize(&parts.concat());
        prop_assert!(!words.chars().any(|c| c.is_numeric()), "{}", words);
        prop_assert!(!words.contains("  "));
    }
}
