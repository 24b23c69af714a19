//! The structure that every crate of the workspace keeps: small folders, small modules, no import cycle between files,
//! and the same files in each node.
//!
//! `cargo test -p auriga-testing --test structure` takes seconds: sources are read as text, nothing else is built.

mod imports;

use imports::{Imports, is_test_only, type_name};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A folder of sources has at most this many entries.
const MAX_ENTRIES: usize = 10;
/// A module has at most this many lines.
const MAX_LINES: usize = 500;
/// A node's main.rs has fewer lines than this.
const MAX_MAIN_LINES: usize = 80;
/// Folders in nodes/ that are no nodes.
const NOT_NODES: [&str; 2] = ["auriga", "runtime"];

#[test]
fn every_crate_keeps_the_structure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let mut offences = Vec::new();
    for folder in crates(&root) {
        let krate = folder.strip_prefix(&root).unwrap_or(&folder).display().to_string();
        let mut report = |text: String| offences.push(format!("{krate}: {text}"));
        let src = folder.join("src");
        folders(&src, &src, &mut report);
        lines(&src, &mut report);
        cycles(&src, &mut report);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if krate.starts_with("nodes/") && !NOT_NODES.contains(&&*name) {
            node(&folder, &mut report);
        }
    }
    assert!(offences.is_empty(), "{} places break the structure:\n{}", offences.len(), offences.join("\n"));
}

/// Every crate's folder: those of the workspace's members and of each folder in nodes/ and models/.
fn crates(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.join("msgs"), root.join("sil-tests"), root.join("sil-tests/testing")];
    for parent in ["nodes", "models"] {
        folders.extend(entries(&root.join(parent)));
    }
    folders.retain(|folder| folder.join("Cargo.toml").is_file() && folder.join("src").is_dir());
    assert!(folders.len() > 10, "crates are missing below {}: {folders:?}", root.display());
    folders
}

/// What is in a folder, hidden files left out, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.expect("an entry").path()).collect();
    entries.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    entries.sort();
    entries
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder).into_iter().partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    files.chain(folders.iter().flat_map(|below| sources(below))).collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn parse(file: &Path) -> syn::File {
    syn::parse_file(&read(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn shown(file: &Path, src: &Path) -> String {
    Path::new("src").join(file.strip_prefix(src).unwrap_or(file)).display().to_string()
}

fn folders(folder: &Path, src: &Path, report: &mut impl FnMut(String)) {
    let entries = entries(folder);
    if entries.len() > MAX_ENTRIES {
        report(format!("{} has {} entries, at most {MAX_ENTRIES} are allowed", shown(folder, src), entries.len()));
    }
    entries.iter().filter(|path| path.is_dir()).for_each(|below| folders(below, src, report));
}

fn lines(src: &Path, report: &mut impl FnMut(String)) {
    for file in sources(src) {
        let lines = read(&file).lines().count();
        if lines > MAX_LINES {
            report(format!("{} has {lines} lines, at most {MAX_LINES} are allowed", shown(&file, src)));
        }
    }
}

fn cycles(src: &Path, report: &mut impl FnMut(String)) {
    for root in ["lib.rs", "main.rs"].map(|name| src.join(name)).into_iter().filter(|root| root.is_file()) {
        let imports = Imports::of_crate(&root, &|file| std::fs::read_to_string(file).ok());
        for cycle in imports.cycles() {
            let edges = cycle
                .iter()
                .map(|e| format!("    {} -> {} ({})", shown(&e.from, src), shown(&e.to, src), e.path))
                .collect::<Vec<_>>();
            report(format!("these files import each other:\n{}", edges.join("\n")));
        }
    }
}

/// The files that each node has, and that its state is changed in node.rs alone.
fn node(folder: &Path, report: &mut impl FnMut(String)) {
    let src = folder.join("src");
    let mut names = vec!["lib.rs", "node.rs", "main.rs"];
    if folder.join("config.toml").is_file() {
        names.push("config.rs");
    }
    for name in names.into_iter().filter(|name| !src.join(name).is_file()) {
        report(format!("src/{name} is missing"));
    }
    let main = src.join("main.rs");
    let lines = if main.is_file() { read(&main).lines().count() } else { 0 };
    if lines >= MAX_MAIN_LINES {
        report(format!("src/main.rs has {lines} lines, fewer than {MAX_MAIN_LINES} are allowed"));
    }
    let file = src.join("node.rs");
    if !file.is_file() {
        return;
    }
    let nodes: BTreeSet<String> = impls(&parse(&file))
        .filter(|i| {
            i.trait_.as_ref().is_some_and(|(_, path, _)| path.segments.last().is_some_and(|s| s.ident == "Node"))
        })
        .filter_map(|i| type_name(&i.self_ty))
        .collect();
    if nodes.is_empty() {
        report("src/node.rs implements the trait Node for no type".into());
    }
    for other in sources(&src).into_iter().filter(|other| *other != file) {
        for name in impls(&parse(&other)).filter_map(|i| type_name(&i.self_ty)).filter(|name| nodes.contains(name)) {
            report(format!("{} has an impl for {name}; only src/node.rs may", shown(&other, &src)));
        }
    }
}

/// The `impl` blocks of a file, those of tests left out.
fn impls(file: &syn::File) -> impl Iterator<Item = &syn::ItemImpl> {
    file.items.iter().filter_map(|item| match item {
        syn::Item::Impl(item) if !is_test_only(&item.attrs) => Some(item),
        _ => None,
    })
}
