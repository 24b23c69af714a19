//! The chat template of a checkpoint, which renders messages as one text.
//!
//! It is a Jinja template in `chat_template.jinja` or in `tokenizer_config.json`, written for Python's Jinja and rendered
//! here by minijinja. The variables are those of Transformers: `messages`, `tools` and `documents` (none), the special tokens of
//! `tokenizer_config.json`, `add_generation_prompt`. `strftime_now` returns "unknown", because no clock is read here.

use crate::decoder::config::fields::{self, ConfigError};
use minijinja::{Environment, Error, ErrorKind, context, syntax::SyntaxConfig, value::Kwargs};
use serde::Serialize;
use serde_json::{
    Map, Value,
    ser::{Formatter, PrettyFormatter, Serializer},
};
use std::{io, path::Path};

/// An error of a chat template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// `tokenizer_config.json` or `chat_template.jinja` cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The checkpoint has no chat template.
    #[error(
        "{path} has no chat template: expected chat_template.jinja, or `chat_template` in tokenizer_config.json; use a \
         model that was trained for dialogue (\"instruct\" or \"chat\")"
    )]
    None {
        /// The checkpoint.
        path: String,
    },
    /// The template cannot be parsed or rendered.
    #[error("the chat template of {path} cannot be rendered: {source:#}")]
    Template {
        /// The checkpoint.
        path: String,
        /// The cause.
        source: Error,
    },
}

/// A message of a dialogue.
#[derive(Debug, Clone)]
pub struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    /// A message of the system.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: "system", content: content.into() }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user", content: content.into() }
    }

    /// A message of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: "assistant", content: content.into() }
    }
}

/// A chat template.
pub struct ChatTemplate {
    path: String,
    environment: Environment<'static>,
    eos: Option<String>,
}

const NAME: &str = "chat";
/// Tokens that a template can use, in `tokenizer_config.json`.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl ChatTemplate {
    /// Loads the template of a Hugging Face folder.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, or a folder without a template.
    pub fn load(folder: &Path) -> Result<Self, TemplateError> {
        let config: Map<String, Value> = match fields::read_optional(&folder.join("tokenizer_config.json"))? {
            Some((text, path)) => fields::with_fields(&text, &path, |map| Ok(map.clone()))?,
            None => Map::new(),
        };
        let source = match fields::read_optional(&folder.join("chat_template.jinja"))? {
            Some((source, _)) => Some(source),
            None => config.get("chat_template").and_then(named).map(String::from),
        };
        let path = folder.display().to_string();
        let source = source.ok_or_else(|| TemplateError::None { path: path.clone() })?;
        Self::new(&source, &config, &path)
    }

    /// From its source. `config`: the fields of `tokenizer_config.json`; `path` is named in error messages.
    ///
    /// # Errors
    /// A template that cannot be parsed.
    pub fn new(source: &str, config: &Map<String, Value>, path: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |what: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, what))
        });
        environment.add_function("strftime_now", |_: String| "unknown");
        environment.add_filter("tojson", python_json);
        let fail = |source| TemplateError::Template { path: path.into(), source };
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(fail)?;
        environment.set_syntax(syntax);
        environment.add_template_owned(NAME, without_generation_tags(source)).map_err(fail)?;
        // A token is a string, or an object with the string as `content`.
        let token = |name| config.get(name).and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
        for name in SPECIAL_TOKENS {
            if let Some(text) = token(name) {
                environment.add_global(name, text);
            }
        }
        if let Some(more) = config.get("additional_special_tokens").and_then(Value::as_array) {
            let texts = more.iter().filter_map(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
            environment.add_global("additional_special_tokens", texts.collect::<minijinja::Value>());
        }
        Ok(Self { path: path.into(), environment, eos: token("eos_token").map(String::from) })
    }

    /// Renders the messages up to the beginning of the assistant's answer.
    ///
    /// # Errors
    /// Messages that the template rejects.
    pub fn render(&self, messages: &[Message]) -> Result<String, TemplateError> {
        let fail = |source| TemplateError::Template { path: self.path.clone(), source };
        let template = self.environment.get_template(NAME).map_err(fail)?;
        // No reasoning before the answer: the driver waits.
        let messages: minijinja::Value =
            messages.iter().map(|m| context! { role => m.role, content => m.content.as_str() }).collect();
        // As in Transformers, tools and documents are defined and none.
        let (tools, documents) = (minijinja::Value::from(()), minijinja::Value::from(()));
        let chat = context! { messages, tools, documents, add_generation_prompt => true, enable_thinking => false };
        template.render(chat).map_err(fail)
    }

    /// The end token, if `tokenizer_config.json` names one.
    pub fn eos(&self) -> Option<&str> {
        self.eos.as_deref()
    }
}

/// The template, or the default one of a list of named templates.
fn named(value: &Value) -> Option<&str> {
    let entry = |v: &'_ Value| v.get("name").and_then(Value::as_str) == Some("default");
    value.as_str().or_else(|| value.as_array()?.iter().find(|v| entry(v))?.get("template")?.as_str())
}

