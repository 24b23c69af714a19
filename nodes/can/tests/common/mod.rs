//! What the tests share.
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

/// Data that is not shipped: in $AURIGA_SHARED, else beside the repository. `None`, said aloud, where it is not there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AURIGA_SHARED").map_or(repository().join("../shared/data"), PathBuf::from);
    let file = folder.join(path);
    if !file.exists() {
        println!("skipped: {} is absent (set AURIGA_SHARED to the folder of shared data)", file.display());
    }
    file.exists().then_some(file)
}

/// A Python that has cantools; `None`, said aloud, where there is none.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("AURIGA_PYTHON").filter(|p| !p.is_empty()).map(PathBuf::from);
    if python.is_none() {
        println!("skipped: set AURIGA_PYTHON to a Python that has cantools");
    }
    python
}

/// A frame with a message's values.
pub fn frame(database: &Database, message: &str, values: &[(&str, f64)], stamp_ns: u64) -> v1::CanFrame {
    let message = database.message_by_name(message).expect(message);
    let mut data = vec![0; message.length()];
    message.encode(values, &mut data).expect("values in range");
    v1::CanFrame { stamp_ns, id: message.id(), data: data.into(), bus: "can0".into(), ..Default::default() }
}
