//! Which file of a crate imports which: from `use` items and from paths in code.
//!
//! A path is followed through modules and re-exports to the file that defines the name. A parent that declares or
//! re-exports its children does not import them; code in it that uses a child does. What stands under `#[cfg(test)]` is
//! left out. Paths inside macros are read from their tokens.

use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
};
use syn::visit::{self, Visit};

/// One file imports another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: PathBuf,
    pub to: PathBuf,
    /// As written in `from`.
    pub path: String,
}

/// The import graph over the files of a crate.
pub struct Imports {
    edges: Vec<Edge>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names that are defined here.
    items: BTreeSet<String>,
    /// Names that `use` brings in: the path, and whether it is re-exported.
    names: BTreeMap<String, (Vec<String>, bool)>,
    /// Paths before `::*`.
    globs: Vec<(Vec<String>, bool)>,
    /// Paths in code.
    references: BTreeSet<Vec<String>>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
    /// Another crate, or a local name.
    Outside,
}

struct Crate<'a> {
    modules: Vec<Module>,
    read: &'a dyn Fn(&Path) -> Option<String>,
}

/// Whether these attributes leave an item to tests.
pub fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().filter(|a| a.path().is_ident("cfg")).any(|a| match &a.meta {
        syn::Meta::List(list) => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all") && condition.contains("test")
        }
        _ => false,
    })
}

/// The last name of a type's path.
pub fn type_name(ty: &syn::Type) -> Option<String> {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
        _ => None,
    }
}

