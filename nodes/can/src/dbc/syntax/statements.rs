//! Reads the statements.

use super::{
    cursor::Cursor,
    tree::{MessageStatement, Multiplexing, Problem, SignalStatement, Tree},
};
use std::collections::HashMap;

/// Most problems that are kept; a file that is something else has one for each line.
const MAX_PROBLEMS: usize = 1000;

/// Reads a whole text.
pub fn read(text: &str) -> Tree<'_> {
    let mut reader = Reader { at: Cursor::new(text), tree: Tree::default(), tables: HashMap::new(), orphans: false };
    while !reader.at.at_end() {
        let line = reader.at.line();
        if let Err(text) = reader.statement() {
            if reader.tree.problems.len() < MAX_PROBLEMS {
                reader.tree.problems.push(Problem { line, text });
            }
            reader.at.skip_to_keyword(line);
        }
    }
    reader.tree
}

struct Reader<'a> {
    at: Cursor<'a>,
    tree: Tree<'a>,
    /// `VAL_TABLE_`, which `VAL_` may name.
    tables: HashMap<&'a str, Vec<(i64, String)>>,
    /// The message before could not be read: its signals are left out with it.
    orphans: bool,
}

type Result<T> = std::result::Result<T, String>;

impl<'a> Reader<'a> {
    fn statement(&mut self) -> Result<()> {
        let Some(keyword) = self.at.word() else { return Err(self.at.expected("a keyword such as BO_")) };
        match keyword {
            "BO_" => self.message(),
            "SG_" => self.signal(),
            "NS_" => {
                self.at.skip_symbols();
                Ok(())
            }
            "VAL_" => self.labels(),
            "VAL_TABLE_" => self.table(),
            "CM_" => self.comment(),
            "SIG_VALTYPE_" => self.signal_type(),
            "SG_MUL_VAL_" => self.selector(),
            "BA_DEF_" => self.attribute_definition(),
            "BA_DEF_DEF_" => self.attribute_default(),
            "BA_" => self.attribute(),
            other if other == "VERSION" || other.ends_with('_') || other == "FILTER" => {
                self.at.skip_statement();
                Ok(())
            }
            other => Err(format!("expected a keyword such as BO_, found {other:?}")),
        }
    }

