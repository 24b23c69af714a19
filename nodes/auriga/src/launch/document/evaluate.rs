//! Evaluates the tags of a launch file in order, as ROS 2 does: variables and environment are one state that tags
//! change. A `<group>` restores it at its end, an `<include>` does not.

use super::element::Element;
use crate::launch::{
    description::{Argument, LaunchDescription, Output, Parameter, Process, Respawn},
    error::{LaunchError, Position, Problem, SubstitutionError},
    host::{Host, OWN_PACKAGE},
    parameter::{self, TYPES, Type},
    substitution::template::{Scope, Template, unescape},
};
use auriga_msgs::NODES;
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
        variables: arguments.iter().cloned().collect(),
        environment: BTreeMap::new(),
        parameters: Vec::new(),
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
    host.read(path).map_err(|error| LaunchError {
        at: at.clone(),
        problem: Problem::Unreadable(format!("{}: {error}", path.display())),
    })
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
            _ => false,
        };
        if !literal {
            let template = Template::parse(text).map_err(|e| element.problem_in(name, e.into()))?;
            if name == "args" {
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

struct Evaluation<'a> {
    host: &'a dyn Host,
    variables: BTreeMap<String, String>,
    environment: BTreeMap<String, Option<String>>,
    /// Of `<set_parameter>`: passed to every node.
    parameters: Vec<Parameter>,
    /// Names of variables that were read.
    used: RefCell<BTreeSet<String>>,
    launch: LaunchDescription,
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
                self.variables.insert(name, value);
                Ok(())
            }
            "set_env" => {
                let name = self.required(element, "name", folder)?;
                let value = self.required(element, "value", folder)?;
                self.environment.insert(name, Some(value));
                Ok(())
            }
            "unset_env" => {
                let name = self.required(element, "name", folder)?;
                self.environment.insert(name, None);
                Ok(())
            }
            "set_parameter" => {
                let name = self.required(element, "name", folder)?;
                let text = self.required(element, "value", folder)?;
                let value = parameter::value(&text, Type::Any, &|text| Ok((text.to_owned(), false)));
                let value =
                    value.map_err(|why| element.problem_in("value", Problem::Parameter { name: name.clone(), why }))?;
                self.parameters.push(Parameter::Value { name, value });
                Ok(())
            }
            "log" => {
                let message = self.required(element, "message", folder)?;
                self.launch.messages.push(message);
                Ok(())
            }
            "group" => self.group(element, folder),
            "include" => self.include(element, folder),
            _ => self.node(element, folder),
        }
    }

    fn expand(&self, element: Element<'_, '_>, name: &str, folder: &Path) -> Result<Option<String>, LaunchError> {
        let Some(text) = element.raw(name) else { return Ok(None) };
        self.scope(folder).expand(text).map(Some).map_err(|error| element.problem_in(name, error.into()))
    }

    fn required(&self, element: Element<'_, '_>, name: &'static str, folder: &Path) -> Result<String, LaunchError> {
        element.required(name)?;
        Ok(self.expand(element, name, folder)?.unwrap_or_default())
    }

    fn scope<'s>(&'s self, directory: &'s Path) -> Scope<'s> {
        Scope {
            variables: &self.variables,
            environment: &self.environment,
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
        if !self.variables.contains_key(&name) {
            let Some(value) = self.expand(element, "default", folder)? else {
                return Err(element.problem(Problem::ArgumentNotGiven { name }));
            };
            self.variables.insert(name.clone(), value);
        }
        let value = self.variables[&name].clone();
        let default = element.raw("default").map(str::to_owned);
        let description = unescape(element.raw("description").unwrap_or_default());
        self.launch.arguments.push(Argument { name, default, description, value });
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
        let before = scoped.then(|| (self.variables.clone(), self.environment.clone(), self.parameters.len()));
        self.nested(element, |evaluation| element.children().try_for_each(|child| evaluation.action(child?, folder)))?;
        if let Some((variables, environment, parameters)) = before {
            self.variables = variables;
            self.environment = environment;
            self.parameters.truncate(parameters);
        }
        Ok(())
    }

    fn include(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let path = PathBuf::from(self.required(element, "file", folder)?);
        let mut names = Vec::new();
        for child in element.children() {
            let child = child?;
            let name = self.required(child, "name", folder)?;
            let value = self.required(child, "value", folder)?;
            self.variables.insert(name.clone(), value);
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

    fn node(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let package = self.required(element, "pkg", folder)?;
        let exec = self.required(element, "exec", folder)?;
        let found = self.host.executable(&package, &exec);
        let executable = found.map_err(|why| element.problem_in("exec", Problem::Executable(why)))?;
        let node = self.expand(element, "name", folder)?;
        let namespace = self.expand(element, "namespace", folder)?.map(|namespace| {
            let trimmed = if namespace == "/" { "/" } else { namespace.trim_end_matches('/') };
            if trimmed.starts_with('/') { trimmed.to_owned() } else { format!("/{trimmed}") }
        });
        let output = match self.expand(element, "output", folder)?.as_deref() {
            Some("screen" | "both") => Output::Screen,
            None | Some("log") => Output::Log,
            Some(other) => return Err(bad_value(element, "output", "screen, log or both", other)),
        };
        let shutdown_on_exit = match element.raw("on_exit") {
            None => false,
            Some("shutdown") => true,
            Some(other) => return Err(bad_value(element, "on_exit", "shutdown", other)),
        };
        let mut environment = self.environment.clone();
        let mut parameters = self.parameters.clone();
        for child in element.children() {
            let child = child?;
            if child.tag() == "env" {
                let name = self.required(child, "name", folder)?;
                environment.insert(name, Some(self.required(child, "value", folder)?));
            } else {
                parameters.push(self.parameter(child, folder)?);
            }
        }
        let name = self.unique(node.as_deref().unwrap_or(&exec));
        self.launch.processes.push(Process {
            name,
            executable,
            table_node: NODES.iter().find(|node| package == OWN_PACKAGE && node.name == exec),
            arguments: self.arguments(element, folder)?,
            node,
            namespace,
            parameters,
            environment: environment.into_iter().collect(),
            respawn: self.respawn(element, folder)?,
            shutdown_on_exit,
            output,
        });
        Ok(())
    }

    /// `name`, with a number after it when it is taken.
    fn unique(&self, name: &str) -> String {
        let taken = |name: &str| self.launch.processes.iter().any(|process| process.name == name);
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    fn arguments(&self, element: Element<'_, '_>, folder: &Path) -> Result<Vec<String>, LaunchError> {
        let Some(text) = element.raw("args") else { return Ok(Vec::new()) };
        let words = || -> Result<Vec<String>, SubstitutionError> {
            let words = Template::parse(text)?.words()?;
            words.iter().map(|word| self.scope(folder).perform(word)).collect()
        };
        words().map_err(|error| element.problem_in("args", error.into()))
    }

    fn respawn(&self, element: Element<'_, '_>, folder: &Path) -> Result<Respawn, LaunchError> {
        // In ROS 2 these two are numbers as written, without substitutions.
        let delay = match element.raw("respawn_delay") {
            None => 0.0,
            Some(text) => parameter::python_float(text.trim())
                .filter(|seconds| (0.0..=86_400.0).contains(seconds))
                .ok_or_else(|| bad_value(element, "respawn_delay", "seconds, 0 or more", text))?,
        };
        let max_retries = match element.raw("respawn_max_retries") {
            None => None,
            Some(text) => {
                let retries = parameter::python_int(text.trim())
                    .ok_or_else(|| bad_value(element, "respawn_max_retries", "a whole number", text))?;
                // A negative number is no bound.
                u64::try_from(retries).ok().map(|retries| u32::try_from(retries).unwrap_or(u32::MAX))
            }
        };
        let respawn = match self.expand(element, "respawn", folder)?.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(text) => parameter::bool(text).ok_or_else(|| bad_value(element, "respawn", "true or false", text))?,
        };
        let delay = Duration::from_secs_f64(delay);
        Ok(if respawn { Respawn::Always { delay, max_retries } } else { Respawn::Never })
    }

    fn parameter(&self, element: Element<'_, '_>, folder: &Path) -> Result<Parameter, LaunchError> {
        let name = self.expand(element, "name", folder)?;
        match (name, element.raw("value"), element.raw("type"), element.raw("from")) {
            (Some(name), Some(text), wanted, None) => {
                let wanted = match wanted {
                    None => Type::Any,
                    Some(name) => Type::by_name(name).ok_or_else(|| bad_value(element, "type", TYPES, name))?,
                };
                let expand = |text: &str| {
                    let template = Template::parse(text)?;
                    Ok((self.scope(folder).perform(&template)?, template.has_substitutions()))
                };
                match parameter::value(text, wanted, &expand) {
                    Ok(value) => Ok(Parameter::Value { name, value }),
                    Err(why) => Err(element.problem_in("value", Problem::Parameter { name, why })),
                }
            }
            (None, None, None, Some(_)) => {
                Ok(Parameter::File(self.expand(element, "from", folder)?.unwrap_or_default().into()))
            }
            _ => Err(element.problem(Problem::BadParam)),
        }
    }
}

fn bad_value(element: Element<'_, '_>, attribute: &str, expected: &'static str, found: &str) -> LaunchError {
    let problem = Problem::BadValue { attribute: attribute.to_owned(), expected, found: found.to_owned() };
    element.problem_in(attribute, problem)
}
