//! Units of measurement, by the names that DBC files and VSS use.

/// A unit, by its conversion to the base unit of its quantity: `base = value * factor + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    quantity: Quantity,
    factor: f64,
    offset: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Speed,
    Length,
    Angle,
    AngularSpeed,
    Acceleration,
    Ratio,
    Temperature,
    Pressure,
    Rotation,
    Voltage,
    Current,
    Power,
    Torque,
    Volume,
    Energy,
    Time,
}

const DEGREE: f64 = std::f64::consts::PI / 180.0;

/// Names (compared without regard to case), quantity, factor, offset.
#[rustfmt::skip]
const UNITS: &[(&[&str], Quantity, f64, f64)] = {
    use Quantity::*;
    &[
        (&["m/s", "mps"], Speed, 1.0, 0.0),
        (&["km/h", "kph", "kmh", "kmph"], Speed, 1.0 / 3.6, 0.0),
        (&["mph", "mi/h"], Speed, 0.44704, 0.0),
        (&["m", "meters", "metres"], Length, 1.0, 0.0),
        (&["km"], Length, 1000.0, 0.0),
        (&["mi", "miles"], Length, 1609.344, 0.0),
        (&["cm"], Length, 0.01, 0.0),
        (&["mm"], Length, 0.001, 0.0),
        (&["rad"], Angle, 1.0, 0.0),
        (&["deg", "degree", "degrees", "°"], Angle, DEGREE, 0.0),
        (&["rad/s"], AngularSpeed, 1.0, 0.0),
        (&["deg/s", "degrees/s", "degree/s", "°/s"], AngularSpeed, DEGREE, 0.0),
        (&["m/s2", "m/s^2", "m/s²", "m/s/s"], Acceleration, 1.0, 0.0),
        (&["g"], Acceleration, 9.80665, 0.0),
        (&["ratio"], Ratio, 1.0, 0.0),
        (&["%", "percent", "pct"], Ratio, 0.01, 0.0),
        (&["celsius", "degc", "°c", "c"], Temperature, 1.0, 0.0),
        (&["fahrenheit", "degf", "°f", "f"], Temperature, 5.0 / 9.0, -160.0 / 9.0),
        (&["k", "kelvin"], Temperature, 1.0, -273.15),
        (&["kpa"], Pressure, 1.0, 0.0),
        (&["pa"], Pressure, 0.001, 0.0),
        (&["hpa", "mbar"], Pressure, 0.1, 0.0),
        (&["bar"], Pressure, 100.0, 0.0),
        (&["psi"], Pressure, 6.894757293168361, 0.0),
        (&["rpm", "1/min", "u/min"], Rotation, 1.0, 0.0),
        (&["v", "volt"], Voltage, 1.0, 0.0),
        (&["mv"], Voltage, 0.001, 0.0),
        (&["a", "ampere"], Current, 1.0, 0.0),
        (&["ma"], Current, 0.001, 0.0),
        (&["w"], Power, 1.0, 0.0),
        (&["kw"], Power, 1000.0, 0.0),
        (&["nm", "n m"], Torque, 1.0, 0.0),
        (&["l", "litre", "liter"], Volume, 1.0, 0.0),
        (&["kwh"], Energy, 1000.0, 0.0),
        (&["wh"], Energy, 1.0, 0.0),
        (&["s", "sec"], Time, 1.0, 0.0),
        (&["ms"], Time, 0.001, 0.0),
    ]
};

impl Unit {
    /// The unit with this name; upper and lower case are the same.
    pub fn named(name: &str) -> Option<Unit> {
        let name = name.trim().to_lowercase();
        let (_, quantity, factor, offset) = UNITS.iter().find(|(names, ..)| names.contains(&name.as_str()))?;
        Some(Unit { quantity: *quantity, factor: *factor, offset: *offset })
    }

    /// Factor and offset of the conversion to `to`; `None` when the two are of different quantities.
    pub fn to(self, to: Unit) -> Option<(f64, f64)> {
        let (factor, offset) = (self.factor / to.factor, (self.offset - to.offset) / to.factor);
        (self.quantity == to.quantity).then_some((factor, offset))
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        UNITS.iter().flat_map(|(names, ..)| names.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_converted_between_units() {
        for (from, value, to, expected) in [
            ("km/h", 90.0, "m/s", 25.0),
            ("kph", 90.0, "km/h", 90.0),
            ("mph", 100.0, "km/h", 160.9344),
            ("deg", 180.0, "rad", std::f64::consts::PI),
            ("rad/s", 1.0, "degrees/s", 57.29577951308232),
            ("%", 62.4, "ratio", 0.624),
            ("degF", 212.0, "celsius", 100.0),
            ("K", 273.15, "celsius", 0.0),
            ("celsius", 20.0, "degF", 68.0),
            ("bar", 2.4, "kPa", 240.0),
            ("km", 214.0, "m", 214000.0),
        ] {
            let (factor, offset) = Unit::named(from).unwrap().to(Unit::named(to).unwrap()).unwrap();
            let found = value * factor + offset;
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{value} {from} = {found} {to}");
        }
    }

    #[test]
    fn different_quantities_are_not_converted_and_names_are_unique() {
        assert_eq!(Unit::named("m").unwrap().to(Unit::named("m/s").unwrap()), None);
        assert_eq!(Unit::named("furlong"), None);
        let mut names: Vec<&str> = Unit::names().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
