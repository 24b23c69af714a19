//! `make install` creates a package that ROS 2 and the command `auriga` can use.

use auriga::launch::{self, LocalHost};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

#[test]
fn an_installed_prefix_is_a_ros_package_with_all_files_its_launch_files_name() {
    // The repository with placeholders for executables and models.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let tree = tempfile::tempdir().unwrap();
    for name in ["launch", "calibration", "models", "nodes", "sil-tests", "LICENSE"] {
        symlink(repository.join(name), tree.path().join(name)).unwrap();
    }
    fs::create_dir_all(tree.path().join(".ci")).unwrap();
    fs::copy(repository.join(".ci/install.sh"), tree.path().join(".ci/install.sh")).unwrap();
    fs::create_dir_all(tree.path().join("target/release")).unwrap();
    fs::create_dir_all(tree.path().join(".native/lib")).unwrap();
    let mut nodes = Vec::new();
    for node in fs::read_dir(repository.join("nodes")).unwrap() {
        let node = node.unwrap();
        if node.path().join("src/main.rs").is_file() && node.file_name() != "auriga" {
            nodes.push(node.file_name().into_string().unwrap());
        }
    }
    let executables = nodes.iter().map(|node| format!("auriga-{node}")).chain(["auriga".to_owned()]);
    executables.for_each(|name| {
        fs::copy("/bin/true", tree.path().join("target/release").join(name)).unwrap();
    });
    fs::copy("/bin/true", tree.path().join(".native/lib/libx.so")).unwrap();
    let base = tree.path().join(".native/minilm");
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("model.safetensors"), "weights").unwrap();

    let prefix = tree.path().join("prefix");
    let output = Command::new("bash")
        .arg(tree.path().join(".ci/install.sh"))
        .arg(&prefix)
        .env_remove("DESTDIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let index = prefix.join("share/ament_index/resource_index");
    assert!(index.join("packages/auriga").is_file());
    let depends = fs::read_to_string(index.join("package_run_dependencies/auriga")).unwrap();
    assert!(depends.contains("launch_xml"), "{depends}");
    for node in &nodes {
        let mode = fs::metadata(prefix.join("lib/auriga").join(node)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{node}");
    }
    assert!(prefix.join("bin/auriga").canonicalize().unwrap().ends_with("prefix/lib/auriga/auriga"));
    assert!(prefix.join("lib/auriga/native/libx.so").is_file());
    for file in ["package.xml", "launch/workloads.toml", "calibration/auriga-demo/camera.toml", "sil-tests/drive.yaml"]
    {
        assert!(prefix.join("share/auriga").join(file).is_file(), "{file}");
    }

    // The service starts what is installed.
    let unit = prefix.join("lib/systemd/system/auriga.service");
    let text = fs::read_to_string(&unit).unwrap();
    assert!(!text.contains('@') && text.contains(&format!("{}/bin/auriga launch", prefix.display())), "{text}");
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr)),
        Err(_) => println!("systemd-analyze is absent: the unit is not verified by it"),
    }

    // Paths in the launch file exist.
    let machine = LocalHost::installed_at(&prefix);
    let file = prefix.join("share/auriga/launch/vehicle.launch.xml");
    let arguments = [("record".to_owned(), "a.mcap".to_owned()), ("ros".to_owned(), "true".to_owned())];
    let launch = launch::load(&file, &arguments, &machine).unwrap();
    let words: Vec<String> = launch.processes.iter().flat_map(|process| process.command_line()).collect();
    let share = prefix.join("share/auriga").display().to_string();
    let named: Vec<&str> =
        words.iter().filter_map(|w| w.split_once(":=")).map(|(_, v)| v).filter(|v| v.starts_with(&share)).collect();
    assert!(named.len() >= 5, "{named:?}");
    // The checkpoint is made by training and may be absent.
    let missing: Vec<_> =
        named.iter().filter(|path| !path.ends_with("checkpoint") && !Path::new(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let setup = format!(". {}/setup.sh && echo $AMENT_PREFIX_PATH", prefix.display());
    let output = Command::new("sh").args(["-c", &setup]).env_remove("AMENT_PREFIX_PATH").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), prefix.display().to_string());
}
