//! The shipped launch files, and errors in launch files.

use auriga::launch::{self, FakeHost, LaunchDescription, LaunchError, Parameter, Value};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn shipped(name: &str, arguments: &[(&str, &str)]) -> LaunchDescription {
    let folder = repository().join("launch");
    let files = ["vehicle.launch.xml", "replay.launch.xml"].map(|name| {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    let host = FakeHost { files: files.into(), ..FakeHost::default() };
    let arguments: Vec<_> = arguments.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    launch::load(&folder.join(name), &arguments, &host).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(body: &str) -> Result<LaunchDescription, LaunchError> {
    launch::parse_text(&format!("<launch>{body}</launch>"), Path::new("a.launch.xml"))
}

fn names(launch: &LaunchDescription) -> Vec<&str> {
    launch.processes.iter().map(|process| process.name.as_str()).collect()
}

/// The last value that a process is given for a parameter.
fn value<'a>(launch: &'a LaunchDescription, process: &str, parameter: &str) -> Option<&'a Value> {
    let process = launch.processes.iter().find(|p| p.name == process)?;
    process.parameters.iter().rev().find_map(|p| match p {
        Parameter::Value { name, value } if name == parameter => Some(value),
        _ => None,
    })
}

const NODES: [&str; 8] = ["arbiter", "hud", "language", "fusion", "perception", "speech", "can", "camera"];

#[test]
fn the_vehicle_launch_starts_all_nodes_and_optional_ones_on_request() {
    let launch = shipped("vehicle.launch.xml", &[]);
    assert_eq!(names(&launch), NODES);
    let launch = shipped("vehicle.launch.xml", &[("record", "a.mcap"), ("ros", "true"), ("camera", "0")]);
    let mut all = NODES.to_vec();
    all.splice(2..2, ["recorder", "ros_bridge"]);
    assert_eq!(names(&launch), all);
    assert_eq!(value(&launch, "camera", "device"), Some(&Value::Text("0".into())));
    assert_eq!(value(&launch, "fusion", "sensors.expect_camera"), Some(&Value::Bool(true)));
    assert_eq!(value(&launch, "fusion", "sensors.expect_can"), Some(&Value::Bool(false)));
}

#[test]
fn the_replay_launch_plays_the_files_of_a_drive_and_ends_with_the_monitor() {
    let launch = shipped("replay.launch.xml", &[("drive", "/d"), ("start_at", "123456789012345")]);
    assert!(NODES.iter().all(|node| names(&launch).contains(node)));
    assert_eq!(value(&launch, "camera", "device"), Some(&Value::Text("/d/camera.mp4".into())));
    assert_eq!(value(&launch, "can", "log"), Some(&Value::Text("/d/can.log".into())));
    for process in &launch.processes {
        let start = value(&launch, &process.name, "runtime.start_at");
        assert_eq!(start, Some(&Value::Integer(123456789012345)), "{}", process.name);
    }
    let monitor = launch.processes.last().unwrap();
    assert!(monitor.name == "monitor" && monitor.shutdown_on_exit);
    // The transcript track is used only without a speech model.
    for (model, transcript, track) in [("/m", "/t", false), ("", "/t", true), ("", "", false)] {
        let launch = shipped("replay.launch.xml", &[("model", model), ("transcript", transcript)]);
        let read = value(&launch, "monitor", "transcript_track");
        assert_eq!(read, Some(&Value::Bool(track)), "{model:?} {transcript:?}");
    }
}

/// `ros2 launch` is strict about types: a string that looks like a number would arrive as a number.
#[test]
fn every_parameter_of_the_shipped_files_exists_in_its_node_with_the_same_type() {
    let arguments = [("record", "a.mcap"), ("ros", "true"), ("realtime", "true")];
    let vehicle = shipped("vehicle.launch.xml", &arguments);
    let replay = shipped("replay.launch.xml", &[("drive", "/d")]);
    let runtime = fs::read_to_string(repository().join("nodes/runtime/config.toml")).unwrap();
    for process in vehicle.processes.iter().chain(&replay.processes) {
        let node = process.executable.file_name().unwrap().to_str().unwrap();
        let file = repository().join("nodes").join(node).join("config.toml");
        let own = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let defaults: toml::Table = format!("{own}\n{runtime}").parse().unwrap();
        for parameter in &process.parameters {
            let Parameter::Value { name, value } = parameter else { continue };
            let mut default = Some(&defaults);
            let keys = name.split('.');
            let mut found = None;
            for key in keys {
                found = default.and_then(|table| table.get(key));
                default = found.and_then(toml::Value::as_table);
            }
            let found = found.unwrap_or_else(|| panic!("{node} has no field {name}"));
            let same = match value {
                Value::Text(_) => found.is_str(),
                Value::Integer(_) => found.is_integer() || found.is_float(),
                Value::Float(_) => found.is_float(),
                Value::Bool(_) => found.is_bool(),
                Value::List(_) => found.is_array(),
            };
            assert!(same, "{node}: {name} is {found}, the launch file gives {value:?}");
        }
    }
}

#[test]
fn a_group_restores_variables_and_environment_at_its_end() {
    let launch = parse(
        r#"<arg name="a" default="1"/>
           <set_env name="E" value="outer"/>
           <group> <let name="a" value="2"/> <set_env name="E" value="inner"/>
             <set_parameter name="p" value="$(var a)"/>
             <node pkg="auriga" exec="can" args="$(var a)"/> </group>
           <node pkg="auriga" exec="can" args="$(var a)"> <env name="F" value="$(env E)"/> </node>
           <group scoped="false"> <let name="a" value="3"/> <unset_env name="E"/> </group>
           <node pkg="auriga" exec="can" args="$(var a)"/>
           <node pkg="auriga" exec="can" if="false"/>
           <log message="a is $(var a)"/>"#,
    )
    .unwrap();
    let lines: Vec<_> = launch.processes.iter().map(|p| p.command_line().join(" ")).collect();
    assert_eq!(lines, ["2 --ros-args -p p:=2", "1 --ros-args", "3 --ros-args"]);
    assert_eq!(names(&launch), ["can", "can-2", "can-3"]);
    let environment = |n: usize| launch.processes[n].environment.clone();
    let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(environment(0), [set("E", "inner")]);
    assert_eq!(environment(1), [set("E", "outer"), set("F", "outer")]);
    assert_eq!(environment(2), [("E".to_owned(), None)]);
    assert_eq!(launch.messages, ["a is 3"]);
}

#[test]
fn includes_share_variables_and_have_their_own_dirname() {
    let files = [
        (
            "/x/a.xml",
            r#"<launch><include file="$(dirname)/sub/b.xml"><arg name="n" value="7"/></include>
                        <log message="$(dirname) $(var set_there)"/></launch>"#,
        ),
        (
            "/x/sub/b.xml",
            r#"<launch><arg name="n"/><let name="set_there" value="$(var n)"/>
                            <log message="$(dirname)"/></launch>"#,
        ),
        ("/x/lacks.xml", r#"<launch><arg name="n" default="1"/><include file="$(dirname)/sub/b.xml"/></launch>"#),
    ];
    let files = files.map(|(path, text)| (PathBuf::from(path), text.to_owned())).into();
    let host = FakeHost { files, ..FakeHost::default() };
    let launch = launch::load(Path::new("/x/a.xml"), &[], &host).unwrap();
    assert_eq!(launch.messages, ["/x/sub", "/x 7"]);
    // As in ROS 2, also where a variable n is set.
    let error = launch::load(Path::new("/x/lacks.xml"), &[], &host).unwrap_err().to_string();
    assert!(error.starts_with("/x/lacks.xml:1:") && error.contains("needs the argument \"n\""), "{error}");
    let given = [("m".to_owned(), "1".to_owned())];
    let error = launch::load(Path::new("/x/a.xml"), &given, &host).unwrap_err().to_string();
    assert!(error.contains("no argument is named \"m\""), "{error}");
}

#[test]
fn errors_name_file_line_and_column() {
    let node = |attributes: &str| format!("\n  <node pkg=\"auriga\" exec=\"can\" {attributes}/>");
    let many = format!("{}{}", "<group>".repeat(50), "</group>".repeat(50));
    let mut wrong = String::new();
    for (body, place, part) in [
        ("<nods/>".to_owned(), "1:9", "<nods> is not supported inside <launch>"),
        ("\n <node pkg=\"auriga\" exec=\"can\"><nods/></node>".into(), "2:32", "<nods> is not supported inside <node>"),
        (node("colour=\"red\""), "3:33", "no attribute \"colour\""),
        ("<node pkg=\"auriga\"/>".into(), "1:9", "needs the attribute \"exec\""),
        ("<node pkg=\"other\" exec=\"x\"/>".into(), "1:27", "\"other\" was not found"),
        ("some words".into(), "1:9", "some words"),
        ("<let name=\"a\"/>".into(), "1:9", "needs the attribute \"value\""),
        ("<arg name=\"a\"/>".into(), "1:9", "add a:=VALUE"),
        ("<log message=\"$(var nothing)\"/>".into(), "1:14", "\"nothing\""),
        ("<log message=\"$(nothing)\"/>".into(), "1:14", "$(nothing …) is not supported"),
        // Also in a group that is disabled.
        ("<group if=\"false\"><log message=\"$(var \"/></group>".into(), "1:32", "not closed"),
        ("<log message=\"a\" if=\"true\" unless=\"true\"/>".into(), "1:36", "exclude each other"),
        ("<log message=\"a\" if=\"yes\"/>".into(), "1:26", "must be true, false, 1 or 0"),
        (node("output=\"nowhere\""), "3:33", "screen, log or both"),
        (node("respawn=\"maybe\""), "3:33", "true or false"),
        (node("respawn_delay=\"-1\""), "3:33", "seconds"),
        (node("respawn_max_retries=\"2.5\""), "3:33", "whole number"),
        (node("on_exit=\"explode\""), "3:33", "shutdown"),
        (node("args=\"'open\""), "3:33", "quote"),
        ("<node pkg=\"auriga\" exec=\"can\"><param name=\"a\"/></node>".into(), "1:39", "either name and value"),
        (
            "<node pkg=\"auriga\" exec=\"can\"><param name=\"a\" value=\"x\" type=\"int\"/></node>".into(),
            "1:55",
            "whole number",
        ),
        (
            "<node pkg=\"auriga\" exec=\"can\"><param name=\"a\" value=\"x\" type=\"id\"/></node>".into(),
            "1:65",
            "one of str",
        ),
        ("<node pkg=\"auriga\" exec=\"can\"><param name=\"a\" value=\"a: b\"/></node>".into(), "1:55", "type=\"str\""),
        ("<include file=\"/none.xml\"/>".into(), "1:9", "/none.xml"),
        ("<include file=\"$(dirname)/x.launch.py\"/>".into(), "1:9", "is a Python launch file"),
        ("<include file=\"x.yaml\"/>".into(), "1:9", "is a YAML launch file"),
        ("<node_container pkg=\"a\" exec=\"b\" name=\"c\"/>".into(), "1:9", "composable nodes"),
        ("<group><load_composable_node target=\"c\"/></group>".into(), "1:16", "composable nodes"),
        ("<push_ros_namespace namespace=\"1a\"/>".into(), "1:29", "begins with a digit"),
        ("<push_ros_namespace/>".into(), "1:9", "needs the attribute \"namespace\""),
        ("<timer period=\"soon\"/>".into(), "1:16", "seconds"),
        ("<executable cmd=\"\"/>".into(), "1:21", "a program"),
        (
            "<arg name=\"m\" default=\"x\"><choice value=\"sim\"/><choice value=\"real\"/></arg>".into(),
            "1:23",
            "one of sim, real, found \"x\"",
        ),
        (
            "<node pkg=\"auriga\" exec=\"can\"><param name=\"a\" value=\"1\"><param name=\"b\" value=\"1\"/></param></node>".into(),
            "1:39",
            "further <param>",
        ),
        ("<node pkg=\"auriga\" exec=\"can\"><remap from=\"a\"/></node>".into(), "1:39", "needs the attribute \"to\""),
        ("<include file=\"a.launch.xml\"/>".into(), "1:9", "nested deeper"),
        (many, "", "nested deeper"),
        ("<log message=\"a\"".into(), "1:", "not well-formed"),
        ("<!DOCTYPE x [<!ENTITY e \"a\">]>".into(), "1:", "not well-formed"),
    ] {
        let body = if body.starts_with("\n  <node") { format!("\n{body}") } else { body };
        let error = parse(&body).expect_err(&body).to_string();
        if !(error.starts_with(&format!("a.launch.xml:{place}")) && error.contains(part)) {
            wrong += &format!("{body}\n{error}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let error = launch::parse_text("<robot/>", Path::new("a.launch.xml")).unwrap_err().to_string();
    assert!(error.contains("root tag must be <launch>"), "{error}");
    let error = launch::load(Path::new("/none.launch.xml"), &[], &FakeHost::default()).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}

#[test]
fn namespaces_and_remaps_hold_in_their_group() {
    let launch = parse(
        r#"<group>
             <push_ros_namespace namespace="robot"/> <set_remap from="x" to="y"/>
             <node pkg="auriga" exec="can" name="a"><remap from="chatter" to="talk"/></node>
             <group><push-ros-namespace namespace="arm"/><node pkg="auriga" exec="can" namespace="left/"/></group>
             <node pkg="auriga" exec="can" namespace="/other"/>
           </group>
           <node pkg="auriga" exec="can"/>"#,
    )
    .unwrap();
    let lines: Vec<_> = launch.processes.iter().map(|p| p.command_line().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "--ros-args -r __node:=a -r __ns:=/robot -r x:=y -r chatter:=talk",
            "--ros-args -r __ns:=/robot/arm/left -r x:=y",
            "--ros-args -r __ns:=/other -r x:=y",
            "--ros-args",
        ]
    );
}

#[test]
fn programs_that_are_no_nodes_get_no_arguments_of_ros() {
    let launch = parse(
        r#"<arg name="w" default="a b"/>
           <executable cmd="./tools/probe 'x y' $(var w)" output="screen" cwd="/tmp"><env name="E" value="1"/></executable>
           <executable cmd="echo $(var w) | cat" shell="true" name="piped" respawn="true" respawn_delay="2"/>"#,
    )
    .unwrap();
    let [probe, piped] = launch.processes.as_slice() else { panic!("{launch:?}") };
    assert_eq!((probe.name.as_str(), probe.executable.to_str().unwrap()), ("probe", "./tools/probe"));
    assert_eq!(probe.command_line(), ["x y", "a b"]);
    assert_eq!(probe.folder.as_deref(), Some(Path::new("/tmp")));
    assert_eq!(probe.environment, [("E".to_owned(), Some("1".to_owned()))]);
    assert_eq!((piped.name.as_str(), piped.command_line()), ("piped", vec!["-c".into(), "echo a b | cat".into()]));
}

#[test]
fn parameters_nest_and_timers_delay_what_is_in_them() {
    let launch = parse(
        r#"<arg name="mode" default="sim"><choice value="sim"/><choice value="real"/></arg>
           <node pkg="auriga" exec="can">
             <param name="a"><param name="b" value="1"/><param name="c"><param name="d" value="x"/></param></param>
           </node>
           <timer period="$(eval '1 + 0.5')"><let name="mode" value="real"/><node pkg="auriga" exec="hud" name="$(var mode)"/>
             <timer period="2"><node pkg="auriga" exec="can" name="last"/></timer></timer>
           <node pkg="auriga" exec="can" name="$(var mode)" if="$(eval '2.5 * 2 == 5')"/>
           <set_parameters_from_file filename="p.yaml"/>
           <node pkg="auriga" exec="can" name="f"/>"#,
    )
    .unwrap();
    assert_eq!(launch.processes[0].command_line().join(" "), "--ros-args -p a.b:=1 -p a.c.d:=x");
    let starts: Vec<_> = launch.processes.iter().map(|p| (p.name.as_str(), p.start_after.as_millis())).collect();
    assert_eq!(starts, [("can", 0), ("real", 1500), ("last", 3500), ("sim", 0), ("f", 0)]);
    assert_eq!(launch.processes[4].command_line().join(" "), "--ros-args -r __node:=f --params-file p.yaml");
}

#[test]
fn launch_files_of_public_kinds_are_taken() {
    let Some(cases) = auriga_testing::shared_data("cases/ecosystem/launch") else { return };
    for file in fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap().replace("pkg=\"probe\"", "pkg=\"auriga\"");
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        match launch::parse_text(&text, &file) {
            Ok(launch) => assert!(!launch.processes.is_empty(), "{name}"),
            Err(error) => {
                let python = name.ends_with(".py") || name.contains("incpy");
                assert!(python && error.to_string().contains("Python"), "{error}");
            }
        }
    }
}

#[test]
fn files_that_expand_without_limit_are_refused() {
    let doubling: String = (0..40).map(|_| r#"<let name="a" value="$(var a x)$(var a x)"/>"#).collect();
    assert!(parse(&doubling).unwrap_err().to_string().contains("longer than"));
    let both = r#"<include file="a.launch.xml"/><include file="a.launch.xml"/>"#;
    assert!(parse(both).is_err());
    let wide = "<log message=\"a\"/>".repeat(30_000);
    assert!(parse(&wide).is_err());
    // Deep nesting must not overflow the stack.
    assert!(parse(&"<group>".repeat(100_000)).is_err());
    let entities = "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><launch><log message=\"&b;\"/></launch>";
    assert!(launch::parse_text(entities, Path::new("a.launch.xml")).is_err());
}

fn tag() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("$(var a)".to_owned()),
        Just("$(eval 'True')".to_owned()),
        Just("auriga".to_owned()),
        "[a-z$()' ]{0,10}",
        r"\PC{0,6}"
    ];
    let name = prop_oneof![
        "name|value|default|pkg|exec|if|unless|file|message|args|type|from|to|cmd|cwd|period|namespace|respawn|respawn_delay|on_exit|output|scoped",
        "[a-z]{1,4}"
    ];
    let attributes = prop::collection::btree_map(name, value, 0..4);
    let tag = prop_oneof![
        "arg|let|set_env|unset_env|set_parameter|set_remap|push_ros_namespace|node|executable|timer|group|include|log|param|remap|env|choice",
        "[a-z]{1,4}"
    ];
    (tag, attributes).prop_map(|(tag, attributes)| {
        let escaped = |v: &str| v.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let attributes: String = attributes.iter().map(|(k, v)| format!(" {k}=\"{}\"", escaped(v))).collect();
        format!("<{tag}{attributes}>")
    })
}

proptest! {
    #[test]
    fn any_text_gives_a_launch_or_an_error(text in r"\PC{0,200}") {
        let _ = launch::parse_text(&text, Path::new("a.launch.xml"));
    }

    #[test]
    fn any_nesting_of_tags_gives_a_launch_or_an_error(tags in prop::collection::vec((tag(), any::<bool>()), 0..12)) {
        let mut text = "<launch><arg name=\"a\" default=\"1\"/>".to_owned();
        let mut open = vec!["launch".to_owned()];
        for (tag, closes) in tags {
            let name = tag[1..tag.len() - 1].split(' ').next().unwrap().to_owned();
            text.push_str(&tag);
            if closes { text.push_str(&format!("</{name}>")) } else { open.push(name) }
        }
        while let Some(name) = open.pop() {
            text.push_str(&format!("</{name}>"));
        }
        if let Err(error) = launch::parse_text(&text, Path::new("a.launch.xml")) {
            prop_assert!(error.at.line >= 1 && error.at.column >= 1);
            prop_assert!(error.to_string().starts_with("a.launch.xml:"), "{}", error);
        }
    }

    #[test]
    fn a_truncated_launch_file_gives_an_error(at in 0_usize..6000) {
        let text = fs::read_to_string(repository().join("launch/vehicle.launch.xml")).unwrap();
        let end = text.trim_end().len();
        let at = at % end;
        prop_assume!(text.is_char_boundary(at));
        prop_assert!(launch::parse_text(&text[..at], Path::new("a.launch.xml")).is_err());
    }
}
