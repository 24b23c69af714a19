//! Evaluates the tags of a launch file in order, as ROS 2 does: variables and environment are one state that tags
//! change. A `<group>` restores it at its end, an `<include>` does not.

use super::{element::Element, namespace};
use crate::launch::{
    description::{Argument, LaunchDescription, Parameter},
    error::{LaunchError, Position, Problem},
    host::Host,
    parameter::{self, Type},
    substitution::template::{Scope, Template, unescape},
};
use roxmltree::{Document, ParsingOptions};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// Deepest nesting of groups and includes.
const MAX_DEPTH: usize = 32;
/// Most tags in one file.
const MAX_TAGS: u32 = 20_000;
/// Most tags evaluated in a file and all its includes, which may include each other many times.
const MAX_STEPS: usize = 20_000;

/// See [`crate::launch::load`].
pub(in crate::launch) fn file(
    path: &Path,
    arguments: &[(String, String)],
    host: &dyn Host,
) -> Result<LaunchDescription, LaunchError> {
    let mut evaluation = Evaluation {
        host,
        state: State { variables: arguments.iter().cloned().collect(), ..State::default() },
        start_after: Duration::ZERO,
        used: RefCell::default(),
        launch: LaunchDescription::default(),
        depth: 0,
        steps: 0,
    };
    let start = Position { file: path.to_owned(), line: 1, column: 1 };
    evaluation.file(path, &start, &[])?;
    evaluation.check_arguments_exist(arguments, start)?;
    Ok(evaluation.launch)
}

/// See [`crate::launch::arguments`].
pub(in crate::launch) fn declared(path: &Path, host: &dyn Host) -> Result<Vec<Argument>, LaunchError> {
    let start = Position { file: path.to_owned(), line: 1, column: 1 };
    let text = read(path, &start, host)?;
    let document = parse(&text, path)?;
    let root = Element::new(document.root_element(), "", path)?;
    check(root, 0)?;
    let mut arguments = Vec::new();
    collect(root, &mut |element| {
        arguments.push(Argument {
            name: unescape(element.required("name")?),
            default: element.raw("default").map(str::to_owned),
            description: unescape(element.raw("description").unwrap_or_default()),
            value: String::new(),
        });
        Ok(())
    })?;
    Ok(arguments)
}

fn read(path: &Path, at: &Position, host: &dyn Host) -> Result<String, LaunchError> {
    check_form(path, at)?;
    host.read(path).map_err(|error| LaunchError {
        at: at.clone(),
        problem: Problem::Unreadable(format!("{}: {error}", path.display())),
    })
}

/// Launch files in Python or YAML are known by their names.
fn check_form(path: &Path, at: &Position) -> Result<(), LaunchError> {
    let form = match path.extension().and_then(|extension| extension.to_str()) {
        Some("py" | "pyc") => "Python",
        Some("yaml" | "yml") => "YAML",
        _ => return Ok(()),
    };
    Err(LaunchError { at: at.clone(), problem: Problem::OtherForm { path: path.display().to_string(), form } })
}

fn parse<'a>(text: &'a str, path: &Path) -> Result<Document<'a>, LaunchError> {
    let options = ParsingOptions { nodes_limit: MAX_TAGS, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| LaunchError {
        at: Position { file: path.to_owned(), line: error.pos().row, column: error.pos().col },
        problem: Problem::Xml(error.to_string()),
    })
}

/// Calls `take` with each `<arg>` that does not depend on a condition.
fn collect<'a, 'input>(
    element: Element<'a, 'input>,
    take: &mut dyn FnMut(Element<'a, 'input>) -> Result<(), LaunchError>,
) -> Result<(), LaunchError> {
    for child in element.children() {
        let child = child?;
        if child.raw("if").or(child.raw("unless")).is_some() {
            continue;
        }
        match child.tag() {
            "arg" => take(child)?,
            "group" => collect(child, take)?,
            _ => {}
        }
    }
    Ok(())
}

/// Checks the whole file, also the parts that conditions leave out.
fn check(element: Element<'_, '_>, depth: usize) -> Result<(), LaunchError> {
    if depth > MAX_DEPTH {
        return Err(element.problem(Problem::TooDeep(MAX_DEPTH)));
    }
    if element.raw("if").and(element.raw("unless")).is_some() {
        return Err(element.problem_in("unless", Problem::IfAndUnless));
    }
    for (name, text) in element.attributes() {
        let literal = match element.tag() {
            "arg" => depth > 0 && name != "default" && name != "value" && name != "if" && name != "unless",
            "node" => ["respawn_delay", "respawn_max_retries", "on_exit"].contains(&name),
            "group" => name == "scoped",
            "param" => name == "type",
            "executable" => ["respawn_delay", "respawn_max_retries", "on_exit", "shell"].contains(&name),
            "choice" => true,
            _ => false,
        };
        if !literal {
            let template = Template::parse(text).map_err(|e| element.problem_in(name, e.into()))?;
            if name == "args" || name == "cmd" {
                template.words().map_err(|e| element.problem_in(name, e.into()))?;
            }
        }
    }
    element.children().try_for_each(|child| check(child?, depth + 1))
}

