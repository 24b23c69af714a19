//! Errors in launch files, with their place.

use std::{fmt, path::PathBuf};

/// A place in a launch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The launch file.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A launch file that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{at}: {problem}")]
pub struct LaunchError {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a launch file; the message of each variant says it.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)]
pub enum Problem {
    #[error("cannot read this launch file: {0}")]
    Unreadable(String),
    #[error("this is not well-formed XML: {0}")]
    Xml(String),
    #[error(
        "{path} is a {form} launch file; only XML (*.launch.xml) is supported: start it with ros2 launch, or write it as XML"
    )]
    OtherForm { path: String, form: &'static str },
    #[error("<{tag}> is not supported: {why}")]
    NotSupported { tag: String, why: &'static str },
    #[error("argument {name:?} must be one of {choices}, found {found:?}")]
    NotAChoice { name: String, choices: String, found: String },
    #[error("{namespace:?} is no namespace: {why}")]
    Namespace { namespace: String, why: &'static str },
    #[error("the root tag must be <launch>, found <{0}>")]
    Root(String),
    #[error("<{tag}> is not supported inside <{parent}>; supported there: {supported}")]
    UnknownTag { tag: String, parent: String, supported: String },
    #[error("<{tag}> has no attribute {attribute:?} here; supported: {supported}")]
    UnknownAttribute { tag: String, attribute: String, supported: String },
    #[error("<{tag}> needs the attribute {attribute:?}")]
    MissingAttribute { tag: String, attribute: &'static str },
    #[error("unexpected text between tags: {0:?}")]
    StrayText(String),
    #[error("{attribute:?} must be {expected}, found {found:?}")]
    BadValue { attribute: String, expected: &'static str, found: String },
    #[error("<param> needs either name and value, name and further <param>, or from")]
    BadParam,
    #[error("{0}")]
    Substitution(#[from] SubstitutionError),
    #[error("argument {name:?} has no default and was not given; add {name}:=VALUE")]
    ArgumentNotGiven { name: String },
    #[error("if and unless exclude each other")]
    IfAndUnless,
    #[error("the included file needs the argument {name:?}: add <arg name={name:?} value=\"…\"/>")]
    IncludeNeeds { name: String },
    #[error("no argument is named {name:?}; there are: {known}")]
    UnknownArgument { name: String, known: String },
    #[error("<param name={name:?}>: {why}")]
    Parameter { name: String, why: ParameterError },
    #[error("{0}")]
    Executable(String),
    #[error("includes or groups are nested deeper than {0}; does a file include itself?")]
    TooDeep(usize),
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
}

/// What is wrong with the value of a `<param>`.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)]
pub enum ParameterError {
    #[error("must be {expected}, found {text:?}")]
    Type { text: String, expected: &'static str },
    #[error(
        "YAML does not read {0:?} as a string, a number, a boolean or a list of them; type=\"str\" takes it as a string"
    )]
    Yaml(String),
    #[error(transparent)]
    Substitution(#[from] SubstitutionError),
}

/// What is wrong with a text that contains `$(…)`.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs)]
pub enum SubstitutionError {
    #[error("$({name} …) is not supported; supported: var, env, find-pkg-share, find-pkg-prefix, dirname, eval")]
    Unknown { name: String },
    #[error("$(…) is not closed or not well-formed at character {at} of {text:?}")]
    Syntax { text: String, at: usize },
    #[error("$({name} …) takes {expected}, found {found}")]
    Arguments { name: &'static str, expected: &'static str, found: usize },
    #[error("no argument or let is named {0:?} at this point of the file")]
    UndefinedVariable(String),
    #[error("the environment variable {0:?} is not set and no default is given: $(env {0} DEFAULT)")]
    UndefinedEnvironment(String),
    #[error("package {0:?} was not found; AMENT_PREFIX_PATH must name where it is installed")]
    PackageNotFound(String),
    #[error(
        "$(eval …) cannot evaluate {expression:?}: {why}; supported: quoted strings, numbers, True, False, + - * / // % **, == != < <= > >=, in, and, or, not, if else, int float str bool abs len, ( )"
    )]
    Eval { expression: String, why: &'static str },
    #[error("a quote is not closed, or nothing follows a backslash, in {0:?}")]
    Quotes(String),
    #[error("a value is longer than {0} bytes")]
    TooLong(usize),
}
