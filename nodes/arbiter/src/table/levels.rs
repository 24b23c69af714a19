//! The service levels that Auriga's own nodes have. A grant names a level by its number, so that in the table each has to
//! stand at its place.

use super::{error::TableError, error::invalid, types::Workload};
use auriga_runtime::suggestion::suggestion;

/// Workloads of our nodes with their levels, from 0 upward.
const LEVELS: &[(&str, &[&str])] = &[
    ("language-intent", &["short-slices", "normal"]),
    ("language-dialogue", &["paused", "brief", "steady", "full"]),
    ("hud-decor", &["off", "plain", "full"]),
    ("recording", &["messages", "messages-and-images"]),
];

/// Whether each level of a workload is the one that its node runs under that number. A workload may do without its highest
/// levels.
///
/// # Errors
/// A level that its node does not have, or has under another number.
pub(super) fn check_names(w: &Workload) -> Result<(), TableError> {
    let Some((_, known)) = LEVELS.iter().find(|(name, _)| *name == w.name) else { return Ok(()) };
    for (number, level) in w.levels.iter().enumerate() {
        if known.get(number).is_some_and(|name| *name == level.name) {
            continue;
        }
        let problem = match known.iter().position(|name| *name == level.name) {
            Some(place) => format!("{:?} is level {place} of {}, not level {number}", level.name, w.name),
            None => format!(
                "{:?} is no level of {}{}; it has {}",
                level.name,
                w.name,
                suggestion(&level.name, known.iter().copied()),
                known.join(", ")
            ),
        };
        return Err(invalid(format!("workload {}", w.name), "level", problem));
    }
    Ok(())
}
