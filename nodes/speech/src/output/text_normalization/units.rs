//! Units and currencies: as they are written and as they are spoken.

use super::numbers::{cardinal, decimal};

pub struct Unit {
    pub symbol: &'static str,
    pub one: &'static str,
    pub many: &'static str,
    /// Is no word of its own, so that it is a unit without a number before it, too.
    pub alone: bool,
}

impl Unit {
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

/// A longer symbol stands before those it begins with.
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

/// The unit with which a text begins.
pub fn unit_at(text: &str) -> Option<&'static Unit> {
    UNITS.iter().filter(|u| word_at(text, u.symbol)).max_by_key(|u| u.symbol.len())
}

/// Whether a text begins with this word and not with a longer one.
pub fn word_at(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| {
        let symbol = word.ends_with(['%', '°']);
        symbol || !rest.starts_with(|c: char| c.is_alphanumeric() && !matches!(c, '²' | '³'))
    })
}

pub struct Currency {
    pub symbol: &'static str,
    one: &'static str,
    pub many: &'static str,
    cent: &'static str,
    cents: &'static str,
}

pub const CURRENCIES: [Currency; 5] = [
    Currency { symbol: "€", one: "euro", many: "euros", cent: "cent", cents: "cents" },
    Currency { symbol: "EUR", one: "euro", many: "euros", cent: "cent", cents: "cents" },
    Currency { symbol: "$", one: "dollar", many: "dollars", cent: "cent", cents: "cents" },
    Currency { symbol: "USD", one: "dollar", many: "dollars", cent: "cent", cents: "cents" },
    Currency { symbol: "£", one: "pound", many: "pounds", cent: "penny", cents: "pence" },
];

impl Currency {
    /// "3", "50": "three euros and fifty cents".
    pub fn words(&self, whole: &str, fraction: Option<&str>) -> String {
        let name = |n: u64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
        let large = whole.parse::<u64>().unwrap_or(u64::MAX);
        let small = match fraction {
            None => Some(0),
            Some(f) if f.len() == 2 => f.parse::<u64>().ok(),
            Some(_) => None,
        };
        match (large, small) {
            // Tenths of a cent are of petrol stations only.
            (_, None) => format!("{} {}", decimal(whole, fraction), self.many),
            (_, Some(0)) => format!("{} {}", decimal(whole, None), name(large, self.one, self.many)),
            (0, Some(cents)) => format!("{} {}", cardinal(cents), name(cents, self.cent, self.cents)),
            (_, Some(cents)) => format!(
                "{} {} and {} {}",
                decimal(whole, None),
                name(large, self.one, self.many),
                cardinal(cents),
                name(cents, self.cent, self.cents)
            ),
        }
    }
}
