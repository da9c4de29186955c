//! Looking after snapshots: renewing them, and giving the disk back.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{describe, erase, files, known, list, receive, usage};
use crate::error::{Error, io};
use crate::http::Api;
use crate::output;
use crate::workspace::{Workspace, make_parent, replace};

/// What a script tells by what went wrong.
fn exit(status: u16) -> u8 {
    match status {
        403 => 8,
        500.. => 5,
        _ => 2,
    }
}

/// Fetches a snapshot again, by what it was fetched by.
pub(super) fn refresh(
    api: &Api,
    name: &str,
    filter: Option<&str>,
    as_json: bool,
) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    let _lock = workspace.lock()?;
    let old = known(&workspace, name)?;
    let mut request = json!({});
    for field in ["table_id", "select", "where", "limit", "order_by"] {
        request[field] = old[field].clone();
    }
    if let Some(filter) = filter {
        request["where"] = filter.into();
    }
    let [file, meta] = files(&workspace, name);
    let rows = receive(api, &request, &file, exit)?;
    let new = describe(name, &request, &Value::Null, rows, &file)?;
    replace(&meta, format!("{new:#}\n").as_bytes())?;
    crate::local::show(&crate::local::write(&workspace)?, name, &file)?;
    let identical = old["result_hash_md5"] == new["result_hash_md5"];
    if as_json {
        output::json(
            &json!({"name": name, "rows_before": old["rows"], "rows": new["rows"],
            "bytes_before": old["bytes_local"], "bytes_local": new["bytes_local"],
            "effective_as_of": new["effective_as_of"], "identical": identical}),
        );
        return Ok(());
    }
    for (label, field) in [("Rows", "rows"), ("Bytes", "bytes_local")] {
        let (before, now) = (output::plain(&old[field]), output::plain(&new[field]));
        output::line(&format!("{label}: {before} -> {now}"));
    }
    let as_of = output::plain(&new["effective_as_of"]);
    output::line(&format!("As of: {as_of}"));
    output::line(&format!(
        "Identical: {}",
        if identical { "yes" } else { "no" }
    ));
    Ok(())
}

/// Which snapshots go.
pub(super) struct Prune<'a> {
    pub(super) older_than: Option<&'a str>,
    pub(super) larger_than: Option<&'a str>,
    pub(super) all: bool,
    pub(super) dry_run: bool,
}

/// Deletes what fits. Without a condition nothing does: what was fetched may have cost money.
pub(super) fn prune(asked: &Prune<'_>, as_json: bool) -> Result<(), Error> {
    if asked.older_than.is_none() && asked.larger_than.is_none() && !asked.all {
        return Err(usage(
            "say which: --older-than 7d, --larger-than 1g, or --all for every snapshot".into(),
        ));
    }
    let age = asked.older_than.map(age).transpose()?;
    let size = asked.larger_than.map(size).transpose()?;
    let workspace = Workspace::open()?;
    let now = Timestamp::now();
    let fits = |meta: &Value| {
        let fetched = meta["fetched_at"].as_str().and_then(|at| at.parse().ok());
        let is_old = |limit: Duration| {
            let age = fetched.map(|at: Timestamp| now.duration_since(at).unsigned_abs());
            age.is_some_and(|age| age > limit)
        };
        age.is_none_or(is_old)
            && size.is_none_or(|limit| meta["bytes_local"].as_u64().is_some_and(|n| n > limit))
    };
    let gone: Vec<Value> = list(&workspace).into_iter().filter(fits).collect();
    if !asked.dry_run && !gone.is_empty() {
        let _lock = workspace.lock()?;
        for meta in &gone {
            erase(&workspace, meta["name"].as_str().unwrap_or_default())?;
        }
    }
    if as_json {
        output::json(&json!({"dry_run": asked.dry_run, "dropped": gone}));
        return Ok(());
    }
    let word = if asked.dry_run {
        "Would drop"
    } else {
        "Dropped"
    };
    for meta in &gone {
        output::line(&format!("{word} {}", output::plain(&meta["name"])));
    }
    output::note(&format!("{word} {} snapshots", gone.len()));
    Ok(())
}

/// A number and its unit.
fn amount(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    Some((number.parse().ok()?, unit))
}

fn age(text: &str) -> Result<Duration, Error> {
    let seconds = amount(text).and_then(|(number, unit)| {
        let each = match unit {
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            _ => return None,
        };
        number.checked_mul(each)
    });
    let seconds =
        seconds.ok_or_else(|| usage(format!("`{text}` is no age. Use 7d, 24h or 30m.")))?;
    Ok(Duration::from_secs(seconds))
}

fn size(text: &str) -> Result<u64, Error> {
    let lower = text.to_lowercase();
    let bytes = amount(&lower).and_then(|(number, unit)| {
        let each = match unit {
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1_u64 << 30,
            _ => return None,
        };
        number.checked_mul(each)
    });
    bytes.ok_or_else(|| usage(format!("`{text}` is no size. Use 500m or 1g.")))
}

/// Says what the snapshots take of the disk, and what it has left.
pub(crate) fn disk_info(as_json: bool) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    let folder = workspace.snapshots();
    make_parent(&folder.join("any"))?;
    let there = fs::read_dir(&folder).map_err(io("cannot read", &folder))?;
    let sizes = there
        .flatten()
        .filter_map(|entry| Some(entry.metadata().ok()?.len()));
    let used: u64 = sizes.sum();
    let disk = rustix::fs::statvfs(&folder)
        .map_err(|error| io("cannot measure", &folder)(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let quota = std::env::var("AGNES_SNAPSHOT_QUOTA_GB").ok();
    let quota: f64 = quota.and_then(|text| text.parse().ok()).unwrap_or(10.0);
    let count = list(&workspace).len();
    if as_json {
        output::json(
            &json!({"snapshots_dir": folder, "used_bytes": used, "snapshot_count": count,
            "free_bytes": free, "quota_gb": quota}),
        );
        return Ok(());
    }
    output::line(&format!("Snapshots: {count} in {}", folder.display()));
    output::line(&format!(
        "Used:      {} of {quota} GB that you allow yourself",
        output::bytes(used)
    ));
    output::line(&format!("Free:      {}", output::bytes(free)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_have_units_and_none_overflows() {
        assert_eq!(age("7d").unwrap(), Duration::from_secs(604_800));
        assert_eq!(age("30m").unwrap(), Duration::from_secs(1_800));
        assert_eq!(size("1G").unwrap(), 1 << 30);
        for wrong in ["", "7", "d", "-1d", "7w", "99999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
        assert!(age("18446744073709551615d").is_err());
        assert!(size("18446744073709551615g").is_err());
    }
}
