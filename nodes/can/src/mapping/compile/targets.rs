//! The targets of all rows, and how those with several sources are combined.

use super::{
    context::Context,
    conversion::{self, Wanted},
    file::SignalRow,
};
use crate::mapping::{combine::Rule, entries::Conversion, error::MappingError, target::Target};
use std::collections::BTreeMap;

/// The targets of a mapping by their names.
pub struct Targets<'a>(BTreeMap<&'a str, TargetRows>);

/// A target and its rows.
pub struct TargetRows {
    pub target: Target,
    pub wanted: Wanted,
    /// For several rows.
    rule: Option<Stated>,
    /// Rows whose number scales that of another one.
    scales: Vec<usize>,
}

/// The rule of a target as the file states it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stated {
    Rule(Rule),
    /// Words of an enumeration; of indicators.
    Words {
        indicator: bool,
    },
}

impl TargetRows {
    /// Whether it has several sources.
    pub fn is_combined(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether this row's number has no unit of its own.
    pub fn is_scale(&self, row: usize) -> bool {
        self.scales.contains(&row)
    }
}

impl Stated {
    /// The rule, with the conversions of its signals.
    pub fn complete<'a>(&self, conversions: impl Iterator<Item = &'a Conversion>) -> Rule {
        let indicator = match self {
            Stated::Rule(rule) => return rule.clone(),
            Stated::Words { indicator } => *indicator,
        };
        let tables: Vec<_> = conversions
            .map(|conversion| match conversion {
                Conversion::Table(table) => table.iter().map(|(_, value)| value).collect(),
                _ => Vec::new(),
            })
            .collect();
        // The value that all have: off, or what is said when nothing is on.
        let common = |value: &&_| tables.iter().all(|table| table.contains(value));
        let rest = tables.first().and_then(|first| first.iter().copied().find(common)).cloned();
        let can_rest = tables.iter().map(|table| rest.as_ref().is_some_and(|rest| table.contains(&rest))).collect();
        Rule::Words { rest, can_rest, indicator }
    }
}

impl<'a> Targets<'a> {
    /// The targets of all rows. What is wrong with one is added to `errors`.
    pub fn of(context: Context, rows: &[&'a SignalRow], errors: &mut Vec<MappingError>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            row.to.get_ref().all().iter().for_each(|to| by_name.entry(to).or_default().push(index));
        }
        let mut targets = BTreeMap::new();
        for (to, indices) in by_name {
            match target(context, rows, to, &indices) {
                Ok(target) => drop(targets.insert(to, target)),
                Err(error) => errors.push(error),
            }
        }
        Targets(targets)
    }

    /// The target with this name; `None` for one that is wrong.
    pub fn get(&self, to: &str) -> Option<&TargetRows> {
        self.0.get(to)
    }

    /// The targets with several sources.
    pub fn combined(&self) -> impl Iterator<Item = (&'a str, &Stated)> {
        self.0.iter().filter_map(|(to, target)| Some((*to, target.rule.as_ref()?)))
    }
}

fn target(context: Context, rows: &[&SignalRow], to: &str, indices: &[usize]) -> Result<TargetRows, MappingError> {
    let first = rows[indices[0]];
    // The type of a path that the catalogue lacks may stand in any of its rows.
    let typed = indices.iter().map(|&i| rows[i]).find(|row| row.vss_type.is_some()).unwrap_or(first);
    let (target, wanted) = conversion::target(context, typed, to)?;
    let mut scales = Vec::new();
    let rule = match indices {
        [_] => None,
        _ => Some(rule(context, rows, to, indices, &wanted)?),
    };
    if rule == Some(Stated::Rule(Rule::Product)) {
        let numbers = indices.iter().copied().filter(|&i| rows[i].values.is_none());
        scales.extend(numbers.skip(1));
    }
    Ok(TargetRows { target, wanted, rule, scales })
}

fn rule(
    context: Context,
    rows: &[&SignalRow],
    to: &str,
    indices: &[usize],
    wanted: &Wanted,
) -> Result<Stated, MappingError> {
    let stated = indices.iter().filter_map(|&i| rows[i].combine.as_ref());
    let mut stated = stated.map(|combine| named(context, combine, to, wanted));
    if let Some(first) = stated.next() {
        return first;
    }
    match wanted {
        Wanted::Flag => Ok(Stated::Rule(Rule::Any)),
        Wanted::Label(_) | Wanted::Gear => Ok(Stated::Words { indicator: false }),
        Wanted::Indicator => Ok(Stated::Words { indicator: true }),
        // Switches of a pedal and the like.
        _ if indices.iter().all(|&i| rows[i].values.is_some()) => Ok(Stated::Rule(Rule::Maximum)),
        _ => {
            let (one, other) = (rows[indices[0]], rows[indices[1]]);
            let line = context.line(one.to.span().start);
            let text = format!(
                "{to} already has a source, in line {line}; to make one value of both, state `combine`: sum, product, \
                 maximum, minimum or first"
            );
            Err(context.refuse(&other.to, "to", text))
        }
    }
}

fn named(context: Context, combine: &toml::Spanned<String>, to: &str, wanted: &Wanted) -> Result<Stated, MappingError> {
    let rule = match (combine.get_ref().as_str(), wanted) {
        ("first", _) => Rule::First,
        ("any", Wanted::Flag) => Rule::Any,
        ("all", Wanted::Flag) => Rule::All,
        ("sum", wanted) if wanted.is_number() => Rule::Sum,
        ("product", wanted) if wanted.is_number() => Rule::Product,
        ("maximum", wanted) if wanted.is_number() => Rule::Maximum,
        ("minimum", wanted) if wanted.is_number() => Rule::Minimum,
        (other, wanted) => {
            let expected = match wanted {
                Wanted::Flag => "any, all or first",
                wanted if wanted.is_number() => "sum, product, maximum, minimum or first",
                _ => "first, or nothing: words are combined by what is not off",
            };
            return Err(context.refuse(combine, "combine", format!("expected {expected} for {to}, found {other:?}")));
        }
    };
    Ok(Stated::Rule(rule))
}