/// `path` with the working folder before it and without `.` and `..`, as Python's `abspath` gives it.
fn absolute(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in std::path::absolute(path).as_deref().unwrap_or(path).components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

/// What tags change and a group restores.
#[derive(Clone, Default)]
pub(super) struct State {
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, Option<String>>,
    /// Of `<set_parameter>`: passed to every node.
    pub parameters: Vec<Parameter>,
    /// Of `<set_remap>`: passed to every node.
    pub remaps: Vec<(String, String)>,
}

/// The variable that holds the namespace, as in ROS 2.
pub(super) const NAMESPACE: &str = "ros_namespace";

pub(super) struct Evaluation<'a> {
    pub host: &'a dyn Host,
    pub state: State,
    /// Sum of the periods of the timers around.
    pub start_after: Duration,
    /// Names of variables that were read.
    used: RefCell<BTreeSet<String>>,
    pub launch: LaunchDescription,
    depth: usize,
    steps: usize,
}

impl Evaluation<'_> {
    /// `from`: the place of the include; `given`: the arguments passed there.
    fn file(&mut self, path: &Path, from: &Position, given: &[String]) -> Result<(), LaunchError> {
        let text = read(path, from, self.host)?;
        let document = parse(&text, path)?;
        let root = Element::new(document.root_element(), "", path)?;
        check(root, 0)?;
        if self.depth > 0 {
            // As in ROS 2, an include must pass the required arguments, even where a variable of that name is set.
            collect(root, &mut |arg| {
                let name = unescape(arg.required("name")?);
                if arg.raw("default").is_some() || given.contains(&name) {
                    return Ok(());
                }
                Err(LaunchError { at: from.clone(), problem: Problem::IncludeNeeds { name } })
            })?;
        }
        let folder = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
        root.children().try_for_each(|child| self.action(child?, &folder))
    }

    /// A misspelt argument would otherwise silently leave a default in force.
    fn check_arguments_exist(&self, arguments: &[(String, String)], at: Position) -> Result<(), LaunchError> {
        let declared = || self.launch.arguments.iter().map(|argument| argument.name.as_str());
        let unknown =
            arguments.iter().find(|(name, _)| !declared().any(|d| d == name) && !self.used.borrow().contains(name));
        let Some((name, _)) = unknown else { return Ok(()) };
        let known = declared().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
        Err(LaunchError { at, problem: Problem::UnknownArgument { name: name.clone(), known } })
    }

    fn action(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(element.problem(Problem::TooMany { what: "tags to evaluate", limit: MAX_STEPS }));
        }
        if !self.is_enabled(element, folder)? {
            return Ok(());
        }
        match element.tag() {
            "arg" => self.argument(element, folder),
            "let" => {
                let name = self.required(element, "name", folder)?;
                let value = self.required(element, "value", folder)?;
                self.state.variables.insert(name, value);
                Ok(())
            }
            "set_env" => {
                let name = self.required(element, "name", folder)?;
                let value = self.required(element, "value", folder)?;
                self.state.environment.insert(name, Some(value));
                Ok(())
            }
            "unset_env" => {
                let name = self.required(element, "name", folder)?;
                self.state.environment.insert(name, None);
                Ok(())
            }
            "set_parameter" => {
                let name = self.required(element, "name", folder)?;
                let text = self.required(element, "value", folder)?;
                let value = parameter::value(&text, Type::Any, &|text| Ok((text.to_owned(), false)));
                let value =
                    value.map_err(|why| element.problem_in("value", Problem::Parameter { name: name.clone(), why }))?;
                self.state.parameters.push(Parameter::Value { name, value });
                Ok(())
            }
            "log" => {
                let message = self.required(element, "message", folder)?;
                self.launch.messages.push(message);
                Ok(())
            }
            "set_parameters_from_file" => {
                let file = self.required(element, "filename", folder)?;
                self.state.parameters.push(Parameter::File(file.into()));
                Ok(())
            }
            "set_remap" => {
                let remap = (self.required(element, "from", folder)?, self.required(element, "to", folder)?);
                self.state.remaps.push(remap);
                Ok(())
            }
            "push_ros_namespace" | "push-ros-namespace" => {
                let pushed = self.required(element, "namespace", folder)?;
                let before = self.state.variables.get(NAMESPACE).map(String::as_str);
                let namespace = namespace::below(before, &pushed);
                namespace::check(&namespace).map_err(|problem| element.problem_in("namespace", problem))?;
                self.state.variables.insert(NAMESPACE.into(), namespace);
                Ok(())
            }
            "timer" => self.timer(element, folder),
            "group" => self.group(element, folder),
            "include" => self.include(element, folder),
            "executable" => self.program(element, folder),
            _ => self.node(element, folder),
        }
    }

    pub(super) fn expand(
        &self,
        element: Element<'_, '_>,
        name: &str,
        folder: &Path,
    ) -> Result<Option<String>, LaunchError> {
        let Some(text) = element.raw(name) else { return Ok(None) };
        self.scope(folder).expand(text).map(Some).map_err(|error| element.problem_in(name, error.into()))
    }

    pub(super) fn required(
        &self,
        element: Element<'_, '_>,
        name: &'static str,
        folder: &Path,
    ) -> Result<String, LaunchError> {
        element.required(name)?;
        Ok(self.expand(element, name, folder)?.unwrap_or_default())
    }

    pub(super) fn scope<'s>(&'s self, directory: &'s Path) -> Scope<'s> {
        Scope {
            variables: &self.state.variables,
            environment: &self.state.environment,
            directory,
            host: self.host,
            used: &self.used,
        }
    }

    /// Whether the conditions `if` and `unless` hold.
    fn is_enabled(&self, element: Element<'_, '_>, folder: &Path) -> Result<bool, LaunchError> {
        for (name, wanted) in [("if", true), ("unless", false)] {
            if let Some(value) = self.expand(element, name, folder)? {
                let truth = match value.trim().to_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(bad_value(element, name, "true, false, 1 or 0", &value)),
                };
                return Ok(truth == wanted);
            }
        }
        Ok(true)
    }

    fn argument(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let name = unescape(element.required("name")?);
        if !self.state.variables.contains_key(&name) {
            let Some(value) = self.expand(element, "default", folder)? else {
                return Err(element.problem(Problem::ArgumentNotGiven { name }));
            };
            self.state.variables.insert(name.clone(), value);
        }
        let value = self.state.variables[&name].clone();
        let choices = element.children().map(|choice| Ok(unescape(choice?.required("value")?)));
        let choices = choices.collect::<Result<Vec<_>, LaunchError>>()?;
        if !choices.is_empty() && !choices.contains(&value) {
            let choices = choices.join(", ");
            return Err(element.problem_in("default", Problem::NotAChoice { name, choices, found: value }));
        }
        let default = element.raw("default").map(str::to_owned);
        let description = unescape(element.raw("description").unwrap_or_default());
        self.launch.arguments.push(Argument { name, default, description, value });
        Ok(())
    }

    /// What a timer starts is started later; what it changes holds within it.
    fn timer(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let text = self.required(element, "period", folder)?;
        let period = parameter::python_float(text.trim()).filter(|seconds| (0.0..=86_400.0).contains(seconds));
        let period = period.ok_or_else(|| bad_value(element, "period", "seconds, 0 or more", &text))?;
        let before = (self.state.clone(), self.start_after);
        self.start_after += Duration::from_secs_f64(period);
        self.nested(element, |evaluation| element.children().try_for_each(|child| evaluation.action(child?, folder)))?;
        (self.state, self.start_after) = before;
        Ok(())
    }

    fn group(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let scoped = match element.raw("scoped") {
            None => true,
            Some(text) => match text {
                "1" => true,
                "0" => false,
                _ => parameter::bool(text).ok_or_else(|| bad_value(element, "scoped", "true or false", text))?,
            },
        };
        let before = scoped.then(|| self.state.clone());
        self.nested(element, |evaluation| element.children().try_for_each(|child| evaluation.action(child?, folder)))?;
        self.state = before.unwrap_or_else(|| std::mem::take(&mut self.state));
        Ok(())
    }

    fn include(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let path = PathBuf::from(self.required(element, "file", folder)?);
        let mut names = Vec::new();
        for child in element.children() {
            let child = child?;
            let name = self.required(child, "name", folder)?;
            let value = self.required(child, "value", folder)?;
            self.state.variables.insert(name.clone(), value);
            names.push(name);
        }
        self.nested(element, |evaluation| evaluation.file(&path, &element.position(), &names))
    }

    fn nested(
        &mut self,
        element: Element<'_, '_>,
        inner: impl FnOnce(&mut Self) -> Result<(), LaunchError>,
    ) -> Result<(), LaunchError> {
        if self.depth == MAX_DEPTH {
            return Err(element.problem(Problem::TooDeep(MAX_DEPTH)));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}

pub(super) fn bad_value(element: Element<'_, '_>, attribute: &str, expected: &'static str, found: &str) -> LaunchError {
    let problem = Problem::BadValue { attribute: attribute.to_owned(), expected, found: found.to_owned() };
    element.problem_in(attribute, problem)
}
