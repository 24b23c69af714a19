//! PEAK's TRC format, versions 1.0 to 2.1: comment lines that begin with a semicolon, then one line for each event with
//! its time in milliseconds since the start.
//!
//! ```text
//! ;$FILEVERSION=1.1
//!      1)      1841.3  Rx         0001  4  00 00 00 08
//! ;$FILEVERSION=2.1
//! ;$COLUMNS=N,O,T,B,I,d,R,L,D
//!       1      1059.900 DT 1      0300 Rx -  7    00 00 00 00 04 00 00
//! ```

use super::common::{Format, MAX_FRAME, Record, Time, checked_id, hex_byte, seconds};
use auriga_msgs::v1;

/// Digits of an identifier of 29 bits.
const EXTENDED_DIGITS: usize = 8;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Time,
    Kind,
    Bus,
    Id,
    /// Up to here; the rest of the line is data.
    Length,
    Other,
}

pub struct Trc {
    columns: Vec<Column>,
}

impl Trc {
    /// The format, for the first line of a recording.
    pub fn begins(line: &str) -> Option<Trc> {
        line.starts_with(";$FILEVERSION").then(|| Trc { columns: columns_of_version(line) })
    }
}

fn columns_of_version(line: &str) -> Vec<Column> {
    use Column::{Bus, Id, Kind, Length, Other, Time};
    match line.split('=').nth(1).map(str::trim) {
        Some("1.0") => vec![Other, Time, Id, Length],
        Some("1.2") => vec![Other, Time, Bus, Kind, Id, Length],
        Some("1.3") => vec![Other, Time, Bus, Kind, Id, Other, Length],
        _ => vec![Other, Time, Kind, Id, Length],
    }
}

/// The columns that a line `;$COLUMNS=N,O,T,B,I,d,R,L,D` lists.
fn columns_listed(list: &str) -> Vec<Column> {
    let column = |name: &str| match name.trim() {
        "O" => Column::Time,
        "T" => Column::Kind,
        "B" => Column::Bus,
        "I" => Column::Id,
        "l" | "L" => Column::Length,
        _ => Column::Other,
    };
    let columns: Vec<Column> = list.split(',').map(column).collect();
    let end = columns.iter().position(|c| *c == Column::Length).map_or(columns.len(), |at| at + 1);
    columns[..end].to_vec()
}

impl Format for Trc {
    fn line(&mut self, line: &str) -> Result<Option<Record>, String> {
        if let Some(comment) = line.strip_prefix(';') {
            if let Some(list) = comment.strip_prefix("$COLUMNS=") {
                self.columns = columns_listed(list);
            } else if comment.starts_with("$FILEVERSION") {
                self.columns = columns_of_version(line);
            }
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let (mut time, mut kind, mut frame) = (None, "", v1::CanFrame::default());
        let mut id = "";
        for column in &self.columns {
            let word = words.next().ok_or("the line ends before the frame's data")?;
            match column {
                // Read as seconds, which are a thousand times as long.
                Column::Time => time = seconds(word).map(|ns| ns / 1000),
                Column::Kind => kind = word,
                Column::Bus => frame.bus = word.to_owned(),
                Column::Id => id = word,
                Column::Length | Column::Other => {}
            }
        }
        let milliseconds = time.ok_or_else(|| format!("expected a time in milliseconds, found {line:?}"))?;
        match kind {
            "" | "Rx" | "Tx" | "DT" => {}
            "FD" | "FB" | "FE" | "BI" => frame.fd = true,
            "RR" => frame.remote = true,
            // Warnings, status and errors of the adapter.
            _ => return Ok(None),
        }
        let number =
            u32::from_str_radix(id, 16).map_err(|_| format!("expected a hexadecimal identifier, found {id:?}"))?;
        frame.extended = id.len() >= EXTENDED_DIGITS;
        frame.id = checked_id(number, frame.extended)?;
        let data: Vec<&str> = words.collect();
        if data.first() == Some(&"RTR") {
            frame.remote = true;
        } else if !frame.remote {
            if data.len() > MAX_FRAME {
                return Err(format!("{} bytes are more than a frame holds", data.len()));
            }
            frame.data = data.into_iter().map(hex_byte).collect::<Result<Vec<u8>, String>>()?.into();
        }
        Ok(Some(Record { time: Time::At(milliseconds), frame }))
    }
}
