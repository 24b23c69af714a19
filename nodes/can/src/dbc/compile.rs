//! Compiles `can-dbc`'s syntax tree to messages.

use super::{
    error::DbcError,
    field::{ByteOrder, Field},
    message::{MAX_LENGTH, Message},
    signal::{Condition, Kind, Signal},
};
use can_dbc::{MultiplexIndicator, SignalExtendedValueType, ValueDescription};
use pest::error::LineColLocation;
use std::collections::{HashMap, HashSet};

pub(super) struct Compiled {
    pub messages: Vec<Message>,
    pub warnings: Vec<String>,
}

/// Most messages of a database.
pub(super) const MAX_MESSAGES: usize = u16::MAX as usize;
/// Bit 31 of an identifier in a DBC file marks a 29-bit one.
const EXTENDED_FLAG: u64 = 1 << 31;
const MAX_STANDARD: u64 = 0x7ff;
const MAX_EXTENDED: u64 = 0x1fff_ffff;
/// The pseudo-message for signals that belong to no message.
const NO_MESSAGE: &str = "VECTOR__INDEPENDENT_SIG_MSG";
/// Most levels of nested multiplexers; more are a cycle.
const MAX_NESTING: usize = 16;

pub(super) fn compile(text: &str, name: &str) -> Result<Compiled, DbcError> {
    let tree = can_dbc::Dbc::try_from(text).map_err(|e| syntax_error(e, name))?;
    let source = Source::new(text, name);
    let attributes = Attributes::new(&tree);
    let mut messages: Vec<Message> = Vec::new();
    let mut warnings = Vec::new();
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for message in tree.messages.iter().filter(|m| m.name != NO_MESSAGE) {
        let Some(id) = identifier(source.written_id(message)) else {
            let written = source.written_id(message);
            warnings.push(format!(
                "{name}:{}: message {} is left out: {written} is no CAN identifier",
                source.line(message),
                message.name
            ));
            continue;
        };
        let refuse = |text: String| DbcError::Message {
            name: name.to_owned(),
            line: source.line(message),
            message: message.name.clone(),
            text,
        };
        if !ids.insert(id) {
            return Err(refuse(format!("another message has the same identifier {:#x}", id.0)));
        }
        if !names.insert(message.name.as_str()) {
            return Err(refuse("another message has the same name".into()));
        }
        if message.size > MAX_LENGTH as u64 {
            return Err(refuse(format!("expected at most {MAX_LENGTH} bytes, found {}", message.size)));
        }
        if messages.len() >= MAX_MESSAGES {
            return Err(refuse(format!("expected at most {MAX_MESSAGES} messages")));
        }
        messages.push(MessageCompiler { source: &source, attributes: &attributes, message }.compile(id)?);
    }
    Ok(Compiled { messages, warnings })
}

fn syntax_error(error: can_dbc::DbcError, name: &str) -> DbcError {
    let name = name.to_owned();
    match error {
        can_dbc::DbcError::Pest(e) => {
            let (LineColLocation::Pos((line, column)) | LineColLocation::Span((line, column), _)) = e.line_col;
            DbcError::Syntax { name, line, column, text: e.variant.message().into_owned() }
        }
        other => DbcError::Content { name, text: other.to_string() },
    }
}

/// The identifier and whether it has 29 bits. Many files omit the flag of long ones.
fn identifier(written: u64) -> Option<(u32, bool)> {
    let id = written & !EXTENDED_FLAG;
    let extended = written & EXTENDED_FLAG != 0 || id > MAX_STANDARD;
    (id <= MAX_EXTENDED).then_some((id as u32, extended))
}

