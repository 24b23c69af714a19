//! Compiles the messages and turns `topics.toml` into types. A table that does not fit the messages (an unknown message,
//! node or topic, a message without a header) ends the build with the row to mend.

use std::{env, fs, path::PathBuf};

#[path = "src/table.rs"]
mod table;
use table::{Chain, Node, Table, Topic};

fn main() {
    let protos = [
        "proto/auriga/v1/common.proto",
        "proto/auriga/v1/sensors.proto",
        "proto/auriga/v1/world.proto",
        "proto/auriga/v1/cabin.proto",
    ];
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=topics.toml");
    println!("cargo:rerun-if-changed=src/table.rs");

    let text = fs::read_to_string("topics.toml").unwrap_or_else(|e| fail(&format!("topics.toml: {e}")));
    let table = Table::parse(&text).unwrap_or_else(|e| fail(&format!("topics.toml: {e}")));
    let private = private_messages(&table);
    prost_build::Config::new()
        // Bytes: an image's pixels stay where Zenoh's shared memory put them.
        .bytes(["."])
        .skip_debug(private.iter().map(|m| format!(".auriga.v1.{m}")))
        .file_descriptor_set_path(out.join("descriptors.bin"))
        .compile_protos(&protos, &["proto"])
        .unwrap_or_else(|e| fail(&format!("proto files: {e}")));

    let messages = stamped_messages(&protos);
    for topic in &table.topics {
        if !messages.contains(&topic.message) {
            fail(&format!(
                "topics.toml: topic {}: message {} is not a message of proto/auriga/v1 that begins with `Header header = 1`",
                topic.name, topic.message
            ));
        }
    }
    let code = generate(&table, &messages) + &redacted(&private);
    fs::write(out.join("topics.rs"), code).expect("OUT_DIR is writable");
}

