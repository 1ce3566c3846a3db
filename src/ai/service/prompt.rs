//! The prompts: files, embedded or the operator's own, each with a version that its answers are stored under.
//!
//! The operator's files go before the built-in ones of the same name. They are read once, at the start: a
//! prompt that changes under its version would make answers that nobody can tell apart.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::super::error::AiError;

/// The prompt that is asked unless another is wished for.
pub(super) const NEWEST: &str = "chat-1";

/// The built-in ones.
const EMBEDDED: [(&str, &str); 1] = [(NEWEST, include_str!("../prompts/chat-1.md"))];

/// Stands for the token that no answer may hold.
const CANARY: &str = "{canary}";
/// Stands for the line around the chat.
const BOUNDARY: &str = "{boundary}";

/// Longer ones are a mistake.
const LONGEST: u64 = 32 * 1024;

/// All prompts by version.
#[derive(Debug, Clone)]
pub(super) struct Prompts(BTreeMap<String, String>);

impl Prompts {
    /// The built-in prompts and those of a folder, which must exist if somebody set it.
    ///
    /// # Errors
    /// [`AiError::PromptUnusable`] names the first file that can't be used, or the folder.
    pub(super) fn load(folder: &Path, is_set: bool) -> Result<Self, AiError> {
        let mut prompts: BTreeMap<String, String> =
            EMBEDDED.into_iter().map(|(version, text)| (version.to_owned(), text.to_owned())).collect();
        let unusable =
            |why| AiError::PromptUnusable { what: format!("the folder of prompts {}", folder.display()), why };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound && !is_set => return Ok(Self(prompts)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unusable("it is not there")),
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(unusable("it is no folder")),
            Err(_) => return Err(unusable("it can't be read")),
        };
        for entry in entries {
            let path = entry.map_err(|_| unusable("it can't be read to its end"))?.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let version = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let text = read(&path).map_err(|why| AiError::PromptUnusable { what: named(&version), why })?;
            prompts.insert(version, text);
        }
        Ok(Self(prompts))
    }

    /// Whether there is one of this version.
    pub(super) fn has(&self, version: &str) -> bool {
        self.0.contains_key(version)
    }

    /// Every version, sorted.
    pub(super) fn versions(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The prompt with its token and boundary filled in; `None` if there is none of this version.
    pub(super) fn filled(&self, version: &str, canary: &str, boundary: &str) -> Option<String> {
        Some(self.0.get(version)?.replace(CANARY, canary).replace(BOUNDARY, boundary))
    }
}

/// A prompt, for people.
pub(super) fn named(version: &str) -> String {
    format!("the prompt {version}")
}

fn read(path: &Path) -> Result<String, &'static str> {
    let is_small = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LONGEST);
    if !is_small {
        return Err("it is no file of at most 32 KiB");
    }
    let text = std::fs::read_to_string(path).map_err(|_| "it can't be read as UTF-8 text")?;
    match () {
        () if !text.contains(CANARY) => Err("it has no {canary}, without which a leak would not be noticed"),
        () if !text.contains(BOUNDARY) => Err("it has no {boundary}, which tells the chat from the instructions"),
        () if !text.contains("JSON") => Err("it does not ask for JSON"),
        () => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_prompts_go_before_the_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Prompts::load(&folder.path().join("none"), false).unwrap().has(NEWEST));
        std::fs::write(folder.path().join("mine-2.md"), "JSON {canary} {boundary}").unwrap();
        std::fs::write(folder.path().join("chat-1.md"), "Other JSON {canary} {boundary} {boundary}").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        let prompts = Prompts::load(folder.path(), true).unwrap();
        assert_eq!(prompts.filled("mine-2", "c", "b").as_deref(), Some("JSON c b"));
        assert_eq!(prompts.filled(NEWEST, "c", "b").as_deref(), Some("Other JSON c b b"));
        assert!(!prompts.has("notes") && prompts.filled("chat-0", "c", "b").is_none());
    }

    #[test]
    fn a_folder_that_was_set_must_be_there_and_be_readable() {
        let folder = tempfile::tempdir().unwrap();
        let (absent, file) = (folder.path().join("absent"), folder.path().join("file"));
        std::fs::write(&file, "x").unwrap();
        for (path, is_set) in [(&absent, true), (&file, true), (&file, false)] {
            let told = Prompts::load(path, is_set).unwrap_err().to_string();
            assert!(told.contains(&format!("the folder of prompts {} can't be used", path.display())), "{told}");
        }
        assert!(Prompts::load(&absent, false).is_ok());
        // A name that ends as a prompt's does and leads nowhere is none.
        std::os::unix::fs::symlink(&absent, folder.path().join("gone.md")).unwrap();
        let told = Prompts::load(folder.path(), false).unwrap_err().to_string();
        assert!(told.contains("the prompt gone can't be used"), "{told}");
    }

    #[test]
    fn a_prompt_that_would_not_contain_the_chat_is_refused() {
        for text in ["JSON {boundary}", "JSON {canary}", "{canary} {boundary}"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("bad.md"), text).unwrap();
            assert!(matches!(Prompts::load(folder.path(), true), Err(AiError::PromptUnusable { .. })), "{text}");
        }
        for (version, _) in EMBEDDED {
            let filled =
                Prompts::load(Path::new("/nowhere"), false).unwrap().filled(version, "CANARY", "BOUNDARY").unwrap();
            assert!(filled.contains("CANARY") && filled.contains("BOUNDARY") && !filled.contains('{'));
        }
    }
}