/// The filter `tojson` as Transformers has it: that of Python, which escapes nothing for HTML.
fn python_json(value: minijinja::Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Others change the order of keys or the separators.
    options.get::<Option<bool>>("ensure_ascii")?;
    options.assert_all_used()?;
    let mut text = Vec::new();
    let written = match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(MAX_INDENT));
            value.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(spaces.as_bytes())))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut text, PythonFormatter)),
    };
    let fail = |what: String| Error::new(ErrorKind::BadSerialization, what);
    written.map_err(|e| fail(e.to_string()))?;
    String::from_utf8(text).map_err(|e| fail(e.to_string()))
}

const MAX_INDENT: usize = 16;

/// A space after each comma and colon.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Replaces the tag `{% generation %}`, which Transformers uses for training and minijinja does not know, by a comment.
fn without_generation_tags(source: &str) -> String {
    let mut source = source.to_string();
    for tag in ["generation", "endgeneration"] {
        for (left, right) in [("", ""), ("-", ""), ("", "-"), ("-", "-")] {
            source = source.replace(&format!("{{%{left} {tag} {right}%}}"), &format!("{{#{left} {right}#}}"));
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Map<String, Value> {
        json!({ "bos_token": { "content": "<s>" }, "eos_token": "</s>" }).as_object().cloned().unwrap()
    }

    fn render(source: &str) -> Result<String, TemplateError> {
        ChatTemplate::new(source, &config(), "test")?.render(&[Message::system(" Be brief. "), Message::user("Hello")])
    }

    #[test]
    fn published_templates_are_rendered() {
        let source = "{%- for message in messages %}
    {%- if message['role'] == 'system' %}
        {{- bos_token + '[' + message['content'].strip() + ']' }}
    {%- elif message.role.startswith('us') %}
        {{- '\\n' + message.content.upper() }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and not enable_thinking %}
    {{- '\\nassistant: ' }}
{%- endif %}";
        assert_eq!(render(source).unwrap(), "<s>[Be brief.]\nHELLO\nassistant: ");
        assert_eq!(
            render("{%- generation -%}\n x {% endgeneration %}{{ messages[1]['content'] }}").unwrap(),
            "x Hello"
        );
        assert_eq!(render("{{ strftime_now('%d') }}").unwrap(), "unknown");
        assert_eq!(
            render("{% for m in messages %}{% break %}{% endfor %}{{ messages[0].content | tojson }}").unwrap(),
            "\" Be brief. \""
        );
    }

    #[test]
    fn variables_are_those_of_transformers() {
        // Templates of Llama 3, Mistral and Qwen ask in these ways whether there are tools.
        for ask in ["tools", "tools is not none", "tools is defined and tools is not none", "tools is not defined"] {
            assert_eq!(render(&format!("{{% if {ask} %}}yes{{% else %}}no{{% endif %}}")).unwrap(), "no", "{ask}");
        }
        assert_eq!(render("{{ tools is none and documents is none }}").unwrap(), "True");
        assert_eq!(render("{{ date_string is defined }}{{ pad_token is defined }}").unwrap(), "FalseFalse");
        let json =
            "{{ {'a': [1, 'ä<&>'], 'b': none} | tojson }}{{ [] | tojson(indent=2) }}{{ [1] | tojson(indent=2) }}";
        assert_eq!(render(json).unwrap(), "{\"a\": [1, \"ä<&>\"], \"b\": null}[][\n  1\n]");
        let config = json!({ "additional_special_tokens": ["<a>", { "content": "<b>" }], "bos_token": null });
        let template = ChatTemplate::new(
            "{{ additional_special_tokens | join }}{{ bos_token is defined }}",
            config.as_object().unwrap(),
            "test",
        );
        assert_eq!(template.unwrap().render(&[]).unwrap(), "<a><b>False");
    }

    #[test]
    fn errors_of_templates_are_reported() {
        let message = render("{{ raise_exception('no system message, please') }}").unwrap_err().to_string();
        assert!(message.contains("no system message, please"), "{message}");
        assert!(render("{% for %}").unwrap_err().to_string().contains("chat template of test"));
        let folder = tempfile::tempdir().unwrap();
        let message = ChatTemplate::load(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("has no chat template: expected chat_template.jinja"), "{message}");
        let list =
            json!({ "chat_template": [{ "name": "tools", "template": "t" }, { "name": "default", "template": "d" }] });
        std::fs::write(folder.path().join("tokenizer_config.json"), list.to_string()).unwrap();
        assert_eq!(ChatTemplate::load(folder.path()).unwrap().render(&[]).unwrap(), "d");
        std::fs::write(folder.path().join("chat_template.jinja"), "file").unwrap();
        assert_eq!(ChatTemplate::load(folder.path()).unwrap().render(&[]).unwrap(), "file");
    }
}