impl Imports {
    /// Reads the crate whose root file is `root`. `read` gives the text of a file, or `None` where there is none.
    pub fn of_crate(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Imports {
        let mut tree = Crate { modules: Vec::new(), read };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.load(root, None, &folder);
        Imports { edges: tree.edges() }
    }

    /// Shortest cycles, so many that every file of a cycle is in one of them.
    pub fn cycles(&self) -> Vec<Vec<Edge>> {
        let mut next: BTreeMap<&Path, Vec<&Edge>> = BTreeMap::new();
        for edge in &self.edges {
            next.entry(&edge.from).or_default().push(edge);
        }
        let mut cycles: Vec<Vec<Edge>> = Vec::new();
        let mut covered: BTreeSet<&Path> = BTreeSet::new();
        for start in next.keys().copied() {
            if covered.contains(start) {
                continue;
            }
            // Breadth first: `came` holds the edge by which a file was reached.
            let mut came: BTreeMap<&Path, &Edge> = BTreeMap::new();
            let mut queue = VecDeque::from([start]);
            while let (Some(file), false) = (queue.pop_front(), came.contains_key(start)) {
                for edge in next.get(file).into_iter().flatten() {
                    if !came.contains_key(edge.to.as_path()) {
                        came.insert(&edge.to, edge);
                        queue.push_back(&edge.to);
                    }
                }
            }
            let Some(last) = came.get(start) else { continue };
            let mut cycle = vec![(*last).clone()];
            covered.insert(start);
            let mut at = last.from.as_path();
            while at != start {
                covered.insert(at);
                cycle.push(came[at].clone());
                at = &came[at].from;
            }
            cycle.reverse();
            cycles.push(cycle);
        }
        cycles
    }
}

impl Crate<'_> {
    /// Reads a file as a module whose children are looked for in `folder`.
    fn load(&mut self, file: &Path, parent: Option<usize>, folder: &Path) -> usize {
        let text = (self.read)(file).unwrap_or_else(|| panic!("{} cannot be read", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.module(file, parent, folder, &parsed.items)
    }

    fn module(&mut self, file: &Path, parent: Option<usize>, folder: &Path, items: &[syn::Item]) -> usize {
        let index = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        let mut found = Found::default();
        for item in items {
            match item {
                syn::Item::Mod(item) if !is_test_only(&item.attrs) => {
                    let name = item.ident.to_string();
                    let below = folder.join(&name);
                    let child = match &item.content {
                        Some((_, items)) => self.module(file, Some(index), &below, items),
                        None => {
                            let plain = folder.join(format!("{name}.rs"));
                            let file = if (self.read)(&plain).is_some() { plain } else { below.join("mod.rs") };
                            self.load(&file, Some(index), &below)
                        }
                    };
                    self.modules[index].children.insert(name, child);
                }
                item => found.visit_item(item),
            }
        }
        let module = &mut self.modules[index];
        module.items = items.iter().filter_map(item_name).collect();
        (module.names, module.globs, module.references) = (found.names, found.globs, found.references);
        index
    }

    fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(PathBuf, PathBuf), String> = BTreeMap::new();
        for (index, module) in self.modules.iter().enumerate() {
            let mut add = |path: &[String], glob: bool| {
                let to = match self.resolve(index, path, 0) {
                    Target::Item(to) => to,
                    Target::Module(to) if glob => to,
                    _ => return,
                };
                let (from, to) = (&module.file, &self.modules[to].file);
                if from != to {
                    let path = path.join("::") + if glob { "::*" } else { "" };
                    edges.entry((from.clone(), to.clone())).or_insert(path);
                }
            };
            let is_front_page = !module.children.is_empty();
            for (path, _) in module.names.values().filter(|(_, public)| !(*public && is_front_page)) {
                add(path, false);
            }
            for (path, _) in module.globs.iter().filter(|(_, public)| !(*public && is_front_page)) {
                add(path, true);
            }
            module.references.iter().for_each(|path| add(path, false));
        }
        edges.into_iter().map(|((from, to), path)| Edge { from, to, path }).collect()
    }

    /// What `path` means in a module. `depth` bounds re-exports of each other.
    fn resolve(&self, module: usize, path: &[String], depth: usize) -> Target {
        let (at, rest) = match path[0].as_str() {
            "crate" => (0, &path[1..]),
            "self" => (module, &path[1..]),
            "super" => (self.parent(module), &path[1..]),
            _ => return self.lookup(module, path, depth).unwrap_or(Target::Outside),
        };
        // What a macro or a build script makes is said to be in its module's own file.
        self.walk(at, rest, depth).unwrap_or_else(Target::Item)
    }

    fn parent(&self, module: usize) -> usize {
        self.modules[module].parent.unwrap_or(module)
    }

    /// `Err`: the module in which a name was not found.
    fn walk(&self, at: usize, path: &[String], depth: usize) -> Result<Target, usize> {
        match path.first().map(String::as_str) {
            None => Ok(Target::Module(at)),
            Some("self") => self.walk(at, &path[1..], depth),
            Some("super") => self.walk(self.parent(at), &path[1..], depth),
            Some(_) => self.lookup(at, path, depth).ok_or(at),
        }
    }

    /// A path that begins with a name of the module `at`.
    fn lookup(&self, at: usize, path: &[String], depth: usize) -> Option<Target> {
        if depth > 16 {
            return Some(Target::Outside);
        }
        let module = &self.modules[at];
        let (name, rest) = (&path[0], &path[1..]);
        let child = module.children.get(name).map(|child| self.walk(*child, rest, depth).unwrap_or_else(Target::Item));
        if child.is_some() && !rest.is_empty() {
            return child;
        }
        if module.items.contains(name) {
            return Some(Target::Item(at));
        }
        if let Some((import, _)) = module.names.get(name) {
            let whole: Vec<String> = import.iter().chain(rest).cloned().collect();
            // A name that is imported from another crate is found there, not here.
            return Some(if whole[0] == *name && child.is_none() {
                Target::Outside
            } else {
                self.resolve(at, &whole, depth + 1)
            });
        }
        child.or_else(|| {
            module.globs.iter().find_map(|(glob, _)| match self.resolve(at, glob, depth + 1) {
                Target::Module(other) if other != at => self.lookup(other, path, depth + 1),
                _ => None,
            })
        })
    }
}

fn item_name(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(i) => &i.ident,
        syn::Item::Enum(i) => &i.ident,
        syn::Item::Fn(i) => &i.sig.ident,
        syn::Item::Macro(i) => i.ident.as_ref()?,
        syn::Item::Static(i) => &i.ident,
        syn::Item::Struct(i) => &i.ident,
        syn::Item::Trait(i) => &i.ident,
        syn::Item::Type(i) => &i.ident,
        syn::Item::Union(i) => &i.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// What a module's items name.
#[derive(Default)]
struct Found {
    names: BTreeMap<String, (Vec<String>, bool)>,
    globs: Vec<(Vec<String>, bool)>,
    references: BTreeSet<Vec<String>>,
}

impl Found {
    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String], public: bool) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), public),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before, public)),
            syn::UseTree::Glob(_) => self.globs.push((before.to_vec(), public)),
            syn::UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = before.last() {
                    self.names.insert(last.clone(), (before.to_vec(), public));
                }
            }
            syn::UseTree::Name(name) => drop(self.names.insert(name.ident.to_string(), (with(&name.ident), public))),
            syn::UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.to_vec() } else { with(&rename.ident) };
                // `as _` brings in no name, but the import stands.
                let name = if rename.rename == "_" { path.join("::") } else { rename.rename.to_string() };
                self.names.insert(name, (path, public));
            }
        }
    }

    /// Paths among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons < 2 {
                        self.add(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.add(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.add(path);
    }

    fn add(&mut self, path: Vec<String>) {
        if !path.is_empty() && path[0] != "Self" {
            self.references.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Const(i) => &i.attrs,
            syn::Item::Enum(i) => &i.attrs,
            syn::Item::Fn(i) => &i.attrs,
            syn::Item::Impl(i) => &i.attrs,
            syn::Item::Macro(i) => &i.attrs,
            syn::Item::Mod(i) => &i.attrs,
            syn::Item::Static(i) => &i.attrs,
            syn::Item::Struct(i) => &i.attrs,
            syn::Item::Trait(i) => &i.attrs,
            syn::Item::Type(i) => &i.attrs,
            syn::Item::Use(i) => &i.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test_only(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_only(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        if item.leading_colon.is_none() {
            self.use_tree(&item.tree, &[], public);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.add(path.segments.iter().map(|s| s.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// The cycles of a crate given as file names and texts, each as its edges.
#[cfg(test)]
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let read = |file: &Path| files.iter().find(|(name, _)| Path::new(name) == file).map(|(_, text)| text.to_string());
    let imports = Imports::of_crate(Path::new(files[0].0), &read);
    let edges = |cycle: &Vec<Edge>| {
        let edges = cycle.iter().map(|e| format!("{} -> {} ({})", e.from.display(), e.to.display(), e.path));
        edges.collect::<Vec<_>>().join(", ")
    };
    imports.cycles().iter().map(edges).collect()
}

#[test]
fn two_files_that_import_each_other_are_a_cycle() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; fn f() { super::A::new() }"),
    ]);
    assert_eq!(found, ["a.rs -> b.rs (crate::b::B), b.rs -> a.rs (super::A::new)"]);
}

#[test]
fn a_parent_that_only_reexports_its_children_is_not_in_a_cycle() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use b::f;"),
        ("a/mod.rs", "mod c; pub use c::C; pub(crate) use c::D;"),
        ("a/c.rs", "pub struct C; pub struct D; fn f() { println!(\"{}\", crate::b::f()) }"),
        ("b.rs", "pub fn f() {} #[cfg(test)] mod tests { use crate::a::C; }"),
    ];
    assert_eq!(cycles(&files), [""; 0]);
}

#[test]
fn code_of_a_parent_that_uses_a_child_counts() {
    let parent = "mod a; pub use a::A; pub struct P; impl P { fn f() -> A { a::g() } }";
    let found = cycles(&[("lib.rs", parent), ("a.rs", "pub struct A(super::P); pub fn g() {}")]);
    assert_eq!(found, ["a.rs -> lib.rs (super::P), lib.rs -> a.rs (A)"]);
}

#[test]
fn modules_imported_by_name_are_followed_to_what_is_used_of_them() {
    let files = [
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a/mod.rs", "pub mod c; pub mod d; pub use d::D;"),
        ("a/c.rs", "use crate::b; pub fn c() { b::f() }"),
        ("a/d.rs", "pub struct D;"),
        ("b.rs", "use crate::a; pub fn f(d: a::D) { anyhow::ensure!(a::c::c() == 1) }"),
    ];
    assert_eq!(cycles(&files), ["a/c.rs -> b.rs (b::f), b.rs -> a/c.rs (a::c::c)"]);
}

#[test]
fn names_of_other_crates_are_no_imports() {
    let files = [
        ("lib.rs", "mod a; pub use other::thing; pub struct L(a::A);"),
        ("a.rs", "use crate::thing::T; use anyhow::anyhow; pub struct A(T); fn f() { anyhow!(1); thing::x() }"),
    ];
    assert_eq!(cycles(&files), [""; 0]);
}
