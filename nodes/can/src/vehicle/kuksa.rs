//! Eclipse KUKSA's mapping of a database to VSS (JSON, `dbc2vss`) as a `vss.toml`.

use crate::{
    dbc::Database,
    mapping::{Mapping, units::Unit, vss},
};
use serde_json::{Map, Value};
use std::fmt::Write;

/// An imported mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The text of `vss.toml`; it can be loaded for the database.
    pub text: String,
    /// Rows.
    pub rows: usize,
    /// Paths that have no row, and why.
    pub left_out: Vec<String>,
}

/// Why a mapping cannot be imported.
#[derive(Debug, thiserror::Error)]
#[error("{name}: this is no VSS tree with dbc2vss (JSON): {text}")]
pub struct ImportError {
    name: String,
    text: String,
}

/// Imports a mapping. Each path costs itself alone when its signal is not in the database, or its formula is not linear.
///
/// # Errors
/// When the text is not JSON, or no path in it has a signal.
pub fn import(json: &str, name: &str, database: &Database) -> Result<Import, ImportError> {
    let wrong = |text: String| ImportError { name: name.to_owned(), text };
    let tree: Value = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
    let mut leaves = Vec::new();
    if let Value::Object(roots) = &tree {
        roots.iter().for_each(|(name, node)| collect(name, node, &mut leaves));
    }
    if leaves.is_empty() {
        return Err(wrong("no path has a signal".into()));
    }
    let mut import = Import { text: format!("# Imported from {name}.\n"), rows: 0, left_out: Vec::new() };
    for (path, node) in leaves {
        let row = row(&path, node, database).and_then(|row| match Mapping::parse(&row, "row", database) {
            Ok(_) => Ok(row),
            Err(e) => Err(e.to_string().lines().next().unwrap_or_default().to_owned()),
        });
        match row {
            Ok(row) => {
                let _ = write!(import.text, "\n{row}");
                import.rows += 1;
            }
            Err(reason) => import.left_out.push(format!("{path}: {reason}")),
        }
    }
    Ok(import)
}

/// The leaves with a signal, with their paths.
fn collect<'a>(path: &str, node: &'a Value, leaves: &mut Vec<(String, &'a Map<String, Value>)>) {
    let Value::Object(node) = node else { return };
    if signal(node).is_some() {
        leaves.push((path.to_owned(), node));
    }
    if let Some(Value::Object(children)) = node.get("children") {
        children.iter().for_each(|(name, child)| collect(&format!("{path}.{name}"), child, leaves));
    }
}

/// What is read from the bus; `dbc` is the older name.
fn signal(node: &Map<String, Value>) -> Option<&Map<String, Value>> {
    node.get("dbc2vss").or_else(|| node.get("dbc"))?.as_object().filter(|of| of.contains_key("signal"))
}

fn row(path: &str, node: &Map<String, Value>, database: &Database) -> Result<String, String> {
    let of = signal(node).ok_or("no signal")?;
    let name = of.get("signal").and_then(Value::as_str).ok_or("no name of a signal")?;
    let messages: Vec<&str> =
        database.messages().iter().filter(|m| m.signal(name).is_some()).map(|m| m.name()).collect();
    let message = match messages.as_slice() {
        [] => return Err(format!("{} has no signal {name}", database.name())),
        [one] => one,
        more => return Err(format!("{name} is in several messages: {}", more.join(", "))),
    };
    let mut row = format!("[[signal]]\nfrom = {:?}\nto = {path:?}\n", format!("{message}.{name}"));
    let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = match text("datatype") {
        "boolean" => "flag",
        "string" => "label",
        datatype if datatype.ends_with("[]") => return Err(format!("the type {datatype} is not supported")),
        _ => "number",
    };
    let known = vss::datatype(path);
    if known.is_none() {
        let _ = writeln!(row, "vss_type = {kind:?}");
    }
    let transform = of.get("transform").and_then(Value::as_object);
    if let Some(pairs) = transform.and_then(|t| t.get("mapping")).and_then(Value::as_array) {
        row.push_str(&values(pairs)?);
        return Ok(row);
    }
    if kind == "number" {
        // The number is already in VSS's unit.
        if known.is_some_and(|datatype| datatype != vss::Datatype::Number("")) && Unit::named(text("unit")).is_some() {
            let _ = writeln!(row, "unit = {:?}", text("unit"));
        }
        if let Some(math) = transform.and_then(|t| t.get("math")).and_then(Value::as_str) {
            let (scale, offset) = linear(math).ok_or_else(|| format!("the formula {math} is not linear"))?;
            let _ = write!(row, "scale = {scale:?}\noffset = {offset:?}\n");
        }
    }
    Ok(row)
}

