//! A grants message in words.

use auriga_msgs::{Stamped, v1};
use auriga_runtime::Nanos;
use std::fmt::Write;

/// A message of arbiter/grants as text: the mode, the inputs that led to it, and a table of the grants. Control characters
/// of the message, which anyone may have sent, do not reach the terminal.
pub fn explain(grants: &v1::Grants) -> String {
    let header = grants.header_copy();
    let mut parts = grants.reason.split("; ");
    let why = parts.next().unwrap_or_default();
    let mut text = format!(
        "{:.3} s  {}{}\n",
        Nanos(header.published_ns).as_secs_f64(),
        grants.mode().name(),
        if grants.switched { ", switched" } else { ", renewed" },
    );
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("because", why.split_once(": ").map_or(why, |(_, cause)| cause));
    let rest: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once(": ")).collect();
    let levels = rest.iter().find(|(name, _)| *name == "levels").map_or("", |(_, levels)| levels);
    for (name, value) in rest.iter().filter(|(name, _)| *name != "levels") {
        line(name, value);
    }
    if let Some(source) = header.source() {
        let after_ms = Nanos(header.published_ns).since(Nanos(header.stamp_ns)).as_secs_f64() * 1e3;
        line("cause", &format!("{} {after_ms:.2} ms before (trace {:016x})", source.spec().name, header.trace_id));
    }
    let _ = writeln!(
        text,
        "  {:<20} {:<11} {:<20} {:>6} {:>9} {:>7}",
        "workload", "node", "level", "CPU", "memory", "weight"
    );
    for g in &grants.grants {
        let name = levels.split(", ").find_map(|l| l.split_once(' ').filter(|(w, _)| *w == g.workload));
        let level = format!("{}{}", g.level, name.map_or(String::new(), |(_, level)| format!(" {level}")));
        let cpu = if g.run { format!("{:.0} %", g.cpu_share * 100.0) } else { "stop".into() };
        let (mib, lease) = (g.memory_bytes >> 20, g.cpu_weight);
        let _ = writeln!(text, "  {:<20} {:<11} {level:<20} {cpu:>6} {mib:>5} MiB {lease:>7}", g.workload, g.node);
    }
    if let Some(end) = grants.grants.iter().map(|g| g.lease_end_ns).min() {
        let _ = writeln!(text, "  until {:.3} s, then each falls to its floor", Nanos(end).as_secs_f64());
    }
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_message_do_not_reach_the_terminal() {
        let grant = v1::Grant { workload: "w\u{1b}[2J".into(), ..Default::default() };
        let reason = "hazard: \u{1b}]0;owned\u{7}".to_owned();
        let text = explain(&v1::Grants { grants: vec![grant], reason, ..Default::default() });
        assert!(text.lines().count() > 3 && !text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}
