//! Comparison with ROS 2's launch, launch_xml and launch_ros (Python): the same file gives the same processes, the same
//! text the same value. Needs a Python that can import them: AURIGA_ROS_PYTHON, or `python3` of a sourced ROS 2
//! installation.

use auriga::launch::{self, Kind, LocalHost, Output, Parameter, Process, Respawn, Value};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value as Json, json};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The Python process that runs ROS 2's launch.
struct Ros {
    child: Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Ros {
    /// `None` where ROS 2 is not available: the test is skipped.
    fn start(prefix: &Path) -> Option<Ros> {
        let python = env::var("AURIGA_ROS_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ros2_launch.py");
        let path = env::var("AMENT_PREFIX_PATH").unwrap_or_default();
        let child = Command::new(&python)
            .arg(script)
            .env("AMENT_PREFIX_PATH", format!("{path}:{}", prefix.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut ros = child.ok().map(|mut child| {
            let answers = BufReader::new(child.stdout.take().unwrap()).lines();
            Ros { child, answers }
        });
        let works = ros.as_mut().is_some_and(|ros| ros.try_ask(&json!({"text": "a", "variables": {}})).is_some());
        if works {
            return ros;
        }
        auriga_testing::skip(format!(
            "{python} has no launch_xml and launch_ros; source a ROS 2 installation or set AURIGA_ROS_PYTHON"
        ));
        None
    }

    fn try_ask(&mut self, question: &Json) -> Option<Json> {
        writeln!(self.child.stdin.as_mut()?, "{question}").ok()?;
        // Log lines of launch are between the answers.
        self.answers
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(&line).unwrap())
    }

    fn ask(&mut self, question: &Json) -> Json {
        self.try_ask(question).unwrap_or_else(|| panic!("no answer to {question}"))
    }
}

impl Drop for Ros {
    fn drop(&mut self) {
        self.child.stdin = None;
        let _ = self.child.wait();
    }
}

/// An installed package `auriga` with the repository's launch files and executables that do nothing.
fn prefix() -> tempfile::TempDir {
    let prefix = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let share = prefix.path().join("share/auriga/launch");
    fs::create_dir_all(&share).unwrap();
    fs::create_dir_all(prefix.path().join("share/ament_index/resource_index/packages")).unwrap();
    fs::write(prefix.path().join("share/ament_index/resource_index/packages/auriga"), "").unwrap();
    for name in ["vehicle.launch.xml", "replay.launch.xml"] {
        fs::copy(repository.join("launch").join(name), share.join(name)).unwrap();
    }
    let lib = prefix.path().join("lib/auriga");
    fs::create_dir_all(&lib).unwrap();
    for node in fs::read_dir(repository.join("nodes")).unwrap() {
        let executable = lib.join(node.unwrap().file_name());
        fs::write(&executable, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
    }
    prefix
}

fn yaml(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Float(number) if number.is_finite() => json!(number),
        Value::Float(number) => json!(number.to_string()),
        Value::Bool(bool) => json!(bool),
        Value::List(items) => items.iter().map(yaml).collect(),
    }
}

/// A process in the form of the Python side. `globals`: number of parameters from `<set_parameter>`, which ROS 2 puts on
/// the command line.
fn to_json(process: &Process, globals: usize) -> Json {
    let mut command = vec![process.executable.display().to_string()];
    command.extend(process.arguments.iter().cloned());
    if process.kind == Kind::Node {
        command.push("--ros-args".into());
    }
    for (what, name) in [("__node", &process.node), ("__ns", &process.namespace)] {
        command.extend(name.iter().flat_map(|name| ["-r".into(), format!("{what}:={name}")]));
    }
    let full_name = match (&process.namespace, &process.node) {
        (Some(namespace), Some(node)) => format!("{namespace}/{node}"),
        _ => "/**".into(),
    };
    let mut parameters = Vec::new();
    for (i, parameter) in process.parameters.iter().enumerate() {
        match parameter {
            Parameter::Value { name, value } if i < globals => {
                // Python writes True and False.
                let value = match value {
                    Value::Bool(bool) => if *bool { "True" } else { "False" }.to_owned(),
                    Value::Text(text) => text.clone(),
                    other => other.to_string(),
                };
                command.extend(["-p".into(), format!("{name}:={value}")]);
            }
            Parameter::Value { name, value } => {
                let value = yaml(value);
                let mut values = serde_json::Map::new();
                values.insert(name.clone(), value);
                let mut node = serde_json::Map::new();
                node.insert(full_name.clone(), json!({"ros__parameters": values}));
                parameters.push(Json::Object(node));
            }
            Parameter::File(path) => parameters.push(json!(path)),
        }
    }
    command.extend(process.remaps.iter().flat_map(|(from, to)| ["-r".into(), format!("{from}:={to}")]));
    // Unsetting a variable that is not set changes nothing.
    let changes = process.environment.iter().filter(|(name, value)| value.is_some() || env::var_os(name).is_some());
    let environment: serde_json::Map<_, _> = changes.map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "command": command,
        "parameters": parameters,
        "environment": environment,
        "shows_stdout": process.output == Output::Screen,
        "respawn": process.respawn != Respawn::Never,
        "shutdown_on_exit": process.shutdown_on_exit,
    })
}