/// The messages of private topics, and those they contain.
fn private_messages(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = table.topics.iter().filter(|t| t.private).map(|t| t.message.clone()).collect();
    names.extend(["Word", "Slot"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// Private messages are formatted without what they hold, so that it is in no log line and no panic.
fn redacted(private: &[String]) -> String {
    let mut code = String::new();
    for m in private {
        code += &format!(
            "impl std::fmt::Debug for v1::{m} {{ fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ write!(f, \"{m}({{}} private bytes)\", prost::Message::encoded_len(self)) }} }}\n"
        );
    }
    code
}

fn fail(text: &str) -> ! {
    eprintln!("\n{text}\n");
    std::process::exit(1)
}

/// Names of the messages whose first field is a header.
fn stamped_messages(protos: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in protos.iter().filter(|p| p.contains("auriga/v1")) {
        let text = fs::read_to_string(path).unwrap_or_else(|e| fail(&format!("{path}: {e}")));
        let mut name = None;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("message ") {
                name = rest.split_whitespace().next().map(str::to_owned);
            } else if line.starts_with("Header header = 1;") {
                found.extend(name.take());
            }
        }
    }
    found
}

fn camel(name: &str) -> String {
    name.split(['/', '-', '_']).map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}

fn generate(table: &Table, messages: &[String]) -> String {
    let mut code = String::from("// Generated from topics.toml by build.rs.\n");
    for m in messages {
        code += &format!(
            "impl Stamped for v1::{m} {{ fn header_slot(&mut self) -> &mut Option<v1::Header> {{ &mut self.header }} fn header_opt(&self) -> Option<&v1::Header> {{ self.header.as_ref() }} }}\n"
        );
    }
    code += &topic_ids(&table.topics);
    code += &any_enum(&table.topics);
    code += &topic_markers(&table.topics);
    code += &node_modules(&table.nodes, &table.topics);
    code += &chains(&table.chains);
    code
}

fn topic_ids(topics: &[Topic]) -> String {
    let mut code = String::from(
        "/// A topic of the table.\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(u16)]\npub enum TopicId {\n",
    );
    for t in topics {
        code += &format!("/// `{}`: [`v1::{}`]\n{},\n", t.name, t.message, camel(&t.name));
    }
    code +=
        "}\n/// All rows of the table, in its order: `TOPICS[id as usize]`.\npub static TOPICS: &[TopicSpec] = &[\n";
    for t in topics {
        let ros = match &t.ros {
            Some(r) => format!("Some(RosSpec {{ name: {:?}, ty: {:?} }})", r.name, r.r#type),
            None => "None".into(),
        };
        code += &format!(
            "TopicSpec {{ id: TopicId::{}, name: {:?}, message: {:?}, publisher: {:?}, subscribers: &{:?}, criticality: Criticality::{:?}, rate_hz: {:?}, timeout_ms: {:?}, validity_ms: {:?}, reliability: Reliability::{:?}, depth: {}, priority: Priority::{:?}, shared_memory: {}, private: {}, record: Record::{:?}, replay_as: {:?}, ros: {ros} }},\n",
            camel(&t.name),
            t.name,
            t.message,
            t.publisher,
            t.subscribers,
            t.criticality,
            t.rate_hz,
            t.timeout_ms,
            t.validity_ms,
            t.reliability,
            t.depth,
            t.priority,
            t.shared_memory,
            t.private,
            t.record,
            t.replay_as
        );
    }
    code + "];\n"
}

fn any_enum(topics: &[Topic]) -> String {
    let arms =
        |f: &dyn Fn(&str, &Topic) -> String| -> String { topics.iter().map(|t| f(&camel(&t.name), t)).collect() };
    format!(
        "/// A message together with its topic. Cheap to clone.\n#[derive(Debug, Clone, PartialEq)]\npub enum Any {{\n{} }}\n\
         impl Any {{\n\
         /// The topic it belongs to.\npub fn topic(&self) -> TopicId {{ match self {{ {} }} }}\n\
         /// Its header (zeros when the sender left it out).\npub fn header(&self) -> v1::Header {{ match self {{ {} }} }}\n\
         /// The header to fill in; copies the message only when it is shared.\npub fn header_mut(&mut self) -> &mut v1::Header {{ match self {{ {} }} }}\n\
         /// Length of its protobuf encoding in bytes.\npub fn encoded_len(&self) -> usize {{ match self {{ {} }} }}\n\
         /// Appends its protobuf encoding.\n///\n/// # Errors\n/// `buf` has no room for it.\npub fn encode(&self, buf: &mut impl bytes::BufMut) -> Result<(), prost::EncodeError> {{ match self {{ {} }} }}\n\
         /// Reads a message of `topic`; `bytes` fields share `buf`.\n///\n/// # Errors\n/// `buf` is not an encoding of the topic's message.\npub fn decode(topic: TopicId, buf: bytes::Bytes) -> Result<Any, prost::DecodeError> {{ Ok(match topic {{ {} }}) }}\n\
         }}\n",
        arms(&|n, t| format!("/// `{}`\n{n}(std::sync::Arc<v1::{}>), ", t.name, t.message)),
        arms(&|n, _| format!("Any::{n}(_) => TopicId::{n}, ")),
        arms(&|n, _| format!("Any::{n}(m) => m.header_copy(), ")),
        arms(&|n, _| format!("Any::{n}(m) => std::sync::Arc::make_mut(m).header_slot().get_or_insert_default(), ")),
        arms(&|n, _| format!("Any::{n}(m) => prost::Message::encoded_len(m.as_ref()), ")),
        arms(&|n, _| format!("Any::{n}(m) => prost::Message::encode(m.as_ref(), buf), ")),
        arms(&|n, _| format!("TopicId::{n} => Any::{n}(std::sync::Arc::new(prost::Message::decode(buf)?)), ")),
    )
}

fn topic_markers(topics: &[Topic]) -> String {
    let mut code = String::from("/// One type for each topic.\npub mod topic {\nuse super::*;\n");
    for t in topics {
        let n = camel(&t.name);
        code += &format!(
            "/// `{}`\n#[derive(Debug, Clone, Copy)]\npub struct {n};\nimpl Topic for {n} {{ type Message = v1::{}; const ID: TopicId = TopicId::{n}; fn wrap(m: std::sync::Arc<v1::{}>) -> Any {{ Any::{n}(m) }} }}\n",
            t.name, t.message, t.message
        );
        code += &match t.publisher.as_str() {
            "any" => format!("impl<N: NodeName> PublishedBy<N> for {n} {{}}\n"),
            "device" => format!("impl PublishedBy<super::node::Device> for {n} {{}}\n"),
            p => format!("impl PublishedBy<super::node::{}> for {n} {{}}\n", camel(p)),
        };
    }
    code + "}\n"
}

fn node_modules(nodes: &[Node], topics: &[Topic]) -> String {
    let mut code = String::from(
        "/// One type for each node, and what it reads.\npub mod node {\nuse super::*;\n/// A node's own shell.\n#[derive(Debug, Clone, Copy)]\npub struct Device;\n",
    );
    let mut specs = String::new();
    for node in nodes {
        let n = camel(&node.name);
        let reads: Vec<&Topic> = topics
            .iter()
            .filter(|t| {
                let observes = match node.name.as_str() {
                    "recorder" | "monitor" => true,
                    "ros-bridge" => t.ros.is_some(),
                    _ => false,
                };
                t.subscribers.contains(&node.name) || (observes && t.publisher != "device" && t.publisher != node.name)
            })
            .collect();
        let ids: String = reads.iter().map(|t| format!("TopicId::{}, ", camel(&t.name))).collect();
        let spec = format!(
            "NodeSpec {{ name: {:?}, criticality: Criticality::{:?}, port: {}, start_limit_s: {}, keeps_stale: {}, reads: &[{ids}] }}",
            node.name, node.criticality, node.port, node.start_limit_s, node.keeps_stale
        );
        code += &format!(
            "/// The node `{}`.\n#[derive(Debug, Clone, Copy)]\npub struct {n};\nimpl NodeName for {n} {{ const SPEC: NodeSpec = {spec}; type Input = {n}Input; }}\n",
            node.name
        );
        code += &format!(
            "/// What `{}` reads.\n#[derive(Debug, Clone)]\npub enum {n}Input {{\n{} }}\n",
            node.name,
            reads
                .iter()
                .map(|t| format!("/// `{}`\n{}(std::sync::Arc<v1::{}>), ", t.name, camel(&t.name), t.message))
                .collect::<String>()
        );
        let arms: String = reads
            .iter()
            .map(|t| {
                let v = camel(&t.name);
                format!("Any::{v}(m) => {n}Input::{v}(m), ")
            })
            .collect();
        let rest = if reads.len() == topics.len() { "" } else { "_ => return None," };
        code += &format!(
            "impl FromAny for {n}Input {{ fn from_any(any: Any) -> Option<Self> {{ Some(match any {{ {arms} {rest} }}) }} }}\n"
        );
        let back: String =
            reads.iter().map(|t| format!("{n}Input::{v}(m) => Any::{v}(m), ", v = camel(&t.name))).collect();
        code += &format!(
            "impl From<{n}Input> for Any {{ fn from(input: {n}Input) -> Any {{ match input {{ {back} }} }} }}\n"
        );
        specs += &spec;
        specs += ",\n";
    }
    code + "}\n/// All nodes of the table.\npub static NODES: &[NodeSpec] = &[\n" + &specs + "];\n"
}

fn chains(chains: &[Chain]) -> String {
    let id = |n: &Option<String>| n.as_ref().map_or("None".into(), |n| format!("Some(TopicId::{})", camel(n)));
    let mut code = String::from("/// The end-to-end budgets.\npub static CHAINS: &[ChainSpec] = &[\n");
    for c in chains {
        code += &format!(
            "ChainSpec {{ name: {:?}, to: TopicId::{}, from: {}, from_edge: Edge::{:?}, source: {}, budget_ms: {:?}, criticality: Criticality::{:?} }},\n",
            c.name,
            camel(&c.to),
            id(&c.from),
            c.from_edge,
            id(&c.source),
            c.budget_ms,
            c.criticality
        );
    }
    code + "];\n"
}
