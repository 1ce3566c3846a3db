//! Settings for tests: a folder with the files of one case, and nothing of this machine.

use std::os::unix::fs::PermissionsExt;

use super::{Config, ConfigProblems, Problem, Sources};

/// A folder with the files of one case, and the sources that point there.
pub(crate) struct Case {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sources: Sources,
}

impl Case {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sources = Sources {
            dotenv: Some(dir.path().join(".env")),
            working_dir: Some(dir.path().to_owned()),
            ..Sources::default()
        };
        Self { dir, sources }
    }

    pub(crate) fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.sources.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        self
    }

    pub(crate) fn file(self, name: &str, content: &str, mode: u32) -> Self {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn dotenv(self, content: &str) -> Self {
        self.file(".env", content, 0o600)
    }

    pub(crate) fn toml(self, content: &str) -> Self {
        self.file("chatferry.toml", content, 0o600)
    }

    pub(crate) fn load(&self) -> Result<Config, ConfigProblems> {
        let sites = || ["meetme", "demo"].map(|site| site.parse().unwrap()).to_vec();
        Config::load(self.sources.clone(), |_| sites())
    }

    /// `subject @ origin` of every problem.
    pub(crate) fn problems(&self) -> Vec<String> {
        let describe = |p: &Problem| {
            assert!(!p.complaint.is_empty() && !p.expected.is_empty() && !p.fix.is_empty(), "{p:?}");
            format!("{} @ {}", p.subject, p.origin.as_ref().map(ToString::to_string).unwrap_or_default())
        };
        self.load().unwrap_err().0.iter().map(describe).collect()
    }
}
