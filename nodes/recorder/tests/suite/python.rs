//! Recordings read by the official Python library.

use crate::common::{camera_image, hud_frame, run_python, state};
use auriga_msgs::Any;
use auriga_recorder::mcap_file::{Reader, Settings, Writer};

/// Prints a line for each message: topic, schema, times, sequence, and some of its content.
const DUMP: &str = r#"
import sys
from mcap.reader import make_reader, NonSeekingReader
from mcap.exceptions import McapError
from mcap_protobuf.decoder import DecoderFactory

path, how = sys.argv[1:]
with open(path, "rb") as f:
    reader = make_reader(f, decoder_factories=[DecoderFactory()]) if how == "seeking" else \
        NonSeekingReader(f, decoder_factories=[DecoderFactory()])
    try:
        # Not sorted: to sort, the streaming reader would first look for the file's end.
        for schema, channel, message, m in reader.iter_decoded_messages(log_time_order=how == "seeking"):
            head = m.header
            assert (head.published_ns, head.stamp_ns) == (message.log_time, message.publish_time), channel.topic
            print(channel.topic, schema.name, message.log_time, message.sequence, head.trace_id, end=" ")
            if schema.name == "foxglove.CompressedImage":
                stamp = m.timestamp.seconds * 10**9 + m.timestamp.nanos
                assert stamp == message.publish_time and m.data[:2] == b"\xff\xd8"
                print(m.format, m.frame_id, m.width, m.height, channel.metadata["publisher"])
            else:
                print(channel.metadata["publisher"], channel.metadata["criticality"])
    except McapError as e:
        print("truncated:", type(e).__name__)
"#;

fn record(dir: &tempfile::TempDir, finish: bool) -> String {
    let path = dir.path().join("a.mcap");
    let mut writer = Writer::create_with(&path, Settings::default()).unwrap();
    for any in [
        state(10, 0),
        Any::CameraFrontImage(camera_image(50, 1).into()),
        Any::HudFrame(hud_frame(60, 2).into()),
        state(2000, 1),
    ] {
        writer.write(&any).unwrap();
    }
    if finish {
        writer.finish().unwrap();
    } else {
        // As after a kill: no destructor, no summary.
        std::mem::forget(writer);
    }
    path.to_str().unwrap().to_owned()
}

const FIRST_SECOND: &str = "\
vehicle/state auriga.v1.VehicleState 10000000 0 1407374883553280 can safety
camera/front/image foxglove.CompressedImage 50000000 1 1407374883553281 jpeg camera 64 48 camera
hud/frame foxglove.CompressedImage 60000000 2 1407374883553282 jpeg hud 4 2 hud
";

#[test]
fn python_decodes_every_message_with_the_schemas_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = record(&dir, true);
    let expected =
        format!("{FIRST_SECOND}vehicle/state auriga.v1.VehicleState 2000000000 1 1407374883553281 can safety\n");
    for how in ["seeking", "streaming"] {
        let Some(found) = run_python(DUMP, &[&path, how]) else { return };
        assert_eq!(found, expected, "{how}");
    }
}

#[test]
fn python_reads_an_unfinished_recording_up_to_its_last_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let path = record(&dir, false);
    assert_eq!(Reader::open(&path).unwrap().count(), 3);
    let Some(found) = run_python(DUMP, &[&path, "streaming"]) else { return };
    assert_eq!(found, format!("{FIRST_SECOND}truncated: EndOfFile\n"));
}
