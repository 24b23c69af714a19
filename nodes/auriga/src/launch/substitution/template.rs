//! Texts with `$(…)`, by the grammar of ROS 2 (`launch/frontend/grammar.lark`): arguments are separated by one space,
//! may be quoted, and `\` escapes the character after it.

use super::{expression, shell_words};
use crate::launch::{error::SubstitutionError, host::Host};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The longest value; variables that refer to variables could make it grow without end.
const MAX_LENGTH: usize = 64 * 1024;
/// Deeper nesting of `$(…)` is refused, to keep the recursion bounded.
const MAX_DEPTH: usize = 16;

/// A parsed text: its parts in order.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::launch) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Call(Call),
}

#[derive(Debug, Clone, PartialEq)]
enum Call {
    Variable { name: Template, default: Option<Template> },
    Environment { name: Template, default: Option<Template> },
    PackageShare(Template),
    PackagePrefix(Template),
    Directory,
    Expression(Template),
}

impl Template {
    /// Parses `text`. What is malformed or not supported is an error here, before anything is evaluated.
    pub fn parse(text: &str) -> Result<Template, SubstitutionError> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let parts = reader.template(None)?;
        // An empty text is one empty part: as the value of `args`, one empty word.
        Ok(Template(if parts.is_empty() { vec![Part::Text(String::new())] } else { parts }))
    }

    pub fn has_substitutions(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Call(_)))
    }

    /// The words of a command line, by the rules of ROS 2's `<node args>`: text is split as a POSIX shell does, and a
    /// substitution is not split but belongs to the word it touches.
    pub fn words(&self) -> Result<Vec<Template>, SubstitutionError> {
        let mut words = Vec::new();
        let mut word = Vec::new();
        for part in &self.0 {
            let Part::Text(text) = part else {
                word.push(part.clone());
                continue;
            };
            let tokens = shell_words::split(text).ok_or_else(|| SubstitutionError::Quotes(text.clone()))?;
            let Some((first, rest)) = tokens.split_first() else {
                words.push(std::mem::take(&mut word));
                continue;
            };
            if text.starts_with(char::is_whitespace) && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.push(Part::Text(first.clone()));
            if let Some((last, middle)) = rest.split_last() {
                words.push(std::mem::take(&mut word));
                words.extend(middle.iter().map(|token| vec![Part::Text(token.clone())]));
                word.push(Part::Text(last.clone()));
            }
            if text.ends_with(char::is_whitespace) {
                words.push(std::mem::take(&mut word));
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        Ok(words.into_iter().map(Template).collect())
    }
}

/// The state that `$(…)` reads.
pub(in crate::launch) struct Scope<'a> {
    pub variables: &'a BTreeMap<String, String>,
    /// Changes by `set_env` and `unset_env`; `None` is unset.
    pub environment: &'a BTreeMap<String, Option<String>>,
    /// Folder of the launch file.
    pub directory: &'a Path,
    pub host: &'a dyn Host,
    /// Names of variables that were read.
    pub used: &'a RefCell<BTreeSet<String>>,
}

impl Scope<'_> {
    /// Replaces every `$(…)` of a text.
    pub fn expand(&self, text: &str) -> Result<String, SubstitutionError> {
        self.perform(&Template::parse(text)?)
    }

    pub fn perform(&self, template: &Template) -> Result<String, SubstitutionError> {
        let mut value = String::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => value.push_str(text),
                Part::Call(call) => value.push_str(&self.call(call)?),
            }
            if value.len() > MAX_LENGTH {
                return Err(SubstitutionError::TooLong(MAX_LENGTH));
            }
        }
        Ok(value)
    }

    fn call(&self, call: &Call) -> Result<String, SubstitutionError> {
        let path = |found: Option<std::path::PathBuf>, package: String| match found {
            Some(found) => Ok(found.to_string_lossy().into_owned()),
            None => Err(SubstitutionError::PackageNotFound(package)),
        };
        match call {
            Call::Variable { name, default } => {
                let name = self.perform(name)?;
                self.used.borrow_mut().insert(name.clone());
                match (self.variables.get(&name), default) {
                    (Some(value), _) => Ok(value.clone()),
                    (None, Some(default)) => self.perform(default),
                    (None, None) => Err(SubstitutionError::UndefinedVariable(name)),
                }
            }
            Call::Environment { name, default } => {
                let default = default.as_ref().map(|default| self.perform(default)).transpose()?;
                let name = self.perform(name)?;
                let changed = self.environment.get(&name).cloned();
                let value = changed.unwrap_or_else(|| self.host.environment(&name));
                value.or(default).ok_or(SubstitutionError::UndefinedEnvironment(name))
            }
            Call::PackageShare(package) => {
                let package = self.perform(package)?;
                path(self.host.package_share(&package), package)
            }
            Call::PackagePrefix(package) => {
                let package = self.perform(package)?;
                path(self.host.package_prefix(&package), package)
            }
            Call::Directory => Ok(self.directory.to_string_lossy().into_owned()),
            Call::Expression(expression) => expression::evaluate(&self.perform(expression)?),
        }
    }
}

