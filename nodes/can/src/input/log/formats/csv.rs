//! Recordings as comma-separated values, by the names of their columns:
//!
//! ```text
//! Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8      SavvyCAN: microseconds, hexadecimal
//! timestamp,arbitration_id,extended,remote,error,dlc,data         python-can: seconds, data in Base64
//! time,addr,bus,data                                              Cabana: seconds, hexadecimal
//! ```

use super::common::{CLASSIC_BYTES, Format, MAX_FRAME, MAX_STANDARD, Record, Time, checked_id, hex_byte, seconds};
use auriga_msgs::v1;

pub struct Csv {
    /// Names in lower case.
    columns: Vec<String>,
    /// The time is in microseconds.
    micros: bool,
    base64: bool,
}

impl Csv {
    /// The format, for the line with the names of the columns.
    pub fn begins(line: &str) -> Option<Csv> {
        let columns = names(line);
        let has = |names: &[&str]| columns.iter().any(|column| names.contains(&column.as_str()));
        let known =
            has(&["time stamp", "timestamp", "time"]) && has(&["id", "arbitration_id", "addr"]) && has(&["data", "d1"]);
        let (micros, base64) = (has(&["time stamp"]), has(&["arbitration_id"]));
        known.then_some(Csv { columns, micros, base64 })
    }
}

impl Format for Csv {
    fn line(&mut self, line: &str) -> Result<Option<Record>, String> {
        // The heading, also where several files were joined.
        if names(line) == self.columns {
            return Ok(None);
        }
        let mut frame = v1::CanFrame::default();
        let (mut time, mut id, mut extended, mut length, mut data) = (None, None, None, MAX_FRAME, Vec::new());
        // The last line of SavvyCAN's rows ends in a comma.
        for (column, field) in self.columns.iter().zip(line.split(',').map(str::trim)) {
            let is_true = matches!(field, "1" | "true" | "True" | "TRUE");
            match column.as_str() {
                "time stamp" | "timestamp" | "time" => {
                    time = seconds(field).map(|ns| if self.micros { ns / 1_000_000 } else { ns });
                }
                "id" | "arbitration_id" | "addr" => {
                    let digits = field.trim_start_matches("0x");
                    id = u32::from_str_radix(digits, 16).ok();
                }
                "extended" => extended = Some(is_true),
                "remote" => frame.remote = is_true,
                "error" => frame.error = is_true,
                "bus" => frame.bus = field.to_owned(),
                "len" => length = field.parse().map_err(|_| format!("expected a length, found {field:?}"))?,
                "data" if self.base64 => {
                    data = base64(field).ok_or_else(|| format!("expected Base64, found {field:?}"))?
                }
                "data" => data = hex(field)?,
                name if is_byte(name) && !field.is_empty() && data.len() < length.min(MAX_FRAME) => {
                    data.push(hex_byte(field)?);
                }
                _ => {}
            }
        }
        let time = time.ok_or_else(|| format!("expected a time in the columns {}", self.columns.join(",")))?;
        let id = id.ok_or("expected a hexadecimal identifier")?;
        if data.len() > MAX_FRAME || (length != MAX_FRAME && data.len() != length) {
            return Err(format!("expected {length} bytes, found {}", data.len()));
        }
        frame.extended = extended.unwrap_or(id > MAX_STANDARD);
        frame.id = checked_id(id, frame.extended)?;
        frame.fd = data.len() > CLASSIC_BYTES;
        frame.data = data.into();
        Ok(Some(Record { time: Time::At(time), frame }))
    }
}

/// The names of the columns, in lower case.
fn names(line: &str) -> Vec<String> {
    line.split(',').map(|name| name.trim().trim_matches('"').to_ascii_lowercase()).collect()
}

/// Whether a column holds a byte: d1, d2 …
fn is_byte(name: &str) -> bool {
    name.strip_prefix('d').is_some_and(|number| number.parse::<u8>().is_ok())
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim_matches(['"', '\'', 'b']).trim_start_matches("0x");
    let wrong = || format!("expected bytes of two hexadecimal digits each, found {text:?}");
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_FRAME {
        return Err(wrong());
    }
    (0..digits.len()).step_by(2).map(|at| hex_byte(&digits[at..at + 2]).map_err(|_| wrong())).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | ALPHABET.iter().position(|&b| b == byte)? as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}