/// Line numbers and identifiers of the text: `can-dbc` keeps no lines, and cuts an identifier without flag to 16 bits.
struct Source<'a> {
    name: &'a str,
    /// Line and identifier as written, by message name.
    messages: HashMap<&'a str, (usize, u64)>,
    lines: Vec<&'a str>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str, name: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let mut messages = HashMap::new();
        for (line, text) in (1..).zip(&lines) {
            let Some(rest) = text.trim_start().strip_prefix("BO_") else { continue };
            let mut words = rest.split([' ', '\t', ':']).filter(|w| !w.is_empty());
            if let (Some(Ok(id)), Some(message)) = (words.next().map(str::parse), words.next()) {
                messages.entry(message).or_insert((line, id));
            }
        }
        Source { name, messages, lines }
    }

    fn written_id(&self, message: &can_dbc::Message) -> u64 {
        let parsed = u64::from(message.id.raw());
        let written = self.messages.get(message.name.as_str()).map(|&(_, id)| id);
        // A comment may look like a message; then its number differs from the parsed one.
        written.filter(|id| can_dbc::MessageId::try_from(*id).is_ok_and(|i| i == message.id)).unwrap_or(parsed)
    }

    fn line(&self, message: &can_dbc::Message) -> usize {
        self.messages.get(message.name.as_str()).map_or(0, |&(line, _)| line)
    }

    fn signal_line(&self, message: &can_dbc::Message, signal: &str) -> usize {
        let begin = self.line(message);
        let matches = |text: &&str| {
            let mut words = text.split([' ', '\t', ':']).filter(|w| !w.is_empty());
            words.next() == Some("SG_") && words.next() == Some(signal)
        };
        (begin + 1..)
            .zip(self.lines.get(begin..).unwrap_or_default())
            .find(|(_, t)| matches(t))
            .map_or(begin, |(l, _)| l)
    }
}

type Key<'a> = (can_dbc::MessageId, &'a str);

/// What the file states about signals outside their own lines.
struct Attributes<'a> {
    labels: HashMap<Key<'a>, Vec<(i64, String)>>,
    comments: HashMap<Key<'a>, &'a str>,
    message_comments: HashMap<can_dbc::MessageId, &'a str>,
    types: HashMap<Key<'a>, SignalExtendedValueType>,
    multiplexed: HashMap<Key<'a>, &'a can_dbc::ExtendedMultiplex>,
}

impl<'a> Attributes<'a> {
    fn new(tree: &'a can_dbc::Dbc) -> Self {
        let mut labels = HashMap::new();
        for description in &tree.value_descriptions {
            if let ValueDescription::Signal { message_id, name, value_descriptions } = description {
                let mut table: Vec<(i64, String)> =
                    value_descriptions.iter().map(|v| (v.id, v.description.clone())).collect();
                table.sort_by_key(|(value, _)| *value);
                table.dedup_by_key(|(value, _)| *value);
                labels.insert((*message_id, name.as_str()), table);
            }
        }
        let mut comments = HashMap::new();
        let mut message_comments = HashMap::new();
        for comment in &tree.comments {
            match comment {
                can_dbc::Comment::Signal { message_id, name, comment } => {
                    comments.insert((*message_id, name.as_str()), comment.as_str());
                }
                can_dbc::Comment::Message { id, comment } => {
                    message_comments.insert(*id, comment.as_str());
                }
                _ => {}
            }
        }
        let types = tree.signal_extended_value_type_list.iter();
        let multiplexed = tree.extended_multiplex.iter();
        Attributes {
            labels,
            comments,
            message_comments,
            types: types.map(|t| ((t.message_id, t.signal_name.as_str()), t.signal_extended_value_type)).collect(),
            multiplexed: multiplexed.map(|m| ((m.message_id, m.signal_name.as_str()), m)).collect(),
        }
    }
}

struct MessageCompiler<'a> {
    source: &'a Source<'a>,
    attributes: &'a Attributes<'a>,
    message: &'a can_dbc::Message,
}

