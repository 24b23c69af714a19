//! Fixtures of the tests.
#![allow(dead_code)]

use auriga_can::{CanNode, dbc::Database, mapping::Mapping};
use auriga_msgs::v1;
use std::path::{Path, PathBuf};

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn demo_database() -> Database {
    Database::load(repository().join("calibration/auriga-demo/vehicle.dbc")).expect("the demo car's database")
}

pub fn demo_node() -> CanNode {
    let database = demo_database();
    let mapping = Mapping::load(repository().join("calibration/auriga-demo/vss.toml"), &database).expect("the mapping");
    CanNode::with(database, mapping)
}

/// A frame with a message's values.
pub fn frame(database: &Database, message: &str, values: &[(&str, f64)], stamp_ns: u64) -> v1::CanFrame {
    let message = database.message_by_name(message).expect(message);
    let mut data = vec![0; message.length()];
    message.encode(values, &mut data).expect("values in range");
    v1::CanFrame { stamp_ns, id: message.id(), data: data.into(), bus: "can0".into(), ..Default::default() }
}
