//! What an admin may say about a table, and how long.

use domain::{QueryMode, RegisteredTable};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};

/// A description is a page, everything else a line.
const MOST: usize = 10_000;
const MOST_KEYS: usize = 100;

/// One name or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Names {
    fn list(self) -> ApiResult<Vec<String>> {
        let names = match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        };
        let long = names.iter().any(|name| name.len() > MOST);
        if long || names.len() > MOST_KEYS {
            return Err(ApiError::invalid(
                "primary-key-invalid",
                format!("primary_key has more than {MOST_KEYS} columns or a very long one"),
            ));
        }
        Ok(names)
    }
}

/// What is to be changed; what is left out or null stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TableChange {
    name: Option<String>,
    #[serde(flatten)]
    details: Details,
}

/// What may be said about a table beside its name.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Details {
    folder: Option<String>,
    sync_strategy: Option<String>,
    /// A column or several.
    primary_key: Option<Names>,
    description: Option<String>,
    source_type: Option<String>,
    bucket: Option<String>,
    source_table: Option<String>,
    /// `local` or `remote`.
    query_mode: Option<String>,
    sync_schedule: Option<String>,
    profile_after_sync: Option<bool>,
}

/// A change of one field.
type Setting = (&'static str, Box<dyn FnOnce(&mut RegisteredTable) + Send>);

/// A change whose parts make sense.
pub(super) struct Checked(Vec<Setting>);

impl TableChange {
    pub(super) fn checked(self) -> ApiResult<Checked> {
        let mut all = self.details.checked()?;
        if let Some(name) = text("name", self.name)? {
            all.set("name", |table| table.name = name);
        }
        Ok(all)
    }
}

impl Details {
    pub(super) fn checked(self) -> ApiResult<Checked> {
        let mut all = Checked(Vec::new());
        if let Some(strategy) = text("sync_strategy", self.sync_strategy)? {
            all.set("sync_strategy", |table| table.sync_strategy = strategy);
        }
        if let Some(key) = self.primary_key.map(Names::list).transpose()? {
            all.set("primary_key", |table| table.primary_key = key);
        }
        if let Some(mode) = query_mode(self.query_mode)? {
            all.set("query_mode", move |table| table.query_mode = mode);
        }
        if let Some(profile) = self.profile_after_sync {
            all.set("profile_after_sync", move |table| {
                table.profile_after_sync = profile;
            });
        }
        all.words("description", self.description, |t, w| t.description = w)?;
        all.words("source_type", self.source_type, |t, w| t.source_type = w)?;
        all.words("bucket", self.bucket, |t, w| t.bucket = w)?;
        all.words("source_table", self.source_table, |t, w| t.source_table = w)?;
        all.words("sync_schedule", self.sync_schedule, |t, w| {
            t.sync_schedule = w;
        })?;
        all.words("folder", self.folder, |t, w| t.folder = w)?;
        Ok(all)
    }
}

impl Checked {
    fn set(
        &mut self,
        field: &'static str,
        change: impl FnOnce(&mut RegisteredTable) + Send + 'static,
    ) {
        self.0.push((field, Box::new(change)));
    }

    fn words(
        &mut self,
        field: &'static str,
        given: Option<String>,
        put: fn(&mut RegisteredTable, Option<String>),
    ) -> ApiResult<()> {
        if let Some(words) = text(field, given)? {
            self.set(field, move |table| put(table, Some(words)));
        }
        Ok(())
    }

    pub(super) fn fields(&self) -> Vec<&'static str> {
        self.0.iter().map(|(field, _)| *field).collect()
    }

    pub(super) fn apply(self, table: &mut RegisteredTable) {
        for (_, change) in self.0 {
            change(table);
        }
    }
}

/// A text that is not too long.
fn text(field: &str, given: Option<String>) -> ApiResult<Option<String>> {
    match given {
        Some(text) if text.len() > MOST => Err(ApiError::invalid(
            "text-too-long",
            format!("`{field}` is longer than {MOST} bytes"),
        )),
        given => Ok(given),
    }
}

fn query_mode(given: Option<String>) -> ApiResult<Option<QueryMode>> {
    let Some(word) = given else { return Ok(None) };
    let known = [QueryMode::Local, QueryMode::Remote];
    let found = known.into_iter().find(|mode| mode.as_str() == word);
    found.map(Some).ok_or_else(|| {
        ApiError::invalid("query-mode-unknown", "`query_mode` is `local` or `remote`")
    })
}
