//! What holds for a source beside its settings, and comparisons of its versions, as the document describes them.

use utoipa::ToSchema;

use super::Counts;

/// What holds for a source beside its settings.
#[derive(ToSchema)]
pub(crate) struct Policy {
    /// `manual`: an admin moves it; `when-agreed`: the host does, once a newer version is trusted, did the same over the
    /// recorded runs, and asks for no more than was granted.
    upgrade: String,
    /// Over how many of its last recordings versions are compared, 1 to 100; 5 by default.
    compare_runs: u32,
    /// How many recordings of it are kept, up to 100; null for as many as `runs.keep_recordings` says.
    recordings: Option<u32>,
}

/// What a version did with a recorded run.
#[derive(ToSchema)]
pub(crate) struct Played {
    /// `succeeded`, or why not.
    outcome: String,
    counts: Counts,
}

/// A recorded run on both versions.
#[derive(ToSchema)]
pub(crate) struct ComparedRun {
    /// The run that was recorded.
    recording: String,
    old: Played,
    new: Played,
    /// A line for each difference in rows, schema, requests and cost; empty where they did the same.
    differences: Vec<String>,
}

/// Two versions of a connector, compared over the recorded runs of a source.
#[derive(ToSchema)]
pub(crate) struct Comparison {
    id: String,
    source: String,
    /// The digest of the version in use.
    old: String,
    /// The digest of the version that may take its place.
    new: String,
    /// Over how many of the last recordings, at most.
    most_runs: u32,
    /// `running`, `agree`, `differ`, or `failed`.
    state: String,
    /// The runs, newest first.
    runs: Vec<ComparedRun>,
    /// What the new version asks for beyond the source's grant, a line each.
    missing: Vec<String>,
    /// Why it could not be made.
    failure: Option<String>,
    asked_at: String,
    /// The id of who asked; null where the host did.
    asked_by: Option<String>,
    finished_at: Option<String>,
}