fn compare(ros: &mut Ros, prefix: &Path, file: &Path, arguments: &[(&str, &str)], globals: usize) {
    let named: serde_json::Map<_, _> = arguments.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
    let mut expected = ros.ask(&json!({"file": file, "arguments": named}));
    let answer = expected.to_string();
    let arguments: Vec<_> = arguments.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let actual = launch::load(file, &arguments, &LocalHost::installed_at(prefix));
    match actual {
        Ok(actual) => {
            for process in expected["processes"].as_array_mut().unwrap_or_else(|| panic!("{answer}")) {
                let output = process["output"].take();
                let process = process.as_object_mut().unwrap();
                process.remove("output");
                process.insert("shows_stdout".into(), json!(output == "screen" || output == "both"));
            }
            let processes: Vec<_> = actual.processes.iter().map(|process| to_json(process, globals)).collect();
            assert_eq!(json!(processes), expected["processes"], "{}", file.display());
            assert_eq!(json!(actual.messages), expected["log"], "{}", file.display());
        }
        Err(error) => assert!(expected["error"].is_string(), "actual: {error}\nexpected: {expected}"),
    }
}

#[test]
fn the_shipped_launch_files_give_the_same_processes() {
    let prefix = prefix();
    let Some(mut ros) = Ros::start(prefix.path()) else { return };
    let file = |name: &str| prefix.path().join("share/auriga/launch").join(name);
    for arguments in [
        &[][..],
        &[("record", "a b.mcap"), ("ros", "true"), ("camera", "0"), ("realtime", "true"), ("page_bind", "")],
        &[("vehicle", "carnd"), ("can", "vcan0"), ("mic", "default"), ("log", "auriga_can=debug,info")],
    ] {
        compare(&mut ros, prefix.path(), &file("vehicle.launch.xml"), arguments, 4);
    }
    for arguments in [
        &[("drive", "/d"), ("start_at", "123456789012345")][..],
        &[("transcript", ""), ("seconds", "12.5"), ("record", ""), ("speech", "")],
    ] {
        compare(&mut ros, prefix.path(), &file("replay.launch.xml"), arguments, 4);
    }
}

