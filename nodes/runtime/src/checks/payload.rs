//! From the bytes of the wire to a message: bounded, decoded, and from the node whose key it came by.

use super::{received::Refusal, text::one_line};
use auriga_msgs::{Any, Record, TopicId};
use bytes::Bytes;

/// Largest message of a topic of images: an uncompressed one of 7680 × 4320 pixels has 95 MiB.
const MAX_IMAGE_BYTES: usize = 128 << 20;
/// Largest message of any other topic. The largest that Auriga's own nodes publish are scenes: a thousand VSS signals of
/// about 100 bytes.
const MAX_BYTES: usize = 1 << 20;

/// Characters of a publisher's name in a text.
const MAX_NAME_BYTES: usize = 60;

/// The message of `payload`, which came on `topic` by a key of `publisher`.
pub(crate) fn decode(topic: TopicId, publisher: &str, payload: Bytes) -> Result<Any, Refusal> {
    let spec = topic.spec();
    let largest = if spec.record == Record::Jpeg { MAX_IMAGE_BYTES } else { MAX_BYTES };
    let (bytes, by) = (payload.len(), one_line(publisher, MAX_NAME_BYTES));
    if bytes > largest {
        let text = format!("a message of {by} has {bytes} bytes, at most {largest} are expected; it was dropped");
        return Err(Refusal { code: "message-too-large", text });
    }
    let any = Any::decode(topic, payload).map_err(|e| Refusal {
        code: "undecodable-message",
        text: format!("a message of {by} is not a {}: {e}", spec.message),
    })?;
    // On these topics each node publishes by a key of its own: access control on the keys is worth something only if a node
    // cannot speak for another one.
    let named = match &any {
        Any::Usage(usage) => Some(usage.node.as_str()),
        Any::Fault(fault) => Some(fault.node.as_str()),
        _ => None,
    };
    match named {
        Some(named) if named != publisher => {
            let named = one_line(named, MAX_NAME_BYTES);
            let text = format!("a message of {by} says that it is of {named}; it was dropped");
            Err(Refusal { code: "publisher-mismatch", text })
        }
        _ => Ok(any),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_msgs::v1;

    fn bytes(any: &Any) -> Bytes {
        let mut buffer = Vec::new();
        any.encode(&mut buffer).unwrap();
        buffer.into()
    }

    fn code(topic: TopicId, publisher: &str, payload: Bytes) -> &'static str {
        decode(topic, publisher, payload).unwrap_err().code
    }

    #[test]
    fn a_node_cannot_speak_for_another_one() {
        let usage = bytes(&Any::Usage(v1::Usage { node: "can".into(), pid: 1, ..Default::default() }.into()));
        assert!(decode(TopicId::Usage, "can", usage.clone()).is_ok());
        assert_eq!(code(TopicId::Usage, "recorder", usage), "publisher-mismatch");
        let fault = bytes(&Any::Fault(v1::Fault { node: "\u{1b}[2J".into(), ..Default::default() }.into()));
        let refusal = decode(TopicId::Fault, "hud", fault).unwrap_err();
        assert!(!refusal.text.contains(char::is_control), "{}", refusal.text);
    }

    #[test]
    fn messages_have_a_largest_size_by_topic() {
        let text = "x".repeat(MAX_BYTES);
        let fault = bytes(&Any::Fault(v1::Fault { node: "hud".into(), text, ..Default::default() }.into()));
        assert_eq!(code(TopicId::Fault, "hud", fault), "message-too-large");
        let data = vec![7; 2 * MAX_BYTES].into();
        let image = bytes(&Any::CameraFrontImage(v1::Image { data, ..Default::default() }.into()));
        assert!(decode(TopicId::CameraFrontImage, "camera", image).is_ok());
        assert_eq!(code(TopicId::Usage, "can", Bytes::from_static(&[0xff; 9])), "undecodable-message");
    }
}