fn call(name: &str, arguments: Vec<Template>) -> Result<Call, SubstitutionError> {
    let found = arguments.len();
    let wrong = |name, expected| SubstitutionError::Arguments { name, expected, found };
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next();
    match (name, found, next(), next()) {
        ("var", 1 | 2, Some(name), default) => Ok(Call::Variable { name, default }),
        ("var", ..) => Err(wrong("var", "a name and perhaps a default")),
        ("env", 1 | 2, Some(name), default) => Ok(Call::Environment { name, default }),
        ("env", ..) => Err(wrong("env", "a name and perhaps a default")),
        ("find-pkg-share", 1, Some(package), _) => Ok(Call::PackageShare(package)),
        ("find-pkg-share", ..) => Err(wrong("find-pkg-share", "a package")),
        ("find-pkg-prefix", 1, Some(package), _) => Ok(Call::PackagePrefix(package)),
        ("find-pkg-prefix", ..) => Err(wrong("find-pkg-prefix", "a package")),
        ("dirname", 0, ..) => Ok(Call::Directory),
        ("dirname", ..) => Err(wrong("dirname", "nothing")),
        ("eval", 1, Some(expression), _) => Ok(Call::Expression(expression)),
        ("eval", ..) => Err(wrong("eval", "one expression, in quotes if it has spaces")),
        (name, ..) => Err(SubstitutionError::Unknown { name: name.to_owned() }),
    }
}

