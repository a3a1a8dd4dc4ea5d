//! Which files of a folder the demo attests: all but those that are not a person's work.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Names of what is left out that are printed.
const SHOWN: usize = 8;

/// What a folder holds.
#[derive(Default)]
pub struct Found {
    /// In order of path.
    pub files: Vec<PathBuf>,
    /// Folders and links that were passed by, in order of path.
    pub left_out: Vec<PathBuf>,
    /// What could not be listed, and why.
    pub unreadable: Vec<String>,
}

/// The files below `dir`. Links are not followed, or a walk might not end and would leave the folder.
pub fn walk(dir: &Path) -> Found {
    let mut found = Found::default();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        if let Err(error) = found.list(&folder, &mut folders) {
            found.unreadable.push(format!("{}: {error}", folder.display()));
        }
    }
    found.files.sort();
    found.left_out.sort();
    found
}

impl Found {
    fn list(&mut self, folder: &Path, folders: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_symlink() || kind.is_dir() && is_left_out(&path) {
                self.left_out.push(path);
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                self.files.push(path);
            }
        }
        Ok(())
    }

    /// Says what was left out, if anything was.
    pub fn left_out_of(&self, dir: &Path) -> Option<String> {
        let name = |path: &PathBuf| path.strip_prefix(dir).unwrap_or(path).display().to_string();
        let names: Vec<_> = self.left_out.iter().take(SHOWN).map(name).collect();
        let more = match self.left_out.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!names.is_empty()).then(|| format!("left out: {}{more}", names.join(", ")))
    }
}

/// Folders of tools (`.git`), of what is built (`target`), and of what a fuzzer found: thousands of files.
fn is_left_out(folder: &Path) -> bool {
    let name = |folder: &Path| folder.file_name().map(OsStr::to_os_string).unwrap_or_default();
    let is_fuzzers = || folder.parent().is_some_and(|parent| name(parent) == "fuzz");
    let name = name(folder);
    name.as_encoded_bytes().starts_with(b".")
        || name == "target"
        || (name == "corpus" || name == "artifacts") && is_fuzzers()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_order_and_what_is_nobodys_work_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "b",
            "a/z",
            "a/b/c",
            ".hidden",
            ".git/config",
            "target/debug/x",
            "a/target/x",
            "fuzz/corpus/1",
            "fuzz/artifacts/1",
            "fuzz/src/lib",
            "corpus/text",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        let found = walk(dir.path());
        let names = |paths: &[PathBuf]| -> Vec<_> {
            paths.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&found.files), [".hidden", "a/b/c", "a/z", "b", "corpus/text", "fuzz/src/lib"]);
        let mut left_out = vec![".git", "a/target", "fuzz/artifacts", "fuzz/corpus", "target"];
        if cfg!(unix) {
            left_out.insert(4, "link");
        }
        assert_eq!(names(&found.left_out), left_out);
        assert!(found.unreadable.is_empty());
        assert!(found.left_out_of(dir.path()).unwrap().starts_with("left out: .git, a/target, "));
        assert_eq!(walk(&dir.path().join("nowhere")).unreadable.len(), 1);
    }
}