fn values(pairs: &[Value]) -> Result<String, String> {
    let mut entries = Vec::new();
    for pair in pairs {
        let (from, to) = (pair.get("from"), pair.get("to"));
        let from = match from {
            Some(Value::String(label)) => label.clone(),
            Some(Value::Number(raw)) => raw.to_string(),
            _ => return Err("a pair of its mapping has no `from`".into()),
        };
        let to = match to {
            Some(Value::String(word)) => format!("{word:?}"),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Number(number)) => format!("{:?}", number.as_f64().unwrap_or_default()),
            _ => return Err("a pair of its mapping has no `to`".into()),
        };
        entries.push(format!("{from:?} = {to}"));
    }
    Ok(format!("values = {{ {} }}\n", entries.join(", ")))
}

/// Scale and offset of a formula in x; `None` when it is not linear. Rounding is left out.
fn linear(formula: &str) -> Option<(f64, f64)> {
    let compact: String = formula.chars().filter(|c| !c.is_whitespace()).collect();
    let mut rest = compact.as_str();
    let (scale, offset) = sum(&mut rest, 0)?;
    (rest.is_empty() && scale != 0.0 && scale.is_finite() && offset.is_finite()).then_some((scale, offset))
}

/// Deepest nesting of a formula.
const MAX_DEPTH: usize = 20;

fn sum(rest: &mut &str, depth: usize) -> Option<(f64, f64)> {
    let mut total = product(rest, depth)?;
    loop {
        let sign = match rest.chars().next() {
            Some('+') => 1.0,
            Some('-') => -1.0,
            _ => return Some(total),
        };
        *rest = &rest[1..];
        let next = product(rest, depth)?;
        total = (total.0 + sign * next.0, total.1 + sign * next.1);
    }
}

fn product(rest: &mut &str, depth: usize) -> Option<(f64, f64)> {
    let mut total = factor(rest, depth)?;
    loop {
        let operator = rest.chars().next().filter(|c| matches!(c, '*' | '/'));
        let Some(operator) = operator else { return Some(total) };
        *rest = &rest[1..];
        let next = factor(rest, depth)?;
        total = match (operator, total, next) {
            ('*', (0.0, by), (scale, offset)) | ('*', (scale, offset), (0.0, by)) => (scale * by, offset * by),
            ('/', (scale, offset), (0.0, by)) if by != 0.0 => (scale / by, offset / by),
            _ => return None,
        };
    }
}

fn factor(rest: &mut &str, depth: usize) -> Option<(f64, f64)> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(after) = rest.strip_prefix('-') {
        *rest = after;
        let (scale, offset) = factor(rest, depth + 1)?;
        return Some((-scale, -offset));
    }
    // floor(x+0.5) and the like: the value itself is nearer.
    let rounding = ["floor", "round", "ceil"].into_iter().find_map(|name| rest.strip_prefix(name));
    if let Some(after) = rounding.unwrap_or(rest).strip_prefix('(') {
        *rest = after;
        let (scale, offset) = sum(rest, depth + 1)?;
        *rest = rest.strip_prefix(')')?;
        let half = if rounding.is_some() && offset == 0.5 { 0.0 } else { offset };
        return Some((scale, half));
    }
    if let Some(after) = rest.strip_prefix('x') {
        *rest = after;
        return Some((1.0, 0.0));
    }
    let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let number = rest[..digits].parse().ok()?;
    *rest = &rest[digits..];
    Some((0.0, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_formulas_are_a_scale_and_an_offset() {
        for (formula, expected) in [
            ("x", Some((1.0, 0.0))),
            ("x*0.1", Some((0.1, 0.0))),
            ("floor((x*40)-100)", Some((40.0, -100.0))),
            ("floor(x+0.5)", Some((1.0, 0.0))),
            ("(x + 100)/40", Some((0.025, 2.5))),
            ("-x*2+1", Some((-2.0, 1.0))),
            ("2*(3-x)", Some((-2.0, 6.0))),
            ("abs(x)", None),
            ("x*x", None),
            ("1/x", None),
            ("5", None),
            ("x+", None),
            ("", None),
        ] {
            assert_eq!(linear(formula), expected, "{formula}");
        }
        assert_eq!(linear(&"(".repeat(100_000)), None);
        assert_eq!(linear(&"-".repeat(100_000)), None);
    }
}
