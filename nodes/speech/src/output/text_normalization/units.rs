//! Units and currencies: their symbols and their words.

use auriga_number_words::spell::{cardinal, decimal};

/// A unit.
pub struct Unit {
    /// As it is written.
    pub symbol: &'static str,
    /// In words, singular.
    pub one: &'static str,
    /// In words, plural.
    pub many: &'static str,
    /// The symbol is not an English word, so that it is a unit without a number before it, too.
    pub alone: bool,
}

impl Unit {
    /// In words.
    pub fn name(&self, one: bool) -> &'static str {
        if one { self.one } else { self.many }
    }
}

const fn unit(symbol: &'static str, one: &'static str, many: &'static str) -> Unit {
    Unit { symbol, one, many, alone: false }
}
const fn lone(symbol: &'static str, one: &'static str, many: &'static str) -> Unit {
    Unit { symbol, one, many, alone: true }
}

const UNITS: [Unit; 44] = [
    lone("kWh/100 km", "kilowatt hour per hundred kilometres", "kilowatt hours per hundred kilometres"),
    lone("kWh/100km", "kilowatt hour per hundred kilometres", "kilowatt hours per hundred kilometres"),
    lone("l/100 km", "litre per hundred kilometres", "litres per hundred kilometres"),
    lone("l/100km", "litre per hundred kilometres", "litres per hundred kilometres"),
    lone("km/h", "kilometre per hour", "kilometres per hour"),
    lone("kph", "kilometre per hour", "kilometres per hour"),
    lone("mph", "mile per hour", "miles per hour"),
    lone("m/s", "metre per second", "metres per second"),
    lone("km", "kilometre", "kilometres"),
    unit("cm", "centimetre", "centimetres"),
    unit("mm", "millimetre", "millimetres"),
    unit("miles", "mile", "miles"),
    unit("min", "minute", "minutes"),
    unit("mins", "minute", "minutes"),
    unit("ms", "millisecond", "milliseconds"),
    unit("mi", "mile", "miles"),
    unit("ml", "millilitre", "millilitres"),
    unit("m", "metre", "metres"),
    unit("ft", "foot", "feet"),
    unit("yd", "yard", "yards"),
    unit("hrs", "hour", "hours"),
    unit("hp", "horsepower", "horsepower"),
    unit("h", "hour", "hours"),
    unit("sec", "second", "seconds"),
    unit("s", "second", "seconds"),
    unit("psi", "pound per square inch", "pounds per square inch"),
    lone("kPa", "kilopascal", "kilopascals"),
    unit("bar", "bar", "bar"),
    lone("kWh", "kilowatt hour", "kilowatt hours"),
    lone("kW", "kilowatt", "kilowatts"),
    unit("Wh", "watt hour", "watt hours"),
    unit("W", "watt", "watts"),
    unit("V", "volt", "volts"),
    lone("Nm", "newton metre", "newton metres"),
    lone("kg", "kilogram", "kilograms"),
    unit("g", "gram", "grams"),
    unit("l", "litre", "litres"),
    unit("L", "litre", "litres"),
    lone("rpm", "revolution per minute", "revolutions per minute"),
    lone("°C", "degree Celsius", "degrees Celsius"),
    lone("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    lone("°", "degree", "degrees"),
    lone("%", "percent", "percent"),
    lone("dB", "decibel", "decibels"),
];

/// The unit with which a text begins: the one with the longest symbol.
pub fn unit_at(text: &str) -> Option<&'static Unit> {
    UNITS.iter().filter(|u| word_at(text, u.symbol)).max_by_key(|u| u.symbol.len())
}

/// Whether a text begins with this word and not with a longer one.
fn word_at(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| {
        let symbol = word.ends_with(['%', '°']);
        symbol || !rest.starts_with(|c: char| c.is_alphanumeric() && !matches!(c, '²' | '³'))
    })
}

/// A currency.
pub struct Currency {
    /// As it is written.
    pub symbol: &'static str,
    one: &'static str,
    /// In words, plural.
    pub many: &'static str,
    cent: &'static str,
    cents: &'static str,
}

/// The currencies that are recognised.
pub const CURRENCIES: [Currency; 5] = [
    Currency { symbol: "€", one: "euro", many: "euros", cent: "cent", cents: "cents" },
    Currency { symbol: "EUR", one: "euro", many: "euros", cent: "cent", cents: "cents" },
    Currency { symbol: "$", one: "dollar", many: "dollars", cent: "cent", cents: "cents" },
    Currency { symbol: "USD", one: "dollar", many: "dollars", cent: "cent", cents: "cents" },
    Currency { symbol: "£", one: "pound", many: "pounds", cent: "penny", cents: "pence" },
];

impl Currency {
    /// An amount in words, by the digits before and after the point. "3", "50": "three euros and fifty cents".
    pub fn words(&self, integer: &str, fraction: Option<&str>) -> String {
        let name = |n: u64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
        let large = integer.parse::<u64>().unwrap_or(u64::MAX);
        let small = match fraction {
            None => Some(0),
            Some(f) if f.len() == 2 => f.parse::<u64>().ok(),
            Some(_) => None,
        };
        match (large, small) {
            // "1.739": fuel prices have tenths of a cent.
            (_, None) => format!("{} {}", decimal(integer, fraction), self.many),
            (_, Some(0)) => format!("{} {}", decimal(integer, None), name(large, self.one, self.many)),
            (0, Some(cents)) => format!("{} {}", cardinal(cents), name(cents, self.cent, self.cents)),
            (_, Some(cents)) => format!(
                "{} {} and {} {}",
                decimal(integer, None),
                name(large, self.one, self.many),
                cardinal(cents),
                name(cents, self.cent, self.cents)
            ),
        }
    }
}
