//! Compiles what the statements say to messages. What is not valid is left out, with its line and the reason.

use super::{
    error::DbcError,
    field::{ByteOrder, Field},
    message::{MAX_LENGTH, Message, MessageInfo},
    signal::{Condition, Kind, Signal},
    syntax::{self, MessageStatement, Multiplexing, Problem, SignalStatement, Tree},
};
use std::collections::HashSet;

pub(super) struct Compiled {
    pub messages: Vec<Message>,
    /// What is left out, in the order of its lines.
    pub problems: Vec<Problem>,
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
/// In J1939 databases: the source address that stands for any.
const NULL_ADDRESS: u32 = 0xfe;

pub(super) fn compile(text: &str, name: &str) -> Result<Compiled, DbcError> {
    let mut tree = syntax::read(text);
    if tree.messages.is_empty() {
        return Err(match tree.problems.first() {
            Some(Problem { line, text }) => DbcError::Syntax { name: name.to_owned(), line: *line, text: text.clone() },
            None => DbcError::Empty { name: name.to_owned() },
        });
    }
    let mut problems = std::mem::take(&mut tree.problems);
    let j1939 = J1939::of(&tree);
    let mut messages: Vec<Message> = Vec::new();
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for statement in tree.messages.iter().filter(|m| m.name != NO_MESSAGE) {
        let compiled =
            identifier(statement.id).ok_or_else(|| format!("{} is no CAN identifier", statement.id)).and_then(|id| {
                check(statement, id, messages.len())?;
                if !ids.insert(id) {
                    return Err(format!("another message has the same identifier {:#x}", id.0));
                }
                if !names.insert(statement.name) {
                    return Err("another message has the same name".into());
                }
                Ok(id)
            });
        match compiled {
            Ok(id) => messages.push(MessageCompiler { tree: &tree, statement }.compile(id, &j1939, &mut problems)),
            Err(reason) => problems.push(Problem {
                line: statement.line,
                text: format!("message {} is left out: {reason}", statement.name),
            }),
        }
    }
    problems.sort_by_key(|problem| problem.line);
    Ok(Compiled { messages, problems })
}

/// The identifier and whether it has 29 bits. Many files omit the flag of long ones.
fn identifier(written: u64) -> Option<(u32, bool)> {
    let id = written & !EXTENDED_FLAG;
    let extended = written & EXTENDED_FLAG != 0 || id > MAX_STANDARD;
    (id <= MAX_EXTENDED).then_some((id as u32, extended))
}

fn check(statement: &MessageStatement, (_, extended): (u32, bool), count: usize) -> Result<(), String> {
    if statement.size > MAX_LENGTH as u64 {
        let size = statement.size;
        let transport = if extended { "; the J1939 transport protocol is not put together" } else { "" };
        return Err(format!("it has {size} bytes, a frame at most {MAX_LENGTH}{transport}"));
    }
    if count >= MAX_MESSAGES {
        return Err(format!("there are more than {MAX_MESSAGES} messages"));
    }
    Ok(())
}

/// Which messages are parameter groups of J1939.
enum J1939 {
    /// As the attribute `VFrameFormat` of each message says.
    ByMessage,
    /// All with 29-bit identifiers: the attribute `ProtocolType` says so, or, where the file has neither attribute, each
    /// of them has the source address that no sender uses (254).
    All,
    None,
}

impl J1939 {
    fn of(tree: &Tree) -> J1939 {
        let attributes = &tree.attributes;
        if attributes.words.contains_key("VFrameFormat") {
            return J1939::ByMessage;
        }
        if let Some(protocol) = attributes.of_network("ProtocolType").filter(|p| !p.is_empty()) {
            return if protocol.eq_ignore_ascii_case("J1939") { J1939::All } else { J1939::None };
        }
        let ids = tree.messages.iter().filter_map(|m| identifier(m.id));
        let mut long = ids.filter(|(_, extended)| *extended).map(|(id, _)| id).peekable();
        let any = long.peek().is_some();
        if any && long.all(|id| id & 0xff == NULL_ADDRESS) { J1939::All } else { J1939::None }
    }

    fn holds(&self, tree: &Tree, statement: &MessageStatement, extended: bool) -> bool {
        extended
            && match self {
                J1939::All => true,
                J1939::None => false,
                J1939::ByMessage => {
                    let format = tree.attributes.of_message(statement.id, "VFrameFormat");
                    format.is_some_and(|f| f.to_ascii_uppercase().starts_with("J1939"))
                }
            }
    }
}

struct MessageCompiler<'a> {
    tree: &'a Tree<'a>,
    statement: &'a MessageStatement<'a>,
}

