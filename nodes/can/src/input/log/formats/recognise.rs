//! Which format a recording has.

use super::{asc::Asc, candump::Candump, common::Format, csv::Csv, trc::Trc};
use crate::input::log::options::Names;

/// The format of a recording that has such a line; `None` for a line of none.
pub fn recognise(line: &str, names: &Names) -> Option<Box<dyn Format>> {
    if Asc::begins(line) {
        return Some(Box::new(Asc::new(names.clone())));
    }
    if let Some(trc) = Trc::begins(line) {
        return Some(Box::new(trc));
    }
    if let Some(csv) = Csv::begins(line) {
        return Some(Box::new(csv));
    }
    if matches!(Candump.line(line), Ok(Some(_))) {
        return Some(Box::new(Candump));
    }
    // A piece of an ASC recording, without its heading.
    let mut asc = Asc::new(names.clone());
    matches!(asc.line(line), Ok(Some(_))).then(|| Box::new(asc) as Box<dyn Format>)
}
