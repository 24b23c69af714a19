//! The tags that start a process: `<node>` and `<executable>`, with what is inside them.

use super::{
    element::Element,
    evaluate::{Evaluation, NAMESPACE, bad_value},
    namespace,
};
use crate::launch::{
    description::{Kind, Output, Parameter, Process, Respawn},
    error::{LaunchError, Problem, SubstitutionError},
    host::OWN_PACKAGE,
    parameter::{self, TYPES, Type},
    substitution::template::Template,
};
use auriga_msgs::NODES;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

impl Evaluation<'_> {
    pub(super) fn node(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let package = self.required(element, "pkg", folder)?;
        let exec = self.required(element, "exec", folder)?;
        let found = self.host.executable(&package, &exec);
        let executable = found.map_err(|why| element.problem_in("exec", Problem::Executable(why)))?;
        let node = self.expand(element, "name", folder)?;
        let own = self.expand(element, "namespace", folder)?;
        let around = self.state.variables.get(NAMESPACE).map(String::as_str);
        let namespace = match (around, own) {
            (around, Some(own)) => Some(namespace::below(around, &own)),
            (around, None) => around.map(str::to_owned),
        };
        let mut parameters = self.state.parameters.clone();
        let mut remaps = self.state.remaps.clone();
        for child in element.children() {
            let child = child?;
            match child.tag() {
                "param" => self.parameter(child, "", folder, &mut parameters)?,
                "remap" => remaps.push((self.required(child, "from", folder)?, self.required(child, "to", folder)?)),
                _ => {}
            }
        }
        let name = self.unique(node.as_deref().unwrap_or(&exec));
        let process = Process {
            executable,
            table_node: NODES.iter().find(|node| package == OWN_PACKAGE && node.name == exec),
            arguments: self.words(element, "args", folder)?,
            node,
            namespace,
            parameters,
            remaps,
            ..self.common(element, folder)?
        };
        self.launch.processes.push(Process { name, ..process });
        Ok(())
    }

    /// `<executable>`: any program, without ROS 2's arguments.
    pub(super) fn program(&mut self, element: Element<'_, '_>, folder: &Path) -> Result<(), LaunchError> {
        let text = element.required("cmd")?;
        let shell = element.raw("shell").is_some_and(|text| parameter::bool(text).unwrap_or(text == "1"));
        let words = match shell {
            true => vec!["/bin/sh".into(), "-c".into(), self.expand(element, "cmd", folder)?.unwrap_or_default()],
            false => self.words(element, "cmd", folder)?,
        };
        let Some((program, arguments)) = words.split_first().filter(|(program, _)| !program.is_empty()) else {
            return Err(bad_value(element, "cmd", "a program and its arguments", text));
        };
        let label = self.expand(element, "name", folder)?;
        let label = label.unwrap_or_else(|| match shell {
            true => "sh".into(),
            false => Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned(),
        });
        let common = self.common(element, folder)?;
        self.launch.processes.push(Process {
            kind: Kind::Program,
            name: self.unique(&label),
            executable: program.into(),
            arguments: arguments.to_vec(),
            ..common
        });
        Ok(())
    }

    /// What `<node>` and `<executable>` have in common.
    fn common(&self, element: Element<'_, '_>, folder: &Path) -> Result<Process, LaunchError> {
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
        let mut environment = self.state.environment.clone();
        for child in element.children() {
            let child = child?;
            if child.tag() == "env" {
                let name = self.required(child, "name", folder)?;
                environment.insert(name, Some(self.required(child, "value", folder)?));
            }
        }
        Ok(Process {
            environment: environment.into_iter().collect(),
            respawn: self.respawn(element, folder)?,
            folder: self.expand(element, "cwd", folder)?.map(PathBuf::from),
            start_after: self.start_after,
            shutdown_on_exit,
            output,
            ..Process::default()
        })
    }

    /// `name`, with a number after it when it is taken.
    fn unique(&self, name: &str) -> String {
        let taken = |name: &str| self.launch.processes.iter().any(|process| process.name == name);
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    /// The words of a command line.
    fn words(&self, element: Element<'_, '_>, name: &str, folder: &Path) -> Result<Vec<String>, LaunchError> {
        let Some(text) = element.raw(name) else { return Ok(Vec::new()) };
        let words = || -> Result<Vec<String>, SubstitutionError> {
            let words = Template::parse(text)?.words()?;
            words.iter().map(|word| self.scope(folder).perform(word)).collect()
        };
        words().map_err(|error| element.problem_in(name, error.into()))
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

    /// Adds a `<param>` and those inside it, whose names are below its own: `a.b`.
    fn parameter(
        &self,
        element: Element<'_, '_>,
        above: &str,
        folder: &Path,
        parameters: &mut Vec<Parameter>,
    ) -> Result<(), LaunchError> {
        let name = self.expand(element, "name", folder)?.map(|name| format!("{above}{name}"));
        let nested = element.children().next().is_some();
        match (name, element.raw("value"), element.raw("type"), element.raw("from")) {
            (Some(name), None, None, None) if nested => {
                let below = format!("{name}.");
                element.children().try_for_each(|child| self.parameter(child?, &below, folder, parameters))
            }
            (Some(name), Some(text), wanted, None) if !nested => {
                parameters.push(self.value(element, name, text, wanted, folder)?);
                Ok(())
            }
            (None, None, None, Some(_)) if !nested => {
                parameters.push(Parameter::File(self.expand(element, "from", folder)?.unwrap_or_default().into()));
                Ok(())
            }
            _ => Err(element.problem(Problem::BadParam)),
        }
    }

    fn value(
        &self,
        element: Element<'_, '_>,
        name: String,
        text: &str,
        wanted: Option<&str>,
        folder: &Path,
    ) -> Result<Parameter, LaunchError> {
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
}