impl MessageCompiler<'_> {
    fn compile(&self, (id, extended): (u32, bool), j1939: &J1939, problems: &mut Vec<Problem>) -> Message {
        let mut names = HashSet::new();
        let mut signals = Vec::with_capacity(self.statement.signals.len());
        for signal in &self.statement.signals {
            let compiled = match names.insert(signal.name) {
                true => self.signal(signal),
                false => Err("another signal of the message has the same name".into()),
            };
            match compiled {
                Ok(signal) => signals.push(signal),
                Err(reason) => {
                    let text = format!("signal {}.{} is left out: {reason}", self.statement.name, signal.name);
                    problems.push(Problem { line: signal.line, text });
                }
            }
        }
        let cycle = self.tree.attributes.of_message(self.statement.id, "GenMsgCycleTime");
        let info = MessageInfo {
            name: self.statement.name.to_owned(),
            comment: self.tree.message_comments.get(&self.statement.id).cloned().unwrap_or_default(),
            id,
            extended,
            length: self.statement.size as usize,
            j1939: j1939.holds(self.tree, self.statement, extended),
            cycle_ms: cycle.and_then(|ms| ms.parse::<f64>().ok()).filter(|ms| *ms > 0.0).map(|ms| ms as u64),
        };
        Message::new(info, signals)
    }

    fn signal(&self, signal: &SignalStatement) -> Result<Signal, String> {
        let field = self.field(signal)?;
        let key = (self.statement.id, signal.name);
        let kind = match self.tree.types.get(&key) {
            Some(1) => Kind::Float32,
            Some(2) => Kind::Float64,
            Some(0) | None if signal.signed => Kind::Signed,
            Some(0) | None => Kind::Unsigned,
            Some(other) => return Err(format!("SIG_VALTYPE_ gives it the type {other}, which is not known")),
        };
        let expected_bits = match kind {
            Kind::Float32 => 32,
            Kind::Float64 => 64,
            _ => field.bits,
        };
        if field.bits != expected_bits {
            return Err(format!("SIG_VALTYPE_ gives it {expected_bits} bits, it has {}", field.bits));
        }
        if signal.factor == 0.0 || !signal.factor.is_finite() || !signal.offset.is_finite() {
            return Err(format!("expected a factor other than 0, found ({},{})", signal.factor, signal.offset));
        }
        let conditions = self.conditions(signal)?;
        let end = conditions.iter().map(|c| c.end).chain([self.end(signal)]).max().unwrap_or_default();
        Ok(Signal {
            name: signal.name.to_owned(),
            unit: signal.unit.clone(),
            comment: self.tree.signal_comments.get(&key).cloned().unwrap_or_default(),
            field,
            kind,
            factor: signal.factor,
            offset: signal.offset,
            minimum: signal.minimum,
            maximum: signal.maximum,
            labels: self.tree.labels.get(&key).cloned().unwrap_or_default(),
            conditions,
            end,
        })
    }

    fn order(signal: &SignalStatement) -> ByteOrder {
        if signal.little_endian { ByteOrder::Little } else { ByteOrder::Big }
    }

    /// Bytes of a frame up to the signal's last bit. The field has been checked.
    fn end(&self, signal: &SignalStatement) -> usize {
        Field::last_byte(Self::order(signal), signal.start as usize, signal.bits as usize) + 1
    }

    /// The bit field, checked to be within the message.
    fn field(&self, signal: &SignalStatement) -> Result<Field, String> {
        if !(1..=64).contains(&signal.bits) {
            return Err(format!("expected 1 to 64 bits, found {}", signal.bits));
        }
        let (start, bits) = (signal.start, signal.bits);
        let fits = start < 8 * MAX_LENGTH as u64 && self.end(signal) <= self.statement.size as usize;
        if !fits {
            return Err(format!("{bits} bits from bit {start} are not within the {} bytes", self.statement.size));
        }
        Ok(Field::new(Self::order(signal), start as usize, bits as usize))
    }

    /// The conditions under which the signal is in a frame, from its own multiplexer up to the topmost one.
    fn conditions(&self, signal: &SignalStatement) -> Result<Box<[Condition]>, String> {
        let mut conditions = Vec::new();
        let mut below = signal;
        while let Some((above, ranges)) = self.multiplexer(below)? {
            if conditions.len() == MAX_NESTING {
                return Err("its multiplexers select each other in a cycle".into());
            }
            let field = self.field(above).map_err(|text| format!("its multiplexer {}: {text}", above.name))?;
            conditions.push(Condition { field, ranges, end: self.end(above) });
            below = above;
        }
        Ok(conditions.into())
    }

    /// The signal that selects this one, and for which values.
    #[allow(clippy::type_complexity)]
    fn multiplexer(
        &self,
        signal: &SignalStatement,
    ) -> Result<Option<(&SignalStatement<'_>, Box<[(u64, u64)]>)>, String> {
        let Some(value) = signal.multiplexing.selected_by else { return Ok(None) };
        if let Some((name, ranges)) = self.tree.selectors.get(&(self.statement.id, signal.name)) {
            let above = self.statement.signals.iter().find(|s| s.name == *name);
            let above = above.ok_or_else(|| format!("its multiplexer {name} does not exist"))?;
            return Ok(Some((above, ranges.as_slice().into())));
        }
        const TOPMOST: Multiplexing = Multiplexing { selects: true, selected_by: None };
        let mut above = self.statement.signals.iter().filter(|s| s.multiplexing == TOPMOST);
        match (above.next(), above.next()) {
            (Some(above), None) => Ok(Some((above, Box::new([(value, value)])))),
            (None, _) => Err(format!("m{value}: the message has no multiplexer (M)")),
            (Some(_), Some(_)) => Err("the message has several multiplexers and no SG_MUL_VAL_ for it".into()),
        }
    }
}
