//! What a thing was made from, as one hash, so that it is made again only when that has changed.
//!
//! A [`Fingerprint`] covers words (versions, recipes) and files (by path and content). A [`Stamp`] is the file that
//! keeps the fingerprint beside the thing made. A stamp is written last: what was cut off half-way is made again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders and files that builds leave among the sources.
const NOT_SOURCES: &[&str] = &[
    "node_modules",
    "target",
    "dist",
    "__pycache__",
    ".venv",
    ".pytest_cache",
];
const NOT_SOURCE_ENDINGS: &[&str] = &[".wasm", ".egg-info", ".pyc"];

/// A hash over everything that decides how something turns out.
pub(crate) struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// Begins with the recipe: a change of its text makes everything anew.
    pub(crate) fn of(recipe: &str) -> Self {
        Self(blake3::Hasher::new()).word(recipe)
    }

    /// Adds a word, such as a version.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.0.update(&(word.len() as u64).to_le_bytes());
        self.0.update(word.as_bytes());
        self
    }

    /// Adds a file, or all sources in a folder. What does not exist counts as empty.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        sources(path, &mut files)?;
        files.sort();
        for file in files {
            let content =
                fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            self = self.word(&file.strip_prefix(path).unwrap_or(&file).to_string_lossy());
            self = self.word(blake3::hash(&content).to_hex().as_str());
        }
        Ok(self)
    }

    /// The hash, as text.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

fn sources(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    }
    if !path.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !NOT_SOURCES.contains(&&*name)
            && !NOT_SOURCE_ENDINGS
                .iter()
                .any(|ending| name.ends_with(ending))
        {
            sources(&entry.path(), files)?;
        }
    }
    Ok(())
}

/// The note about what something was last made from.
pub(crate) struct Stamp(PathBuf);

impl Stamp {
    /// The stamp kept in this file.
    pub(crate) fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// Whether the thing was made from just this.
    pub(crate) fn says(&self, fingerprint: &str) -> bool {
        fs::read_to_string(&self.0).is_ok_and(|kept| kept == fingerprint)
    }

    /// Notes that the thing is whole, and was made from this.
    pub(crate) fn write(&self, fingerprint: &str) -> Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.0, fingerprint)
            .with_context(|| format!("{} cannot be written", self.0.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(folder: &Path) -> String {
        Fingerprint::of("test").path(folder).unwrap().finish()
    }

    #[test]
    fn a_fingerprint_changes_with_a_source_and_not_with_what_a_build_leaves() {
        let folder =
            std::env::temp_dir().join(format!("holster-fingerprint-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::create_dir_all(folder.join("node_modules")).unwrap();
        fs::write(folder.join("src/tool.js"), "one").unwrap();
        let before = fingerprint(&folder);

        fs::write(folder.join("node_modules/left.js"), "left").unwrap();
        fs::write(folder.join("tool.wasm"), "built").unwrap();
        assert_eq!(fingerprint(&folder), before);

        fs::write(folder.join("src/tool.js"), "two").unwrap();
        assert_ne!(fingerprint(&folder), before);
        fs::remove_dir_all(&folder).unwrap();
    }
}
