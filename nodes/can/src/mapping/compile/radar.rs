//! The rows of radar objects.

use super::{context::Context, conversion::default_checks, file::RadarRow};
use crate::mapping::{
    entries::{Linear, Measure, MessageMapping, RadarObject},
    error::MappingError,
};
use toml::Spanned;

/// Adds the objects of one row to their messages.
pub fn row(context: Context, row: &RadarRow, messages: &mut [MessageMapping]) -> Result<(), MappingError> {
    if !(row.y_scale.is_finite() && row.vx_scale.is_finite() && row.y_scale * row.vx_scale != 0.0) {
        return Err(context.refuse(&row.messages, "y_scale, vx_scale", "expected numbers other than 0"));
    }
    for (id, name) in (row.first_id..).zip(row.messages.get_ref()) {
        let (index, message) = context.message(&row.messages, "messages", name)?;
        let measure = |name: &Spanned<String>, field: &'static str, scale: f64, to: &str, unit: &str| {
            let (index, signal) = context.signal(name, field, message, name.get_ref())?;
            let Linear { factor, offset } = context.unit_conversion(name, field, signal.unit(), to, unit)?;
            let linear = Linear { factor: factor * scale, offset };
            Ok(Measure { signal: index, linear, checks: default_checks(message, signal) })
        };
        let valid = row.valid.as_ref().map(|v| context.signal(v, "valid", message, v.get_ref())).transpose()?;
        let radar = RadarObject {
            id,
            x: measure(&row.x, "x", 1.0, "x", "m")?,
            y: measure(&row.y, "y", row.y_scale, "y", "m")?,
            vx: measure(&row.vx, "vx", row.vx_scale, "vx", "m/s")?,
            valid: valid.map(|(index, _)| index),
        };
        if messages[index].radar.replace(radar).is_some() {
            return Err(context.refuse(&row.messages, "messages", format!("{name} already has a radar object")));
        }
    }
    Ok(())
}
