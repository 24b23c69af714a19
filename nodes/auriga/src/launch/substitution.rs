//! Texts with `$(…)` in them, after the grammar of ROS 2 (`launch/frontend/grammar.lark`): `\` takes the meaning from
//! the next character, arguments are separated by one space, and an argument may stand in quotes.

use super::{error::SubstitutionError, expression, surroundings::Surroundings};
use std::{collections::BTreeMap, path::Path};

/// No value grows longer than this, however files pile variables onto each other.
const MAX_LENGTH: usize = 64 * 1024;
/// Deeper nesting of `$(…)` is refused, to keep the recursion bounded.
const MAX_DEPTH: usize = 16;

/// What `$(…)` may ask for.
pub(super) struct Scope<'a> {
    pub variables: &'a BTreeMap<String, String>,
    /// What `set_env` and `unset_env` changed; `None` is unset.
    pub environment: &'a BTreeMap<String, Option<String>>,
    /// Folder of the launch file.
    pub directory: &'a Path,
    pub surroundings: &'a dyn Surroundings,
}

impl Scope<'_> {
    /// Replaces every `$(…)` of `text`.
    pub fn expand(&self, text: &str) -> Result<String, SubstitutionError> {
        let mut reader = Reader { text, at: 0, scope: self, depth: 0 };
        let value = reader.template(None)?;
        debug_assert_eq!(reader.at, text.len());
        Ok(value)
    }

    fn evaluate(&self, name: &str, arguments: &[String]) -> Result<String, SubstitutionError> {
        let path = |found: Option<std::path::PathBuf>, package: &str| {
            let found = found.ok_or_else(|| SubstitutionError::PackageNotFound(package.to_owned()))?;
            Ok(found.to_string_lossy().into_owned())
        };
        match name {
            "var" => match arguments {
                [name] | [name, _] => (self.variables.get(name).or(arguments.get(1)).cloned())
                    .ok_or_else(|| SubstitutionError::UndefinedVariable(name.clone())),
                _ => Err(wrong("var", "a name and perhaps a default", arguments)),
            },
            "env" => match arguments {
                [name] | [name, _] => {
                    let changed = self.environment.get(name).cloned();
                    (changed.unwrap_or_else(|| self.surroundings.environment(name)).or(arguments.get(1).cloned()))
                        .ok_or_else(|| SubstitutionError::UndefinedEnvironment(name.clone()))
                }
                _ => Err(wrong("env", "a name and perhaps a default", arguments)),
            },
            "find-pkg-share" => match arguments {
                [package] => path(self.surroundings.package_share(package), package),
                _ => Err(wrong("find-pkg-share", "a package", arguments)),
            },
            "find-pkg-prefix" => match arguments {
                [package] => path(self.surroundings.package_prefix(package), package),
                _ => Err(wrong("find-pkg-prefix", "a package", arguments)),
            },
            "dirname" => match arguments {
                [] => Ok(self.directory.to_string_lossy().into_owned()),
                _ => Err(wrong("dirname", "nothing", arguments)),
            },
            "eval" => match arguments {
                [text] => expression::evaluate(text),
                _ => Err(wrong("eval", "one expression, in quotes if it has spaces", arguments)),
            },
            name => Err(SubstitutionError::Unknown { name: name.to_owned() }),
        }
    }
}

fn wrong(name: &'static str, expected: &'static str, arguments: &[String]) -> SubstitutionError {
    SubstitutionError::Arguments { name, expected, found: arguments.len() }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    scope: &'a Scope<'a>,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn syntax(&self) -> SubstitutionError {
        SubstitutionError::Syntax { text: self.text.to_owned(), at: self.text[..self.at].chars().count() }
    }

    /// Text and substitutions up to the closing `quote`, or to the end when there is none.
    fn template(&mut self, quote: Option<char>) -> Result<String, SubstitutionError> {
        let mut value = String::new();
        loop {
            match self.peek() {
                None if quote.is_none() => return Ok(value),
                None => return Err(self.syntax()),
                end if quote.is_some() && end == quote => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(_) => self.piece(&mut value, quote)?,
            }
        }
    }

    /// One escaped or plain character, or one substitution. `quote` is the quote this stands in.
    fn piece(&mut self, value: &mut String, quote: Option<char>) -> Result<(), SubstitutionError> {
        if self.rest().starts_with("$(") {
            value.push_str(&self.substitution(quote)?);
        } else {
            if self.rest().starts_with('\\') && self.rest().len() > 1 {
                self.at += 1;
            }
            if let Some(c) = self.peek() {
                value.push(c);
                self.at += c.len_utf8();
            }
        }
        if value.len() > MAX_LENGTH { Err(SubstitutionError::TooLong(MAX_LENGTH)) } else { Ok(()) }
    }

    fn substitution(&mut self, quote: Option<char>) -> Result<String, SubstitutionError> {
        if self.depth == MAX_DEPTH {
            return Err(self.syntax());
        }
        self.depth += 1;
        self.at += 2;
        let length = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let name = self.rest()[..length.unwrap_or(self.rest().len())].to_owned();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.syntax());
        }
        self.at += name.len();
        let mut arguments = Vec::new();
        while self.peek() == Some(' ') {
            self.at += 1;
            arguments.push(self.argument(quote)?);
        }
        if self.peek() != Some(')') {
            return Err(self.syntax());
        }
        self.at += 1;
        self.depth -= 1;
        self.scope.evaluate(&name, &arguments)
    }

    fn argument(&mut self, quote: Option<char>) -> Result<String, SubstitutionError> {
        if let (None, Some(own @ ('\'' | '"'))) = (quote, self.peek()) {
            self.at += 1;
            return self.template(Some(own));
        }
        let mut value = String::new();
        let start = self.at;
        loop {
            match self.peek() {
                None | Some('(') => return Err(self.syntax()),
                Some(' ' | ')') if self.at == start => return Err(self.syntax()),
                Some(' ' | ')') => return Ok(value),
                // A bare quote ends the text this stands in, or is no part of an unquoted argument.
                Some(c @ ('\'' | '"')) if quote.is_none() || quote == Some(c) => return Err(self.syntax()),
                Some(_) => self.piece(&mut value, quote)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::surroundings::Fixed;
    use proptest::prelude::*;

    fn expand(text: &str) -> Result<String, SubstitutionError> {
        let variables = [("drive", "out/drive"), ("name", "drive"), ("record", ""), ("n", "7")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let environment = [("GONE".to_owned(), None), ("SET".to_owned(), Some("new".to_owned()))].into();
        let surroundings = Fixed {
            environment: [("HOME", "/home/a"), ("GONE", "x"), ("SET", "old")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..Fixed::default()
        };
        let scope = Scope {
            variables: &variables,
            environment: &environment,
            directory: Path::new("/launch"),
            surroundings: &surroundings,
        };
        scope.expand(text)
    }

    #[test]
    fn substitutions_are_those_of_ros() {
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
            (r"a\\b", r"a\b"),
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

    proptest! {
        #[test]
        fn any_text_gives_a_value_or_an_error(text in r#"([$()'"\\ a-z]|\$\(|\$\(var |\PC){0,60}"#) {
            let _ = expand(&text);
        }

        #[test]
        fn text_without_signs_of_its_own_stays_as_it_is(text in r"[^\\$]{0,60}") {
            prop_assert_eq!(expand(&text).unwrap(), text);
        }
    }
}
