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
        (&["m/s", "mps", "meterpersecond", "meterpersec"], Speed, 1.0, 0.0),
        (&["km/h", "kph", "kmh", "kmph", "km/hr", "kmperhour", "kilometerperhour"], Speed, 1.0 / 3.6, 0.0),
        (&["mph", "mi/h", "mileperhour", "milesperhour"], Speed, 0.44704, 0.0),
        (&["m", "meter", "meters"], Length, 1.0, 0.0),
        (&["km", "kilometer", "kilometers"], Length, 1000.0, 0.0),
        (&["mi", "mile", "miles"], Length, 1609.344, 0.0),
        (&["cm", "centimeter"], Length, 0.01, 0.0),
        (&["mm", "millimeter"], Length, 0.001, 0.0),
        (&["ft", "feet"], Length, 0.3048, 0.0),
        (&["rad", "radian", "radians"], Angle, 1.0, 0.0),
        (&["deg", "degree", "degrees", "degre", "°"], Angle, DEGREE, 0.0),
        (&["rad/s", "radps", "radpers", "radianpersecond", "radpersec"], AngularSpeed, 1.0, 0.0),
        (&["deg/s", "degrees/s", "degree/s", "°/s", "dps", "degps", "degpersec", "degreepersecond", "degrepersecond",
            "degreespersecond"], AngularSpeed, DEGREE, 0.0),
        (&["m/s2", "m/s^2", "m/s²", "m/s/s", "mps2", "m/s**2", "meterpersecondsquared", "meterpersecsquared"],
            Acceleration, 1.0, 0.0),
        (&["g", "gforce"], Acceleration, 9.80665, 0.0),
        (&["ratio"], Ratio, 1.0, 0.0),
        (&["%", "percent", "pct", "perc", "prcnt"], Ratio, 0.01, 0.0),
        (&["celsius", "degc", "°c", "c", "degcelsius", "degreecelsius", "degrecelsius"], Temperature, 1.0, 0.0),
        (&["fahrenheit", "degf", "°f", "f", "degfahrenheit"], Temperature, 5.0 / 9.0, -160.0 / 9.0),
        (&["k", "kelvin", "degkelvin"], Temperature, 1.0, -273.15),
        (&["kpa", "kilopascal"], Pressure, 1.0, 0.0),
        (&["pa", "pascal"], Pressure, 0.001, 0.0),
        (&["hpa", "mbar", "hectopascal"], Pressure, 0.1, 0.0),
        (&["mpa", "megapascal"], Pressure, 1000.0, 0.0),
        (&["bar"], Pressure, 100.0, 0.0),
        (&["psi"], Pressure, 6.894757293168361, 0.0),
        (&["rpm", "1/min", "u/min", "r/min", "rev/min", "revperminute", "revolutionsperminute", "/min", "min-1"],
            Rotation, 1.0, 0.0),
        (&["v", "volt", "volts"], Voltage, 1.0, 0.0),
        (&["mv", "millivolt"], Voltage, 0.001, 0.0),
        (&["a", "ampere", "amps", "amp", "ampr"], Current, 1.0, 0.0),
        (&["ma", "milliampere"], Current, 0.001, 0.0),
        (&["w", "watt"], Power, 1.0, 0.0),
        (&["kw", "kilowatt"], Power, 1000.0, 0.0),
        (&["nm", "newtonmeter", "n*m"], Torque, 1.0, 0.0),
        (&["l", "liter", "liters"], Volume, 1.0, 0.0),
        (&["kwh", "kilowatthour"], Energy, 1000.0, 0.0),
        (&["wh", "watthour"], Energy, 1.0, 0.0),
        (&["s", "seconds", "second"], Time, 1.0, 0.0),
        (&["ms", "millisecond", "milliseconds"], Time, 0.001, 0.0),
        (&["min", "minute", "minutes"], Time, 60.0, 0.0),
        (&["h", "hr", "hour", "hours"], Time, 3600.0, 0.0),
    ]
};

/// A name in the spelling of the table.
fn normalized(name: &str) -> String {
    let name = name.to_lowercase().replace([' ', '_', '(', ')', '[', ']'], "").replace('\u{fffd}', "°");
    let name = name.strip_prefix("unit").filter(|rest| !rest.is_empty()).unwrap_or(&name);
    let name = name.replace("metre", "meter").replace("litre", "liter");
    match name.strip_suffix("sec") {
        Some(begin) if begin.is_empty() || begin.ends_with(['/', 'm', 'µ']) => format!("{begin}s"),
        _ => name.replace("/sec", "/s"),
    }
}

impl Unit {
    /// The unit with this name, as tools write it: upper and lower case are the same, blanks and a prefix `Unit_` do not
    /// matter (`deg C`, `Unit_KiloMeterPerHour`, `m/sec`).
    pub fn named(name: &str) -> Option<Unit> {
        let name = normalized(name);
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
            ("m/sec", 25.0, "km/h", 90.0),
            ("deg C", 20.0, "celsius", 20.0),
            ("Unit_KiloMeterPerHour", 90.0, "m/s", 25.0),
            ("Unit_DegreCelsius", 20.0, "celsius", 20.0),
            ("Deg/Sec", 90.0, "deg/s", 90.0),
            ("m/sec^2", 2.0, "m/s2", 2.0),
            ("msec", 5.0, "s", 0.005),
            ("metres", 5.0, "m", 5.0),
            ("[rpm]", 700.0, "1/min", 700.0),
            ("Unit_Percent", 50.0, "ratio", 0.5),
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
