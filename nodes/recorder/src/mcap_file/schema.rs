//! The schemas of a recording: for each message the protobuf descriptors that it needs.

use auriga_msgs::{DESCRIPTORS, Record, TopicSpec};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::BTreeSet;

/// The generated message and descriptors of `proto/recorded_image.proto`.
#[allow(missing_docs, reason = "generated; the .proto file has the comments")]
pub(super) mod image {
    include!(concat!(env!("OUT_DIR"), "/foxglove.rs"));
    pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/image.bin"));
}

/// The full name of the message type that `topic` is recorded as.
pub fn name(topic: &TopicSpec) -> String {
    match topic.record {
        Record::Proto => format!("auriga.v1.{}", topic.message),
        Record::Jpeg => "foxglove.CompressedImage".into(),
    }
}

/// The schema of `topic`: an encoded `FileDescriptorSet` in which each file comes after its imports.
pub fn data(topic: &TopicSpec) -> Vec<u8> {
    let all = match topic.record {
        Record::Proto => DESCRIPTORS,
        Record::Jpeg => image::DESCRIPTORS,
    };
    let all = FileDescriptorSet::decode(all).expect("protoc wrote these descriptors during the build");
    reduced(&all, &format!(".{}", name(topic))).encode_to_vec()
}

/// The part of `all` that the message `root` (".package.Name") needs.
fn reduced(all: &FileDescriptorSet, root: &str) -> FileDescriptorSet {
    let mut needed = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(name) = open.pop() {
        let message = all.file.iter().find_map(|f| f.message_type.iter().find(|m| full_name(f, m.name()) == name));
        if needed.insert(name)
            && let Some(message) = message
        {
            referenced(message, &mut open);
        }
    }
    let mut files: Vec<FileDescriptorProto> = all.file.iter().map(|f| only(f, &needed)).collect();
    files.retain(|f| !f.message_type.is_empty() || !f.enum_type.is_empty());
    let kept: BTreeSet<String> = files.iter().map(|f| f.name().to_owned()).collect();
    for file in &mut files {
        file.dependency.retain(|d| kept.contains(d));
    }
    FileDescriptorSet { file: files }
}

fn full_name(file: &FileDescriptorProto, name: &str) -> String {
    format!(".{}.{name}", file.package())
}

/// Adds the types of a message's fields, and of the messages declared within it.
fn referenced(message: &DescriptorProto, open: &mut Vec<String>) {
    open.extend(message.field.iter().filter_map(|f| f.type_name.clone()));
    message.nested_type.iter().for_each(|m| referenced(m, open));
}

fn only(file: &FileDescriptorProto, needed: &BTreeSet<String>) -> FileDescriptorProto {
    let mut file = file.clone();
    let prefix = format!(".{}.", file.package());
    // A message with a needed nested type is kept completely.
    let keep = |name: &str| {
        let name = format!("{prefix}{name}");
        let within = format!("{name}.");
        needed.iter().any(|n| *n == name || n.starts_with(&within))
    };
    file.message_type.retain(|m| keep(m.name()));
    file.enum_type.retain(|e| keep(e.name()));
    file.source_code_info = None;
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_msgs::{TOPICS, TopicId};

    #[test]
    fn a_schema_has_what_its_message_needs_in_import_order() {
        for topic in TOPICS {
            let set = FileDescriptorSet::decode(&data(topic)[..]).unwrap();
            let mut seen = BTreeSet::new();
            for file in &set.file {
                assert!(file.dependency.iter().all(|d| seen.contains(d)), "{}: {}", topic.name, file.name());
                seen.insert(file.name().to_owned());
            }
            let names: Vec<String> =
                set.file.iter().flat_map(|f| f.message_type.iter().map(|m| full_name(f, m.name()))).collect();
            assert!(names.contains(&format!(".{}", name(topic))), "{}: {names:?}", topic.name);
            assert!(names.contains(&".auriga.v1.Header".to_owned()), "{}: {names:?}", topic.name);
        }
        let set = FileDescriptorSet::decode(&data(TopicId::VehicleState.spec())[..]).unwrap();
        let names: Vec<&str> = set.file.iter().flat_map(|f| f.message_type.iter().map(|m| m.name())).collect();
        assert_eq!(names, ["Header", "VssSignal", "RadarTrack", "VehicleState"]);
    }
}
