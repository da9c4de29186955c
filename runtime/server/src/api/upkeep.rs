//! `/api/sources/{name}/policy` and `/comparisons`: what holds for a source beside its settings, and how versions of its
//! connector compare over its recorded runs.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use domain::upkeep::MOST_RECORDINGS;
use domain::{Comparison, Digest, Policy, Source, SourceName, UpgradePolicy, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::shapes::upkeep as shapes;
use super::sources::{find, find_version, on};
use crate::app::{App, AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};
use crate::recordings;

/// What holds for a source, and what its last comparison found.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyView {
    #[serde(flatten)]
    #[schema(value_type = shapes::Policy)]
    policy: Policy,
    /// The newest comparison, if there was one.
    #[schema(value_type = Option<shapes::Comparison>)]
    last_comparison: Option<Comparison>,
}

/// Shows when a source moves to newer versions, what is recorded of it, and how its last comparison went.
#[utoipa::path(get, path = "/api/sources/{name}/policy", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = PolicyView), (status = 404)))]
pub(crate) async fn get_policy(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<PolicyView>> {
    blocking(move || {
        let source = find(&app, &name)?;
        view(&app, &source).map(Json)
    })
    .await
}

fn view(app: &App, source: &Source) -> ApiResult<PolicyView> {
    Ok(PolicyView {
        policy: app.state().policy(&source.name)?,
        last_comparison: app.state().comparisons(&source.name)?.into_iter().next(),
    })
}

/// Decides when a source moves to newer versions, and what is recorded of it. What is left out gets its default.
///
/// With `recordings` at 0 what was recorded of it is removed.
#[utoipa::path(put, path = "/api/sources/{name}/policy", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    request_body(content = inline(shapes::Policy)),
    responses((status = 200, body = PolicyView), (status = 404),
        (status = 422, description = "A number is out of range, or nothing is recorded of a source that moves when versions agree")))]
pub(crate) async fn put_policy(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Json(policy): Json<Policy>,
) -> ApiResult<Json<PolicyView>> {
    tracing::info!(source = %name, user = %by.user, "the policy of source {name} is being changed");
    blocking(move || {
        let source = find(&app, &name)?;
        check(&policy, app.config.runs.keep_recordings)?;
        let entry = by.entry_with("source.policy", on(&source.name), json!(policy));
        app.state().set_policy(&source.name, &policy, &entry)?;
        if policy.recordings == Some(0) {
            let data = app.warehouse.paths.root();
            recordings::forget(data, &source.name).map_err(ApiError::internal)?;
        }
        app.comparisons.consider(source.name.clone())?;
        view(&app, &source).map(Json)
    })
    .await
}

fn check(policy: &Policy, recorded_anyway: usize) -> ApiResult<()> {
    let refused = |detail: String| Err(ApiError::invalid("policy-invalid", detail));
    if !(1..=MOST_RECORDINGS).contains(&policy.compare_runs) {
        return refused(format!(
            "`compare_runs` is a number from 1 to {MOST_RECORDINGS}"
        ));
    }
    if policy.recordings.is_some_and(|kept| kept > MOST_RECORDINGS) {
        return refused(format!("`recordings` is at most {MOST_RECORDINGS}"));
    }
    let recorded = policy
        .recordings
        .map_or(recorded_anyway, |kept| kept as usize);
    if policy.upgrade == UpgradePolicy::WhenAgreed && recorded == 0 {
        return refused(
            "nothing is recorded of this source over which versions could agree: set `recordings` to 1 or more".into(),
        );
    }
    Ok(())
}

/// What to compare.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewComparison {
    /// The digest of the version in use; by default the one that the source is at.
    #[schema(value_type = Option<String>)]
    old: Option<Digest>,
    /// The digest of the version that may take its place, trusted or not; by default the one that was uploaded last.
    #[schema(value_type = Option<String>)]
    new: Option<Digest>,
    /// Over how many of the source's last recordings, 1 to 100; by default as many as its policy says.
    runs: Option<u32>,
}

/// Compares two versions of a source's connector over its recorded runs.
///
/// Both replay them in runners without network or credentials. The answer comes at once; ask for the comparison until
/// its `state` is not `running`.
#[utoipa::path(post, path = "/api/sources/{name}/comparisons", tag = "sources",
    params(("name" = String, Path, description = "The source")), request_body = NewComparison,
    responses((status = 202, body = inline(shapes::Comparison)), (status = 404),
        (status = 409, description = "Too many wait already"), (status = 422)))]
