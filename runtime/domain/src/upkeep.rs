//! What an admin decides about a source beside its settings, and how two versions of its connector compared over its
//! recorded runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::names::SourceName;
use crate::run::Counts;

/// The most recordings of a source that are kept or compared over.
pub const MOST_RECORDINGS: u32 = 100;

/// When a source moves to a newer version of its connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradePolicy {
    /// When an admin moves it.
    #[default]
    Manual,
    /// By the host, once the newer version is trusted and did the same over the recorded runs.
    WhenAgreed,
}

/// What holds for a source beside its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// When it moves.
    pub upgrade: UpgradePolicy,
    /// Over how many of its last recordings versions are compared.
    pub compare_runs: u32,
    /// How many recordings of it are kept; `None` for as many as the configuration says.
    pub recordings: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            upgrade: UpgradePolicy::Manual,
            compare_runs: 5,
            recordings: None,
        }
    }
}

/// How far a comparison is, and what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComparisonState {
    /// It waits for its turn, or is under way.
    Running,
    /// The versions did the same.
    Agree,
    /// They did not.
    Differ,
    /// It could not be made.
    Failed,
}

/// What a version did with a recorded run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// How the run ended.
    pub outcome: String,
    /// What it cost.
    pub counts: Counts,
}

/// A recorded run on both versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Which.
    pub recording: String,
    /// The version in use.
    pub old: Played,
    /// The version that may take its place.
    pub new: Played,
    /// A line for each difference; empty where they did the same.
    pub differences: Vec<String>,
}

/// Two versions of a connector, compared over the recorded runs of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Names it.
    pub id: Uuid,
    /// The source.
    pub source: SourceName,
    /// The version in use.
    pub old: Digest,
    /// The version that may take its place.
    pub new: Digest,
    /// Over how many of the last recordings, at most.
    pub most_runs: u32,
    /// How far it is, and what it found.
    pub state: ComparisonState,
    /// The runs, newest first.
    pub runs: Vec<ComparedRun>,
    /// What the new version asks for beyond the source's grant, a line each.
    pub missing: Vec<String>,
    /// Why it could not be made.
    pub failure: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Who asked; nobody where the host did.
    pub asked_by: Option<Uuid>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

impl Comparison {
    /// One that begins now.
    pub fn begin(source: SourceName, old: Digest, new: Digest, most_runs: u32) -> Self {
        Self {
            id: Uuid::now_v7(),
            source,
            old,
            new,
            most_runs,
            state: ComparisonState::Running,
            runs: Vec::new(),
            missing: Vec::new(),
            failure: None,
            asked_at: Timestamp::now(),
            asked_by: None,
            finished_at: None,
        }
    }

    /// Ends it with the runs that were replayed, or with why none could be.
    pub fn finish(&mut self, runs: Result<Vec<ComparedRun>, String>) {
        self.finished_at = Some(Timestamp::now());
        match runs {
            Ok(runs) => {
                let agree = runs.iter().all(|run| run.differences.is_empty());
                self.state = match agree {
                    // Nothing was seen, so nothing is known.
                    _ if runs.is_empty() => ComparisonState::Failed,
                    true => ComparisonState::Agree,
                    false => ComparisonState::Differ,
                };
                self.runs = runs;
            }
            Err(failure) => {
                self.state = ComparisonState::Failed;
                self.failure = Some(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(differences: &[&str]) -> ComparedRun {
        let played = Played {
            outcome: "succeeded".into(),
            counts: Counts::default(),
        };
        ComparedRun {
            recording: "1".into(),
            old: played.clone(),
            new: played,
            differences: differences.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn versions_agree_only_where_there_was_a_run_and_none_differed() {
        let ended = |runs| {
            let source = SourceName::parse("shop").unwrap();
            let mut comparison = Comparison::begin(source, Digest::of(b"a"), Digest::of(b"b"), 5);
            comparison.finish(runs);
            comparison.state
        };
        assert_eq!(ended(Ok(vec![run(&[]), run(&[])])), ComparisonState::Agree);
        assert_eq!(
            ended(Ok(vec![run(&[]), run(&["rows: a: 1 gone, 0 new"])])),
            ComparisonState::Differ
        );
        assert_eq!(ended(Ok(Vec::new())), ComparisonState::Failed);
        assert_eq!(ended(Err("no".into())), ComparisonState::Failed);
    }
}
