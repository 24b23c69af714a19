//! What a mapping covers, and what it lacks.

use super::survey::Survey;
use crate::{
    dbc::Database,
    mapping::{Field, Mapping, Target},
};
use std::{collections::BTreeSet, fmt::Write};

/// A report on a mapping: the fields of the vehicle state without a source, what of the database is mapped, what was
/// left out of it, and, with a survey, mapped messages that did not come or came too seldom, other lengths, and
/// identifiers in no database.
pub fn coverage(database: &Database, mapping: &Mapping, survey: Option<&Survey>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, content: String| {
        let _ = writeln!(text, "{label:<22}{content}");
    };
    let signals = mapping.signals();
    let has = |field: Field| signals.iter().any(|s| s.target == Target::Field(field));
    let missing: Vec<&str> = Field::ALL.iter().filter(|(_, field, _)| !has(*field)).map(|(name, ..)| *name).collect();
    line("vehicle state", format!("{} of {} fields", Field::ALL.len() - missing.len(), Field::ALL.len()));
    if !missing.is_empty() {
        line("  without a source", missing.join(", "));
    }
    let paths: BTreeSet<&str> = signals
        .iter()
        .filter_map(|s| match &s.target {
            Target::Vss(path) => Some(&**path),
            Target::Field(_) => None,
        })
        .collect();
    line("VSS paths", paths.len().to_string());
    let mapped = mapping.messages().iter().filter(|m| !m.is_empty()).count();
    let all: usize = database.messages().iter().map(|m| m.signals().len()).sum();
    let used: BTreeSet<(usize, usize)> = mapping
        .messages()
        .iter()
        .enumerate()
        .flat_map(|(i, m)| signals[m.signals.clone()].iter().map(move |s| (i, s.signal)))
        .collect();
    line("database", format!("{} messages, {all} signals", database.messages().len()));
    line("  mapped", format!("{mapped} messages, {} signals", used.len()));
    for warning in database.warnings() {
        line("  left out", warning.clone());
    }
    if let Some(survey) = survey {
        of_survey(database, mapping, survey, &mut line);
    }
    text
}

fn of_survey(database: &Database, mapping: &Mapping, survey: &Survey, line: &mut impl FnMut(&str, String)) {
    let rows = |index: usize| &mapping.signals()[mapping.messages()[index].signals.clone()];
    for (index, message) in database.messages().iter().enumerate() {
        let is_mapped = !mapping.messages()[index].is_empty();
        let seen: Vec<_> = survey.of(database, message).collect();
        if is_mapped && seen.is_empty() {
            line("mapped, never came", message.name().to_owned());
        }
        let shortest = rows(index).iter().map(|row| row.timeout).min();
        for (bus, id, seen) in seen {
            let gap_ms = seen.longest_gap_ns / 1_000_000;
            if let Some(timeout) = shortest.filter(|timeout| timeout.as_nanos() < u128::from(seen.longest_gap_ns)) {
                let timeout = timeout.as_millis();
                line(
                    "timeout too short",
                    format!("{} pauses for {gap_ms} ms, its timeout is {timeout} ms", message.name()),
                );
            }
            if let Some(length) = seen.lengths.iter().find(|length| !message.accepts_length(**length)) {
                let own = message.length();
                line(
                    "other length",
                    format!("{} ({id:X}) on {bus}: {length} bytes, the database has {own}", message.name()),
                );
            }
        }
        let buses: BTreeSet<&str> = survey.of(database, message).map(|(bus, ..)| bus).collect();
        if is_mapped && buses.len() > 1 && rows(index).iter().any(|row| row.bus.is_none()) {
            let buses: Vec<&str> = buses.into_iter().collect();
            line("on several buses", format!("{}: {}; choose one with `bus`", message.name(), buses.join(", ")));
        }
    }
    let unknown = survey.seen.keys().filter(|(_, id, extended)| database.message(*id, *extended).is_none());
    let unknown: Vec<String> = unknown.map(|(_, id, _)| format!("{id:X}")).collect();
    if !unknown.is_empty() {
        line("in no database", format!("{} identifiers: {}", unknown.len(), unknown.join(" ")));
    }
}