pub(crate) async fn create_comparison(
    by: By,
    app: AppState,
    Path(name): Path<SourceName>,
    Json(wish): Json<NewComparison>,
) -> ApiResult<(StatusCode, Json<Comparison>)> {
    tracing::info!(source = %name, user = %by.user, "versions are being compared for source {name}");
    let comparison = blocking(move || {
        let source = find(&app, &name)?;
        let comparison = begin(&app, &by, &source, &wish)?;
        let what = json!({"id": comparison.id, "from": comparison.old, "to": comparison.new});
        let entry = by.entry_with("source.compare", on(&source.name), what);
        app.comparisons.ask(&app, comparison, &entry)
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(comparison)))
}

fn begin(app: &App, by: &By, source: &Source, wish: &NewComparison) -> ApiResult<Comparison> {
    let known = |digest| find_version(app, &source.connector, Some(digest));
    let old = known(wish.old.unwrap_or(source.version))?;
    let new = match wish.new {
        Some(digest) => known(digest)?,
        None => newest(app, source)?,
    };
    let runs = match wish.runs {
        Some(runs) => runs,
        None => app.state().policy(&source.name)?.compare_runs,
    };
    if !(1..=MOST_RECORDINGS).contains(&runs) {
        let detail = format!("`runs` is a number from 1 to {MOST_RECORDINGS}");
        return Err(ApiError::invalid("runs-invalid", detail));
    }
    let name = source.name.clone();
    Ok(Comparison {
        asked_by: Some(by.user),
        ..Comparison::begin(name, old.digest, new.digest, runs)
    })
}

fn newest(app: &App, source: &Source) -> ApiResult<Version> {
    let mut versions = app.state().versions()?.into_iter();
    let newest = versions.find(|version| version.manifest.name == source.connector);
    newest.ok_or_else(|| ingest::IngestError::UnknownVersion(source.version).into())
}

/// The last comparisons of a source.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparisons {
    /// Newest first.
    #[schema(value_type = Vec<shapes::Comparison>)]
    comparisons: Vec<Comparison>,
}

/// Lists the last comparisons of a source's versions, newest first.
#[utoipa::path(get, path = "/api/sources/{name}/comparisons", tag = "sources",
    params(("name" = String, Path, description = "The source")),
    responses((status = 200, body = Comparisons), (status = 404)))]
pub(crate) async fn list_comparisons(
    app: AppState,
    Path(name): Path<SourceName>,
) -> ApiResult<Json<Comparisons>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let comparisons = app.state().comparisons(&source.name)?;
        Ok(Json(Comparisons { comparisons }))
    })
    .await
}

/// Shows a comparison, as far as it is.
#[utoipa::path(get, path = "/api/sources/{name}/comparisons/{id}", tag = "sources",
    params(("name" = String, Path, description = "The source"), ("id" = String, Path, description = "The comparison")),
    responses((status = 200, body = inline(shapes::Comparison)), (status = 404)))]
pub(crate) async fn get_comparison(
    app: AppState,
    Path((name, id)): Path<(SourceName, Uuid)>,
) -> ApiResult<Json<Comparison>> {
    blocking(move || {
        let source = find(&app, &name)?;
        let mut known = app.state().comparisons(&source.name)?.into_iter();
        let found = known.find(|comparison| comparison.id == id);
        found.map(Json).ok_or_else(|| {
            ApiError::not_found(
                "comparison-not-found",
                format!("Source `{name}` has no comparison {id}; only its last ones are kept"),
            )
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_moves_by_agreement_only_where_something_is_recorded() {
        let policy = |recordings| Policy {
            upgrade: UpgradePolicy::WhenAgreed,
            recordings,
            ..Policy::default()
        };
        assert!(check(&policy(None), 0).is_err());
        assert!(check(&policy(Some(0)), 5).is_err());
        assert!(check(&policy(None), 5).is_ok());
        assert!(check(&policy(Some(101)), 0).is_err());
        let none = Policy {
            compare_runs: 0,
            ..Policy::default()
        };
        assert!(check(&none, 0).is_err());
        assert!(check(&Policy::default(), 0).is_ok());
    }
}
