//! What an export is asked for, and the wait for its file.

use std::time::Duration;

use connector_sdk::{Failure, progress, wait};

use crate::api::{Api, Job, Results};
use crate::position::{Next, Shape};

/// The first wait for a job, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The fields of an export's form.
pub(crate) fn form(shape: &Shape, next: &Next) -> Vec<(String, String)> {
    let mut form = vec![
        ("format".to_owned(), "rfc".to_owned()),
        ("gzip".to_owned(), "1".to_owned()),
    ];
    let since = match next {
        Next::Since(imported) => Some(imported.clone()),
        _ => shape.changed_since.clone(),
    };
    form.extend(since.map(|since| ("changedSince".to_owned(), since)));
    let columns = shape.columns.iter().enumerate();
    form.extend(columns.map(|(at, name)| (format!("columns[{at}]"), name.clone())));
    for (at, filter) in shape.filters.iter().enumerate() {
        let field = |name: &str| format!("whereFilters[{at}][{name}]");
        form.push((field("column"), filter.column.clone()));
        form.push((field("operator"), filter.operator.clone()));
        for (value_at, value) in filter.values.iter().enumerate() {
            form.push((format!("{}[{value_at}]", field("values")), value.clone()));
        }
    }
    form
}

/// Waits for an export; returns the id of the file.
pub(crate) fn file_of(api: &Api, mut job: Job, name: &str, minutes: u32) -> Result<u64, Failure> {
    let most = Duration::from_secs(u64::from(minutes) * 60);
    let (mut waited, mut pause) = (Duration::ZERO, FIRST_WAIT);
    while !has_ended(&job)? {
        if waited >= most {
            return Err(Failure::upstream(format!(
                "the job {} is still `{}` after {minutes} minutes; `job_minutes` in the settings allows more",
                job.id, job.status
            )));
        }
        progress(&format!("{name}: the export is {}", job.status), 0, None);
        wait(pause);
        waited += pause;
        pause = (pause * 3 / 2).min(LONGEST_WAIT);
        job = api.job(job.id)?;
    }
    match job.results {
        Some(Results::Made { file }) => Ok(file.id),
        _ => Err(Failure::upstream(format!(
            "the job {} made no file",
            job.id
        ))),
    }
}

fn has_ended(job: &Job) -> Result<bool, Failure> {
    match job.status.as_str() {
        "waiting" | "processing" => Ok(false),
        "success" => Ok(true),
        status => {
            let error = job.error.as_ref();
            let words = error.and_then(|error| error.message.clone());
            let code = error.and_then(|error| error.code.clone());
            Err(Failure::upstream(format!(
                "the job {} ended with `{}`: {} {}",
                job.id,
                status.chars().take(64).collect::<String>(),
                code.unwrap_or_default(),
                words.unwrap_or_else(|| "no reason was given".into())
            )))
        }
    }
}
