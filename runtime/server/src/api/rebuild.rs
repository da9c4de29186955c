//! `/api/admin/rebuild`: looks at all extracts now, and tells what came of each table.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{AppState, blocking};
use crate::auth::By;
use crate::error::{ApiError, ApiResult};

/// What a rebuild did.
#[derive(Serialize, ToSchema)]
pub(crate) struct RebuildView {
    /// The sources whose extracts were read, since they had changed.
    read: Vec<String>,
    /// The tables that can be queried, by source.
    tables: BTreeMap<String, Vec<String>>,
    /// What was passed over, and why.
    problems: Vec<ProblemView>,
}

/// Something that was passed over.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemView {
    /// The extract.
    source: String,
    /// The table, where it is about one.
    table: Option<String>,
    /// What was wrong, and what happened instead.
    reason: String,
}

/// Rebuilds the catalog from the extracts.
///
/// Only extracts that have changed are read. Those of runs are taken up by themselves; this is for
/// extracts that other programs write, and to see why a table is missing.
#[utoipa::path(post, path = "/api/admin/rebuild", tag = "data", responses((status = 200, body = RebuildView)))]
pub(crate) async fn rebuild(_: By, app: AppState) -> ApiResult<Json<RebuildView>> {
    blocking(move || {
        let report = app.warehouse.orchestrator.rebuild();
        let report = report.map_err(ApiError::internal)?;
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in &app.catalog().tables {
            let of_source = tables.entry(table.source.to_string()).or_default();
            of_source.push(table.name.to_string());
        }
        let problems = report.problems.into_iter().map(|problem| ProblemView {
            source: problem.source,
            table: problem.table,
            reason: problem.reason,
        });
        Ok(Json(RebuildView {
            read: report.read.iter().map(ToString::to_string).collect(),
            tables,
            problems: problems.collect(),
        }))
    })
    .await
}