#[test]
fn supported_tags_and_attributes_give_the_same_processes() {
    let prefix = prefix();
    let Some(mut ros) = Ros::start(prefix.path()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let node = |inner: &str| format!("<node pkg=\"auriga\" exec=\"can\" {inner}");
    fs::write(folder.path().join("sub.xml"), "<launch><arg name=\"n\"/><arg name=\"d\" default=\"5\"/><let name=\"left\" value=\"$(var n)\"/><log message=\"$(dirname)\"/></launch>").unwrap();
    let bodies = [
        node("name=\"a\" namespace=\"/x/y/\"/>"),
        node("namespace=\"x\"><param name=\"p\" value=\"1\"/></node>"),
        node("name=\"a\"><param name=\"p\" value=\"1\"/></node>"),
        node("name=\"a\" namespace=\"n\"><param name=\"p.q\" value=\"1\"/><param name=\"r\" value=\"x\"/></node>"),
        node("args=\" -a 'b c' $(var v)x  $(var v) \"/>"),
        node("args=\"$(var v) $(var v)\"/>"),
        node("args=\" $(var v)\"/>"),
        node("output=\"screen\" respawn=\"$(var t)\" respawn_delay=\"1.5\" respawn_max_retries=\"-1\"/>"),
        node("respawn=\"yes\" on_exit=\"shutdown\"/>"),
        node("respawn=\"0\"/>"),
        node("respawn=\"maybe\"/>"),
        node("respawn_delay=\"-1\"/>"),
        node("respawn_delay=\"$(var v)\"/>"),
        node("on_exit=\"explode\"/>"),
        node("if=\"$(var t)\"/>"),
        node("unless=\" TRUE \"/>"),
        node("if=\"yes\"/>"),
        node("if=\"true\" unless=\"true\"/>"),
        node("colour=\"red\"/>"),
        node("><env name=\"E\" value=\"$(var v)\"/></node>"),
        "<set_env name=\"A\" value=\"1\"/><group><set_env name=\"A\" value=\"2\"/><let name=\"v\" value=\"w\"/></group>".to_owned()
            + &node("args=\"$(var v) $(env A)\"/>"),
        "<set_env name=\"A\" value=\"1\"/><group scoped=\"false\"><unset_env name=\"A\"/><let name=\"v\" value=\"w\"/></group>".to_owned()
            + &node("args=\"$(var v) $(env A none)\"/>"),
        "<set_parameter name=\"p\" value=\"$(var t)\"/><set_parameter name=\"q\" value=\"$(var v)\"/>".to_owned() + &node("/>"),
        "<let name=\"n$(var t)\" value=\"1\"/><log message=\"$(var ntrue)\"/>".to_owned(),
        "<include file=\"$(dirname)/sub.xml\"><arg name=\"n\" value=\"7\"/></include><log message=\"$(dirname) $(var left) $(var d)\"/>".to_owned(),
        "<let name=\"n\" value=\"1\"/><include file=\"$(dirname)/sub.xml\"/>".to_owned(),
        "<include file=\"/none.xml\"/>".to_owned(),
        "<arg name=\"needed\"/>".to_owned(),
        "<arg name=\"v\" default=\"other\"/><log message=\"$(var v)\"/>".to_owned(),
        "<nods/>".to_owned(),
        "<group><let name=\"v\" value=\"w\"/><include file=\"$(dirname)/sub.xml\"><arg name=\"n\" value=\"1\"/></include></group><log message=\"$(var left gone)\"/>".to_owned(),
        "<group if=\"false\"><log message=\"$(var \"/></group>".to_owned(),
        "<node pkg=\"absent\" exec=\"x\"/>".to_owned(),
        "<node pkg=\"auriga\" exec=\"absent\"/>".to_owned(),
        "<log message=\"$(eval '\\'$(var v)\\' == \\'value\\' and not False')\"/>".to_owned(),
        "<push_ros_namespace namespace=\"robot\"/>".to_owned() + &node("namespace=\"arm\"/>") + &node("namespace=\"/x\"/>") + &node("/>"),
        "<group><push_ros_namespace namespace=\"a\"/><push_ros_namespace namespace=\"b/\"/>".to_owned() + &node("/>") + "</group>" + &node("/>"),
        "<push_ros_namespace namespace=\"1a\"/>".to_owned() + &node("/>"),
        node("name=\"n\"><remap from=\"chatter\" to=\"$(var v)\"/><remap from=\"a\" to=\"b\"/></node>"),
        "<group><set_remap from=\"x\" to=\"y\"/>".to_owned() + &node("><remap from=\"a\" to=\"b\"/></node>") + "</group>" + &node("/>"),
        "<executable cmd=\"echo $(var v) 'b c'\" output=\"screen\"><env name=\"E\" value=\"1\"/></executable>".to_owned(),
        node("><param name=\"a\"><param name=\"b\" value=\"1\"/><param name=\"c\"><param name=\"d\" value=\"x\"/></param></param></node>"),
        node("><param name=\"a\" value=\"1\"><param name=\"b\" value=\"1\"/></param></node>"),
        "<arg name=\"mode\" default=\"sim\"><choice value=\"sim\"/><choice value=\"real\"/></arg><log message=\"$(var mode)\"/>".to_owned(),
        "<arg name=\"v\" default=\"sim\"><choice value=\"sim\"/><choice value=\"real\"/></arg>".to_owned(),
        "<log message=\"$(eval '1 + 2 * 3') $(eval '7 / 2') $(eval '2.5 == 2.5') $(eval '1e16') $(eval '-7 // 2')\"/>".to_owned(),
        "<composable_node pkg=\"a\" plugin=\"b\"/>".to_owned(),
        "<log message=\"$(find-pkg-share auriga) $(find-pkg-prefix auriga)\"/>".to_owned(),
    ];
    let globals = |body: &str| body.matches("<set_parameter").count();
    for (i, body) in bodies.iter().enumerate() {
        let file = folder.path().join(format!("{i}.launch.xml"));
        fs::write(&file, format!("<launch><log message=\"$(var v) $(var t)\"/>{body}</launch>")).unwrap();
        println!("{body}");
        compare(&mut ros, prefix.path(), &file, &[("v", "value"), ("t", "true")], globals(body));
    }
}

#[test]
fn parameter_values_match() {
    let prefix = prefix();
    let Some(mut ros) = Ros::start(prefix.path()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.launch.xml");
    let words = [
        "",
        "8",
        "010",
        "0x1F",
        "-1_000",
        "0b11",
        "1.5",
        "-.5",
        ".5",
        "1.",
        "1e3",
        "1.0e+3",
        "1.2.3",
        "yes",
        "No",
        "oN",
        "True",
        "null",
        "~",
        "127.0.0.1:8080",
        "12:30",
        "2026-01-01",
        "'7'",
        "\"x y\"",
        "plughw:1",
        "a: b",
        "[a, b]",
        "[1, 2]",
        "[1, a]",
        "[]",
        "[1.5, 2.5]",
        "[true, no]",
        "['a, b', c]",
        "{a: b}",
        "- x",
        "-x",
        "*x",
        "a #b",
        "a#b",
        "/dev/video0",
        "gst:v4l2src device=/dev/video0 ! sink",
        "$(var t)",
        "$(var v)",
        "$(var n)",
        "'$(var n)'",
        "x$(var n)",
        "[$(var n), 2]",
        "[$(var v), w]",
        "$(var list)",
        "$(var e)",
        "+7",
        "0",
        "00",
        "08",
        "1_0.5",
        ".inf",
        "-.inf",
        "a\\b",
        "größe",
        "a,b",
        "?",
        ":x",
        "=",
    ];
    let types =
        ["", "str", "int", "float", "bool", "list_of_str", "list_of_int", "list_of_float", "list_of_bool", "yaml"];
    let arguments = [("v", "value"), ("t", "true"), ("n", "7"), ("list", "[a, b]"), ("e", "")];
    let (mut stricter, mut looser, mut other) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for word in words {
        for wanted in types {
            let wanted = if wanted.is_empty() { String::new() } else { format!(" type=\"{wanted}\"") };
            let escaped = word.replace('"', "&quot;");
            let text = format!(
                "<launch><log message=\"$(var v)$(var t)$(var n)$(var list)$(var e)\"/><node pkg=\"auriga\" exec=\"can\"><param name=\"p\" value=\"{escaped}\"{wanted}/></node></launch>"
            );
            fs::write(&file, &text).unwrap();
            let named: serde_json::Map<_, _> = arguments.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
            let expected = ros.ask(&json!({"file": file, "arguments": named}));
            let given: Vec<_> = arguments.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let expected = expected["processes"][0]["parameters"][0]["/**"]["ros__parameters"].get("p").cloned();
            let actual = launch::load(&file, &given, &LocalHost::installed_at(prefix.path())).map(|actual| {
                let Parameter::Value { value, .. } = &actual.processes[0].parameters[0] else { panic!() };
                yaml(value)
            });
            match (actual, expected) {
                (Ok(actual), Some(expected)) if actual == expected => {}
                (Ok(actual), Some(expected)) => other.push(format!("{word:?}{wanted}: {actual}, not {expected}")),
                (Ok(actual), None) => looser.push(format!("{word:?}{wanted}: {actual}")),
                (Err(_), None) => {}
                (Err(error), Some(expected)) => stricter.push(format!("{word:?}{wanted}: {expected}; {error}")),
            }
        }
    }
    println!("refused here, accepted by ROS 2:\n{}", stricter.join("\n"));
    assert!(looser.is_empty(), "accepted here, refused by ROS 2:\n{}", looser.join("\n"));
    assert!(other.is_empty(), "different values:\n{}", other.join("\n"));
    assert!(stricter.len() <= 12, "too many values are refused that ROS 2 accepts:\n{}", stricter.join("\n"));
}

#[test]
fn any_text_gives_the_same_value_or_an_error_in_both() {
    let prefix = prefix();
    let Some(mut ros) = Ros::start(prefix.path()) else { return };
    let piece = prop_oneof![
        4 => "[a-z ]{1,3}",
        2 => Just("$(var v)".to_owned()),
        1 => Just("$(var absent def)".to_owned()),
        1 => Just("$(env AURIGA_ABSENT 'a b')".to_owned()),
        1 => Just("$(var absent \"q r\")".to_owned()),
        1 => Just("$(var $(var w))".to_owned()),
        1 => Just("$(eval '1 == 1')".to_owned()),
        2 => r#"[$()\\'" ]{1,3}"#,
    ];
    let texts = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::deterministic();
    let file = PathBuf::from("text.launch.xml");
    let mut agreed = 0;
    for _ in 0..1500 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        for args in [false, true] {
            let variables = json!({"v": "val ue", "w": "v"});
            let expected = ros.ask(&match args {
                true => json!({"words": text, "variables": variables}),
                false => json!({"text": text, "variables": variables}),
            });
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let tag = match args {
                true => format!("<node pkg=\"auriga\" exec=\"can\" args=\"{escaped}\"/>"),
                false => format!("<log message=\"{escaped}\"/>"),
            };
            let set = "<let name=\"v\" value=\"val ue\"/><let name=\"w\" value=\"v\"/>";
            let actual = launch::parse_text(&format!("<launch>{set}{tag}</launch>"), &file);
            let actual = actual.map(|actual| match args {
                true => json!(actual.processes[0].arguments),
                false => json!(actual.messages[0]),
            });
            match (&actual, expected.get("value")) {
                (Ok(actual), Some(expected)) => {
                    assert_eq!(actual, expected, "{text:?}");
                    agreed += 1;
                }
                (Err(_), None) => {}
                _ => panic!("{text:?}\nactual: {actual:?}\nexpected: {expected}"),
            }
        }
    }
    assert!(agreed > 500, "only {agreed} texts were valid");
}
