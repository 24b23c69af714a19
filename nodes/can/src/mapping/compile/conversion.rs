//! From a row to the conversion of its signal.

use super::{
    context::Context,
    file::{Meaning, RangeRow, Raw, SignalRow, VssType},
};
use crate::{
    dbc::{Message, Signal},
    mapping::{
        checks::{Checks, absent_by_label, greatest_of_j1939},
        entries::{Conversion, Linear},
        error::MappingError,
        target::{Field, Target, Value},
        vss::{self, Datatype},
    },
};
use auriga_msgs::v1;
use auriga_runtime::suggestion::suggestion;

/// What values a target takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    Number(&'static str),
    /// A number whose unit the row states.
    NumberIn(String),
    Flag,
    /// One of these words; any word when the list is empty.
    Label(&'static [&'static str]),
    Gear,
    Indicator,
}

impl Wanted {
    /// Whether it takes numbers.
    pub fn is_number(&self) -> bool {
        matches!(self, Wanted::Number(_) | Wanted::NumberIn(_))
    }
}

/// A target by its name, and what it takes.
pub fn target(context: Context, row: &SignalRow, to: &str) -> Result<(Target, Wanted), MappingError> {
    if let Some((_, field, unit)) = Field::ALL.iter().find(|(name, ..)| *name == to) {
        let wanted = match field {
            Field::Gear => Wanted::Gear,
            Field::Indicator => Wanted::Indicator,
            Field::PushToTalk => Wanted::Flag,
            _ => Wanted::Number(unit),
        };
        return Ok((Target::Field(*field), wanted));
    }
    let wanted = match (vss::datatype(to), row.vss_type) {
        (Some(Datatype::Number(unit)), _) => Wanted::Number(unit),
        (Some(Datatype::Flag), _) => Wanted::Flag,
        (Some(Datatype::Label(allowed)), _) => Wanted::Label(allowed),
        (None, Some(VssType::Number)) => {
            Wanted::NumberIn(row.vss_unit.as_ref().map(|u| u.get_ref().clone()).unwrap_or_default())
        }
        (None, Some(VssType::Flag)) => Wanted::Flag,
        (None, Some(VssType::Label)) => Wanted::Label(&[]),
        (None, None) => {
            let known = Field::ALL.iter().map(|(name, ..)| *name).chain(vss::signals().map(|(path, _)| path));
            let like = suggestion(to, known);
            let text = format!(
                "{to} is neither a field of the vehicle state nor a VSS path of the catalogue{like}; \
                 for another VSS path state `vss_type`"
            );
            return Err(context.refuse(&row.to, "to", text));
        }
    };
    Ok((Target::Vss(to.into()), wanted))
}

/// How a row's signal becomes the target's value. `plain`: the number has no unit, it scales that of another row.
pub fn conversion(
    context: Context,
    row: &SignalRow,
    signal: &Signal,
    to: &str,
    wanted: &Wanted,
    plain: bool,
) -> Result<Conversion, MappingError> {
    let of = Table { context, row, signal, to };
    let number = |meaning: &Meaning| match meaning {
        Meaning::Number(n) if n.is_finite() => Some(Value::Number(*n)),
        _ => None,
    };
    match wanted {
        Wanted::Number(_) | Wanted::NumberIn(_) if row.values.is_some() => of.table("a number", number),
        Wanted::Number(_) | Wanted::NumberIn(_) if plain => {
            Ok(Conversion::Linear(Linear { factor: row.scale, offset: row.offset }))
        }
        Wanted::Number(unit) => linear(context, row, signal, to, unit),
        Wanted::NumberIn(unit) => linear(context, row, signal, to, unit),
        Wanted::Flag if row.values.is_none() => Ok(Conversion::NonZero),
        Wanted::Flag => of.table("true or false", |meaning| match meaning {
            Meaning::Flag(flag) => Some(Value::Flag(*flag)),
            _ => None,
        }),
        Wanted::Label(allowed) => {
            let expected =
                if allowed.is_empty() { "a word".to_owned() } else { format!("one of {}", allowed.join(", ")) };
            of.table(&expected, |meaning| match meaning {
                Meaning::Label(label) if allowed.is_empty() || allowed.contains(&label.as_str()) => {
                    Some(Value::Label(label.as_str().into()))
                }
                _ => None,
            })
        }
        Wanted::Gear => of.table("park, reverse, neutral or drive", gear),
        Wanted::Indicator => of.table("off, left, right or hazard", indicator),
    }
}

fn gear(meaning: &Meaning) -> Option<Value> {
    let gear = match word(meaning)?.as_str() {
        "park" => v1::Gear::Park,
        "reverse" => v1::Gear::Reverse,
        "neutral" => v1::Gear::Neutral,
        "drive" => v1::Gear::Drive,
        _ => return None,
    };
    Some(Value::Number(f64::from(gear as i32)))
}

fn indicator(meaning: &Meaning) -> Option<Value> {
    let side = match word(meaning)?.as_str() {
        "off" => v1::Indicator::Off,
        "left" => v1::Indicator::Left,
        "right" => v1::Indicator::Right,
        "hazard" => v1::Indicator::Hazard,
        _ => return None,
    };
    Some(Value::Number(f64::from(side as i32)))
}

