//! Compiles the schema of recorded images; it shares the header with the messages of `auriga_msgs`.

use std::{env, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../../msgs/proto/auriga/v1/common.proto");
    prost_build::Config::new()
        .bytes(["."])
        .extern_path(".auriga.v1", "::auriga_msgs::v1")
        .file_descriptor_set_path(out.join("image.bin"))
        .compile_protos(&["proto/recorded_image.proto"], &["proto", "../../msgs/proto"])
        .expect("proto/recorded_image.proto compiles with the messages of msgs/proto");
}
