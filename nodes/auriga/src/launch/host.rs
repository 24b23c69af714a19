//! What evaluating a launch file needs of a machine: environment, packages, executables, files.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Larger launch files are refused.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Environment, packages, executables and files of a machine.
pub trait Host {
    /// The value of an environment variable.
    fn environment(&self, name: &str) -> Option<String>;
    /// The folder `PREFIX/share/PACKAGE`.
    fn package_share(&self, package: &str) -> Option<PathBuf>;
    /// The installation prefix of a package.
    fn package_prefix(&self, package: &str) -> Option<PathBuf>;
    /// The executable of `<node pkg=… exec=…>`; the error says where it was searched.
    fn executable(&self, package: &str, executable: &str) -> Result<PathBuf, String>;
    /// The text of a launch file.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// The package this program belongs to.
pub(super) const OWN_PACKAGE: &str = "auriga";

/// This machine. Package `auriga` is where this program is: an installed prefix, or the build tree, where the
/// repository itself takes the place of `share/auriga`. Other packages are found by `AMENT_PREFIX_PATH`.
pub struct LocalHost {
    home: Home,
}

#[derive(Debug, PartialEq)]
enum Home {
    /// `PREFIX/lib/auriga/auriga` is running.
    Installed {
        prefix: PathBuf,
    },
    /// `REPOSITORY/target/PROFILE/auriga` (or a test in `deps/`) is running.
    BuildTree {
        repository: PathBuf,
        executables: PathBuf,
    },
    Unknown,
}

impl LocalHost {
    /// This machine, with package `auriga` found by the path of the running program.
    pub fn new() -> LocalHost {
        // PREFIX/bin/auriga is a link to lib/auriga/auriga. An executable that was replaced while it runs cannot be
        // resolved; its folder is still right.
        let program = env::current_exe().unwrap_or_default();
        let program = fs::canonicalize(&program).unwrap_or(program);
        LocalHost { home: home(&program) }
    }

    /// This machine with package `auriga` installed in `prefix`.
    pub fn installed_at(prefix: &Path) -> LocalHost {
        LocalHost { home: Home::Installed { prefix: prefix.to_owned() } }
    }

    fn ament_prefix(&self, package: &str) -> Option<PathBuf> {
        let paths = env::var_os("AMENT_PREFIX_PATH")?;
        let marker = Path::new("share/ament_index/resource_index/packages").join(package);
        env::split_paths(&paths).find(|prefix| prefix.join(&marker).exists())
    }
}

impl Default for LocalHost {
    fn default() -> Self {
        LocalHost::new()
    }
}

fn home(program: &Path) -> Home {
    let Some(folder) = program.parent() else { return Home::Unknown };
    if let (true, Some(prefix)) = (folder.ends_with("lib/auriga"), folder.parent().and_then(Path::parent)) {
        return Home::Installed { prefix: prefix.to_owned() };
    }
    let executables = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let repository = executables.ancestors().find(|folder| folder.join("launch/package.xml").exists());
    match repository {
        Some(repository) => Home::BuildTree { repository: repository.to_owned(), executables: executables.to_owned() },
        None => Home::Unknown,
    }
}

impl Host for LocalHost {
    fn environment(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn package_share(&self, package: &str) -> Option<PathBuf> {
        match &self.home {
            Home::BuildTree { repository, .. } if package == OWN_PACKAGE => Some(repository.clone()),
            _ => Some(self.package_prefix(package)?.join("share").join(package)),
        }
    }

    fn package_prefix(&self, package: &str) -> Option<PathBuf> {
        match &self.home {
            Home::Installed { prefix } if package == OWN_PACKAGE => Some(prefix.clone()),
            Home::BuildTree { executables, .. } if package == OWN_PACKAGE => Some(executables.clone()),
            _ => self.ament_prefix(package),
        }
    }

    fn executable(&self, package: &str, executable: &str) -> Result<PathBuf, String> {
        let (path, advice) = match &self.home {
            Home::BuildTree { executables, .. } if package == OWN_PACKAGE => {
                (executables.join(format!("{OWN_PACKAGE}-{executable}")), "make build makes it")
            }
            _ => {
                let prefix = self.package_prefix(package).ok_or_else(|| {
                    format!("package {package:?} was not found; AMENT_PREFIX_PATH must name where it is installed")
                })?;
                (
                    prefix.join("lib").join(package).join(executable),
                    "check the name and the installation of the package",
                )
            }
        };
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!("package {package:?} has no executable {executable:?} ({}): {advice}", path.display()))
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is larger than {MAX_FILE_BYTES} bytes"),
            ));
        }
        Ok(text)
    }
}

/// A machine in memory: package `auriga` exists with any executable, and the files are those listed. For checking
/// launch files, for tests and for fuzzing.
#[derive(Debug, Clone, Default)]
pub struct FakeHost {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Texts of files.
    pub files: BTreeMap<PathBuf, String>,
}

impl Host for FakeHost {
    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn package_share(&self, package: &str) -> Option<PathBuf> {
        (package == OWN_PACKAGE).then(|| Path::new("/share").join(package))
    }

    fn package_prefix(&self, package: &str) -> Option<PathBuf> {
        (package == OWN_PACKAGE).then(|| Path::new("/prefix").join(package))
    }

    fn executable(&self, package: &str, executable: &str) -> Result<PathBuf, String> {
        match self.package_prefix(package) {
            Some(prefix) => Ok(prefix.join("lib").join(executable)),
            None => Err(format!("package {package:?} was not found")),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_found_by_the_path_of_the_program() {
        assert_eq!(home(Path::new("/opt/a/lib/auriga/auriga")), Home::Installed { prefix: "/opt/a".into() });
        assert_eq!(home(Path::new("/usr/bin/env")), Home::Unknown);
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("launch")).unwrap();
        fs::write(tree.path().join("launch/package.xml"), "").unwrap();
        let executables = tree.path().join("target/release");
        for program in ["auriga", "deps/auriga-0123"] {
            assert_eq!(
                home(&executables.join(program)),
                Home::BuildTree { repository: tree.path().to_owned(), executables: executables.clone() }
            );
        }
    }

    #[test]
    fn a_missing_executable_is_reported_with_its_path() {
        let machine = LocalHost { home: Home::Installed { prefix: "/nowhere".into() } };
        let error = machine.executable("auriga", "camera").unwrap_err();
        assert!(error.contains("/nowhere/lib/auriga/camera"), "{error}");
        let error = machine.executable("no_such_package", "x").unwrap_err();
        assert!(error.contains("AMENT_PREFIX_PATH"), "{error}");
    }

    #[test]
    fn an_oversized_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
        assert!(LocalHost::new().read(file.path()).unwrap_err().to_string().contains("larger"));
    }
}