fn word(meaning: &Meaning) -> Option<String> {
    match meaning {
        Meaning::Label(word) => Some(word.to_lowercase()),
        _ => None,
    }
}

fn linear(
    context: Context,
    row: &SignalRow,
    signal: &Signal,
    to: &str,
    unit: &str,
) -> Result<Conversion, MappingError> {
    let Linear { factor, offset } = match (unit, &row.unit) {
        ("", None) => Linear { factor: 1.0, offset: 0.0 },
        ("", Some(stated)) => {
            return Err(context.refuse(stated, "unit", format!("{to} has no unit to convert to; leave it out")));
        }
        (_, Some(stated)) => context.unit_conversion(stated, "unit", stated.get_ref(), to, unit)?,
        (_, None) => context.unit_conversion(&row.from, "from", signal.unit(), to, unit)?,
    };
    // unit(physical * scale + offset)
    Ok(Conversion::Linear(Linear { factor: row.scale * factor, offset: row.offset * factor + offset }))
}

/// A row whose raw values have meanings.
struct Table<'a> {
    context: Context<'a>,
    row: &'a SignalRow,
    signal: &'a Signal,
    to: &'a str,
}

impl Table<'_> {
    /// From the row's `values`. Labels of the DBC that it omits are added when `understand` accepts them.
    fn table(
        &self,
        expected: &str,
        understand: impl Fn(&Meaning) -> Option<Value>,
    ) -> Result<Conversion, MappingError> {
        let Table { context, row, signal, to } = self;
        let mut table: Vec<(i64, Value)> = Vec::new();
        if let Some(values) = &row.values {
            for (key, meaning) in values.get_ref() {
                let raw = context.raw(values, "values", signal, &Raw::Label(key.clone()))?;
                let value = understand(meaning).ok_or_else(|| {
                    context.refuse(values, "values", format!("{key}: expected {expected} for {to}, found {meaning:?}"))
                })?;
                table.push((raw, value));
            }
        }
        for (raw, label) in signal.labels() {
            if table.iter().all(|(known, _)| known != raw) {
                table.extend(understand(&Meaning::Label(label.clone())).map(|value| (*raw, value)));
            }
        }
        if table.is_empty() {
            let text = format!("no value of {} is {expected}, which {to} takes; state `values`", signal.name());
            return Err(context.refuse(&row.from, "from", text));
        }
        table.sort_by_key(|(raw, _)| *raw);
        if let Some(twice) = table.windows(2).find(|w| w[0].0 == w[1].0) {
            let text = format!("the raw value {} has two meanings", twice[0].0);
            return Err(context.refuse(&row.from, "values", text));
        }
        Ok(Conversion::Table(table.into()))
    }
}

/// Which raw values of a row's signal are no values.
pub fn checks(
    context: Context,
    row: &SignalRow,
    message: &Message,
    signal: &Signal,
    conversion: &Conversion,
) -> Result<Checks, MappingError> {
    let mut absent = Vec::new();
    for raw in &row.absent {
        absent.push(context.raw(raw, "absent", signal, raw.get_ref())?);
    }
    let mut checks = default_checks(message, signal);
    let range = match row.range.as_ref().map(|range| (range, *range.get_ref())) {
        Some((at, RangeRow::Bounds([low, high]))) if low > high || !(low + high).is_finite() => {
            let text = format!("expected [least, greatest] in the unit of the DBC, found [{low}, {high}]");
            return Err(context.refuse(at, "range", text));
        }
        Some((_, RangeRow::Bounds([low, high]))) => Some((low, high)),
        Some((_, RangeRow::Switch(false))) => None,
        _ => checks.range,
    };
    checks.range = range;
    if !row.not_available {
        (checks.greatest, checks.absent) = (None, Box::default());
    }
    if let Conversion::Table(table) = conversion {
        // What the table lists has a meaning, unless it is only the label of the DBC.
        let listed = |raw: &i64| row.values.is_some() && table.iter().any(|(known, _)| known == raw);
        checks.absent = checks.absent.iter().copied().filter(|raw| !listed(raw)).collect();
        checks.greatest = None;
    }
    absent.extend(&checks.absent);
    absent.sort_unstable();
    absent.dedup();
    checks.absent = absent.into();
    Ok(checks)
}

/// The checks of a signal for which the mapping states nothing.
pub fn default_checks(message: &Message, signal: &Signal) -> Checks {
    let absent: Box<[i64]> = absent_by_label(signal).collect();
    // A code that the DBC names is a value.
    let named = signal.labels().iter().map(|(raw, _)| *raw).filter(|raw| !absent.contains(raw));
    let greatest = greatest_of_j1939(message, signal);
    let greatest = greatest.map(|greatest| named.map(i64::cast_unsigned).max().map_or(greatest, |n| n.max(greatest)));
    let (low, high) = signal.range();
    // Half a step more is still within.
    Checks { absent, greatest, range: (low < high).then_some((low, high)), slack: signal.factor().abs() / 2.0 }
}