    fn word(&mut self, what: &str) -> Result<&'a str> {
        self.at.word().ok_or_else(|| self.at.expected(what))
    }

    fn sign(&mut self, wanted: char) -> Result<()> {
        if self.at.passes(wanted) { Ok(()) } else { Err(self.at.expected(&format!("{wanted:?}"))) }
    }

    fn unsigned(&mut self, what: &str) -> Result<u64> {
        let digits = self.at.digits().ok_or_else(|| self.at.expected(what))?;
        digits.parse().map_err(|_| format!("{what}: {digits} is too large"))
    }

    fn number(&mut self, what: &str) -> Result<f64> {
        let number = self.at.number().ok_or_else(|| self.at.expected(what))?;
        number.parse().map_err(|_| format!("expected {what}, found {number:?}"))
    }

    fn message(&mut self) -> Result<()> {
        self.orphans = true;
        let line = self.at.line();
        let id = self.unsigned("the identifier of a message")?;
        let name = self.word("the name of a message")?;
        let of_message = |text: String| format!("message {name} is left out: {text}");
        self.sign(':').map_err(of_message)?;
        let size = self.unsigned("the length of the message").map_err(of_message)?;
        self.at.skip_names();
        self.orphans = false;
        self.tree.messages.push(MessageStatement { line, id, name, size, signals: Vec::new() });
        Ok(())
    }

    fn signal(&mut self) -> Result<()> {
        let line = self.at.line();
        let name = self.word("the name of a signal")?;
        if self.orphans {
            self.at.skip_to_keyword(line);
            return Ok(());
        }
        let message = self.tree.messages.last().map(|m| m.name);
        let Some(message) = message else { return Err(format!("signal {name} is left out: it is before any message")) };
        let signal = self.layout(line, name).map_err(|text| format!("signal {message}.{name} is left out: {text}"))?;
        if let Some(message) = self.tree.messages.last_mut() {
            message.signals.push(signal);
        }
        Ok(())
    }

    /// What follows a signal's name.
    fn layout(&mut self, line: usize, name: &'a str) -> Result<SignalStatement<'a>> {
        let multiplexing = self.multiplexing()?;
        self.sign(':')?;
        let start = self.unsigned("the start bit")?;
        self.sign('|')?;
        let bits = self.unsigned("the number of bits")?;
        self.sign('@')?;
        let little_endian = match self.unsigned("the byte order (0 or 1)")? {
            0 => false,
            1 => true,
            other => return Err(format!("expected the byte order 0 or 1, found {other}")),
        };
        let signed = self.at.passes('-');
        if !signed {
            self.sign('+')?;
        }
        self.sign('(')?;
        let factor = self.number("the factor")?;
        self.sign(',')?;
        let offset = self.number("the offset")?;
        self.sign(')')?;
        let (mut minimum, mut maximum) = (0.0, 0.0);
        if self.at.passes('[') {
            minimum = self.number("the minimum")?;
            self.sign('|')?;
            maximum = self.number("the maximum")?;
            self.sign(']')?;
        }
        let unit = if self.at.peek() == Some('"') { self.at.line_text()? } else { String::new() };
        self.at.skip_names();
        Ok(SignalStatement {
            line,
            name,
            multiplexing,
            start,
            bits,
            little_endian,
            signed,
            factor,
            offset,
            minimum,
            maximum,
            unit,
        })
    }

    fn multiplexing(&mut self) -> Result<Multiplexing> {
        let Some(word) = self.at.word() else { return Ok(Multiplexing { selects: false, selected_by: None }) };
        let wrong = || format!("expected a multiplexer such as M, m3 or m3M, found {word:?}");
        let selects = word.ends_with('M');
        let value = word.strip_suffix('M').unwrap_or(word);
        let selected_by = match value.strip_prefix('m') {
            Some(value) => Some(value.parse().map_err(|_| wrong())?),
            None if value.is_empty() => None,
            None => return Err(wrong()),
        };
        Ok(Multiplexing { selects, selected_by })
    }

    /// Pairs of a number and a text.
    fn pairs(&mut self) -> Result<Vec<(i64, String)>> {
        let mut pairs = Vec::new();
        while let Some(number) = self.at.number() {
            let text = self.at.line_text()?;
            if let Some(raw) = raw_value(number) {
                pairs.push((raw, text));
            }
        }
        pairs.sort_by_key(|(raw, _)| *raw);
        pairs.dedup_by_key(|(raw, _)| *raw);
        Ok(pairs)
    }

    fn labels(&mut self) -> Result<()> {
        // Those of an environment variable have no identifier.
        if !self.at.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at.skip_statement();
            return Ok(());
        }
        let id = self.unsigned("the identifier of a message")?;
        let name = self.word("the name of a signal")?;
        let of_signal = |text: String| format!("values (VAL_) of {name} are left out: {text}");
        let pairs = match self.at.peek() {
            Some(c) if c.is_alphabetic() => {
                let table = self.word("the name of a table")?;
                let known = self.tables.get(table).cloned();
                known.ok_or_else(|| of_signal(format!("there is no VAL_TABLE_ {table} before it")))?
            }
            _ => self.pairs().map_err(of_signal)?,
        };
        self.tree.labels.insert((id, name), pairs);
        self.end().map_err(of_signal)
    }

    fn table(&mut self) -> Result<()> {
        let name = self.word("the name of a table")?;
        let pairs = self.pairs().map_err(|text| format!("VAL_TABLE_ {name} is left out: {text}"))?;
        self.tables.insert(name, pairs);
        self.end()
    }

    /// The semicolon, which some files forget before the next keyword.
    fn end(&mut self) -> Result<()> {
        if self.at.passes(';') || self.at.at_end() || self.at.peek_word().ends_with('_') {
            return Ok(());
        }
        Err(self.at.expected("a semicolon"))
    }

    fn comment(&mut self) -> Result<()> {
        match self.at.peek_word() {
            "SG_" => {
                self.at.word();
                let id = self.unsigned("the identifier of a message")?;
                // Without the name it is about the message.
                let signal = self.at.word();
                let text = self.at.text()?;
                match signal {
                    Some(name) => drop(self.tree.signal_comments.insert((id, name), text)),
                    None => drop(self.tree.message_comments.insert(id, text)),
                }
            }
            "BO_" => {
                self.at.word();
                let id = self.unsigned("the identifier of a message")?;
                let text = self.at.text()?;
                self.tree.message_comments.insert(id, text);
            }
            _ => {
                self.at.skip_statement();
                return Ok(());
            }
        }
        self.end()
    }

    fn signal_type(&mut self) -> Result<()> {
        let id = self.unsigned("the identifier of a message")?;
        let name = self.word("the name of a signal")?;
        self.at.passes(':');
        let kind = self.unsigned("the type of the signal")?;
        self.tree.types.insert((id, name), kind);
        self.end()
    }

    fn selector(&mut self) -> Result<()> {
        let id = self.unsigned("the identifier of a message")?;
        let name = self.word("the name of a signal")?;
        let multiplexer = self.word("the name of its multiplexer")?;
        let mut ranges = Vec::new();
        loop {
            let low = self.unsigned("a value of the multiplexer")?;
            self.sign('-')?;
            ranges.push((low, self.unsigned("a value of the multiplexer")?));
            if !self.at.passes(',') {
                break;
            }
        }
        self.tree.selectors.insert((id, name), (multiplexer, ranges));
        self.end()
    }

    fn attribute_definition(&mut self) -> Result<()> {
        self.at.word();
        let name = self.at.text()?;
        if self.at.word() == Some("ENUM") {
            let mut words = Vec::new();
            while self.at.peek() == Some('"') {
                words.push(self.at.text()?);
                self.at.passes(',');
            }
            self.tree.attributes.words.insert(name, words);
        }
        self.at.skip_statement();
        Ok(())
    }

    /// A text or a number.
    fn value(&mut self) -> Result<String> {
        if self.at.peek() == Some('"') {
            return self.at.text();
        }
        self.at.number().map(str::to_owned).ok_or_else(|| self.at.expected("the value of an attribute"))
    }

    fn attribute_default(&mut self) -> Result<()> {
        let name = self.at.text()?;
        let value = self.value()?;
        self.tree.attributes.defaults.insert(name, value);
        self.end()
    }

    fn attribute(&mut self) -> Result<()> {
        let name = self.at.text()?;
        match self.at.peek_word() {
            "BO_" => {
                self.at.word();
                let id = self.unsigned("the identifier of a message")?;
                let value = self.value()?;
                self.tree.attributes.messages.insert((id, name), value);
            }
            "SG_" | "BU_" | "EV_" => {
                self.at.skip_statement();
                return Ok(());
            }
            _ => {
                let value = self.value()?;
                self.tree.attributes.network.insert(name, value);
            }
        }
        self.end()
    }
}

/// A raw value as the bits of a signal have it: also those of 64 bits without sign, and whole numbers with a fraction of 0.
fn raw_value(number: &str) -> Option<i64> {
    let number = number.strip_prefix('+').unwrap_or(number);
    if let Ok(raw) = number.parse::<i64>() {
        return Some(raw);
    }
    if let Ok(raw) = number.parse::<u64>() {
        return Some(raw as i64);
    }
    let float: f64 = number.parse().ok()?;
    (float.fract() == 0.0 && float.abs() < i64::MAX as f64).then_some(float as i64)
}