impl MessageCompiler<'_> {
    fn compile(&self, id: (u32, bool)) -> Result<Message, DbcError> {
        let mut names = HashSet::new();
        let mut signals = Vec::with_capacity(self.message.signals.len());
        for signal in &self.message.signals {
            if !names.insert(signal.name.as_str()) {
                return Err(self.refuse(signal, "another signal of the message has the same name".into()));
            }
            signals.push(self.signal(signal)?);
        }
        let comment = self.attributes.message_comments.get(&self.message.id).copied().unwrap_or_default().to_owned();
        Ok(Message::new(self.message.name.clone(), comment, id, self.message.size as usize, signals))
    }

    fn refuse(&self, signal: &can_dbc::Signal, text: String) -> DbcError {
        DbcError::Signal {
            name: self.source.name.to_owned(),
            line: self.source.signal_line(self.message, &signal.name),
            message: self.message.name.clone(),
            signal: signal.name.clone(),
            text,
        }
    }

    fn signal(&self, signal: &can_dbc::Signal) -> Result<Signal, DbcError> {
        let field = self.field(signal)?;
        let key = (self.message.id, signal.name.as_str());
        let kind = match self.attributes.types.get(&key) {
            Some(SignalExtendedValueType::IEEEfloat32Bit) => Kind::Float32,
            Some(SignalExtendedValueType::IEEEdouble64bit) => Kind::Float64,
            _ if signal.value_type == can_dbc::ValueType::Signed => Kind::Signed,
            _ => Kind::Unsigned,
        };
        let expected_bits = match kind {
            Kind::Float32 => 32,
            Kind::Float64 => 64,
            _ => field.bits,
        };
        if field.bits != expected_bits {
            let text = format!("SIG_VALTYPE_ gives it {expected_bits} bits, it has {}", field.bits);
            return Err(self.refuse(signal, text));
        }
        if signal.factor == 0.0 || !signal.factor.is_finite() || !signal.offset.is_finite() {
            let text = format!("expected a factor other than 0, found ({},{})", signal.factor, signal.offset);
            return Err(self.refuse(signal, text));
        }
        Ok(Signal {
            name: signal.name.clone(),
            unit: signal.unit.clone(),
            comment: self.attributes.comments.get(&key).copied().unwrap_or_default().to_owned(),
            field,
            kind,
            factor: signal.factor,
            offset: signal.offset,
            minimum: number(signal.min),
            maximum: number(signal.max),
            labels: self.attributes.labels.get(&key).cloned().unwrap_or_default(),
            conditions: self.conditions(signal)?,
        })
    }

    /// The bit field, checked to be within the message.
    fn field(&self, signal: &can_dbc::Signal) -> Result<Field, DbcError> {
        let order = match signal.byte_order {
            can_dbc::ByteOrder::LittleEndian => ByteOrder::Little,
            can_dbc::ByteOrder::BigEndian => ByteOrder::Big,
        };
        if !(1..=64).contains(&signal.size) {
            return Err(self.refuse(signal, format!("expected 1 to 64 bits, found {}", signal.size)));
        }
        let (start, bits) = (signal.start_bit, signal.size as usize);
        let fits =
            start < 8 * MAX_LENGTH as u64 && Field::last_byte(order, start as usize, bits) < self.message.size as usize;
        if !fits {
            let text = format!("{bits} bits from bit {start} are not within the {} bytes", self.message.size);
            return Err(self.refuse(signal, text));
        }
        Ok(Field::new(order, start as usize, bits))
    }

    /// The conditions under which the signal is in a frame, from its own multiplexer up to the topmost one.
    fn conditions(&self, signal: &can_dbc::Signal) -> Result<Box<[Condition]>, DbcError> {
        let mut conditions = Vec::new();
        let mut below = signal;
        while let Some((above, ranges)) = self.multiplexer(below)? {
            if conditions.len() == MAX_NESTING {
                return Err(self.refuse(signal, "its multiplexers select each other in a cycle".into()));
            }
            conditions.push(Condition { field: self.field(above)?, ranges });
            below = above;
        }
        Ok(conditions.into())
    }

    /// The signal that selects this one, and for which values.
    #[allow(clippy::type_complexity)]
    fn multiplexer(&self, signal: &can_dbc::Signal) -> Result<Option<(&can_dbc::Signal, Box<[(u64, u64)]>)>, DbcError> {
        use MultiplexIndicator as Indicator;
        let (Indicator::MultiplexedSignal(value) | Indicator::MultiplexorAndMultiplexedSignal(value)) =
            signal.multiplexer_indicator
        else {
            return Ok(None);
        };
        if let Some(extended) = self.attributes.multiplexed.get(&(self.message.id, signal.name.as_str())) {
            let name = &extended.multiplexor_signal_name;
            let above = self.message.signals.iter().find(|s| s.name == *name);
            let above = above.ok_or_else(|| self.refuse(signal, format!("its multiplexer {name} does not exist")))?;
            return Ok(Some((above, extended.mappings.iter().map(|m| (m.min_value, m.max_value)).collect())));
        }
        let mut above = self.message.signals.iter().filter(|s| s.multiplexer_indicator == Indicator::Multiplexor);
        match (above.next(), above.next()) {
            (Some(above), None) => Ok(Some((above, Box::new([(value, value)])))),
            (None, _) => Err(self.refuse(signal, format!("m{value}: the message has no multiplexer (M)"))),
            (Some(_), Some(_)) => {
                Err(self.refuse(signal, "the message has several multiplexers and no SG_MUL_VAL_ for it".into()))
            }
        }
    }
}

fn number(value: can_dbc::NumericValue) -> f64 {
    match value {
        can_dbc::NumericValue::Uint(v) => v as f64,
        can_dbc::NumericValue::Int(v) => v as f64,
        can_dbc::NumericValue::Double(v) => v,
    }
}
