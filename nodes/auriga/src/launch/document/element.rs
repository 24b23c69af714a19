//! One tag of a launch file. Its attributes and children are checked against the supported ones before it is evaluated:
//! nothing in a file is ignored silently.

use crate::launch::error::{LaunchError, Position, Problem};
use roxmltree::Node;
use std::path::Path;

/// What a tag may contain.
pub(super) struct Rule {
    pub attributes: &'static [&'static str],
    pub children: &'static [&'static str],
}

const ACTIONS: &[&str] = &[
    "arg",
    "let",
    "set_env",
    "unset_env",
    "set_parameter",
    "set_parameters_from_file",
    "set_remap",
    "push_ros_namespace",
    "node",
    "executable",
    "group",
    "include",
    "timer",
    "log",
];

/// Tags of ROS 2 that cannot be supported, and why.
const NOT_SUPPORTED: [(&[&str], &str); 3] = [
    (
        &["composable_node", "load_composable_node", "node_container"],
        "composable nodes are libraries that ROS 2 loads into one process; start each as a process of its own, with <node>",
    ),
    (&["lifecycle_node"], "nodes are started and stopped as processes; use <node>"),
    (&["event_handler", "on_exit", "on_process_exit", "on_start"], "use on_exit=\"shutdown\" or respawn of <node>"),
];

/// Why a tag is not supported, if it is one of ROS 2's.
pub(super) fn not_supported(tag: &str) -> Option<&'static str> {
    NOT_SUPPORTED.iter().find(|(tags, _)| tags.contains(&tag)).map(|(_, why)| *why)
}

/// The supported subset, by tag and parent.
pub(super) fn rule(parent: &str, tag: &str) -> Option<Rule> {
    let rule = |attributes, children| Some(Rule { attributes, children });
    match (parent, tag) {
        ("", "launch") => rule(&[], ACTIONS),
        ("include", "arg") => rule(&["name", "value"], &[]),
        ("node", "param") => rule(&["name", "value", "type", "from"], &["param"]),
        ("param", "param") => rule(&["name", "value", "type"], &["param"]),
        ("node", "remap") => rule(&["from", "to"], &[]),
        ("node" | "executable", "env") => rule(&["name", "value"], &[]),
        ("arg", "choice") => rule(&["value"], &[]),
        ("launch" | "group" | "timer", _) => match tag {
            "arg" => rule(&["name", "default", "description", "if", "unless"], &["choice"]),
            "let" | "set_env" | "set_parameter" => rule(&["name", "value", "if", "unless"], &[]),
            "unset_env" => rule(&["name", "if", "unless"], &[]),
            "node" => rule(
                &[
                    "pkg",
                    "exec",
                    "name",
                    "namespace",
                    "args",
                    "output",
                    "respawn",
                    "respawn_delay",
                    "respawn_max_retries",
                    "on_exit",
                    "cwd",
                    "if",
                    "unless",
                ],
                &["param", "remap", "env"],
            ),
            "executable" => rule(
                &[
                    "cmd",
                    "cwd",
                    "name",
                    "shell",
                    "output",
                    "respawn",
                    "respawn_delay",
                    "respawn_max_retries",
                    "on_exit",
                    "if",
                    "unless",
                ],
                &["env"],
            ),
            "set_parameters_from_file" => rule(&["filename", "if", "unless"], &[]),
            "set_remap" => rule(&["from", "to", "if", "unless"], &[]),
            // Older files have hyphens.
            "push_ros_namespace" | "push-ros-namespace" => rule(&["namespace", "if", "unless"], &[]),
            "timer" => rule(&["period", "if", "unless"], ACTIONS),
            "group" => rule(&["scoped", "if", "unless"], ACTIONS),
            "include" => rule(&["file", "if", "unless"], &["arg"]),
            "log" => rule(&["message", "if", "unless"], &[]),
            _ => None,
        },
        _ => None,
    }
}

/// A tag that has passed its rule.
#[derive(Clone, Copy)]
pub(super) struct Element<'a, 'input> {
    node: Node<'a, 'input>,
    file: &'a Path,
}

impl<'a, 'input> Element<'a, 'input> {
    /// Checks `node`, a child of the tag `parent`.
    pub fn new(node: Node<'a, 'input>, parent: &str, file: &'a Path) -> Result<Self, LaunchError> {
        let element = Element { node, file };
        let tag = element.tag();
        let rule = match rule(parent, tag).filter(|_| node.tag_name().namespace().is_none()) {
            Some(rule) => rule,
            None if parent.is_empty() => return Err(element.problem(Problem::Root(tag.to_owned()))),
            None => return Err(element.unknown_tag(parent)),
        };
        for attribute in node.attributes() {
            if attribute.namespace().is_some() || !rule.attributes.contains(&attribute.name()) {
                return Err(element.problem_at(
                    attribute.range().start,
                    Problem::UnknownAttribute {
                        tag: tag.to_owned(),
                        attribute: attribute.name().to_owned(),
                        supported: rule.attributes.join(", "),
                    },
                ));
            }
        }
        for text in node.children().filter(|child| child.is_text()) {
            let content = text.text().unwrap_or_default().trim();
            if !content.is_empty() {
                let shown = content.chars().take(40).collect();
                return Err(element.problem_at(text.range().start, Problem::StrayText(shown)));
            }
        }
        Ok(element)
    }

    pub fn tag(&self) -> &'a str {
        self.node.tag_name().name()
    }

    fn unknown_tag(&self, parent: &str) -> LaunchError {
        if let Some(why) = not_supported(self.tag()) {
            return self.problem(Problem::NotSupported { tag: self.tag().to_owned(), why });
        }
        let above = match parent {
            "launch" => "",
            "param" => "node",
            _ => "launch",
        };
        let of_parent = rule(above, parent).map_or(&[][..], |rule| rule.children);
        let supported = if of_parent.is_empty() { "nothing".to_owned() } else { of_parent.join(", ") };
        self.problem(Problem::UnknownTag { tag: self.tag().to_owned(), parent: parent.to_owned(), supported })
    }

    /// The tags inside, each checked.
    pub fn children(self) -> impl Iterator<Item = Result<Element<'a, 'input>, LaunchError>> {
        let nodes = self.node.children().filter(|child| child.is_element());
        nodes.map(move |node| Element::new(node, self.tag(), self.file))
    }

    /// Names and texts of the attributes, as written.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.node.attributes().map(|attribute| (attribute.name(), attribute.value()))
    }

    /// The text of an attribute as written.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    pub fn required(&self, name: &'static str) -> Result<&'a str, LaunchError> {
        self.raw(name)
            .ok_or_else(|| self.problem(Problem::MissingAttribute { tag: self.tag().to_owned(), attribute: name }))
    }

    /// Where its tag begins.
    pub fn position(&self) -> Position {
        self.position_of(self.node.range().start)
    }

    /// `problem` at this tag.
    pub fn problem(&self, problem: Problem) -> LaunchError {
        self.problem_at(self.node.range().start, problem)
    }

    /// `problem` at an attribute, or at the tag when it has no such attribute.
    pub fn problem_in(&self, attribute: &str, problem: Problem) -> LaunchError {
        let at = self.node.attribute_node(attribute).map_or(self.node.range().start, |a| a.range().start);
        self.problem_at(at, problem)
    }

    fn problem_at(&self, byte: usize, problem: Problem) -> LaunchError {
        LaunchError { at: self.position_of(byte), problem }
    }

    fn position_of(&self, byte: usize) -> Position {
        let place = self.node.document().text_pos_at(byte);
        Position { file: self.file.to_owned(), line: place.row, column: place.col }
    }
}