/// Removes the `\` before each escaped character.
pub(in crate::launch) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escape = c == '\\' && chars.peek().is_some_and(|next| *next != '\n');
        plain.push(if escape { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

/// Where a piece of text is, which decides the characters that end it.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    Template,
    Argument,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn syntax(&self) -> SubstitutionError {
        SubstitutionError::Syntax { text: self.text.to_owned(), at: self.text[..self.at].chars().count() }
    }

    /// Text and substitutions up to the closing `quote`, or to the end when there is none.
    fn template(&mut self, quote: Option<char>) -> Result<Vec<Part>, SubstitutionError> {
        let mut parts = Vec::new();
        loop {
            match self.peek() {
                None if quote.is_none() => return Ok(parts),
                None => return Err(self.syntax()),
                end if quote.is_some() && end == quote => {
                    self.at += 1;
                    return Ok(parts);
                }
                Some(_) => parts.push(self.part(Context::Template, quote)?),
            }
        }
    }

    /// A piece of text, or one substitution. `quote` is the quote this stands in.
    fn part(&mut self, context: Context, quote: Option<char>) -> Result<Part, SubstitutionError> {
        let raw = self.raw(context, quote);
        if !raw.is_empty() {
            return Ok(Part::Text(unescape(raw)));
        }
        if self.rest().starts_with("$(") {
            return self.substitution(quote).map(Part::Call);
        }
        Err(self.syntax())
    }

    /// As much text as the grammar's terminals take.
    fn raw(&mut self, context: Context, quote: Option<char>) -> &'a str {
        let start = self.at;
        while let Some(c) = self.peek() {
            let escaped = self.text[..self.at].ends_with('\\');
            let next = self.rest()[c.len_utf8()..].chars().next();
            let taken = match (c, context) {
                ('$', _) => next != Some('(') || escaped,
                (' ', Context::Argument) => false,
                ('(' | ')', Context::Argument) => escaped,
                // `\'` is one character, so that the quote does not end the text.
                ('\\', _) => {
                    let quotes = match (context, quote) {
                        (_, Some(quote)) => next == Some(quote),
                        (Context::Argument, None) => matches!(next, Some('\'' | '"')),
                        (Context::Template, None) => false,
                    };
                    self.at += usize::from(quotes);
                    true
                }
                (c @ ('\'' | '"'), context) => match quote {
                    Some(quote) => c != quote,
                    None => context == Context::Template,
                },
                _ => true,
            };
            if !taken {
                break;
            }
            // After `\'` the position stands on the quote, which is as long as the backslash.
            self.at += c.len_utf8();
        }
        &self.text[start..self.at]
    }

    fn substitution(&mut self, quote: Option<char>) -> Result<Call, SubstitutionError> {
        if self.depth == MAX_DEPTH {
            return Err(self.syntax());
        }
        self.depth += 1;
        self.at += 2;
        let length = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let name = &self.rest()[..length.unwrap_or(self.rest().len())];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.syntax());
        }
        self.at += name.len();
        let mut arguments = Vec::new();
        while self.peek() == Some(' ') {
            self.at += 1;
            arguments.push(Template(self.argument(quote)?));
        }
        if self.peek() != Some(')') {
            return Err(self.syntax());
        }
        self.at += 1;
        self.depth -= 1;
        call(name, arguments)
    }

    fn argument(&mut self, quote: Option<char>) -> Result<Vec<Part>, SubstitutionError> {
        if let (None, Some(own @ ('\'' | '"'))) = (quote, self.peek()) {
            self.at += 1;
            return self.template(Some(own));
        }
        let mut parts = vec![self.part(Context::Argument, quote)?];
        while !matches!(self.peek(), Some(' ' | ')')) {
            parts.push(self.part(Context::Argument, quote)?);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::host::FakeHost;
    use proptest::prelude::*;

    fn within<T>(act: impl FnOnce(&Scope<'_>) -> T) -> T {
        let variables = [("drive", "out/drive"), ("name", "drive"), ("record", ""), ("n", "7"), ("two", "a b")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let environment = [("GONE".to_owned(), None), ("SET".to_owned(), Some("new".to_owned()))].into();
        let host = FakeHost {
            environment: [("HOME", "/home/a"), ("GONE", "x"), ("SET", "old")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..FakeHost::default()
        };
        act(&Scope {
            variables: &variables,
            environment: &environment,
            directory: Path::new("/launch"),
            host: &host,
            used: &RefCell::default(),
        })
    }

    fn expand(text: &str) -> Result<String, SubstitutionError> {
        within(|scope| scope.expand(text))
    }

    #[test]
    fn substitutions_match_ros_2() {
        for (text, value) in [
            ("", ""),
            ("plain $ text", "plain $ text"),
            ("$(var drive)/can.log", "out/drive/can.log"),
            ("$(var $(var name))", "out/drive"),
            ("$(var absent none)", "none"),
            ("$(env HOME)/x", "/home/a/x"),
            ("$(env ABSENT /tmp)", "/tmp"),
            ("$(env ABSENT '')", ""),
            ("$(env ABSENT 'two words')", "two words"),
            ("$(env GONE unset)", "unset"),
            ("$(env SET)", "new"),
            ("$(dirname)/a.xml", "/launch/a.xml"),
            ("$(find-pkg-share auriga)/calibration", "/share/auriga/calibration"),
            ("$(find-pkg-prefix auriga)", "/prefix/auriga"),
            (r"\$(var drive)", "$(var drive)"),
            (r"\\$(var drive)", r"\$(var drive)"),
            (r"a\\b", r"a\b"),
            (r"$(var absent a\)b)", "a)b"),
            (r"$(eval '\'$(var record)\' != \'\'')", "False"),
            (r"$(eval '\'$(var drive)\' != \'\'')", "True"),
            (r#"$(eval "'$(var n)' == '7'")"#, "True"),
            ("größe $(var n)", "größe 7"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_malformed_or_unknown_substitution_is_named() {
        for (text, part) in [
            ("$(var drive", "character 11"),
            ("$(var)", "takes a name"),
            ("$(var a b c)", "found 3"),
            ("$(var absent)", "\"absent\""),
            ("$(env ABSENT)", "\"ABSENT\""),
            ("$(find-pkg-share nowhere)", "\"nowhere\""),
            ("$(anon node)", "$(anon …) is not supported; supported: var"),
            ("$()", "character 2"),
            ("$(var  drive)", "character 6"),
            ("$(eval 1 == 1)", "one expression"),
            ("$(var 'drive)", "not closed"),
            ("$(dirname x)", "takes nothing"),
        ] {
            let error = expand(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(expand(&"$(var ".repeat(100)).is_err());
        assert_eq!(expand(&"x".repeat(MAX_LENGTH + 1)), Err(SubstitutionError::TooLong(MAX_LENGTH)));
    }

    #[test]
    fn words_are_split_but_substitutions_are_not() {
        for (text, expected) in [
            ("", vec![""]),
            ("a  'b c' d", vec!["a", "b c", "d"]),
            ("-x $(var two) -y=$(var two)z", vec!["-x", "a b", "-y=a bz"]),
            ("$(var n) $(var n)", vec!["7", "7"]),
            ("$(var n)$(var n) a", vec!["77", "a"]),
        ] {
            let words = within(|scope| {
                let words = Template::parse(text).unwrap().words().unwrap();
                words.iter().map(|word| scope.perform(word).unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(words, expected, "{text}");
        }
        let error = Template::parse("a 'b").unwrap().words().unwrap_err();
        assert!(error.to_string().contains("quote"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_value_or_an_error(text in r#"([$()'"\\ a-z]|\$\(|\$\(var |\PC){0,60}"#) {
            let _ = expand(&text);
            let _ = Template::parse(&text).and_then(|template| template.words());
        }

        #[test]
        fn text_without_special_characters_is_unchanged(text in r"[^\\$]{0,60}") {
            prop_assert_eq!(expand(&text).unwrap(), text);
        }
    }
}
